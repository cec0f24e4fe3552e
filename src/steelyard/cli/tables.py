"""What commands print for people: tables with the numbers that decide, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.cli.layout import notes as _notes
from steelyard.cli.layout import table as _table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from steelyard.schema.findings import Finding
    from steelyard.schema.runs import VersionRecord
    from steelyard.schema.weighing import CandidateResult, ComponentResult, WeighReport
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

WIDE = 120
"""Columns from which a table has room for more than the figures that decide."""


def show_weighed(out: Console, weighed: WeighReport, folder: Path) -> None:
    """The recommendation per component, its candidates and reasons under it, whole systems, and the files."""
    from steelyard.decision import sentences

    out.print()
    out.print(sentences.headline(weighed), style="bold", markup=False)
    out.print(sentences.summary(weighed), style="dim", markup=False)
    for component in weighed.components:
        _show_component(out, component, int(weighed.inputs["horizon_months"]))
    out.print()
    if weighed.systems:
        out.print("[bold]Whole systems[/bold], end to end")
        out.print(_systems_table(weighed))
        _notes(out, [("", sentences.system_sentence(weighed))])
    elif weighed.systems_note:
        _notes(out, [("whole systems", weighed.systems_note)])
    _show_skipped(out, weighed.skipped)
    out.print()
    for name, file in weighed.files.items():
        out.print(f"  {name:<6}  {folder / file}", markup=False, soft_wrap=True)


def next_steps(out: Console, folder: Path) -> None:
    """What a newcomer tries next."""
    where = shlex.quote(str(folder))
    out.print()
    out.print("[bold]Next[/bold]")
    for line in (
        f"open {where}/report.html in a browser",
        f'steelyard -w {where} ask "When do card takings reach my bank?"',
        f'steelyard -w {where} route "money went out twice this morning"',
        f"steelyard -w {where} status",
        "steelyard init DIR --docs D --examples F --questions F --replies F",
    ):
        # Commands are there to be copied, so they are never broken over two lines.
        out.print(f"  {line}", markup=False, soft_wrap=True)


def show_findings(out: Console, findings: Sequence[Finding]) -> None:
    """Findings with place and remedy; errors first."""
    from rich.padding import Padding
    from rich.text import Text

    if not findings:
        out.print("[green]no findings[/green]")
        return
    for finding in findings[:SHOWN_FINDINGS]:
        row = f"row {finding.row}" if finding.row else ""
        place = " ".join(part for part in (finding.file or "", row, finding.field or "") if part)
        head = Text.assemble(
            (f"{finding.severity:>7}", SEVERITY_COLOURS[finding.severity]), f"  {place}  ", (finding.code, "dim")
        )
        out.print(head)
        out.print(Padding(Text(f"{finding.message} {finding.remedy}"), (0, 0, 0, 9)))
    if len(findings) > SHOWN_FINDINGS:
        out.print(f"... and {len(findings) - SHOWN_FINDINGS} more: steelyard check --json")
    counts = {name: sum(one.severity == name for one in findings) for name in SEVERITY_COLOURS}
    out.print(", ".join(f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items()))


def show_trained(out: Console, trained: Trained) -> None:
    """What was fitted, and what was already there."""
    if trained.versions:
        show_versions(out, trained.versions)
    if trained.skipped:
        out.print("unchanged, not fitted again:", style="dim")
        names = _grouped((one.component, f"{one.candidate}@{one.version}") for one in trained.skipped)
        _notes(out, quiet=names)


def show_versions(out: Console, versions: Sequence[VersionRecord]) -> None:
    """Registered versions."""
    if not versions:
        out.print("no versions yet: steelyard train")
        return
    wide = out.width >= WIDE
    columns: list[str | tuple[str, bool]] = ["component", "candidate", ("version", True), ("fit", True), "validation"]
    table = _table(*columns, *(("data", "made") if wide else ()))
    for one in versions:
        metrics = [f"{name.removeprefix('seen_')} {value:.3f}" for name, value in one.metrics.items()]
        more = (one.dataset[:10], one.created[:16]) if wide else ()
        table.add_row(
            one.component,
            one.candidate,
            str(one.version),
            f"{one.seconds:.1f} s",
            ", ".join(metrics[: 2 if wide else 1]),
            *more,
        )
    out.print(table)


def show_status(out: Console, status: Mapping[str, Any]) -> None:
    """The workspace's state."""
    corpus = status["corpus"]
    out.print(status["workspace"], style="bold", markup=False)
    if corpus:
        broken = f"; {len(corpus['failing'])} could not be read" if corpus["failing"] else ""
        out.print(
            f"generation {corpus['generation']} of {corpus['created'][:16]}: {corpus['documents']} documents, "
            f"{corpus['passages']:,} passages{broken}"
        )
        _notes(out, [(one["path"], one["reason"]) for one in corpus["failing"]])
        _notes(out, [(one["source"], _freshness(one)) for one in corpus["sources"]])
        if corpus["watched_since"]:
            out.print(f"followed by `ingest --watch` since {corpus['watched_since'][:16]} UTC", markup=False)
    wide = out.width >= WIDE
    table = _table(
        "component", *(("task",) if wide else ()), ("rows", True), ("versions", True), "verdict", "runs", "data"
    )
    for name, one in status["components"].items():
        table.add_row(
            name,
            *((one["task"],) if wide else ()),
            str(one.get("rows", "-")),
            str(one["versions"]),
            (one["recommendation"] or "-").replace("_", " "),
            one["recommended"] or "-",
            one["data"],
        )
    out.print(table)
    for one in {one["component"]: one for one in status["quality"]}.values():
        out.print(
            f"retrieval for {one['component']}: nDCG@10 {one['ndcg_at_10']:.3f}, recall@5 {one['recall_at_5']:.3f} on "
            f"{one['questions']} questions, generation {one['generation']} (`steelyard quality` shows the trend)",
            markup=False,
        )
    if status["generator"]:
        out.print(_generator(status["generator"]), markup=False)
    for one in status["tuned_models"]:
        out.print(_tuned(one), markup=False, style="bold yellow" if one["soon"] else "")
    asked = [(name, one["retrain"]["why"]) for name, one in status["components"].items() if one.get("retrain")]
    _notes(out, [(f"retrain {name}", why) for name, why in asked])
    out.print(f"last decision: {(status['last_decision'] or 'none')[:16]}")
    for step in status["next"]:
        out.print(f"next: {step}", markup=False)


def _tuned(one: Mapping[str, Any]) -> str:
    """A tuned model at a provider, and when it is switched off."""
    if one["ends"] is None:
        return f"tuned model {one['model']}: its provider names no day on which it is switched off"
    if one["days_left"] < 0:
        return f"tuned model {one['model']}: SWITCHED OFF on {one['ends']}; tune another: steelyard train"
    what = "plan its successor" if one["soon"] else "nothing to do yet"
    return f"tuned model {one['model']}: switched off on {one['ends']}, in {one['days_left']} days: {what}"


def _generator(one: Mapping[str, Any]) -> str:
    """Whether the generator can be called, and what it cost."""
    cap = "" if one["cap_usd"] is None else f" of at most {one['cap_usd']:.2f} USD"
    head = (
        f"generator {one['name']}: {one['month_usd']:.2f} USD this month{cap}, {one['spent']['calls']:,} calls in all"
    )
    problem = one["problem"]
    return head if problem is None else f"{head}; cannot be called: {problem['message']} {problem['remedy']}"


def _freshness(source: Mapping[str, Any]) -> str:
    """When a source was last looked at, and how long its changes waited to be answered from."""
    lag = source["lag_s"]
    head = f"{source['documents']} documents, looked at {source['scanned'][:16].replace('T', ' ')} UTC"
    if lag["median"] is None:
        return f"{head}; no change since"
    return f"{head}; changes answered after {_duration(lag['median'])} (median of {source['changes']}, worst {_duration(lag['worst'])})"


def _duration(seconds: float) -> str:
    """Seconds in the unit that a person would say.

    >>> [_duration(0.42), _duration(90.0), _duration(86400.0 * 3)]
    ['0.4 s', '1.5 min', '3.0 days']
    """
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def show_settings(out: Console, settings: Mapping[str, Any]) -> None:
    """Every setting as `section.key = value`, values as TOML writes them."""

    def lines(prefix: str, value: Any) -> list[str]:
        if isinstance(value, Mapping):
            return [line for key, one in value.items() for line in lines(f"{prefix}.{key}" if prefix else key, one)]
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            return [line for at, one in enumerate(value) for line in lines(f"{prefix}[{at}]", one)]
        return [f"{prefix} = {_toml(value)}"]

    for line in lines("", settings):
        out.print(line, markup=False, soft_wrap=True)


def show_bench(out: Console, result: Mapping[str, Any]) -> None:
    """A benchmark's rows; one table per set of columns."""
    out.print(result["name"], style="bold", markup=False)
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in result["rows"]:
        groups.setdefault(tuple(row), []).append(row)
    for columns, rows in groups.items():
        table = _table(*(column.replace("_", " ") for column in columns))
        for row in rows:
            table.add_row(*(_cell(row[column]) for column in columns))
        out.print(table)


def _show_component(out: Console, component: ComponentResult, months: int) -> None:
    from rich.text import Text

    from steelyard.decision import sentences, wording

    decision = component.decision
    out.print()
    out.print(
        Text.assemble(
            (component.name, "bold"),
            "  ",
            (wording.verdict_name(decision.recommendation), COLOURS[decision.recommendation]),
            f"  confidence {wording.probability(decision.confidence)}",
        )
    )
    shows = wording.points(component.smallest_detectable_difference)
    out.print(f"{component.n_holdout} sealed rows, which show differences from {shows}", style="dim", markup=False)
    out.print(_fitting(out, component, months))
    reason = sentences.main_reason(component)
    notes = [] if reason is None else [("why", reason.because)]
    notes += [("", said) for said in sentences.plain_verdicts(component) if reason is None or said != reason.because]
    if decision.next_step:
        notes.append(("next", decision.next_step))
    if component.search is not None:
        notes.append(("search", sentences.search_sentence(component)))
    refusals = [("refusals", wording.REFUSALS_NOTE.partition(": ")[2])] if sentences.has_refusals(component) else []
    _notes(out, notes, quiet=[*refusals, *_ruled_out(component), *_not_measured(component)])


def _fitting(out: Console, component: ComponentResult, months: int) -> Table:
    """The candidates' table; where the terminal is too narrow for it, each approach stands under its candidate's name."""
    whole = _component_table(component, months, wide=out.width >= WIDE)
    if out.measure(whole, options=out.options.update(max_width=10 * WIDE)).maximum <= out.width:
        return whole
    return _component_table(component, months, wide=False, stacked=True)


def _component_table(component: ComponentResult, months: int, *, wide: bool, stacked: bool = False) -> Table:
    from rich.text import Text

    from steelyard.decision import sentences, wording

    declines = sentences.has_refusals(component)
    more: tuple[tuple[str, bool], ...] = (("build", True), ("refresh", True), ("leaks", True)) if wide else ()
    table = _table(
        "",
        "candidate",
        *(() if stacked else ("approach",)),
        (wording.metric_name(component.metric), True),
        *((("refusals", True),) if declines else ()),
        ("p95", True),
        *more,
        (f"{months} months", True),
    )
    if stacked:
        # The only column that may give way; it folds, the figures never do.
        table.columns[1].no_wrap, table.columns[1].overflow = False, "fold"
    for one in component.candidates:
        if one.quality is None:
            continue
        chosen = one.name == component.decision.candidate
        details = (wording.seconds(one.build_s), wording.seconds(one.refresh_s), str(one.leaks)) if wide else ()
        approach = Text(wording.verdict_name(one.approach), COLOURS[one.approach])
        table.add_row(
            "▶" if chosen else "",
            *((Text(f"{one.name}\n").append(approach),) if stacked else (one.name, approach)),
            # Eighty columns hold the refusals as well where the share itself is said in whole per cent.
            wording.interval_text(one.quality, 1 if wide or not declines else 0),
            *((wording.refusals_text(one.refusals),) if declines else ()),
            wording.milliseconds(one.p95_ms),
            *details,
            wording.usd(one.usd_total),
            style="bold" if chosen else ("" if one.feasible else "dim"),
        )
    return table


def _ruled_out(component: ComponentResult) -> list[tuple[str, str]]:
    """Measured candidates that miss a requirement, by reason."""
    missed = [one for one in component.candidates if one.quality is not None and one.why_not]
    return [
        ("ruled out", f"{names}: {why}") for why, names in _grouped((one.why_not or "", one.name) for one in missed)
    ]


def _not_measured(component: ComponentResult) -> list[tuple[str, str]]:
    """Candidates that were not run, by reason, with what they would cost where that is known."""
    left = [one for one in component.candidates if one.quality is None]
    return [
        ("not measured", f"{names}: {why}")
        for why, names in _grouped((one.not_measured or one.why_not or "", _with_cost(one)) for one in left)
    ]


def _with_cost(one: CandidateResult) -> str:
    from steelyard.decision import wording

    return one.name if one.usd_total is None else f"{one.name} {wording.usd_short(one.usd_total)}"


def _systems_table(weighed: WeighReport) -> Table:
    from steelyard.decision import wording

    table = _table("system", ("handled right", True), ("p95", True), ("leaks", True), "parts")
    # The only column that may be long; it folds, the figures never do.
    table.columns[-1].no_wrap = False
    for one in weighed.systems:
        table.add_row(
            wording.system_name(one.name),
            wording.interval_text(one.quality),
            wording.milliseconds(one.p95_ms),
            str(one.leaks),
            ", ".join(one.parts.values()),
        )
    return table


def _show_skipped(out: Console, skipped: Sequence[str]) -> None:
    if not skipped:
        return
    out.print()
    out.print("Not done again, because nothing they depend on changed:", style="dim")
    pairs = []
    for line in skipped:
        name = line.partition(":")[0]
        component, slash, candidate = name.partition("/")
        pairs.append((component, candidate) if slash else ("systems", name))
    _notes(out, quiet=_grouped(pairs))


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each first text once, with all its second ones in a list."""
    groups: dict[str, list[str]] = {}
    for first, second in pairs:
        groups.setdefault(first, []).append(second)
    return [(first, ", ".join(seconds)) for first, seconds in groups.items()]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def _toml(value: Any) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
