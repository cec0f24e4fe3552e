"""Keeping the corpus in order: its generations, and what retention gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from steelyard.corpus.retention import Policy, compact
from steelyard.registry.releases import Releases
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.progress import Report
from steelyard.schema.upkeep import CompactReport, GenerationState
from steelyard.stores import STORES
from steelyard.stores.interface import Store

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.paths import State
    from steelyard.workspace.toolbox import Toolbox


def generations(parts: Parts) -> list[GenerationState]:
    """The kept generations, oldest first; none before the first ingest."""
    if not parts.toolbox.generation:
        return []
    library = parts.toolbox.library
    began = {number: at for at, number in library.switches()}
    answering = library.in_force()
    return [
        GenerationState(
            number=one.number,
            created_at=one.created_at,
            as_of=one.as_of,
            documents=one.documents,
            passages=one.passages,
            answers=one.number == answering,
            since=began.get(one.number),
        )
        for one in library.generations()
    ]


def use_generation(parts: Parts, number: int) -> GenerationState:
    """Let a kept generation answer from now on; nothing is rebuilt, and the access rules of now go on holding.

    Raises:
        NotFoundError: there is no such generation, or it is no longer kept.
        UserError: its vectors come from another encoder than the settings name.
    """
    require_corpus(parts)
    library = parts.toolbox.library
    made, now = library.generation(number), library.generation(library.in_force())
    if made.encoder != now.encoder:
        raise UserError(
            f"generation {number} was embedded with {made.encoder}, the one in force with {now.encoder}.",
            remedy="Name the other encoder in the settings and ingest again.",
            code="workspace.encoder_changed",
        )
    if number != library.in_force():
        library.switch(number)
    return next(one for one in generations(parts) if one.number == number)


def compact_corpus(parts: Parts, report: Report, *, dry_run: bool = False) -> CompactReport:
    """Give up what the settings do not keep; see `corpus.retention.compact`.

    A generation that a release pins stays, and so does the text of whatever a measured answer cites. The answers of a generator go by
    an age and a size of their own; see `CallLedger.give_up_answers`.

    Raises:
        NotFoundError: nothing is ingested yet, and no answer is kept.
        UserError: an ingest is running.
    """
    generator, calls = parts.settings.models.generator, parts.toolbox.calls
    begin = perf_counter()
    if not parts.toolbox.generation and calls.kept_answers() == (0, 0):
        require_corpus(parts)
    report("compact", 0, 2)
    answers = calls.give_up_answers(generator.keep_answers_days, generator.keep_answers_mb * 2**20, dry_run=dry_run)
    report("compact", 1, 2)
    if not parts.toolbox.generation:
        report("compact", 2, 2)
        seconds = perf_counter() - begin
        return CompactReport(
            kept=(),
            dropped=(),
            first_kept=None,
            versions=0,
            passages=0,
            bytes_before=0,
            bytes_after=0,
            seconds=seconds,
            dry_run=dry_run,
            answers=answers,
        )
    settings = parts.settings.corpus
    library = parts.toolbox.library
    done = compact(
        library,
        bare_index(parts.toolbox),
        Policy(generations=settings.keep_generations, days=settings.keep_days),
        pinned={one.generation for one in Releases(parts.registry).all() if one.pinned},
        cited=set(cited(parts.state)),
        erased=frozenset((one.document, one.version) for one in library.control.erasures()),
        dry_run=dry_run,
    )
    report("compact", 2, 2)
    return replace(done, answers=answers)


def require_corpus(parts: Parts) -> None:
    """Nothing, when something was ingested.

    Raises:
        NotFoundError: nothing was.
    """
    if not parts.toolbox.generation:
        raise NotFoundError(
            "nothing is ingested yet.", remedy="Run `steelyard ingest` first.", code="workspace.no_corpus"
        )


def bare_index(toolbox: Toolbox) -> Store:
    """The index as its files are, neither filled nor kept from anyone: for removing rows and checking them."""
    kind = toolbox.settings.corpus.store
    made: Store = STORES.load(kind)() if kind == "memory" else STORES.load(kind)(toolbox.state.index)
    return made


def run_files(state: State) -> Iterator[Path]:
    """The run records and results of whole systems."""
    yield from sorted(state.runs.rglob("*.json"))


def cited(state: State) -> Iterator[tuple[str, str]]:
    """(document, version) of every citation in the run records."""
    for path in run_files(state):
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # `doctor` names damaged files
        yield from _citations(whole)


def _citations(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("document"), str) and isinstance(value.get("version"), str):
            yield value["document"], value["version"]
        for inner in value.values():
            yield from _citations(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _citations(inner)
