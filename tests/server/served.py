"""What tests of the server share: a client, and keys of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from steelyard.server.site import Site

SERVE = """
[serve]
anonymous = "public"
requests_per_minute = 0

[serve.scopes.public]
groups = []
"""


@dataclass(frozen=True)
class Door:
    """A client of the server, the site behind it, and keys by their kind."""

    client: TestClient
    site: Site
    keys: Mapping[str, str]

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any) -> Any:
        """One request with the key of a kind (None: without)."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        return self.client.request(method, path, json=body, headers=headers, **more)


def open_to_the_public(folder: Path) -> None:
    """Let askers without a key in, as members of nothing."""
    settings = folder / "steelyard.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + SERVE, encoding="utf-8")


def with_keys(site: Site) -> dict[str, str]:
    """A key of every kind; `bad` was never made."""
    keys = site.identity.keys
    made = {
        "ask": keys.create("asker", user="ada", roles=("ask",)),
        "staff": keys.create("staff", user="bo", groups=("staff",), roles=("ask",)),
        "operate": keys.create("operator", roles=("operate",)),
        "both": keys.create("lead", groups=("staff",), roles=("ask", "operate")),
        "staff-operate": keys.create("manager", groups=("staff",), roles=("operate",)),
        "revoked": keys.create("former", roles=("ask", "operate")),
    }
    keys.revoke(made["revoked"][0].id)
    _, late = keys.create("late", roles=("ask", "operate"), expires=timedelta(days=1))
    keys.rotate("late", overlap=timedelta(0))  # so that the first one has expired already
    return {**{kind: token for kind, (_, token) in made.items()}, "expired": late, "bad": "sk-none-of-ours"}
