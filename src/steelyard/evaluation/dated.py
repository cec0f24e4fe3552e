"""Questions whose answers hold for a time: what is right at a moment, what was right once, and what was known by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from steelyard.dataset.duplicates import normalised
from steelyard.metrics.answers import contains_answer
from steelyard.schema.ageing import AgedAnswer
from steelyard.schema.history import Probe
from steelyard.schema.items import Item


@dataclass(frozen=True, kw_only=True)
class DatedFact:
    """One question over time. `rows` are its answers with their periods, oldest first; outside all of them nothing is right."""

    name: str
    text: str
    groups: frozenset[str]
    rows: tuple[Item, ...]

    @property
    def cluster(self) -> str:
        """The document it rests on: facts of one document rise and fall together."""
        return self.rows[-1].source or self.name

    def holding(self, at: datetime) -> Item | None:
        """The row whose answer holds at `at`, None when nothing does."""
        return next((row for row in reversed(self.rows) if _holds(row, at)), None)

    def former(self, at: datetime) -> tuple[str, ...]:
        """Answers that held before `at` and hold no more."""
        row = self.holding(at)
        now = {normalised(answer) for answer in row.answers} if row is not None else set()
        over = (
            answer for row in self.rows if row.valid_to is not None and row.valid_to <= at for answer in row.answers
        )
        return tuple(dict.fromkeys(answer for answer in over if normalised(answer) not in now))

    def changes(self) -> list[datetime]:
        """When its answer changed, began or ended; the moment it is first known to hold is no change."""
        moments = {row.valid_to for row in self.rows if row.valid_to is not None}
        moments |= {row.valid_from for row in self.rows if row.valid_from is not None}
        first = self.rows[0].valid_from
        return sorted(at for at in moments if at is not None and at != first)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one answer counts at one moment; at most one of the four is true, and `wrong` includes stale answers."""

    right: bool
    wrong: bool
    stale: bool
    refused: bool


def judge(fact: DatedFact, answer: AgedAnswer, at: datetime) -> Verdict:
    """An answer is right when it contains what holds; where nothing holds, only declining is right."""
    row = fact.holding(at)
    answerable = row is not None and row.answerable
    if answer.abstained:
        return Verdict(right=not answerable, wrong=False, stale=False, refused=answerable)
    right = row is not None and answerable and bool(contains_answer(answer.text, row.answers))
    stale = not right and bool(contains_answer(answer.text, fact.former(at)))
    return Verdict(right=right, wrong=not right, stale=stale, refused=False)


def facts_of(items: Iterable[Item]) -> list[DatedFact]:
    """Rows with the same group (else the same question and asker) as one fact over time, in order of first appearance."""
    grouped: dict[tuple[str, frozenset[str]], list[Item]] = {}
    for item in items:
        grouped.setdefault((item.group or normalised(item.text), item.groups), []).append(item)
    facts = []
    for rows in grouped.values():
        ordered = sorted(rows, key=lambda row: (row.valid_from is not None, row.valid_from or 0))
        facts.append(
            DatedFact(name=ordered[0].id, text=ordered[-1].text, groups=ordered[0].groups, rows=tuple(ordered))
        )
    return facts


def facts_of_probes(probes: Sequence[Probe], groups: frozenset[str] = frozenset()) -> list[DatedFact]:
    """Probes as facts, asked by somebody in `groups`."""
    items = [
        Item(
            id=probe.id,
            task="answer",
            text=probe.question,
            answers=probe.answers,
            source=probe.source,
            groups=groups,
            valid_from=probe.valid_from,
            valid_to=probe.valid_to,
            group=probe.fact,
        )
        for probe in probes
    ]
    return facts_of(items)


def known_by(facts: Sequence[DatedFact], at: datetime) -> list[Item]:
    """What a person could have labelled on the day `at`: the answers that hold then, and "no answer" for those that ended.

    Nothing later is in it: not when an answer will end, and not what will begin.
    """
    rows = []
    for fact in facts:
        holding = fact.holding(at)
        if holding is not None:
            rows.append(replace(holding, text=fact.text, valid_to=None))
        elif any(row.valid_to is not None and row.valid_to <= at for row in fact.rows):
            last = fact.rows[0]
            rows.append(replace(last, text=fact.text, answers=(), answerable=False, valid_from=None, valid_to=None))
    return rows


def relabelled(facts: Sequence[DatedFact], before: datetime | None, at: datetime) -> int:
    """How many answers a person has to look up anew at `at` after a training at `before` (None: there was none)."""
    if before is None:
        return len(known_by(facts, at))
    return sum(any(before < change <= at for change in fact.changes()) for fact in facts)


def _holds(row: Item, at: datetime) -> bool:
    return (row.valid_from is None or row.valid_from <= at) and (row.valid_to is None or at < row.valid_to)
