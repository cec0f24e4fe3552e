"""The documents of a backtest: every source goes through its own past, and an index follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from time import perf_counter

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Candidate, Search, Tools
from steelyard.components.enforcement import EnforcedStore
from steelyard.components.retriever import Retriever
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.past import Past
from steelyard.corpus.rebuild import rebuild
from steelyard.corpus.replay import Replay
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.alone import alone
from steelyard.evaluation.same_search import SameSearch
from steelyard.models.interface import Encoder
from steelyard.models.remembering import RememberingEncoder
from steelyard.schema.ageing import StepWork
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.progress import Report, silent
from steelyard.stores.memory import MemoryStore

KEPT_TEXTS = 60_000
"""Texts whose vectors a replay remembers; at 384 numbers each, 92 MB."""

STAGES = {"parse": "read the step's documents", "embed": "embed the step's passages"}


def document_days(pasts: Mapping[str, Past], begin: datetime, end: datetime) -> int:
    """On how many days documents changed after `begin` up to `end`."""
    return len({change.at.date() for past in pasts.values() for change in past.changes if begin < change.at <= end})


class PastDocuments:
    """A library and an index of their own in `folder`, brought from moment to moment; see `evaluation.ageing.PastCorpus`.

    `lag` is how long a change waits before it is indexed: at a moment, the documents are those of `lag` earlier. `encoder` embeds passages,
    `asking` questions and quotes (None: the same one), `threads` at the same time. `prefer_newer`: see `Retriever`.
    """

    def __init__(
        self,
        folder: Path,
        rules: Sequence[SourceRule],
        pasts: Mapping[str, Past],
        encoder: Encoder,
        *,
        settings: IngestSettings,
        seed: int,
        lag: timedelta = timedelta(0),
        asking: Encoder | None = None,
        prefer_newer: bool = False,
        threads: int = 1,
        tools: Tools | None = None,
        report: Report = silent,
    ) -> None:
        outside = [rule.path for rule in rules if Path(rule.path).is_absolute() or ".." in Path(rule.path).parts]
        if outside:
            raise NotFoundError(
                f"the source '{outside[0]}' lies outside the workspace, so its past cannot be laid out beside it.",
                remedy="Name sources by a path inside the workspace folder (a link is fine).",
                code="backtest.source_outside",
            )
        self._tree = folder / "tree"
        self._state = folder / "state"
        self._rules = rules
        self._settings = settings
        self._encoder = encoder
        self._seed = seed
        self._lag = lag
        self._plain = asking or encoder
        # A question comes up at every step, a quote at most of them.
        self._remembering = RememberingEncoder(alone(self._plain, threads), kept=KEPT_TEXTS)
        self._prefer_newer = prefer_newer
        self._tools = tools or Tools(encoder=encoder)
        self._report = report
        self._same: Search | None = None
        self._replays = {path: Replay(past, self._tree / path) for path, past in pasts.items()}

    @cached_property
    def library(self) -> Library:
        """The version store of the replay."""
        self._state.mkdir(parents=True, exist_ok=True)
        return Library(self._state / "corpus.sqlite")

    @cached_property
    def _store(self) -> MemoryStore:
        """The index, in memory; filled from the library when an earlier run was cut short."""
        store = MemoryStore()
        rebuild(self.library, store, self._encoder)
        return store

    @cached_property
    def _parsers(self) -> ParsePool:
        """One pool for all steps: starting its processes takes longer than parsing what a step changed."""
        return ParsePool(self._settings.limits, self._settings.workers)

    def to(self, at: datetime) -> StepWork:
        """See `PastCorpus.to`."""
        begin, self._same = perf_counter(), None
        steps = [replay.advance(at - self._lag) for replay in self._replays.values()]
        for path in self._replays:
            (self._tree / path).mkdir(parents=True, exist_ok=True)
        done = ingest(
            self._rules,
            self.library,
            self._store,
            self._encoder,
            root=self._tree,
            settings=self._settings,
            parsers=self._parsers,
            progress=lambda now: self._report(STAGES.get(now.stage, now.stage), now.done, now.total),
        )
        documents = sum(step.documents for step in steps)
        return StepWork(documents=documents, passages=done.embedded, seconds=perf_counter() - begin)

    def candidate(self, name: str, at: datetime, *, remembering: bool = True) -> Candidate:
        """See `PastCorpus.candidate`."""
        del at  # the moment brought in last: the generation in force
        if not remembering:
            search, encoder = self._search(self._plain), self._plain
        else:
            # Candidates that read differently search alike.
            search = self._same = self._same or SameSearch(self._search(self._remembering))
            encoder = self._remembering
        tools = replace(self._tools, encoder=encoder, search=search, seed=self._seed)
        made: Candidate = CANDIDATES.load(name)(tools)
        return made

    def _search(self, encoder: Encoder) -> Search:
        # Rules change over the past as well: without the control plane a page would be searched under the rule it came with.
        store = EnforcedStore(self._store, self.library.control)
        return Retriever(store, encoder, self.library.in_force(), prefer_newer=self._prefer_newer)

    def learner(self, name: str, *, remembering: bool = True) -> Candidate:
        """An unfitted candidate that needs no documents."""
        encoder = self._remembering if remembering else self._plain
        made: Candidate = CANDIDATES.load(name)(replace(self._tools, encoder=encoder, seed=self._seed))
        return made

    def close(self) -> None:
        """Close the library, and end the parsing processes."""
        if "_parsers" in self.__dict__:
            self._parsers.close()
        self.library.close()


def first_and_last(
    pasts: Mapping[str, Past], begin: datetime | None, end: datetime | None
) -> tuple[datetime, datetime]:
    """From when to when to replay: what is asked for, inside what the past holds.

    Raises:
        UserError: nothing is left.
    """
    kept: Sequence[Past] = [past for past in pasts.values() if past.changes]
    if not kept:
        raise UserError(
            "no source holds documents with a past.", remedy="Keep the documents in git.", code="backtest.no_history"
        )
    first, last = min(past.begins() for past in kept), max(past.ends() for past in kept)
    begin = first if begin is None else max(begin, first)
    end = last if end is None else end
    if begin >= end:
        raise UserError(
            f"there is nothing to replay between {begin.date()} and {end.date()}.",
            remedy=f"The documents' past runs from {first.date()} to {last.date()}.",
            code="backtest.empty_span",
        )
    return begin, end
