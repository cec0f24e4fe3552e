"""Files of labelled rows to `Item`s: every problem of a file at once, each with its row, field and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from steelyard.dataset.cells import Cells
from steelyard.dataset.content import content_key
from steelyard.dataset.files import RawRow, read_rows
from steelyard.dataset.places import places_of
from steelyard.schema.errors import DataError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item

Kind = Literal["classify", "answer", "write", "system"]

REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "classify": ("text", "label"),
    "answer": ("question",),
    "write": ("input", "output"),
    "system": ("message",),
}
OPTIONAL: Mapping[Kind, tuple[str, ...]] = {
    "classify": ("id", "group", "split", "feedback"),
    "answer": (
        "id",
        "answers",
        "answerable",
        "source",
        "groups",
        "valid_from",
        "valid_to",
        "fact",
        "group",
        "split",
        "feedback",
    ),
    "write": ("id", "slots", "label", "intent", "group", "split", "feedback"),
    "system": (
        "id",
        "intent",
        "answers",
        "answerable",
        "source",
        "groups",
        "slots",
        "output",
        "group",
        "valid_from",
        "valid_to",
        "split",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a file that are sound, in file order, and all findings about it, in row order."""

    items: tuple[Item, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity `error`: each cost a row, or the whole file."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def scan_items(path: Path, kind: Kind, shown_as: str | None = None) -> Rows:
    """Read `path` as rows of `kind` and report everything that is wrong with it; raises nothing for wrong content.

    CSV (comma, semicolon or tab; header row) or JSON Lines, UTF-8. Columns: see `REQUIRED` and `OPTIONAL`; others are ignored
    with a note. Lists in a CSV cell are a JSON list or values separated by `|`; `slots` is a JSON object. Dates are ISO 8601, without
    a zone UTC. `split` names `train`, `validation` or `holdout`; without it the row is drawn. `feedback` says where a row came from.
    A row without `id` is named by a hash of its content, so it keeps its name when rows are added around it.
    System cases become items of task `answer` with the expected intent in `label`. `shown_as` is the file's name in
    findings, by default `path`.
    """
    name = shown_as or str(path)
    raw = read_rows(path, name)
    findings = list(raw.findings)
    missing = _missing_columns(raw.columns, kind, name) if raw.rows or raw.columns else []
    findings += missing
    if not raw.rows and not findings:
        findings.append(_whole(name, "dataset.empty_file", "the file has no rows.", "Add labelled rows."))
    items: list[Item] = []
    if not missing:
        findings += _ignored_columns(raw.columns, kind, name)
        for row in raw.rows:
            cells = Cells(row.values, file=name, row=row.row)
            item = _MAKERS[kind](cells, row)
            findings += cells.findings
            if not any(finding.severity == "error" for finding in cells.findings):
                items.append(item)
    items, twice = _named(items, name)
    findings = sorted((*findings, *twice), key=lambda finding: finding.row or 0)
    return Rows(items=tuple(items), findings=tuple(findings))


def read_items(path: Path, kind: Kind, shown_as: str | None = None) -> Rows:
    """The rows of a sound file, with its warnings and notes; see `scan_items`.

    Raises:
        DataError: anything in the file is wrong; `findings` has all of it, warnings and notes too.
    """
    rows = scan_items(path, kind, shown_as)
    if rows.errors:
        name = shown_as or str(path)
        count = len(rows.errors)
        raise DataError(
            f"{count} problem{'s' if count > 1 else ''} found; the first: {rows.errors[0].line()}",
            findings=rows.findings,
            where=name,
            remedy="Correct them, or run `steelyard check` to see all.",
        )
    return rows


def _classify(cells: Cells, row: RawRow) -> Item:
    return Item(
        id=cells.name(),
        task="classify",
        text=cells.text("text"),
        label=cells.text("label"),
        group=cells.optional("group"),
        split=cells.split(),
        row=row.row,
    )


def _answer(cells: Cells, row: RawRow) -> Item:
    answers = cells.texts("answers")
    valid_from, valid_to = cells.period()
    return Item(
        id=cells.name(),
        task="answer",
        text=cells.text("question"),
        answers=answers,
        answerable=_answerable(cells, answers),
        source=cells.optional("source"),
        groups=frozenset(cells.texts("groups")),
        valid_from=valid_from,
        valid_to=valid_to,
        # `fact` names what several wordings ask for and does not bind them together: whether an answer learned from one wording
        # carries to another is what the bake-off measures. Rows that must not be separated say so in `group`.
        group=cells.optional("group"),
        split=cells.split(),
        row=row.row,
        fact=cells.optional("fact"),
    )


def _write(cells: Cells, row: RawRow) -> Item:
    output, slots = cells.text("output"), cells.slots()
    _match_slots(cells, output, slots)
    return Item(
        id=cells.name(),
        task="write",
        text=cells.text("input"),
        label=cells.optional("label") or cells.optional("intent"),
        slots=slots,
        output=output,
        group=cells.optional("group"),
        split=cells.split(),
        row=row.row,
    )


def _system(cells: Cells, row: RawRow) -> Item:
    answers = cells.texts("answers")
    output, slots = cells.optional("output"), cells.slots()
    if output is not None:
        _match_slots(cells, output, slots)
    valid_from, valid_to = cells.period()
    return Item(
        id=cells.name(),
        task="answer",
        text=cells.text("message"),
        label=cells.optional("intent"),
        answers=answers,
        answerable=_answerable(cells, answers),
        source=cells.optional("source"),
        groups=frozenset(cells.texts("groups")),
        valid_from=valid_from,
        valid_to=valid_to,
        slots=slots,
        output=output,
        group=cells.optional("group"),
        split=cells.split(),
        row=row.row,
    )


_MAKERS: Mapping[Kind, Callable[[Cells, RawRow], Item]] = {
    "classify": _classify,
    "answer": _answer,
    "write": _write,
    "system": _system,
}


def _answerable(cells: Cells, answers: tuple[str, ...]) -> bool:
    """What the row says; without a word on it, answerable when it has answers."""
    said = cells.flag("answerable")
    if said is True and not answers:
        cells.error(
            "dataset.no_answers",
            "answers",
            "the row is answerable and has no answers.",
            "Add answers, or set answerable to false.",
        )
    return bool(answers) if said is None else said


def _match_slots(cells: Cells, output: str, slots: Mapping[str, str]) -> None:
    """Every place needs a value once values are given; a value without a place is only a warning."""
    if not cells.has("slots"):
        return
    places = places_of(output)
    for place in dict.fromkeys(places):
        if place not in slots:
            near = nearest(place, list(slots))
            hint = f"Did you mean '{near[0]}'?" if near else f"Add '{place}' to slots, or take the place out."
            cells.error("dataset.unknown_slot", "output", f"the place {{{place}}} has no value in slots.", hint)
    for unused in slots:
        if unused not in places:
            message = f"the slot '{unused}' has no place {{{unused}}} in the output."
            cells.warn("dataset.unused_slot", "slots", message, "Add the place, or leave the slot out.")


def _missing_columns(columns: tuple[str, ...], kind: Kind, file: str) -> list[Finding]:
    findings = []
    for name in REQUIRED[kind]:
        if name in columns:
            continue
        near = nearest(name, [column for column in columns if column])
        found = ", ".join(column[:40] for column in columns[:8]) or "none"
        remedy = (
            f"Rename '{near[0]}' to '{name}'."
            if near
            else f"The first line names the columns: {', '.join(REQUIRED[kind])}."
        )
        message = f"the column '{name}' is missing; the file has {found}."
        findings.append(
            Finding(
                code="dataset.missing_column",
                severity="error",
                message=message,
                remedy=remedy,
                file=file,
                row=1,
                field=name,
            )
        )
    return findings


def _ignored_columns(columns: tuple[str, ...], kind: Kind, file: str) -> list[Finding]:
    known = REQUIRED[kind] + OPTIONAL[kind]
    extra = [column for column in columns if column and column not in known]
    if not extra:
        return []
    message = f"ignored: {', '.join(extra[:12])}{', …' if len(extra) > 12 else ''}."
    return [_whole(file, "dataset.ignored_column", message, f"Known are {', '.join(known)}.", "note")]


def _whole(file: str, code: str, message: str, remedy: str, severity: Literal["error", "note"] = "error") -> Finding:
    return Finding(code=code, severity=severity, message=message, remedy=remedy, file=file)


def _named(items: list[Item], file: str) -> tuple[list[Item], list[Finding]]:
    """Items with names: given ones must be unique, the others come from the content."""
    given = {item.id: item for item in reversed(items) if item.id}
    findings: list[Finding] = []
    named: list[Item] = []
    copies: Counter[str] = Counter()
    for item in items:
        if item.id and given[item.id] is not item:
            message = f"the id '{item.id}' is already that of row {given[item.id].row}."
            remedy = "Give each row its own id, or leave the column out."
            findings.append(
                Finding(
                    code="dataset.duplicate_id",
                    severity="error",
                    message=message,
                    remedy=remedy,
                    file=file,
                    row=item.row,
                    field="id",
                )
            )
            continue
        if not item.id:
            # Without its part: a row keeps its name when it moves from one to another.
            base = "r" + content_key(replace(item, split=None))[:12]
            copies[base] += 1
            item = replace(item, id=base if copies[base] == 1 else f"{base}-{copies[base]}")
        named.append(item)
    return named, findings
