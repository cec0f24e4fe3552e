"""What `canary status` and `shadow status` print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.cli.layout import notes, table

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.trials import CanaryReport, Compared, ShadowReport, Trial

FEW_CALLERS = 20
"""Below so many callers on the canary's side, one of them can make the difference."""

NAMES = {
    "errors": "failed",
    "declined": "declined",
    "slow_half": "slow",
    "slow_tail": "very slow",
    "disliked": "disliked",
}


def show_canary(out: Console, found: CanaryReport) -> None:
    """Each figure of both sides with the evidence, and how the canary stands."""
    trial = found.trial
    _head(out, trial)
    if not found.blocks and trial.state == "running":
        out.print("learning production's usual latency; nothing is judged before 200 of its requests.")
        return
    made = table("figure", ("production", True), ("canary", True), ("margin", True), ("evidence", True), "verdict")
    for one in found.figures:
        made.add_row(
            NAMES[one.metric],
            _share(one.production, one.requests),
            _share(one.canary, one.canary_requests),
            f"{one.margin:.1%}",
            f"{min(one.evidence, 9999):.2g}",
            _verdict(one),
        )
    out.print(made)
    out.print(
        f"evidence that it is worse by more than the margin: at {found.figures[0].needed:.0f} it is stopped",
        style="dim",
    )
    lines: list[tuple[str, str]] = [
        (
            "slow, very slow",
            "above production's median and 95th percentile; the canary beyond what is tolerated",
        )
    ]
    if found.reason:
        lines.append((trial.state, found.reason))
    if trial.split_by == "caller" and found.callers < FEW_CALLERS:
        told = f"the canary has answered {found.callers} callers: what is special about them is not told apart from the version;"
        lines.append(("few callers", f"{told} with --by request every request is drawn"))
    notes(out, lines)


def show_shadow(out: Console, found: ShadowReport) -> None:
    """How often each component says the same, with latencies, and requests to look at."""
    _head(out, found.trial)
    if not found.parts:
        out.print("nothing was compared yet.")
        return
    made = table(
        "component", ("asked", True), "agrees (95 %)", ("only here", True), ("only there", True), ("failed", True)
    )
    for one in found.parts:
        made.add_row(
            one.component,
            f"{one.compared:,}",
            f"{one.agreed / one.compared:.1%} ({one.low:.1%} to {one.high:.1%})",
            str(one.only_production),
            str(one.only_shadow),
            str(one.failed),
        )
    out.print(made)
    lines = [
        (f"{one.component} median", f"{one.production_ms:.0f} ms in production, {one.shadow_ms:.0f} ms in the shadow")
        for one in found.parts
        if one.production_ms is not None and one.shadow_ms is not None
    ]
    declined = any(one.only_production or one.only_shadow for one in found.parts)
    if declined:
        lines.append(("only here, there", "answered in production and declined by the shadow, and the other way round"))
    if found.differing:
        lines.append(("differ", ", ".join(found.differing)))
    notes(out, lines)


def _head(out: Console, trial: Trial) -> None:
    state = {"running": "runs", "stopped": "was stopped", "ended": "has ended", "promoted": "was promoted"}[trial.state]
    out.print(
        f"{trial.kind} {trial.number} {state}: {trial.share:.0%} of requests, {', '.join(trial.names)}", markup=False
    )


def _share(value: float | None, count: int) -> str:
    return "-" if value is None else f"{value:.1%} of {count:,}"


def _verdict(one: Compared) -> str:
    if one.worse:
        return "worse"
    return "not worse" if one.not_worse else "open"
