"""Questions whose answers hold for a time: what is right at a moment, what was right once, and what was known by then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

from steelyard.dataset.duplicates import normalised
from steelyard.metrics.answers import contains_answer
from steelyard.schema.ageing import AgedAnswer
from steelyard.schema.history import Probe
from steelyard.schema.items import Item


@dataclass(frozen=True, kw_only=True)
class DatedFact:
    """One question over time. `rows` are its answers with their periods, oldest first; outside all of them nothing is right.

    `text` is the wording that is asked. `others` are the other wordings of the same question: what is trained learns those, so that it is
    asked for the fact and not for a sentence that it has seen.
    """

    name: str
    text: str
    groups: frozenset[str]
    rows: tuple[Item, ...]
    others: tuple[str, ...] = ()

    @property
    def taught(self) -> tuple[str, ...]:
        """The wordings to train on: the others, or the asked one where there is no other."""
        return self.others or (self.text,)

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
    """Rows of one fact (or one group, else the same question) and asker as one fact over time, in order of first appearance.

    Of several wordings one is asked, chosen by hash among those that the file does not put into train. Wordings whose answers disagree on
    some day are facts of their own.
    """
    grouped: dict[tuple[str, frozenset[str]], list[Item]] = {}
    for item in items:
        grouped.setdefault((item.fact or item.group or normalised(item.text), item.groups), []).append(item)
    facts = []
    for rows in grouped.values():
        by_wording: dict[str, list[Item]] = {}
        for row in rows:
            by_wording.setdefault(normalised(row.text), []).append(row)
        if len(by_wording) > 1 and _one_question(by_wording):
            asked = _drawn([name for name, own in by_wording.items() if own[0].split != "train"] or list(by_wording))
            others = tuple(own[-1].text for name, own in by_wording.items() if name != asked)
            facts.append(_fact(by_wording[asked], others))
        else:
            facts += [_fact(own) for own in by_wording.values()]
    return facts


def _fact(rows: Sequence[Item], others: tuple[str, ...] = ()) -> DatedFact:
    ordered = sorted(rows, key=lambda row: (row.valid_from is not None, row.valid_from or 0))
    return DatedFact(
        name=ordered[0].id, text=ordered[-1].text, groups=ordered[0].groups, rows=tuple(ordered), others=others
    )


def _drawn(wordings: Sequence[str]) -> str:
    """The wording to ask: by the hash of them all, so that no order in a file favours a style."""
    digest = hashlib.sha256("\n".join(sorted(wordings)).encode()).digest()
    return sorted(wordings)[digest[0] % len(wordings)]


def _one_question(by_wording: dict[str, list[Item]]) -> bool:
    """Whether wordings ask for one thing: wherever two of them hold on one day, they have an answer in common."""
    return all(
        not _overlap(one, other)
        or (one.answerable == other.answerable and (not one.answerable or _common(one.answers, other.answers)))
        for first, second in combinations(by_wording.values(), 2)
        for one in first
        for other in second
    )


def _common(one: Sequence[str], other: Sequence[str]) -> bool:
    return bool({normalised(text) for text in one} & {normalised(text) for text in other})


def _overlap(one: Item, other: Item) -> bool:
    def before(end: datetime | None, begin: datetime | None) -> bool:
        return end is not None and begin is not None and end <= begin

    return not before(one.valid_to, other.valid_from) and not before(other.valid_to, one.valid_from)


def facts_of_probes(probes: Sequence[Probe], groups: frozenset[str] = frozenset()) -> list[DatedFact]:
    """Probes as facts, asked by somebody in `groups`; what is trained learns their other wordings."""
    others = {probe.fact: probe.taught for probe in probes}
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
    return [replace(fact, others=others[fact.rows[0].group or ""]) for fact in facts_of(items)]


def known_by(facts: Sequence[DatedFact], at: datetime, *, taught: bool = False) -> list[Item]:
    """What a person could have labelled on the day `at`: the answers that hold then, and "no answer" for those that ended.

    Under the wording that is asked, or (`taught`) under each that is trained on. Nothing later is in it: not when an answer will end, and
    not what will begin.
    """
    rows = []
    for fact in facts:
        holding = fact.holding(at)
        if holding is not None:
            row = replace(holding, valid_to=None)
        elif any(row.valid_to is not None and row.valid_to <= at for row in fact.rows):
            row = replace(fact.rows[0], answers=(), answerable=False, valid_from=None, valid_to=None)
        else:
            continue
        wordings = fact.taught if taught else (fact.text,)
        rows += [replace(row, id=f"{row.id}~{place}", text=text) for place, text in enumerate(wordings)]
    return rows


def relabelled(facts: Sequence[DatedFact], before: datetime | None, at: datetime) -> int:
    """How many answers a person has to look up anew at `at` after a training at `before` (None: there was none)."""
    if before is None:
        return len(known_by(facts, at))
    return sum(any(before < change <= at for change in fact.changes()) for fact in facts)


def _holds(row: Item, at: datetime) -> bool:
    return (row.valid_from is None or row.valid_from <= at) and (row.valid_to is None or at < row.valid_to)
