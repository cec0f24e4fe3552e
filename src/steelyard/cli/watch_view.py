"""What is watched, as `status` prints it for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.cli.layout import notes, table

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"critical": "red", "warning": "yellow"}
WHOLE = "request"


def show_watched(out: Console, watched: Mapping[str, Any]) -> None:
    """The release that answers, traffic by component, the month, break-evens, trials, and every alert with its remedy."""
    out.print()
    release = (
        f"release {watched['release']}" if watched["release"] else "no release yet: the recommended versions answer"
    )
    if not watched["requests"] and not watched["components"]:
        out.print(f"in operation: {release}; no request in the last {watched['hours']} hours", markup=False)
    else:
        count = watched["requests"] or max(one["requests"] for one in watched["components"])
        out.print(f"in operation: {release}; {count:,} requests in the last {watched['hours']} hours", markup=False)
        _components(out, watched["components"])
    _notes_of(out, watched)
    _trials(out, watched["trials"])
    for one in watched["decisions"]:
        if not one["holds"]:
            out.print(f"[yellow]the decision for {one['component']} no longer holds[/yellow]", end=": ")
            out.print(f"{one['decided']} was decided, {one['now']} follows from what was measured", markup=False)
            notes(out, [("because", one["because"]), ("do", one["do"])])
    _alerts(out, watched["alerts"])


def _components(out: Console, components: Sequence[Mapping[str, Any]]) -> None:
    made = table(
        "part",
        ("requests", True),
        ("failed", True),
        ("declined", True),
        ("p50 ms", True),
        ("p95 ms", True),
        ("USD", True),
        ("liked", True),
    )
    for one in sorted(components, key=lambda one: one["component"] != WHOLE):
        verdicts = one["liked"] + one["disliked"]
        made.add_row(
            one["component"],
            f"{one['requests']:,}",
            f"{one['error_rate']:.1%}",
            f"{one['refused']:.1%}",
            _ms(one["p50_ms"]),
            _ms(one["p95_ms"]),
            f"{one['usd']:.4f}",
            f"{one['liked']} of {verdicts}" if verdicts else "-",
        )
    out.print(made)


def _notes_of(out: Console, watched: Mapping[str, Any]) -> None:
    lines = [
        (f"drift of {one['component']}", f"stability index {one['index']:.2f} over {one['now']:,} messages")
        for one in watched["drift"]
    ]
    for one in watched["spend"]:
        spent, planned = sum(one["month_to_date_usd"].values()), sum(one["planned_usd"].values())
        expected = "" if one["expected_usd"] is None else f", about {one['expected_usd']:,.2f} by its end"
        lines.append((f"month of {one['component']}", f"{spent:,.2f} USD so far{expected}; {planned:,.2f} planned"))
    lines += [(f"break-even of {one['component']}", one["sentence"]) for one in watched["break_even"]]
    for one in watched["models"]:
        ends = f"is switched off on {one['ends']}, in {one['days']} days" if one["ends"] else "has no known end"
        lines.append(("base model", f"{one['name']} {ends}"))
    new = watched["feedback"].get("new", 0)
    if new:
        lines.append(("feedback", f"{new} waiting for a review (`steelyard feedback list`)"))
    notes(out, lines)


def _trials(out: Console, trials: Sequence[Mapping[str, Any]]) -> None:
    for one in trials:
        names = ", ".join(one["versions"])
        state = "runs" if one["state"] == "running" else f"was {one['state']}"
        why = f": {one['reason']}" if one.get("reason") else ""
        out.print(
            f"{one['kind']} {one['number']} {state} on {one['share']:.0%} of requests ({names}){why}", markup=False
        )


def _alerts(out: Console, alerts: Sequence[Mapping[str, Any]]) -> None:
    if not alerts:
        out.print("[green]no alert[/green]")
        return
    for one in alerts:
        colour = COLOURS[one["severity"]]
        out.print(f"[{colour}]{one['name']}[/{colour}]", end="  ")
        out.print(one["message"], markup=False, soft_wrap=True)
        notes(out, [("do", one["remedy"])])


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
