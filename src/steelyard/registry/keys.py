"""API keys: made once, shown once, stored as a hash; each request reads whether its key still counts."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from steelyard.registry.chain import BEGINNING, Chain, Entry, Verified
from steelyard.registry.database import WAIT_S, Database
from steelyard.registry.versions import utc_now, whoami
from steelyard.schema.callers import ROLES, ApiKey
from steelyard.schema.errors import IdentityError, NotFoundError, StoreError, UserError, nearest
from steelyard.schema.scope import principal

KEY_HISTORY = Chain("key_history")
"""Who made, rotated and revoked which key, and why."""

MIGRATIONS: tuple[str, ...] = (
    f"""
    CREATE TABLE keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, user TEXT, groups TEXT NOT NULL, roles TEXT NOT NULL, hash BLOB NOT NULL,
        created TEXT NOT NULL, by TEXT NOT NULL, expires TEXT, revoked TEXT, successor TEXT
    ) STRICT;
    CREATE TRIGGER keys_keep_what_they_are BEFORE UPDATE OF id, name, user, groups, roles, hash, created, by ON keys
        BEGIN SELECT RAISE(ABORT, 'a key never changes what it is'); END;
    CREATE TRIGGER keys_no_return BEFORE UPDATE OF revoked ON keys WHEN OLD.revoked IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'a revoked key stays revoked'); END;
    CREATE TRIGGER keys_no_delete BEFORE DELETE ON keys BEGIN SELECT RAISE(ABORT, 'keys are kept'); END;
    {KEY_HISTORY.sql()}
    """,
)

TOKEN = re.compile(r"sy_(?P<id>k[0-9a-f]{10})_(?P<secret>[A-Za-z0-9_-]{43})")
"""How a key is written: a prefix that secret scanners can look for, the id it is found by, and 256 random bits."""

SECRET_BYTES = 32

GUARDS = ("keys_keep_what_they_are", "keys_no_return", "keys_no_delete")


class Keys:
    """The keys of one workspace in a SQLite file that only its owner may read.

    The secret is 256 random bits, so its plain SHA-256 is as hard to turn back as the secret is to guess: a slow hash protects
    passwords, which people choose, and would cost every request here. Expiry and revocation are read with each request, so they
    count from the next one in every process.
    """

    def __init__(self, path: Path, who: str | None = None) -> None:
        self.path = path
        self.who = whoami() if who is None else who
        self._database = Database(path, MIGRATIONS)
        self._local = threading.local()

    def create(
        self,
        name: str,
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        roles: Sequence[str] = ("ask",),
        expires: timedelta | None = None,
        why: str = "",
    ) -> tuple[ApiKey, str]:
        """A new key and its token. The token is in this answer and nowhere else.

        Raises:
            UserError: the name is empty or in use, a group or role has no meaning, or it would have expired already.
        """
        made = ApiKey(
            id="k" + secrets.token_hex(5),
            name=_checked_name(name),
            user=user.strip() or None if user else None,
            groups=_checked_groups(groups),
            roles=_checked_roles(roles),
            created=utc_now(),
            by=self.who,
            expires=_until(expires),
        )
        with self._writing() as connection:
            if any(one.name == made.name and one.state(utc_now()) == "active" for one in _all(connection)):
                raise UserError(
                    f"there is an active key named '{made.name}'.",
                    remedy=f"Choose another name, or `steelyard keys rotate {made.name}`.",
                    code="keys.name_in_use",
                )
            token = self._put(connection, made, "key.created", why, {})
        return made, token

    def rotate(
        self, key: str, *, overlap: timedelta, expires: timedelta | None = None, why: str = ""
    ) -> tuple[ApiKey, ApiKey, str]:
        """A new key in place of `key` (id or name): (new, old, token). The old one counts for `overlap` more, then no longer.

        The new key lives as long as the old one was to live from its making, unless `expires` says otherwise.

        Raises:
            NotFoundError: there is no such key.
            UserError: it does not count any more, or was rotated before.
        """
        with self._writing() as connection:
            old = _find(connection, key)
            if old.state(utc_now()) != "active" or old.successor is not None:
                state = "was rotated already" if old.successor else f"is {old.state(utc_now())}"
                raise UserError(
                    f"key {old.id} ('{old.name}') {state}.",
                    remedy=f"Rotate its successor {old.successor}." if old.successor else "Create a new one.",
                    code="keys.not_active",
                )
            lifetime = None if old.expires is None else _moment(old.expires) - _moment(old.created)
            made = ApiKey(
                id="k" + secrets.token_hex(5),
                name=old.name,
                user=old.user,
                groups=old.groups,
                roles=old.roles,
                created=utc_now(),
                by=self.who,
                expires=_until(lifetime if expires is None else expires),
            )
            ends = min(filter(None, (old.expires, _until(max(overlap, timedelta(0)), now_is_fine=True))))
            token = self._put(connection, made, "key.rotated", why, {"from": old.id, "old_expires": ends})
            connection.execute("UPDATE keys SET expires = ?, successor = ? WHERE id = ?", (ends, made.id, old.id))
            return made, _find(connection, old.id), token

    def revoke(self, key: str, *, why: str = "") -> ApiKey:
        """Let a key (id or name) count no longer, from the next request on, in every process.

        Raises:
            NotFoundError: there is no such key.
            UserError: it was revoked before.
        """
        with self._writing() as connection:
            found = _find(connection, key)
            if found.revoked is not None:
                raise UserError(
                    f"key {found.id} ('{found.name}') was revoked on {found.revoked[:10]}.", code="keys.revoked_before"
                )
            connection.execute("UPDATE keys SET revoked = ? WHERE id = ?", (utc_now(), found.id))
            self._note(connection, "key.revoked", why, {"key": found.id, "name": found.name})
            return _find(connection, found.id)

    def all(self) -> list[ApiKey]:
        """Every key there ever was, oldest first."""
        if not self.path.is_file():
            return []
        with self._database.connect() as connection:
            return _all(connection)

    def identify(self, token: str) -> ApiKey:
        """The key of a token, when it counts now. One read of the file; nothing is remembered from the last time.

        Raises:
            IdentityError: it is no key of this workspace, has expired, or was revoked.
        """
        written = TOKEN.fullmatch(token)
        row = self._row(written["id"]) if written else None
        shown = hashlib.sha256(written["secret"].encode() if written else b"").digest()
        # Compared in constant time, also where there is nothing to compare with.
        same = hmac.compare_digest(shown, bytes(row["hash"]) if row else b"\0" * len(shown))
        if row is None or not same:
            raise IdentityError(
                "the key is not known here.",
                remedy="Check that it was copied whole; `steelyard keys list` shows which there are.",
                code="identity.unknown_key",
            )
        found = _key(row)
        state = found.state(utc_now())
        if state != "active":
            raise IdentityError(
                f"key {found.id} is {state}.",
                remedy=f"Use its successor {found.successor}." if found.successor else "Ask for a new one.",
                code=f"identity.{state}_key",
            )
        return found

    def active(self, key_id: str) -> ApiKey | None:
        """The key of this id, when it counts now; for sessions, which remember an id and no secret."""
        row = self._row(key_id)
        found = _key(row) if row else None
        return found if found is not None and found.state(utc_now()) == "active" else None

    def history(self) -> list[Entry]:
        """Every change of the keys, oldest first."""
        if not self.path.is_file():
            return []
        with self._database.connect() as connection:
            return list(KEY_HISTORY.entries(connection))

    def verify(self, expected: str | None = None) -> Verified:
        """Check the history of the keys, and every key against it."""
        if not self.path.is_file():
            return Verified(entries=0, head=BEGINNING, broken=())
        with self._database.connect() as connection:
            found = KEY_HISTORY.verify(connection, expected)
            there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
            broken = [f"the guard {name} was removed" for name in GUARDS if name not in there]
            broken += _altered(connection, list(KEY_HISTORY.entries(connection)))
        return Verified(entries=found.entries, head=found.head, broken=(*found.broken, *broken))

    def _put(self, connection: sqlite3.Connection, key: ApiKey, what: str, why: str, evidence: dict[str, Any]) -> str:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = {
            **key.__dict__,
            "groups": json.dumps(key.groups),
            "roles": json.dumps(key.roles),
            "hash": hashlib.sha256(secret.encode()).digest(),
        }
        connection.execute(f"INSERT INTO keys ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", row)
        told = {name: value for name, value in key.to_json().items() if name not in ("revoked", "successor")}
        self._note(connection, what, why, {"key": key.id, "is": told, "hash": row["hash"].hex(), **evidence})
        return f"sy_{key.id}_{secret}"

    def _note(self, connection: sqlite3.Connection, what: str, why: str, evidence: dict[str, Any]) -> None:
        KEY_HISTORY.append(connection, at=utc_now(), who=self.who, what=what, why=why, evidence=evidence)

    def _writing(self) -> Any:
        private_folder(self.path.parent)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        return self._database.connect()

    def _row(self, key_id: str) -> sqlite3.Row | None:
        """A stored key, read on this thread's own connection: no lock is taken, and no other request waited for."""
        try:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                if not self.path.is_file():
                    return None
                connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
                connection.row_factory = sqlite3.Row
                self._local.connection = connection
            found: sqlite3.Row | None = connection.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the keys cannot be read: {error}.",
                where=self.path.name,
                remedy="Restore the file from a backup; until then nobody gets in.",
                code="keys.damaged",
            ) from error
        return found


def private_folder(folder: Path) -> None:
    """Make a folder for what nobody else may read: mode 700, and kept out of git."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _all(connection: sqlite3.Connection) -> list[ApiKey]:
    return [_key(row) for row in connection.execute("SELECT * FROM keys ORDER BY created, rowid")]


def _find(connection: sqlite3.Connection, key: str) -> ApiKey:
    """A key by its id, or by the name that only one active key has."""
    found = _all(connection)
    own = [one for one in found if one.id == key]
    own = own or [one for one in found if one.name == key and one.state(utc_now()) == "active" and not one.successor]
    own = own or [one for one in found if one.name == key][-1:]
    if own:
        return own[-1]
    near = nearest(key, [name for one in found for name in (one.id, one.name)])
    hint = f"Did you mean '{near[0]}'?" if near else "`steelyard keys list` shows all."
    raise NotFoundError(f"there is no key '{key}'.", remedy=hint, code="keys.unknown")


def _key(row: sqlite3.Row) -> ApiKey:
    values = dict(row)
    return ApiKey.from_row({**values, "groups": json.loads(values["groups"]), "roles": json.loads(values["roles"])})


def _altered(connection: sqlite3.Connection, entries: Sequence[Entry]) -> list[str]:
    """Keys that are not what the history says: slipped in, taken out, edited, opened again."""
    rows = {row["id"]: row for row in connection.execute("SELECT * FROM keys")}
    made = {one.evidence["key"]: one for one in entries if one.what in ("key.created", "key.rotated")}
    ends = {one.evidence["from"]: one.evidence["old_expires"] for one in made.values() if "from" in one.evidence}
    revoked = {one.evidence["key"] for one in entries if one.what == "key.revoked"}
    broken = [f"key {name}: the history knows nothing of it" for name in rows.keys() - made.keys()]
    for name, entry in made.items():
        row = rows.get(name)
        if row is None:
            broken.append(f"key {name}: it was made and is gone")
            continue
        told = entry.evidence["is"]
        now = _key(row).to_json()
        wrong = [field for field in told if field != "expires" and now[field] != told[field]]
        wrong += ["hash"] * (bytes(row["hash"]).hex() != entry.evidence["hash"])
        wrong += ["expires"] * (row["expires"] != ends.get(name, told["expires"]))
        wrong += ["revoked"] * ((row["revoked"] is not None) != (name in revoked))
        if wrong:
            broken.append(f"key {name}: {', '.join(wrong)} is not what the history says")
    return broken


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UserError(
            f"{name!r} is no name for a key.", remedy="Name who or what uses it, e.g. helpdesk.", code="keys.bad_name"
        )
    return name.strip()


def _checked_groups(groups: Sequence[str]) -> tuple[str, ...]:
    for group in groups:
        if principal(group) is None or group.strip().startswith("user:"):
            raise UserError(
                f"{group!r} is no name of a group.", remedy="Write GROUP or SOURCE:GROUP.", code="keys.bad_group"
            )
    return tuple(sorted({str(principal(group)) for group in groups}))


def _checked_roles(roles: Sequence[str]) -> tuple[str, ...]:
    for role in roles:
        if role not in ROLES:
            raise UserError(f"there is no role '{role}'.", remedy=f"One of: {', '.join(ROLES)}.", code="keys.bad_role")
    if not roles:
        raise UserError("the key would have no role.", remedy=f"One of: {', '.join(ROLES)}.", code="keys.no_role")
    return tuple(role for role in ROLES if role in roles)


def _until(lifetime: timedelta | None, *, now_is_fine: bool = False) -> str | None:
    if lifetime is None:
        return None
    if lifetime < timedelta(0) or (lifetime == timedelta(0) and not now_is_fine):
        raise UserError(
            "the key would have expired already.", remedy="Give a time above 0.", code="keys.expired_at_once"
        )
    return (datetime.now(UTC) + lifetime).isoformat(timespec="seconds")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
