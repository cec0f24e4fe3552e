"""`erase`: what was erased leaves the corpus, the runs and models that quote it, and the caches; what is left is named."""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Iterator, Sequence
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
from steelyard.workspace.upkeep import bare_index, require_corpus, run_files

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

PHRASE_CHARS = (24, 80)
"""Shortest and longest phrase looked for: shorter ones are found everywhere, longer ones are broken by line ends and escapes."""

PHRASES = 24
"""Phrases looked for in every file, spread over the erased texts."""


def erase(parts: Parts, names: Sequence[str], why: str, report: Report, *, dry_run: bool = False) -> EraseReport:
    """Erase what `names` stand for: documents, patterns or content hashes.

    In order: closed to everyone, taken out of the corpus, runs and models that quote it removed, caches emptied, every file below the
    state folder searched. Stopped half-way, it goes on when it is called again, or with the next ingest or compaction.

    Raises:
        NotFoundError: a name fits no document.
        UserError: an ingest is running.
    """
    begin = perf_counter()
    require_corpus(parts)
    library = parts.toolbox.library
    targets = find_targets(library, names)
    phrases = _phrases(library, targets)
    left = tuple(_left(parts, targets, phrases))
    runs = _runs_that_quote(parts, targets, phrases)
    models = _models_that_quote(parts, phrases)
    rows = 0
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
        report("erase", 3, 4)
        found = tuple(_holding(parts.state.root, phrases))
        report("erase", 4, 4)
    return EraseReport(
        documents=targets.documents,
        versions=targets.versions,
        passages=rows,
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


def _phrases(library: Library, targets: Targets) -> list[str]:
    """Lines of the erased texts that stand in no other text: what to look for in files."""
    texts = texts_of(library, targets)
    erased = set(targets.versions)
    rows = library.database.connection.execute("SELECT version, text FROM content")
    others = [text for version, text in rows if version not in erased]
    found: list[str] = []
    share = max(1, PHRASES // max(1, len(texts)))
    shortest, longest = PHRASE_CHARS
    for text in texts:
        lines = [line.strip()[:longest] for line in text.splitlines() if len(line.strip()) >= shortest]
        lines = lines or [text.strip()[:longest]]
        wanted = lines[:: max(1, len(lines) // share)][:share]
        found += [line for line in wanted if line and not any(line in other for other in others)]
    return list(dict.fromkeys(found))[:PHRASES]


def _forms(phrases: Sequence[str]) -> set[bytes]:
    """Phrases as files hold them: as text, in UTF-16, and inside JSON."""
    found: set[bytes] = set()
    for phrase in phrases:
        escaped = json.dumps(phrase)[1:-1], json.dumps(phrase, ensure_ascii=False)[1:-1]
        found |= {text.encode("utf-8", "surrogatepass") for text in (phrase, *escaped)}
        found |= {phrase.encode(form, "surrogatepass") for form in ("utf-16-le", "utf-16-be")}
    return found


def _holding(root: Path, phrases: Sequence[str]) -> Iterator[str]:
    """The files below `root` that hold one of the phrases, by path."""
    forms = _forms(phrases)
    for path in sorted(root.rglob("*")):
        if path.is_file() and _holds(path, forms):
            yield path.relative_to(root).as_posix()


def _holds(path: Path, forms: set[bytes]) -> bool:
    if not forms or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(form) >= 0 for form in forms)


def _runs_that_quote(parts: Parts, targets: Targets, phrases: Sequence[str]) -> list[Path]:
    """Run records and check records that cite an erased document or hold a phrase of one; all can be made again."""
    named = {*targets.documents, *targets.versions}
    marks = _forms(phrases) | {json.dumps(name, ensure_ascii=False).encode() for name in named}
    files = [*run_files(parts.state), *sorted((parts.state.root / "checks").rglob("*.json"))]
    return [path for path in files if _holds(path, marks)]


def _models_that_quote(parts: Parts, phrases: Sequence[str]) -> dict[str, Path]:
    """Fitted candidates whose files hold a phrase, by `component/candidate@version`."""
    forms = _forms(phrases)
    found = {}
    for record in parts.registry.versions():
        folder = parts.state.root / record.folder
        if any(_holds(path, forms) for path in folder.rglob("*") if path.is_file()):
            found[f"{record.component}/{record.candidate}@{record.version}"] = folder
    return found


def _left(parts: Parts, targets: Targets, phrases: Sequence[str]) -> Iterator[Remnant]:
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
    yield from _own_files(parts, phrases)
    yield from _fitted_meanwhile(parts, targets)


def _own_files(parts: Parts, phrases: Sequence[str]) -> Iterator[Remnant]:
    forms = _forms(phrases)
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
        if known and CANDIDATES.part(record.candidate).needs == "documents" and began and record.created >= began:
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
