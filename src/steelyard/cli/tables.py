"""What commands print for people: tables with the numbers that decide, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from steelyard.schema.findings import Finding
    from steelyard.schema.runs import VersionRecord
    from steelyard.schema.weighing import ComponentResult, WeighReport
    from steelyard.workspace.training import Trained

COLOURS = {
    "rag": "cyan",
    "fine_tune": "yellow",
    "hybrid": "magenta",
    "prompt": "white",
    "either": "green",
    "not_enough_evidence": "red",
}
SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
SHOWN_FINDINGS = 40


def show_weighed(out: Console, weighed: WeighReport, folder: Path) -> None:
    """The recommendation per component, every candidate under it, whole systems, and the files."""
    from steelyard.decision import sentences

    out.print()
    out.print(f"[bold]{sentences.headline(weighed)}[/bold]")
    out.print(f"[dim]{sentences.summary(weighed)}[/dim]")
    for component in weighed.components:
        out.print()
        out.print(_component_table(component, int(weighed.inputs["horizon_months"])))
        for reason in component.decision.reasons[:2]:
            out.print(f"  {reason.because}", markup=False)
        if component.decision.next_step:
            out.print(f"  next: {component.decision.next_step}", markup=False)
    if weighed.systems:
        out.print()
        out.print(_systems_table(weighed))
        out.print(f"  {sentences.system_sentence(weighed)}", markup=False)
    if weighed.skipped:
        out.print()
        out.print(f"[dim]taken from earlier runs, nothing they depend on changed: {len(weighed.skipped)}[/dim]")
        for line in weighed.skipped:
            out.print(f"  [dim]{line}[/dim]")
    out.print()
    for name, file in weighed.files.items():
        out.print(f"{name:>7}  {folder / file}", markup=False)


def next_steps(out: Console, folder: Path) -> None:
    """What a newcomer tries next."""
    where = shlex.quote(str(folder))
    out.print()
    out.print("[bold]Next[/bold]")
    out.print(f"  open {where}/report.html in a browser", markup=False)
    out.print(f'  steelyard -w {where} ask "How long until a payout arrives?"', markup=False)
    out.print(f'  steelyard -w {where} route "money went out twice this morning"', markup=False)
    out.print(f"  steelyard -w {where} status", markup=False)
    out.print(
        "  steelyard init DIR --docs D --examples F --questions F --replies F   # the same on your own files",
        markup=False,
    )


def show_findings(out: Console, findings: Sequence[Finding]) -> None:
    """Findings with place and remedy; errors first."""
    if not findings:
        out.print("[green]no findings[/green]")
        return
    for finding in findings[:SHOWN_FINDINGS]:
        colour = SEVERITY_COLOURS[finding.severity]
        place = " ".join(
            part
            for part in (finding.file or "", f"row {finding.row}" if finding.row else "", finding.field or "")
            if part
        )
        out.print(f"[{colour}]{finding.severity:>7}[/{colour}]  {_plain(place)}", end="  ")
        out.print(f"{finding.message} {finding.remedy}", markup=False, end=" ")
        out.print(f"[{finding.code}]", style="dim", markup=False)
    if len(findings) > SHOWN_FINDINGS:
        out.print(f"... and {len(findings) - SHOWN_FINDINGS} more: steelyard check --json")
    counts = {name: sum(one.severity == name for one in findings) for name in SEVERITY_COLOURS}
    out.print(", ".join(f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items()))


def show_trained(out: Console, trained: Trained) -> None:
    """What was fitted, and what was already there."""
    if trained.versions:
        show_versions(out, trained.versions)
    if trained.skipped:
        names = ", ".join(f"{one.component}/{one.candidate}@{one.version}" for one in trained.skipped)
        out.print(f"[dim]unchanged, not fitted again: {names}[/dim]")


def show_versions(out: Console, versions: Sequence[VersionRecord]) -> None:
    """Registered versions."""
    if not versions:
        out.print("no versions yet: steelyard train")
        return
    table = _table("component", "candidate", ("version", True), ("seconds", True), "validation", "dataset", "made")
    for one in versions:
        metrics = ", ".join(
            f"{name.removeprefix('validation_')} {value:.3f}" for name, value in list(one.metrics.items())[:2]
        )
        table.add_row(
            one.component,
            one.candidate,
            str(one.version),
            f"{one.seconds:.1f}",
            metrics,
            one.dataset[:10],
            one.created[:16],
        )
    out.print(table)


def show_status(out: Console, status: Mapping[str, Any]) -> None:
    """The workspace's state."""
    corpus = status["corpus"]
    out.print(f"[bold]{_plain(status['workspace'])}[/bold]")
    if corpus:
        out.print(
            f"corpus: generation {corpus['generation']} of {corpus['created'][:16]}, {corpus['documents']} documents, "
            f"{corpus['passages']:,} passages, {len(corpus['failing'])} not readable"
        )
    table = _table("component", "task", ("rows", True), ("versions", True), "recommended", "verdict", "data")
    for name, one in status["components"].items():
        table.add_row(
            name,
            one["task"],
            str(one.get("rows", "-")),
            str(one["versions"]),
            one["recommended"] or "-",
            one["recommendation"] or "-",
            one["data"],
        )
    out.print(table)
    out.print(f"last decision: {status['last_decision'] or 'none'}")
    for step in status["next"]:
        out.print(f"next: {step}", markup=False)


def show_settings(out: Console, settings: Mapping[str, Any]) -> None:
    """Every setting as `section.key = value`."""

    def lines(prefix: str, value: Any) -> list[str]:
        if isinstance(value, Mapping):
            return [line for key, one in value.items() for line in lines(f"{prefix}.{key}" if prefix else key, one)]
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            return [line for at, one in enumerate(value) for line in lines(f"{prefix}[{at}]", one)]
        return [f"{prefix} = {value!r}"]

    for line in lines("", settings):
        out.print(line, markup=False)


def show_bench(out: Console, result: Mapping[str, Any]) -> None:
    """A benchmark's rows; one table per set of columns."""
    out.print(f"[bold]{result['name']}[/bold]")
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in result["rows"]:
        groups.setdefault(tuple(row), []).append(row)
    for columns, rows in groups.items():
        table = _table(*(column for column in columns))
        for row in rows:
            table.add_row(*(_cell(row[column]) for column in columns))
        out.print(table)


def _component_table(component: ComponentResult, months: int) -> Table:
    from steelyard.decision import wording

    decision = component.decision
    colour = COLOURS[decision.recommendation]
    title = (
        f"[bold]{component.name}[/bold]  [{colour}]{wording.verdict_name(decision.recommendation)}[/{colour}]"
        f"  confidence {decision.confidence:.0%}  [dim]{component.n_holdout} sealed items; shows differences from "
        f"{wording.points(component.smallest_detectable_difference)}[/dim]"
    )
    table = _table(
        "",
        "candidate",
        "approach",
        (wording.metric_name(component.metric), True),
        ("p95", True),
        ("build", True),
        ("refresh", True),
        ("leaks", True),
        (f"{months} months", True),
        "remark",
        title=title,
    )
    for one in component.candidates:
        chosen = one.name == decision.candidate
        style = "bold" if chosen else ("dim" if not one.feasible or one.quality is None else "")
        remark = one.why_not or ("needs a generator" if one.not_measured else "")
        table.add_row(
            "▶" if chosen else "",
            one.name,
            f"[{COLOURS[one.approach]}]{wording.verdict_name(one.approach)}[/{COLOURS[one.approach]}]",
            wording.interval_text(one.quality) if one.quality else "not measured",
            wording.milliseconds(one.p95_ms),
            wording.seconds(one.build_s),
            wording.seconds(one.refresh_s),
            str(one.leaks) if one.quality else "–",
            wording.usd(one.usd_total),
            remark,
            style=style,
        )
    return table


def _systems_table(weighed: WeighReport) -> Table:
    from steelyard.decision import wording

    table = _table(
        "system", "parts", ("handled right", True), ("p95", True), ("leaks", True), title="[bold]whole systems[/bold]"
    )
    for one in weighed.systems:
        table.add_row(
            one.name.replace("_", " "),
            " + ".join(one.parts.values()),
            wording.interval_text(one.quality),
            wording.milliseconds(one.p95_ms),
            str(one.leaks),
        )
    return table


def _table(*columns: str | tuple[str, bool], title: str | None = None) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        name, right = column if isinstance(column, tuple) else (column, False)
        table.add_column(name, justify="right" if right else "left")
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
