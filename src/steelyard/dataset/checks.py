"""What is suspicious about labelled rows: repeats, contradictions, leaks, classes too small to learn or measure."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from steelyard.dataset.contradictions import contradict, contradictory_answers, misfitting_slots
from steelyard.dataset.duplicates import Pair, near_duplicates, normalised
from steelyard.dataset.personal import check_personal, masked
from steelyard.schema.findings import Finding, Severity
from steelyard.schema.items import Item, Split

SHOWN_PER_CODE = 20  # a list longer than a screen is not read; the rest is counted
TINY_CLASS = 10  # below it the holdout share of a class is one or two rows: an accuracy of 0 or 1
UNLEARNABLE_CLASS = 3  # cannot stand in train, validation and holdout
DOMINANT = (
    0.5  # above it "always this label" is right more often than not, and accuracy hides what happens to the others
)
IMBALANCE = 20.0  # largest class over smallest; beyond it accuracy mostly tells about the largest
TYPO_SIMILARITY = 0.85
TYPO_SHARE = 0.2  # a misspelt label has few rows beside the right one


def check_items(items: Sequence[Item], file: str | None = None, *, cut: bool = True) -> list[Finding]:
    """Findings about the rows of one file: repeats, contradicting labels and answers, class sizes, slots, hints of personal data.

    With `cut` at most 20 findings of a code; a last one counts the rest. Findings here never forbid the use of the rows.
    """
    found = _repeats(items, file)
    if items and all(item.task == "classify" for item in items):
        found += _labels(items, file)
    found += contradictory_answers([item for item in items if item.task == "answer"], file)
    found += misfitting_slots([item for item in items if item.task == "write"], file)
    found += check_personal(items, file)
    return capped(found) if cut else found


def check_split(
    split: Split, extra: Sequence[Item] = (), file: str | None = None, *, cut: bool = True
) -> list[Finding]:
    """Findings about what learning could have seen of the holdout: train, validation, and `extra` rows learned from elsewhere.

    A holdout row with the same or nearly the same text among them is a `dataset.leak`, severity error, named by its row. Where
    the file names the parts itself, rows repeated between train and validation (`dataset.split_overlap`) and groups that stand on both
    sides of the holdout (`dataset.group_split`) are warnings. Labels that stand in the holdout alone, or in train alone, are findings too.
    """
    seen = (*split.train, *split.validation, *extra)
    rows = (*split.holdout, *seen)
    held = len(split.holdout)
    found: list[Finding] = []
    leaked: dict[int, tuple[int, float]] = {}
    by_text: dict[str, int] = {}
    for index in range(held, len(rows)):
        by_text.setdefault(normalised(rows[index].text), index)
    for index in range(held):
        same = by_text.get(normalised(rows[index].text))
        if same is not None:
            leaked[index] = (same, 1.0)
    pairs = near_duplicates([row.text for row in rows])
    for pair in pairs:
        if pair.first < held <= pair.second:
            leaked.setdefault(pair.first, (pair.second, pair.similarity))
    for index, (other, similarity) in sorted(leaked.items()):
        nearness = "the same as" if similarity == 1.0 else f"{similarity:.0%} the same as"
        message = f"the holdout row '{_short(rows[index])}' is {nearness} row {rows[other].row}, which is learned from."
        found.append(
            _finding(
                "dataset.leak", "error", message, "Remove one, or give both the same group.", file, rows[index].row
            )
        )
    if any(row.split for row in rows):
        found += _overlaps(split, pairs, file)
        found += _split_groups(split, file)
    found += _coverage(split, file)
    return capped(found) if cut else found


def _overlaps(split: Split, pairs: Sequence[Pair], file: str | None) -> list[Finding]:
    """Rows of a named validation part that train holds too. `pairs` are positions in holdout, train, validation, in this order."""
    rows = (*split.holdout, *split.train, *split.validation)
    train, held_out = len(split.holdout), len(split.holdout) + len(split.train)
    found = []
    for pair in pairs:
        if train <= pair.first < held_out <= pair.second < len(rows):
            first, second = rows[pair.first], rows[pair.second]
            nearness = "the same as" if pair.similarity == 1.0 else f"{pair.similarity:.0%} the same as"
            message = f"the validation row '{_short(second)}' is {nearness} row {first.row}, which is in train."
            remedy = "Remove one: settings are chosen too hopefully on rows that were learned from."
            found.append(_finding("dataset.split_overlap", "warning", message, remedy, file, second.row, "split"))
    return found


def _split_groups(split: Split, file: str | None) -> list[Finding]:
    """Groups with rows in the holdout and outside it: only a file that names the parts itself can do that."""
    learned = {item.group: item for item in reversed((*split.train, *split.validation)) if item.group is not None}
    found = []
    for item in split.holdout:
        if item.group is not None and (other := learned.pop(item.group, None)) is not None:
            message = f"the group '{item.group}' is in the holdout here and learned from in row {other.row}."
            remedy = "Give all rows of a group the same split."
            found.append(_finding("dataset.group_split", "warning", message, remedy, file, item.row, "split"))
    return found


def _repeats(items: Sequence[Item], file: str | None) -> list[Finding]:
    found: list[Finding] = []
    pairs = near_duplicates([item.text for item in items])
    for pair in pairs:
        first, second = items[pair.first], items[pair.second]
        if _different_request(first, second) or (first.task == "answer" and contradict(first, second)):
            continue
        if first.label != second.label:
            nearly = "" if pair.similarity == 1.0 else "nearly "
            labels = f"'{second.label}' here and '{first.label}' in row {first.row}"
            message = f"'{_short(second)}' is labelled {labels} ({nearly}the same text)."
            severity: Severity = "warning" if pair.similarity == 1.0 else "note"
            remedy = "Decide on one label, or make the texts differ."
            found.append(_finding("dataset.conflicting_labels", severity, message, remedy, file, second.row, "label"))
        elif pair.similarity == 1.0:
            message = f"the same text as row {first.row}: '{_short(second)}'."
            found.append(_finding("dataset.duplicate", "warning", message, "Remove one.", file, second.row, "text"))
        else:
            message = f"{pair.similarity:.0%} the same as row {first.row}: '{_short(second)}'."
            remedy = "Fine if meant; both stay on one side of the split."
            found.append(_finding("dataset.near_duplicate", "note", message, remedy, file, second.row, "text"))
    return found


def _different_request(first: Item, second: Item) -> bool:
    """Whether equal texts still ask for different things: another time, another asker, other slots, another approved reply."""
    return (
        (first.valid_from, first.valid_to, first.groups) != (second.valid_from, second.valid_to, second.groups)
        or dict(first.slots) != dict(second.slots)
        or (first.output is not None and first.output != second.output)
    )


def _labels(items: Sequence[Item], file: str | None) -> list[Finding]:
    counts = Counter(item.label or "" for item in items)
    row_of = {item.label or "": item.row for item in reversed(items)}
    found: list[Finding] = []
    if len(counts) < 2:
        message = f"all rows have the label '{next(iter(counts))}'."
        found.append(
            _finding("dataset.one_label", "error", message, "A router needs two labels or more.", file, None, "label")
        )
    for label, count in sorted(counts.items()):
        near = [
            name
            for name in difflib.get_close_matches(
                label, [other for other in counts if other != label], n=3, cutoff=TYPO_SIMILARITY
            )
            if count <= max(1, TYPO_SHARE * counts[name]) and counts[name] > count
        ]
        place = (file, row_of[label], "label")
        if near:
            message = f"the label '{label}' has {_rows(count)} and looks like '{near[0]}' ({_rows(counts[near[0]])})."
            found.append(
                _finding("dataset.label_typo", "warning", message, f"If it is a slip, write '{near[0]}'.", *place)
            )
        elif count < UNLEARNABLE_CLASS:
            message = f"the label '{label}' has {_rows(count)}: too few to learn and to measure."
            remedy = "Add rows (10 or more), or merge it with another label."
            found.append(_finding("dataset.tiny_class", "warning", message, remedy, *place))
        elif count < TINY_CLASS:
            message = f"the label '{label}' has {_rows(count)}: its own accuracy cannot be told from luck."
            found.append(_finding("dataset.tiny_class", "note", message, "Add rows (10 or more).", *place))
    most, least = max(counts.values()), min(counts.values())
    if len(counts) > 2 and most > DOMINANT * len(items):
        label = max(counts, key=lambda name: counts[name])
        message = f"the label '{label}' has {most} of {len(items)} rows: always saying it is right {most / len(items):.0%} of the time."
        remedy = "Read macro-F1 and the recall of the other labels beside accuracy, or add rows of theirs."
        found.append(_finding("dataset.dominant_label", "warning", message, remedy, file, None, "label"))
    if len(counts) > 1 and most / least > IMBALANCE:
        message = f"the largest label has {most} rows, the smallest {least}."
        found.append(
            _finding("dataset.imbalance", "note", message, "Read macro-F1 beside accuracy.", file, None, "label")
        )
    return found


def _coverage(split: Split, file: str | None) -> list[Finding]:
    """Labels that the split could not spread."""
    rows: dict[str, set[str]] = defaultdict(set)
    for name, part in (("train", split.train), ("validation", split.validation), ("holdout", split.holdout)):
        for item in part:
            if item.task == "classify" and item.label:
                rows[item.label].add(name)
    found: list[Finding] = []
    for label, parts in sorted(rows.items()):
        if "train" not in parts:
            message = f"the label '{label}' is in no training row: nothing can learn it."
            found.append(
                _finding("dataset.unlearned_label", "warning", message, "Add rows of it.", file, None, "label")
            )
        elif "holdout" not in parts:
            message = f"the label '{label}' is in no holdout row: it is learned and not measured."
            found.append(_finding("dataset.unmeasured_label", "note", message, "Add rows of it.", file, None, "label"))
    return found


def capped(findings: Iterable[Finding]) -> list[Finding]:
    """At most 20 findings of a code, errors first, then in row order; a last one of the code counts the rest."""
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=lambda finding: (finding.row or 0, finding.code)):
        by_code[finding.code].append(finding)
    kept: list[Finding] = []
    for code, group in by_code.items():
        kept += group[:SHOWN_PER_CODE]
        rest = group[SHOWN_PER_CODE:]
        if rest:
            message = f"and {len(rest)} more like it (rows {', '.join(str(finding.row) for finding in rest[:10])}, …)."
            kept.append(_finding(code, rest[0].severity, message, rest[0].remedy, rest[0].file))
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(kept, key=lambda finding: order[finding.severity])


def _finding(
    code: str,
    severity: Severity,
    message: str,
    remedy: str,
    file: str | None,
    row: int | None = None,
    field: str | None = None,
) -> Finding:
    return Finding(code=code, severity=severity, message=message, remedy=remedy, file=file, row=row, field=field)


def _short(item: Item) -> str:
    """The beginning of a row's text as it may be shown: what looks personal is masked."""
    text = masked(item.text)
    return text if len(text) <= 60 else text[:57] + "…"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
