"""API keys: shown once, stored hashed, counted from request to request in every process, every change sealed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.registry.keys import Keys
from steelyard.schema.errors import IdentityError, NotFoundError, UserError

DAY = timedelta(days=1)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "private" / "keys.sqlite", "ada")


def code_of(keys: Keys, token: str) -> str:
    with pytest.raises(IdentityError) as caught:
        keys.identify(token)
    return caught.value.code


def unguarded(keys: Keys) -> sqlite3.Connection:
    connection = sqlite3.connect(keys.path)
    for name in ("keys_keep_what_they_are", "keys_no_return", "keys_no_delete"):
        connection.execute(f"DROP TRIGGER {name}")
    return connection


def test_a_key_ends_in_the_scope_and_roles_it_was_made_with(keys: Keys) -> None:
    made, token = keys.create("helpdesk", user="ada", groups=["staff", "okta:eng"], roles=["ask"], expires=DAY)
    caller = keys.identify(token).caller()
    assert (caller.scope.user, caller.scope.groups) == ("ada", {"staff", "okta:eng"})
    assert (caller.key_id, caller.name, caller.roles) == (made.id, "helpdesk", {"ask"})
    assert caller.may("ask")
    assert not caller.may("operate")


def test_the_secret_is_in_no_file(keys: Keys) -> None:
    _, token = keys.create("helpdesk")
    secret = token.rpartition("_")[2] if token.count("_") == 2 else token.split("_", 2)[2]
    for path in keys.path.parent.iterdir():
        assert secret.encode() not in path.read_bytes(), path.name


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_only_the_owner_can_read_the_file(keys: Keys) -> None:
    keys.create("helpdesk")
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700
    for path in keys.path.parent.glob("keys.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_another_secret_behind_a_known_id_is_as_unknown_as_an_unknown_id(keys: Keys) -> None:
    _, token = keys.create("helpdesk")
    _, other = keys.create("bot")
    mixed = token[:15] + other[15:]
    assert code_of(keys, mixed) == code_of(keys, "sy_k0123456789_" + "a" * 43) == "identity.unknown_key"


@settings(max_examples=80, deadline=None)
@given(text=st.text(max_size=80))
def test_no_text_but_the_token_gets_in(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    keys = Keys(tmp_path_factory.getbasetemp() / "any" / "keys.sqlite", "ada")
    if not keys.path.exists():
        keys.create("helpdesk")
    assert code_of(keys, text) == "identity.unknown_key"


def test_before_the_first_key_nobody_gets_in(keys: Keys) -> None:
    assert code_of(keys, "sy_k0123456789_" + "a" * 43) == "identity.unknown_key"
    assert keys.all() == []
    assert keys.verify().whole


def test_a_revoked_key_stops_counting_at_once_in_another_process(keys: Keys) -> None:
    _, token = keys.create("helpdesk")
    script = """
import sys
from pathlib import Path
from steelyard.registry.keys import Keys
from steelyard.schema.errors import IdentityError
keys = Keys(Path(sys.argv[1]))
for line in sys.stdin:
    try:
        answer = keys.identify(line.strip()).id
    except IdentityError as error:
        answer = error.code
    sys.stdout.write(answer + "\\n")
    sys.stdout.flush()
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(keys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None

    def asked() -> str:
        worker.stdin.write(token + "\n")
        worker.stdin.flush()
        return worker.stdout.readline().strip()

    try:
        assert asked() == keys.all()[0].id
        keys.revoke("helpdesk", why="lost")
        assert asked() == "identity.revoked_key"
    finally:
        worker.communicate(timeout=30)


def test_an_expired_key_does_not_count(keys: Keys) -> None:
    made, token = keys.create("helpdesk", expires=DAY)
    assert keys.identify(token).id == made.id
    with sqlite3.connect(keys.path) as connection:
        connection.execute("UPDATE keys SET expires = '2020-01-01T00:00:00+00:00'")
    connection.close()
    assert code_of(keys, token) == "identity.expired_key"
    assert keys.active(made.id) is None


def test_rotation_lets_both_keys_count_until_the_overlap_ends(keys: Keys) -> None:
    first, old_token = keys.create("helpdesk", user="ada", groups=["staff"], roles=["ask", "operate"], expires=30 * DAY)
    second, old, new_token = keys.rotate("helpdesk", overlap=DAY)
    assert old.successor == second.id != first.id
    assert keys.identify(old_token).caller().scope == keys.identify(new_token).caller().scope
    assert second.roles == ("ask", "operate")
    assert old.expires is not None
    assert second.expires is not None
    assert first.expires is not None
    assert old.expires < first.expires <= second.expires
    third, second_now, _ = keys.rotate(second.id, overlap=timedelta(0))
    assert code_of(keys, new_token) == "identity.expired_key"
    assert second_now.successor == third.id
    with pytest.raises(UserError, match=f"successor {third.id}"):
        keys.rotate(second.id, overlap=DAY)


def test_an_overlap_never_lengthens_the_life_of_the_old_key(keys: Keys) -> None:
    first, _ = keys.create("helpdesk", expires=DAY)
    _, old, _ = keys.rotate("helpdesk", overlap=30 * DAY)
    assert old.expires == first.expires


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"name": "  "}, "keys.bad_name"),
        ({"name": "a", "groups": ["user:ada"]}, "keys.bad_group"),
        ({"name": "a", "groups": ["okta:"]}, "keys.bad_group"),
        ({"name": "a", "roles": ["root"]}, "keys.bad_role"),
        ({"name": "a", "roles": []}, "keys.no_role"),
        ({"name": "a", "expires": timedelta(0)}, "keys.expired_at_once"),
    ],
)
def test_what_makes_no_sense_makes_no_key(keys: Keys, wrong: dict, code: str) -> None:
    with pytest.raises(UserError) as caught:
        keys.create(wrong.pop("name"), **wrong)
    assert caught.value.code == code
    assert keys.all() == []


def test_two_active_keys_never_share_a_name(keys: Keys) -> None:
    keys.create("helpdesk")
    with pytest.raises(UserError, match="active key named"):
        keys.create("helpdesk")
    keys.revoke("helpdesk")
    keys.create("helpdesk")


def test_an_unknown_key_is_named_with_the_nearest(keys: Keys) -> None:
    keys.create("helpdesk")
    with pytest.raises(NotFoundError, match="'helpdesk'"):
        keys.revoke("helpdsk")


def test_every_change_is_in_the_sealed_history(keys: Keys) -> None:
    keys.create("helpdesk", why="for the team")
    keys.rotate("helpdesk", overlap=DAY)
    keys.revoke("helpdesk", why="lost")
    assert [one.what for one in keys.history()] == ["key.created", "key.rotated", "key.revoked"]
    assert keys.verify().whole


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE keys SET roles = '[\"ask\", \"operate\"]' WHERE name = 'bot'", "roles"),
        ("UPDATE keys SET groups = '[\"board\"]' WHERE name = 'bot'", "groups"),
        ("UPDATE keys SET hash = zeroblob(32) WHERE name = 'bot'", "hash"),
        ("UPDATE keys SET expires = NULL WHERE name = 'bot'", "expires"),
        ("UPDATE keys SET revoked = NULL WHERE name = 'gone'", "revoked"),
        ("DELETE FROM keys WHERE name = 'gone'", "is gone"),
        (
            "INSERT INTO keys SELECT 'k0000000000', 'eve', user, groups, roles, hash, created, by, NULL, NULL, NULL "
            "FROM keys WHERE name = 'bot'",
            "knows nothing of it",
        ),
    ],
)
def test_a_key_edited_around_the_guards_is_found(keys: Keys, statement: str, found: str) -> None:
    keys.create("bot", expires=DAY)
    keys.create("gone")
    keys.revoke("gone")
    connection = unguarded(keys)
    with connection:
        connection.execute(statement)
    connection.close()
    broken = keys.verify().broken
    assert any(found in line for line in broken if not line.startswith("the guard")), broken
    assert sum(line.startswith("the guard") for line in broken) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keys SET roles = '[]'",
        "DELETE FROM keys",
        "UPDATE keys SET revoked = NULL",
        "UPDATE keys SET user = 'eve'",
    ],
)
def test_the_file_refuses_what_no_command_does(keys: Keys, statement: str) -> None:
    keys.create("bot")
    keys.revoke("bot")
    connection = sqlite3.connect(keys.path)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()
