"""Workspaces for histories of edits: a few contents that the library knows beforehand, so that no parser is waited for."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from functools import cache
from pathlib import Path

from corpus_bench import Bench

from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.worker import from_json, parse
from steelyard.corpus.staging import Staging
from steelyard.models.fake import FakeEncoder
from steelyard.schema.scope import Access
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore

TEXTS = (
    "# Refunds\n\nA refund is paid within five days.\n",
    "# Refunds\n\nA refund is paid within nine days, not five.\n",
    "# Prices\n\nThe studio plan costs twelve dollars.\n\n## Yearly\n\nTen dollars when paid by the year.\n",
    "# Prices\n\nThe studio plan costs fifteen dollars.\n",
    "Opening hours are nine to five.\n",
    "# Limits\n\n| plan | seats |\n|---|---|\n| studio | 5 |\n| guild | 50 |\n",
)
RULES = {"": Access(allow=("everyone",)), "guild": Access(allow=("guild",)), "staff": Access(allow=("staff",))}
NAMES = ("a.md", "b.md", "c.md", "more/d.md", "more/e.md")
ENCODER = FakeEncoder(16)

State = dict[str, tuple[int, str]]
"""What the folder holds: for each name the number of its text and the group of its rule."""


def content(text: int, group: str) -> bytes:
    head = f"---\nallow: [{group}]\n---\n" if group else ""
    return (head + TEXTS[text]).encode()


@cache
def known() -> bytes:
    """A library that has read every content there is, so that no history waits for a parser."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        whole = [content(text, group) for text in range(len(TEXTS)) for group in RULES]
        read = [
            (hashlib.sha256(one).hexdigest(), "markdown", from_json(parse("markdown", one, Limits())["parsed"]))
            for one in whole
        ]
        Staging(bench.library).keep(read, Limits())
        bench.library.database.shrink()
        bench.close()
        return (Path(folder) / ".steelyard" / "corpus.sqlite").read_bytes()


def started(folder: Path, store: MemoryStore | LanceStore | None = None) -> Bench:
    """A workspace folder whose library knows the contents, with an index of the real kind."""
    (folder / ".steelyard").mkdir(parents=True)
    (folder / ".steelyard" / "corpus.sqlite").write_bytes(known())
    bench = Bench(folder)
    bench.index.close()
    bench.index = store or MemoryStore()
    bench.encoder = ENCODER
    return bench


def put(folder: Path, state: State) -> None:
    """Make the folder hold this state; a file that stays is not touched, and equal contents have equal dates."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in state:
            path.unlink()
    for name, (text, group) in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = content(text, group)
        if not path.is_file() or path.read_bytes() != wanted:
            path.write_bytes(wanted)
            moment = 1_700_000_000 + 86_400 * text
            os.utime(path, (moment, moment))


def edited(state: State, draw: random.Random) -> State:
    """A few random changes."""
    after = dict(state)
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(NAMES)
        match draw.choice(("write", "write", "delete", "rename", "copy", "narrow")):
            case "write":
                after[name] = draw.randrange(len(TEXTS)), draw.choice(list(RULES))
            case "delete":
                after.pop(name, None)
            case "narrow" if name in after:
                after[name] = after[name][0], draw.choice(list(RULES))
            case "rename" if name in after:
                after[draw.choice(NAMES)] = after.pop(name)
            case "copy" if name in after:
                after[draw.choice(NAMES)] = after[name]
    return after
