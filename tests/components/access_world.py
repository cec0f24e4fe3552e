"""A workspace with a past, made by chance: documents that are edited, renamed, deleted, closed and opened, and people who ask.

Everything that is written to disk or said to the control plane is written down for the reference as well.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from access_reference import Said, may

from steelyard.corpus.control import Control
from steelyard.corpus.directory import Membership
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.schema.scope import Group, Scope

Asker = tuple[str | None, frozenset[str]]

USERS = tuple(f"u{number}" for number in range(8))
GROUPS = ("staff", "board", "hr", "okta:eng", "google:eng", "okta:ops", "guild", "okta:night:shift")
NAMES = (*GROUPS, "workspace:staff", *(f"user:{user}" for user in USERS[:5]))
ALLOWED = (*NAMES, *["everyone"] * 6)
DENIED = (*NAMES, *NAMES, "everyone")
SOURCES = ("docs", "notes", "vault")
FOLDERS = ("", "hr/", "hr/pay/")
WORD = "lantern"
"""Stands in every document, so that every search could find everything."""
QUESTION = f"Which {WORD} is it?"
DIM = 16


class WordEncoder:
    """Unit vectors in the positive corner: every text is near every question."""

    name = "access-16"
    dim = DIM

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:DIM], dtype=np.uint8) + 64.0 for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), DIM)


@dataclass(frozen=True)
class Copy:
    """One version of one document, as it was written."""

    document: str
    version: str


class World:
    """The folder, its library and an index, and beside them what was said and which generation holds what."""

    def __init__(self, root: Path, index: object, seed: int, documents: int = 36) -> None:
        self.root = root
        self.index = index
        self.draw = random.Random(seed)
        self.said = Said()
        self.encoder = WordEncoder()
        self.library = Library(root / ".steelyard" / "corpus.sqlite")
        self.here: dict[str, Copy] = {}
        self.fronts: dict[str, tuple[list[str] | None, list[str]]] = {}
        self.held: dict[int, set[Copy]] = {}
        self.copies: set[Copy] = set()
        self._edits = 0
        for source in SOURCES:
            (root / source).mkdir(parents=True)
            self.said.source_allow[source], self.said.source_deny[source] = self._allow(), self._deny(0.3)
        for number in range(documents):
            source, folder = self.draw.choice(SOURCES), self.draw.choice(FOLDERS)
            self.write(f"{source}/{folder}d{number}.md")

    def _allow(self) -> list[str]:
        return list(dict.fromkeys(self.draw.sample(ALLOWED, self.draw.choice([0, 1, 2, 3, 3]))))

    def _deny(self, chance: float) -> list[str]:
        return [self.draw.choice(DENIED)] if self.draw.random() < chance else []

    def write(self, document: str, text: str | None = None) -> None:
        """Write a document with new words, and maybe a rule of its own."""
        self._edits += 1
        allow = self._allow() if self.draw.random() < 0.4 else None
        deny = self._deny(0.25)
        front = ([] if allow is None else [f"allow: {json.dumps(allow)}"]) + (
            [f"deny: {json.dumps(deny)}"] if deny else []
        )
        head = "---\n" + "\n".join(front) + "\n---\n" if front else ""
        words = text or f"# Page {self._edits}\n\nThe {WORD} number {self._edits} is kept in room {self._edits * 7}.\n"
        path = self.root / document
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + words, encoding="utf-8")
        self._stands(document, path.read_bytes(), (allow, deny))

    def _stands(self, document: str, content: bytes, front: tuple[list[str] | None, list[str]]) -> None:
        self.here[document] = Copy(document, hashlib.sha256(content).hexdigest())
        self.fronts[document] = front

    def step(self) -> None:
        """Some edits, renames, deletions, twins and changed rules, and an ingest."""
        names = sorted(self.here)
        for document in self.draw.sample(names, 5):
            match self.draw.choice(["edit", "edit", "rename", "delete", "twin"]):
                case "edit":
                    self.write(document)
                case "delete":
                    (self.root / document).unlink()
                    del self.here[document]
                case "rename" | "twin" as act:
                    self._edits += 1
                    other = f"{self.draw.choice(SOURCES)}/{self.draw.choice(FOLDERS)}m{self._edits}.md"
                    content = (self.root / document).read_bytes()
                    (self.root / other).parent.mkdir(parents=True, exist_ok=True)
                    (self.root / other).write_bytes(content)
                    self._stands(other, content, self.fronts[document])
                    if act == "rename":
                        (self.root / document).unlink()
                        del self.here[document]
        if self.draw.random() < 0.6:
            source = self.draw.choice(SOURCES)
            self.said.source_allow[source], self.said.source_deny[source] = self._allow(), self._deny(0.3)
        if self.draw.random() < 0.7:
            self._rules_file(self.draw.choice(SOURCES))
        self.ingest()

    def _rules_file(self, source: str) -> None:
        lines = [(beginning, self._allow(), self._deny(0.4)) for beginning in FOLDERS if self.draw.random() < 0.6]
        self.said.rules = [rule for rule in self.said.rules if rule[0] != source]
        self.said.rules += [(source, beginning, allow, deny) for beginning, allow, deny in lines]
        text = "".join(
            f'[[rules]]\nmatch = "{beginning}**"\nallow = {json.dumps(allow)}\ndeny = {json.dumps(deny)}\n'
            for beginning, allow, deny in lines
        )
        (self.root / source / "access.toml").write_text(text, encoding="utf-8")

    def ingest(self) -> None:
        rules = [
            SourceRule(path=one, allow=tuple(self.said.source_allow[one]), deny=tuple(self.said.source_deny[one]))
            for one in SOURCES
        ]
        settings = IngestSettings(workers=1)
        report = ingest(rules, self.library, self.index, self.encoder, root=self.root, settings=settings)
        assert report.failed == (), report.failed
        for document in self.here:
            self.said.front[document] = self.fronts[document]
        self.held[report.generation] = set(self.here.values())
        self.copies |= self.held[report.generation]

    # What operators and directories say, through a control plane that is opened anew: another process would do the same.

    def other_process(self) -> Control:
        return Control(self.library.control.path)

    def operate(self, count: int) -> None:
        control = self.other_process()
        documents = sorted({copy.document for copy in self.copies})
        for _ in range(count):
            verb = self.draw.choice(["allow", "allow", "deny", "reset"])
            pattern = self.draw.choice([self.draw.choice(documents), f"{self.draw.choice(SOURCES)}/hr/**"])
            name = self.draw.choice(DENIED if verb == "deny" else ALLOWED)
            if verb == "reset" and self.said.operator:
                _, pattern, name, _ = self.draw.choice(self.said.operator)
                control.take_back(pattern, name, by="test")
            elif verb != "reset":
                name = name.removeprefix("workspace:")
                control.say(pattern, name, verb, by="test")
            self.said.operator.append((verb, pattern, name, ""))
        control.close()

    def regroup(self, edges: int) -> None:
        """A new directory: groups in groups, cycles by chance."""
        self.said.groups = {}
        for _ in range(edges):
            group = self.draw.choice(GROUPS)
            member = self.draw.choice([*GROUPS, *(f"user:{user}" for user in USERS)])
            self.said.groups.setdefault(group, []).append(member)
        pairs = [Membership(Group.named(group), member) for group, all_ in self.said.groups.items() for member in all_]
        control = self.other_process()
        control.put_directory("directory", pairs)
        control.close()

    def erase(self, documents: int, versions: int) -> None:
        some = self.draw.sample(sorted({copy.document for copy in self.copies}), documents)
        pairs = [(copy.document, copy.version) for copy in self.draw.sample(sorted(self.copies, key=repr), versions)]
        self.said.erased |= set(some)
        self.said.erased_versions |= set(pairs)
        control = self.other_process()
        control.erase(documents=some, versions=pairs, by="test")
        control.close()

    def askers(self, count: int) -> list[Asker]:
        found: list[Asker] = [(None, frozenset()), ("", frozenset({""})), ("u0", frozenset({"user:u1", "everyone"}))]
        while len(found) < count:
            groups = frozenset(self.draw.sample([*GROUPS, "workspace:staff"], self.draw.choice([0, 0, 1, 1, 2, 3])))
            found.append((self.draw.choice([None, *USERS]), groups))
        return found

    def expected(self, asker: Asker) -> dict[int, set[Copy]]:
        """By the reference: what the asker may find in each generation."""
        # An empty name is nobody's; a group that looks like a person is no group.
        plain = (asker[0] or None, frozenset(g for g in asker[1] if g and not g.startswith("user:")))
        allowed = {copy for copy in self.copies if may(plain, copy.document, copy.version, self.said)}
        return {number: held & allowed for number, held in self.held.items()} | {0: allowed}


def scope(asker: Asker) -> Scope:
    return Scope(user=asker[0], groups=asker[1])


def copies_of(passages: Iterator[object] | Sequence[object]) -> set[Copy]:
    return {Copy(one.document, one.version) for one in passages}
