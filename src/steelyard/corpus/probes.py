"""Dated questions from the documents' own past: what a page stated, from when to when."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import PurePosixPath

from steelyard.corpus.facts import stated_facts
from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing import format_of
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.past import Past
from steelyard.schema.history import Change, Probe, StatedFact
from steelyard.schema.progress import Report, silent

LIMIT = 300
CHANGING_SHARE = 0.8
"""Share of the probes kept for facts that changed, came or went, as far as there are so many; the rest are facts that stood."""

ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})$")
MONTH_DATE = re.compile(r"(\d{4})-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-(\d{1,2})$")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class _Reading:
    """What one document stated from one moment on; `facts` empty: nothing, or it was deleted or could not be read."""

    at: datetime
    facts: Mapping[tuple[str, ...], StatedFact]


def derive_probes(past: Past, *, limit: int | None = LIMIT, report: Report = silent) -> list[Probe]:
    """Probes from every change of the past: one row for each period in which a document gave one answer.

    A renamed document goes on under its new name. Facts whose question another document answers differently are left out, and
    sentences that never changed are not asked about. With `limit`, facts are drawn by hash, spread over documents, those that changed,
    came or went first (four fifths); all periods of a fact are kept, so somewhat more rows may come.
    """
    readings = _readings(past, report)
    facts: dict[str, list[Probe]] = {}
    for document, said in readings.items():
        for rows in _periods(document, said):
            facts[rows[0].fact] = rows
    facts = _unambiguous(facts)
    chosen = list(facts.values()) if limit is None else _drawn(facts, limit, past)
    return sorted((row for rows in chosen for row in rows), key=lambda row: (row.source, row.fact, row.valid_from))


def _readings(past: Past, report: Report) -> dict[str, list[_Reading]]:
    """What each document stated, by its latest name, oldest first."""
    read: dict[str, Mapping[tuple[str, ...], StatedFact]] = {}
    fresh = {f"{change.key} {format_of(change.path)}": change for change in past.changes if not change.deleted}
    tasks = list(fresh.values())
    with ParsePool(Limits()) as pool:
        outcomes = pool.map(_tasks(past, list(fresh.items())))
        for done, (key, outcome) in enumerate(outcomes, start=1):
            read[key] = _facts(outcome)
            if done % 25 == 0 or done == len(tasks):
                report("read what the documents stated", done, len(tasks))
    readings: dict[str, list[_Reading]] = defaultdict(list)
    for change in past.changes:
        if change.before is not None and change.before in readings:
            # Whatever stood at the new name before is another document's past.
            readings[change.path] = readings.pop(change.before)
        facts = {} if change.deleted else read[f"{change.key} {format_of(change.path)}"]
        readings[change.path].append(_Reading(change.at, facts))
    return readings


def _tasks(past: Past, fresh: Sequence[tuple[str, Change]]) -> Iterator[tuple[str, str, bytes]]:
    contents = past.contents([change for _, change in fresh])
    for (key, change), content in zip(fresh, contents, strict=True):
        yield key, format_of(change.path) or "", content


def _facts(outcome: Parsed | ParseError) -> dict[tuple[str, ...], StatedFact]:
    return {} if isinstance(outcome, ParseError) else {fact.key: fact for fact in stated_facts(outcome)}


def _periods(document: str, said: Sequence[_Reading]) -> Iterator[list[Probe]]:
    """Per fact of a document its periods: a value holds until a reading that says another, or says nothing."""
    keys = dict.fromkeys(key for reading in said for key in reading.facts)
    for key in keys:
        rows: list[Probe] = []
        for reading in said:
            fact = reading.facts.get(key)
            last = rows[-1] if rows else None
            holding = last is not None and last.valid_to is None
            if holding and last is not None and fact is not None and fact.value == last.answers[0]:
                continue
            if holding and last is not None:
                rows[-1] = replace(last, valid_to=reading.at)
            if fact is not None:
                rows.append(_probe(document, key, fact, reading.at))
        # Two changes of one moment leave a period without length.
        rows = [row for row in rows if row.valid_to is None or row.valid_to > row.valid_from]
        values = len({row.answers[0] for row in rows})
        if rows and not (rows[0].kind == "sentence" and values < 2):
            numbered = [replace(row, id=f"{row.fact}-{place}", values=values) for place, row in enumerate(rows)]
            yield numbered


def _probe(document: str, key: tuple[str, ...], fact: StatedFact, at: datetime) -> Probe:
    digest = hashlib.sha256("\0".join((document, *key)).encode()).hexdigest()[:12]
    name = f"{PurePosixPath(document).stem}-{digest}"
    return Probe(
        id=name,
        fact=name,
        kind=fact.kind,
        question=fact.question,
        taught=(fact.taught,),
        answers=forms(fact.value),
        valid_from=at,
        valid_to=None,
        source=document,
        evidence=fact.evidence,
        values=1,
    )


def forms(value: str) -> tuple[str, ...]:
    """A value as stated, then other ways to write it: dates in ISO and in words, versions without `v`.

    >>> forms("2025-Mar-04")
    ('2025-Mar-04', '2025-03-04', '4 March 2025', 'March 4, 2025')
    >>> forms("v20.16")
    ('v20.16', '20.16')
    """
    found = [value]
    if (match := MONTH_DATE.match(value)) is not None:
        found.append(f"{match[1]}-{MONTHS.index(match[2]) + 1:02d}-{int(match[3]):02d}")
    if (match := ISO_DATE.match(found[-1])) is not None:
        try:
            day = date.fromisoformat(found[-1])
        except ValueError:
            return tuple(found)
        found += [f"{day.day} {day:%B %Y}", f"{day:%B} {day.day}, {day.year}"]
    if re.match(r"v\d", value):
        found.append(value[1:])
    return tuple(dict.fromkeys(found))


def _unambiguous(facts: Mapping[str, list[Probe]]) -> dict[str, list[Probe]]:
    """Without the questions that more than one fact asks: an asker could not say which document is meant."""
    asked: dict[str, set[str]] = defaultdict(set)
    for name, rows in facts.items():
        for row in rows:
            asked[row.question.casefold()].add(name)
    twice = {name for names in asked.values() if len(names) > 1 for name in names}
    return {name: rows for name, rows in facts.items() if name not in twice}


def _drawn(facts: Mapping[str, list[Probe]], limit: int, past: Past) -> list[list[Probe]]:
    begin = past.begins()
    moving = {
        name
        for name, rows in facts.items()
        if len(rows) > 1 or rows[0].valid_from > begin or rows[0].valid_to is not None
    }
    first = _spread(facts, moving, round(limit * CHANGING_SHARE))
    rest = _spread(facts, facts.keys() - moving, limit - len(first))
    more = _spread(facts, moving - set(first), limit - len(first) - len(rest))
    return [facts[name] for name in (*first, *rest, *more)]


def _spread(facts: Mapping[str, list[Probe]], names: Iterable[str], count: int) -> list[str]:
    """`count` names, one document after the other, in an order that only their hashes decide."""
    by_document: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        by_document[facts[name][0].source].append(name)
    rounds: list[str] = []
    queues = [by_document[document] for document in sorted(by_document)]
    depth = 0
    while len(rounds) < count and any(depth < len(queue) for queue in queues):
        rounds += [queue[depth] for queue in queues if depth < len(queue)]
        depth += 1
    return rounds[: max(0, count)]
