"""How `steelyard decide` looks on a terminal: verdict, reasons as weights, money, flips, burden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from steelyard.decision.phrases import count, percent, rate, said, usd
from steelyard.schema.decision import ComponentDecision, Decision, Facts, FactSheet, Flip, Reason

STYLES = {"rag": "bright_blue", "fine_tune": "dark_orange", "prompt": "green3", "hybrid": "orchid"}
OPEN_STYLES = {"either": "yellow3", "not_enough_evidence": "yellow3"}

VERDICTS = {
    "rag": "RAG",
    "fine_tune": "Fine-tune",
    "prompt": "Prompt",
    "hybrid": "Hybrid: retrieval with a tuned model",
    "either": "Either: nothing tells them apart",
    "not_enough_evidence": "Not enough evidence yet",
}

WIDEST = 104
BAR_CELLS = 10
MOST_REASONS, MOST_FLIPS = 8, 7
LEAST_WEIGHT = 0.02
"""A reason that weighs less is in the JSON, not on the screen."""


def view(sheet: FactSheet, decision: Decision, width: int) -> RenderableType:
    """Everything the command prints, for a terminal that wide."""
    width = min(width, WIDEST)
    parts: list[RenderableType] = []
    if len(decision.components) > 1:
        parts.append(_overview(decision))
    for facts, one in zip(sheet.components, decision.components, strict=True):
        parts.append(_component(facts, one, width, named=len(decision.components) > 1))
    return Group(*parts)


def _overview(decision: Decision) -> RenderableType:
    text = Text()
    text.append(
        "A hybrid system: each part gets its own approach.\n"
        if decision.is_hybrid_system
        else "One approach for all parts.\n",
        "bold",
    )
    for one in decision.components:
        text.append(f"  {one.component}  ", "bold")
        text.append(VERDICTS[one.recommendation], _style(one.recommendation))
        text.append(f"  {percent(one.confidence)}\n", "dim")
    return text


def _component(facts: Facts, one: ComponentDecision, width: int, named: bool) -> RenderableType:
    parts: list[RenderableType] = [_headline(facts, one, named, width)]
    reasons = [reason for reason in one.reasons if reason.weight >= LEAST_WEIGHT][:MOST_REASONS]
    if reasons:
        parts.append(_titled("Why", _reasons(reasons)))
    if one.excluded:
        parts.append(_titled("Cannot be chosen", _excluded(one)))
    if one.total_usd:
        parts.append(_titled(_money_title(facts, one), _money(one)))
    if one.flips:
        parts.append(_titled("What would change it", _flips(one.flips)))
    if one.burden is not None:
        parts.append(_titled("What running it brings", _burden(one)))
    return Group(*parts)


def _headline(facts: Facts, one: ComponentDecision, named: bool, width: int) -> Panel:
    style = _style(one.recommendation)
    text = Text()
    text.append(VERDICTS[one.recommendation], f"bold {style}")
    text.append(f"   confidence {percent(one.confidence)}", "bold")
    known = ", ".join(_known(facts))
    if known:
        text.append(f"\n{known}", "dim")
    if one.next_step:
        text.append("\nNext: ", "bold")
        text.append(one.next_step)
    return Panel(text, title=one.component if named else None, title_align="left", border_style=style, width=width)


def _known(facts: Facts) -> Iterator[str]:
    if facts.behaviour:
        yield facts.behaviour
    if facts.queries_per_month is not None:
        yield f"{count(facts.queries_per_month)} queries a month"
    if facts.knowledge_update_per_year is not None:
        changes = rate(facts.knowledge_update_per_year)
        yield f"changes {changes}"
    if facts.corpus_tokens:
        yield f"{count(facts.corpus_tokens)} tokens of knowledge"
    if facts.examples_count:
        yield f"{count(facts.examples_count)} examples"
    for wanted, word in (
        (facts.needs_citations, "citations"),
        (facts.needs_audit, "audit"),
        (facts.per_user_scoping, "scoping"),
    ):
        if wanted:
            yield word


def _reasons(reasons: Iterable[Reason]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(width=BAR_CELLS, no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for reason in reasons:
        target = reason.argues_for.removeprefix("against ")
        filled = max(1, round(reason.weight * BAR_CELLS))
        bar = Text("█" * filled, _style(target)) + Text("░" * (BAR_CELLS - filled), "dim")
        label = Text(reason.criterion, "bold")
        against = reason.argues_for.startswith("against ")
        label.append(f"\n{'not ' if against else ''}{said(target)}", _style(target))
        table.add_row(bar, label, reason.because)
    return table


def _excluded(one: ComponentDecision) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for out in one.excluded:
        table.add_row(Text(f"✗ {said(out.approach)}", "red"), out.because)
    return table


def _money_title(facts: Facts, one: ComponentDecision) -> str:
    title = f"Expected cost over {facts.horizon_months or 24} months"
    if one.break_even_queries_per_month is not None:
        return f"{title}; fine-tuning breaks even at {count(float(one.break_even_queries_per_month))} queries a month"
    return f"{title}; fine-tuning never breaks even"


def _money(one: ComponentDecision) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("approach")
    table.add_column("expected", justify="right")
    table.add_column("cheapest in", justify="right")
    least = min(one.total_usd.values())
    for name, total in sorted(one.total_usd.items(), key=lambda pair: pair[1]):
        cells = max(1, round(12 * least / total)) if total > 0 else 12
        share = percent(one.p_cheapest.get(name, 0.0))
        table.add_row(Text(said(name), _style(name)), usd(total), f"{share} {'▪' * cells:<12}")
    return table


def _flips(flips: tuple[Flip, ...]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    for flip in flips[:MOST_FLIPS]:
        arrow = Text("→ ", "dim") + Text(VERDICTS[flip.becomes].partition(":")[0], _style(flip.becomes))
        table.add_row(flip.input.replace("_", " "), f"{_value(flip.from_value)} → {_value(flip.to_value)}", arrow)
    return table


def _burden(one: ComponentDecision) -> Text:
    burden = one.burden
    assert burden is not None
    text = Text(f"{burden.jobs_per_month:.1f} jobs and about {burden.hours_per_month:.0f} hours a month: ")
    text.append("; ".join(burden.jobs) + ".")
    for skill in burden.skills_to_build:
        text.append(f"\nTo build: {skill}.", "yellow")
    return text


def _value(value: float | bool | str | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else count(float(value))


def _titled(title: str, body: RenderableType) -> Group:
    return Group(Text(title, style="bold"), Padding(body, (0, 0, 1, 2)))


def _style(name: str) -> str:
    return STYLES.get(name, OPEN_STYLES.get(name, "white"))
