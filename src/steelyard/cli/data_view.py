"""What the commands under `data` print for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.curves import LearningCurve
    from steelyard.schema.datasets import DatasetDiff, DatasetVersion, RowChange
    from steelyard.schema.items import Item

SHOWN_ROWS = 10
SHOWN_MOVES = 10
LONGEST = 60


def show_committed(out: Console, made: Sequence[tuple[DatasetVersion, bool]]) -> None:
    """What a commit made, a line for each component."""
    for version, new in made:
        state = "" if new else ", unchanged"
        out.print(f"{version.name}{state}: {version.rows:,} rows, {version.dataset[:10]}", markup=False, soft_wrap=True)


def show_datasets(out: Console, versions: Sequence[DatasetVersion]) -> None:
    """Versions as a table, oldest first."""
    from steelyard.cli.layout import table

    if not versions:
        out.print("no versions yet: steelyard data commit")
        return
    grid = table("version", "follows", ("rows", True), "hash", "made", "by")
    for one in versions:
        follows = f"@{one.parent}" if one.parent else "-"
        made = one.created[:16].replace("T", " ")
        grid.add_row(one.name, follows, f"{one.rows:,}", one.dataset[:10], made, one.who)
    out.print(grid)
    for one in versions:
        if one.note:
            out.print(f"{one.name}: {one.note}", markup=False)


def show_diff(out: Console, diff: DatasetDiff) -> None:
    """Counts, which labels became which, and the first rows of each kind."""
    out.print(f"{diff.before} → {diff.after}", style="bold", markup=False)
    out.print(
        f"{len(diff.added):,} added, {len(diff.removed):,} removed, {len(diff.changed):,} changed "
        f"({len(diff.relabelled):,} of them in label, answers or reply), {diff.unchanged:,} unchanged"
    )
    moves = Counter(change.fields["label"] for change in diff.changed if "label" in change.fields)
    for (old, new), count in moves.most_common(SHOWN_MOVES):
        out.print(f"  label {old} → {new}: {count:,}", markup=False)
    for title, rows in (("added", diff.added), ("removed", diff.removed)):
        _show_rows(out, title, rows)
    _show_changes(out, diff.changed)


def show_curve(out: Console, curve: LearningCurve) -> None:
    """The measured points, then the forecasts with what they are worth."""
    from steelyard.cli.layout import table
    from steelyard.decision import wording
    from steelyard.decision.learning_chart import forecast_sentence

    grid = table("labels", ("rows", True), ("draws", True), (wording.metric_name(curve.metric), True))
    for point in curve.points:
        grid.add_row(f"{point.share:.0%}", f"{point.rows:,}", str(point.draws), wording.interval_text(point.score))
    out.print(f"{curve.component}/{curve.candidate}, on validation rows", style="bold", markup=False)
    out.print(grid)
    law = curve.law
    out.print(f"error = {law.scale:.3g} x rows^-{law.exponent:.2f} + {law.floor:.3f}", style="dim")
    if not curve.still_learning:
        out.print("whether labels still help cannot be told from the step from 50 to 100 %")
    for forecast in curve.forecasts:
        out.print(forecast_sentence(forecast), markup=False)


def _show_rows(out: Console, title: str, rows: Sequence[Item]) -> None:
    from steelyard.cli.layout import table

    if not rows:
        return
    grid = table(title, ("row", True), "says")
    for item in rows[:SHOWN_ROWS]:
        grid.add_row(_cut(item.text, LONGEST), str(item.row), _cut(_said(item), LONGEST // 3))
    out.print(grid)
    _more(out, len(rows))


def _show_changes(out: Console, changes: Sequence[RowChange]) -> None:
    from steelyard.cli.layout import table

    if not changes:
        return
    grid = table("changed", ("row", True), "field", "before", "after")
    for change in changes[:SHOWN_ROWS]:
        for at, (field, (old, new)) in enumerate(change.fields.items()):
            text = _cut(change.after.text, LONGEST // 2) if at == 0 else ""
            row = str(change.after.row) if at == 0 else ""
            grid.add_row(text, row, field, _cut(_plain(old), LONGEST // 4), _cut(_plain(new), LONGEST // 4))
    out.print(grid)
    _more(out, len(changes))


def _more(out: Console, count: int) -> None:
    if count > SHOWN_ROWS:
        out.print(f"... and {count - SHOWN_ROWS:,} more: --json lists all", style="dim")


def _said(item: Item) -> str:
    if item.task == "write":
        return item.output or ""
    return item.label or (" | ".join(item.answers) if item.answerable else "not answerable")


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    return " | ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cut(text: str, width: int) -> str:
    from rich.markup import escape

    line = " ".join(text.split())
    return escape(line if len(line) <= width else line[: width - 1] + "…")
