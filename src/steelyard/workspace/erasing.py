"""`erase`: what was erased leaves the corpus, the runs and models that quote it, and the caches; what is left is named."""

from __future__ import annotations

import json
import mmap
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from steelyard.candidates import CANDIDATES
from steelyard.corpus.erasing import Targets, close, find_targets, lift, remove, texts_of
from steelyard.corpus.history import repository
from steelyard.corpus.library import Library
from steelyard.registry.versions import whoami
from steelyard.schema.progress import Report
from steelyard.schema.upkeep import EraseReport, Remnant
from steelyard.workspace.paths import known_backups
from steelyard.workspace.upkeep import bare_index, require_corpus, run_files

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

PHRASE_WORDS = 6
"""Words of a phrase: shorter ones are found everywhere, longer ones miss quotes of half a sentence."""

PHRASES = 24
"""Phrases looked for byte by byte in every file, spread over the erased texts."""

WORD = re.compile(r"\w+")

ROWS_FILE = "datasets.sqlite"
"""Versions of the team's own labelled rows: no document is in it, but a row may quote one. It is told of, not changed."""


@dataclass(frozen=True)
class _Erased:
    """What to look for: phrases that stand in the erased texts and in no other, as runs of words and as written."""

    runs: frozenset[tuple[str, ...]]
    phrases: tuple[str, ...]

    def quoted_in(self, text: str) -> bool:
        """Whether a text says one of the phrases, however it is broken into lines."""
        return not self.runs.isdisjoint(_runs(text))

    @property
    def forms(self) -> set[bytes]:
        """The phrases as files hold them: as text, in UTF-16, and inside JSON."""
        found: set[bytes] = set()
        for phrase in self.phrases:
            escaped = json.dumps(phrase)[1:-1], json.dumps(phrase, ensure_ascii=False)[1:-1]
            found |= {text.encode("utf-8", "surrogatepass") for text in (phrase, *escaped)}
            found |= {phrase.encode(form, "surrogatepass") for form in ("utf-16-le", "utf-16-be")}
        return found


def erase(parts: Parts, names: Sequence[str], why: str, report: Report, *, dry_run: bool = False) -> EraseReport:
    """Erase what `names` stand for: documents, patterns or content hashes.

    In order: closed to everyone, taken out of the corpus, runs and models that quote it removed, caches and quoting feedback emptied,
    every file below the state folder searched. Stopped half-way, it goes on when it is called again, or with the next ingest or compaction.

    Raises:
        NotFoundError: a name fits no document.
        UserError: an ingest is running.
    """
    begin = perf_counter()
    require_corpus(parts)
    library = parts.toolbox.library
    targets = find_targets(library, names)
    erased = _erased(library, targets)
    left = tuple(_left(parts, targets, erased))
    runs = _runs_that_quote(parts, targets, erased)
    models = _models_that_quote(parts, erased)
    rows = texts = 0
    found: tuple[str, ...] = ()
    if not dry_run:
        close(library.control, targets, by=whoami(), why=why)
        report("erase", 1, 4)
        rows = remove(library, bare_index(parts.toolbox), library.control)
        report("erase", 2, 4)
        for path in runs:
            path.unlink(missing_ok=True)
        for folder in models.values():
            shutil.rmtree(folder, ignore_errors=True)
        _empty_row_vectors(parts)
        parts.toolbox.calls.forget_answers()
        texts = sum(log.forget(erased.quoted_in) for log in (parts.feedback, parts.requests))
        report("erase", 3, 4)
        found = tuple(_holding(parts.state.root, erased))
        report("erase", 4, 4)
    return EraseReport(
        documents=targets.documents,
        versions=targets.versions,
        passages=rows,
        texts=texts,
        runs=tuple(path.relative_to(parts.state.root).as_posix() for path in runs),
        models=tuple(models),
        left=left,
        found=found,
        seconds=perf_counter() - begin,
        dry_run=dry_run,
    )


def lift_erasure(parts: Parts, names: Sequence[str], why: str) -> list[str]:
    """Let erased documents be taken in again by the next ingest.

    Raises:
        NotFoundError: nothing of such a name was erased.
    """
    return lift(parts.toolbox.library.control, names, parts.folder, by=whoami(), why=why)


def _erased(library: Library, targets: Targets) -> _Erased:
    """The phrases of the erased texts that are in no text that stays."""
    runs: dict[tuple[str, ...], str] = {}
    for text in texts_of(library, targets):
        runs |= _runs(text)
    gone = set(targets.versions)
    for version, text in library.database.connection.execute("SELECT version, text FROM content"):
        if version not in gone and runs:
            for known in _runs(text):
                runs.pop(known, None)
    written = [text for text in dict.fromkeys(runs.values()) if "\n" not in text]
    return _Erased(frozenset(runs), tuple(written[:: max(1, len(written) // PHRASES)][:PHRASES]))


def _runs(text: str) -> dict[tuple[str, ...], str]:
    """Every run of PHRASE_WORDS words of a text (all of a shorter one), with how it is written."""
    words = list(WORD.finditer(text))
    length = min(PHRASE_WORDS, len(words))
    found = {}
    for first in range(len(words) - length + 1 if length else 0):
        own = words[first : first + length]
        found[tuple(word[0].casefold() for word in own)] = text[own[0].start() : own[-1].end()]
    return found


def _quotes(path: Path, erased: _Erased) -> bool:
    """Whether a JSON file says any of the phrases, however they are broken or escaped in it."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return _holds(path, erased.forms)
    return any(map(erased.quoted_in, _strings(whole)))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _holding(root: Path, erased: _Erased) -> Iterator[str]:
    """The files below `root` that hold one of the phrases, by path."""
    forms = erased.forms
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith(ROWS_FILE) and _holds(path, forms):
            yield path.relative_to(root).as_posix()


def _holds(path: Path, forms: set[bytes]) -> bool:
    if not forms or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(form) >= 0 for form in forms)


def _runs_that_quote(parts: Parts, targets: Targets, erased: _Erased) -> list[Path]:
    """Run, check and quality records that name an erased document or quote it; all can be made again."""
    names = {json.dumps(name, ensure_ascii=False).encode() for name in (*targets.documents, *targets.versions)}
    files = {*run_files(parts.state), *(parts.state.root / "checks").rglob("*.json"), *parts.state.root.glob("*.json")}
    return [path for path in sorted(files) if _holds(path, names) or _quotes(path, erased)]


def _models_that_quote(parts: Parts, erased: _Erased) -> dict[str, Path]:
    """Fitted candidates whose files quote what is erased, by `component/candidate@version`."""
    forms = erased.forms
    found = {}
    for record in parts.registry.versions():
        folder = parts.state.root / record.folder
        files = [path for path in folder.rglob("*") if path.is_file()]
        if any(_quotes(path, erased) if path.suffix == ".json" else _holds(path, forms) for path in files):
            found[f"{record.component}/{record.candidate}@{record.version}"] = folder
    return found


def _left(parts: Parts, targets: Targets, erased: _Erased) -> Iterator[Remnant]:
    """What the command does not touch: the user's own files, git, documents with the same bytes, models fitted meanwhile."""
    for document in targets.documents:
        path = parts.folder / document
        if path.exists():
            yield Remnant(
                place=document, why="the source file itself: delete it, or it is listed as erased by every ingest"
            )
        if repository(path.parent) is not None:
            yield Remnant(place=f"{document} in git", why="the history of the repository holds its earlier contents")
    for documents in targets.shared.values():
        yield Remnant(
            place=", ".join(documents), why="has the same bytes and was not named: erase it too, or by the hash"
        )
    for one in known_backups(parts.state):
        yield Remnant(
            place=f"the backup {one['file']} of {one['created'][:10]}",
            why="was made before: delete it, or restore it with --erasures only",
        )
    yield from _own_files(parts, erased)
    yield from _fitted_meanwhile(parts, targets)


def _own_files(parts: Parts, erased: _Erased) -> Iterator[Remnant]:
    forms = erased.forms
    if parts.state.datasets.is_file() and _holds(parts.state.datasets, forms):
        yield Remnant(
            place=f".steelyard/{ROWS_FILE}",
            why="kept versions of your labelled rows quote the text: take it out of the rows, then delete this file; it holds nothing else",
        )
    sources = {(parts.folder / source.path).resolve() for source in parts.settings.sources}
    for path in sorted(parts.folder.iterdir()):
        if path.is_file() and path.resolve() not in sources and _holds(path, forms):
            yield Remnant(
                place=path.name, why="quotes the text: edit it, or make it again (weigh writes the decision's files)"
            )


def _fitted_meanwhile(parts: Parts, targets: Targets) -> Iterator[Remnant]:
    """Candidates that read the documents and were fitted while what is erased was among them."""
    began = _first_seen(parts.toolbox.library, targets)
    for record in parts.registry.versions():
        known = record.candidate in CANDIDATES.names()
        if known and CANDIDATES.part(record.candidate).needs_documents and began and record.created >= began:
            place = f"{record.component}/{record.candidate}@{record.version}"
            yield Remnant(place=place, why="was fitted while the document was in the corpus: train it again")


def _first_seen(library: Library, targets: Targets) -> str:
    """When the first of the targets came into the corpus, as the registry writes dates; "" for never."""
    query = (
        "SELECT min(g.created_at) FROM member m JOIN content c ON c.id = m.content JOIN generation g ON g.number = m.added "
        "WHERE m.document = ? OR c.version = ?"
    )
    dates = [
        row[0]
        for document, version in targets.pairs
        if (row := library.database.connection.execute(query, (document, version)).fetchone())[0]
    ]
    return min(dates)[:19] if dates else ""


def _empty_row_vectors(parts: Parts) -> None:
    """Remove the cache of vectors of labelled rows: it is kept by hash alone, so none of its rows can be told apart."""
    for path in parts.state.root.glob(parts.state.vectors.name + "*"):
        path.unlink(missing_ok=True)
