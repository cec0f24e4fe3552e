"""Tokens of an identity provider, signed with real keys that a real HTTP server hands out."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from steelyard.config import JwtSettings
from steelyard.schema.errors import IdentityError, StoreError
from steelyard.server.tokens import STALE_S, Tokens

ISSUER, AUDIENCE = "https://id.example.com", "steelyard"


class Provider:
    """Hands out the public halves of `keys`, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "one"})]
        self.asked = 0
        self.down = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("location", "/jwks")
                    self.end_headers()
                    return
                body = json.dumps(KeySet(provider.keys).as_dict(private=False)).encode()
                self.send_response(503 if provider.down else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/jwks"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def running():
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(running):
    running.asked, running.down = 0, False
    running.keys = running.keys[:1]
    return running


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def settings(provider: Provider, **more) -> JwtSettings:
    return JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks=provider.url, **more)


def signed(key, *, alg: str = "RS256", kid: str | None = "one", **claims) -> str:
    now = int(time.time())
    held = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, **claims}
    header = {"alg": alg, **({"kid": kid} if kid else {})}
    held = {name: value for name, value in held.items() if value is not None}
    return jwt.encode(header, held, key, algorithms=[alg])


def coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(IdentityError) as caught:
        tokens.identify(token)
    return caught.value.code


def test_a_valid_token_ends_in_a_scope_with_its_user_and_groups(provider, tmp_path) -> None:
    tokens = Tokens(settings(provider, group_source="okta"), tmp_path)
    caller = tokens.identify(signed(provider.keys[0], groups=["eng", "staff"], aud=["other", AUDIENCE], name="Ada L."))
    assert (caller.scope.user, caller.scope.groups) == ("ada", {"okta:eng", "okta:staff"})
    assert (caller.key_id, caller.name, caller.roles) == ("jwt:ada", "Ada L.", {"ask"})


def test_roles_come_only_from_the_table_of_the_settings(provider, tmp_path) -> None:
    tokens = Tokens(settings(provider, roles={"helpdesk": "ask", "admin": "operate"}), tmp_path)
    assert tokens.identify(signed(provider.keys[0], roles=["admin", "operate", "x"])).roles == {"operate"}
    assert tokens.identify(signed(provider.keys[0], roles="helpdesk admin")).roles == {"ask", "operate"}
    assert tokens.identify(signed(provider.keys[0], roles=["operate"])).roles == frozenset()
    assert Tokens(settings(provider), tmp_path).identify(signed(provider.keys[0], roles=["operate"])).roles == {"ask"}


def test_a_group_named_like_a_person_makes_nobody_else(provider, tmp_path) -> None:
    caller = Tokens(settings(provider), tmp_path).identify(
        signed(provider.keys[0], groups=["user:eve", "", "staff", 7])
    )
    assert caller.scope.groups == {"staff"}
    assert caller.scope.principals == ("everyone", "staff", "user:ada")


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://evil.example.com"}, "identity.bad_token"),
        ({"iss": None}, "identity.bad_token"),
        ({"aud": "another"}, "identity.bad_token"),
        ({"aud": None}, "identity.bad_token"),
        ({"exp": None}, "identity.bad_token"),
        ({"exp": NOW - 3600}, "identity.expired_token"),
        ({"exp": "tomorrow"}, "identity.bad_token"),
        ({"nbf": NOW + 3600}, "identity.bad_token"),
        ({"iat": NOW + 3600}, "identity.bad_token"),
        ({"sub": None}, "identity.bad_token"),
        ({"sub": ""}, "identity.bad_token"),
        ({"sub": ["ada"]}, "identity.bad_token"),
    ],
)
def test_a_claim_that_is_not_as_the_settings_say_is_refused(provider, tmp_path, claims, code) -> None:
    assert refused(Tokens(settings(provider), tmp_path), signed(provider.keys[0], **claims)) == code


def test_clocks_may_differ_by_the_leeway_and_no_more(provider, tmp_path) -> None:
    tokens = Tokens(settings(provider, leeway_s=120), tmp_path)
    now = int(time.time())
    tokens.identify(signed(provider.keys[0], exp=now - 60, nbf=now + 60))
    assert refused(tokens, signed(provider.keys[0], exp=now - 200)) == "identity.expired_token"
    assert refused(tokens, signed(provider.keys[0], nbf=now + 200)) == "identity.bad_token"


def test_another_key_another_algorithm_and_no_signature_are_refused(provider, tmp_path) -> None:
    tokens = Tokens(settings(provider), tmp_path)
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    assert refused(tokens, signed(stranger)) == "identity.bad_token"
    assert refused(tokens, signed(provider.keys[0], alg="PS256")) == "identity.bad_token"  # not pinned
    whole = signed(provider.keys[0])
    head, body, seal = whole.split(".")
    bare = coded(b'{"alg":"none","kid":"one"}')
    for broken in (f"{bare}.{body}.", f"{head}.{body}.", f"{head}.{body}x.{seal}", "a.b.c", "..", f"{whole}x" * 400):
        assert refused(tokens, broken) == "identity.bad_token"


def test_a_public_key_is_never_taken_for_a_shared_secret(provider, tmp_path) -> None:
    pem = provider.keys[0].as_pem(private=False)
    body = signed(provider.keys[0]).split(".")[1]
    head = coded(b'{"alg":"HS256","kid":"one"}')
    forged = f"{head}.{body}.{coded(hmac.digest(pem, f'{head}.{body}'.encode(), 'sha256'))}"
    assert refused(Tokens(settings(provider), tmp_path), forged) == "identity.bad_token"


def test_a_new_key_of_the_provider_is_fetched_but_not_for_every_unknown_name(provider, tmp_path) -> None:
    clock = Clock()
    tokens = Tokens(settings(provider, refetch_s=60), tmp_path, clock)
    tokens.identify(signed(provider.keys[0]))
    tokens.identify(signed(provider.keys[0]))
    assert provider.asked == 1
    second = ECKey.generate_key("P-256", {"kid": "two"})
    provider.keys.append(second)
    for _ in range(20):
        assert refused(tokens, signed(second, alg="ES256", kid="two")) == "identity.bad_token"
    assert provider.asked == 1  # within a minute of the last reading
    clock.now += 61
    assert tokens.identify(signed(second, alg="ES256", kid="two")).scope.user == "ada"
    for number in range(20):
        refused(tokens, signed(second, alg="ES256", kid=f"made-up-{number}"))
    assert provider.asked == 2


def test_a_key_that_the_provider_withdrew_stops_counting(provider, tmp_path) -> None:
    clock = Clock()
    tokens = Tokens(settings(provider, keep_s=600), tmp_path, clock)
    old = provider.keys[0]
    tokens.identify(signed(old))
    provider.keys = [RSAKey.generate_key(2048, {"kid": "two"})]
    tokens.identify(signed(old))
    clock.now += 601
    assert refused(tokens, signed(old)) == "identity.bad_token"
    provider.keys = [old]


def test_keys_that_were_read_go_on_counting_while_the_provider_is_down_for_a_day(provider, tmp_path) -> None:
    clock = Clock()
    tokens = Tokens(settings(provider), tmp_path, clock)
    tokens.identify(signed(provider.keys[0]))
    provider.down = True
    clock.now += 7200
    tokens.identify(signed(provider.keys[0]))
    clock.now += STALE_S
    with pytest.raises(StoreError, match="cannot be read"):
        tokens.identify(signed(provider.keys[0]))


def test_without_keys_no_token_counts_and_the_provider_is_not_flooded(provider, tmp_path) -> None:
    provider.down = True
    tokens = Tokens(settings(provider), tmp_path, Clock())
    for _ in range(5):
        with pytest.raises(StoreError) as caught:
            tokens.identify(signed(provider.keys[0]))
    assert caught.value.code == "identity.no_jwks"
    assert provider.asked == 1


def test_a_redirect_is_not_followed(provider, tmp_path) -> None:
    moved = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks=provider.url.replace("/jwks", "/moved"))
    with pytest.raises(StoreError):
        Tokens(moved, tmp_path).identify(signed(provider.keys[0]))
    assert provider.asked == 1


def test_keys_can_come_from_a_file_of_the_workspace(provider, tmp_path) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    public = KeySet(provider.keys).as_dict(private=False)["keys"]
    held = {"keys": [*public, secret.as_dict(private=True), {"kty": "NEW", "kid": "x"}, "nonsense"]}
    (tmp_path / "jwks.json").write_text(json.dumps(held))
    tokens = Tokens(JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks="jwks.json"), tmp_path)
    assert tokens.identify(signed(provider.keys[0])).scope.user == "ada"
    assert refused(tokens, signed(secret, alg="HS256", kid="shared")) == "identity.bad_token"
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    with pytest.raises(StoreError, match="no public key"):
        Tokens(JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks="jwks.json"), tmp_path).identify(
            signed(secret, alg="HS256")
        )
