"""The tables and charts of the backtest benchmark, and the table of the freshness benchmark, in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def backtest(rows: Sequence[Row]) -> list[Table]:
    """The histories; how each way to run a candidate aged in them; how right derived probes are."""
    judged = [row for row in rows if "regret_usd" in row]
    histories = [
        (
            f"`{row['history']}`",
            f"{row['steps']}",
            f"{row['facts']}",
            # Runs before each question was worded twice asked all of them as they had been learned.
            f"{row.get('as_trained', row['facts'])}",
            f"{row['document_days']:.0f}",
            f"{row['asked_days']:.0f}",
            f"{row['asked_share_per_month'] * 100:.1f} %",
            f"`{row['best']}`",
            f"{row['verdict'].replace('_', ' ')} (`{row['choice']}`)",
            f"${row['regret_usd']:,.0f}",
            "–" if row["seconds"] is None else f"{row['seconds']:.0f}",
        )
        for row in judged
    ]
    aged = [
        (
            f"`{row['history']}`",
            f"**`{row['candidate']}`**" if row["best"] else f"`{row['candidate']}`",
            f"{row['right_first'] * 100:.0f} %",
            f"{row['right_last'] * 100:.0f} % ({row['right_last_low'] * 100:.0f} to {row['right_last_high'] * 100:.0f})",
            f"{row['stale_worst'] * 100:.1f} %",
            f"{row['refused_last'] * 100:.0f} %",
            f"${row['usd']:,}",
        )
        for row in rows
        if "candidate" in row
    ]
    probes = [
        (
            f"`{row['history']}`",
            f"{row['derived_facts']:,}",
            f"{row['compared']:,}",
            f"{row['precision'] * 100:.1f} % ({row['precision_low'] * 100:.1f} to {row['precision_high'] * 100:.1f})",
            f"{row['reference_found']} of {row['reference_facts']}",
        )
        for row in rows
        if row.get("case") == "probes"
    ]
    heads = (
        "history", "steps:", "facts:", "asked as learned:", "document days:", "asked days:", "asked facts a month:",
        "cheapest in hindsight",
        "criteria on the first day", "regret:", "seconds:",
    )  # fmt: skip
    more = ("history", "candidate", "right at first:", "right at last:", "worst stale:", "refused at last:", "money:")
    derived = ("derived probes of", "facts:", "answers compared:", "right:", "reference facts found:")
    return [(heads, histories), (more, aged), (derived, probes)]


def replay(rows: Sequence[Row]) -> list[Table]:
    """What a replay takes from nothing, after a stop at half, and with nothing left to do."""
    cases = {"whole": "from nothing", "half": "taken up again at half", "again": "nothing left to do"}
    lines = [
        (
            cases[row["case"]],
            f"{row['pages_first']} to {row['pages_last']}",
            f"{row['page_changes']}",
            f"{row['steps']}",
            f"{row['questions']} ({row['asked']})",
            f"{row['ways']}",
            f"{row['passages_first']:,} + {row['passages_later']:,}" if "passages_first" in row else "–",
            f"{row['first_index_s']:.0f}" if "first_index_s" in row else "–",
            f"{row['seconds']:.0f}",
        )
        for row in rows
        if "case" in row
    ]
    heads = (
        "`docs_electron`", "pages:", "pages changed:", "steps:", "questions (asked):", "ways to run:",
        "passages embedded at first + later:", "first index s:", "all, seconds on two cores:",
    )  # fmt: skip
    return [(heads, lines)]


def conclusions(rows: Sequence[Row], images: Path) -> str:
    """For each history its chart with what its marks mean, and why its cheapest candidate was that."""
    from steelyard.decision.ageing_chart import ageing_marks

    parts = []
    for row in rows:
        if "series" in row:
            name = row["history"]
            if (images / f"ageing-{name}.svg").is_file():
                parts.append(f"![How each candidate would have aged on {name}](images/ageing-{name}.svg)")
            why = f"`{name}`: `{row['best']}` was the cheapest, because {row['because']}."
            parts.append(f"{why} {ageing_marks(row['series'])}")
    return "\n\n".join(parts)


def freshness(rows: Sequence[Row]) -> list[Table]:
    """Seconds from an edit to its answer, and what a look at unchanged files takes."""
    edits = [
        (
            f"`{row['case']}`",
            f"{row['passages']:,}",
            f"{row['edits']}",
            f"{row.get('answered', row['edits'])}",
            f"{row.get('stale', '–')}",
            f"{row['median_s']:.2f}",
            f"{row['worst_s']:.2f}",
        )
        for row in rows
        if "median_s" in row
    ]
    looks = [
        (f"{row['documents']:,}", f"{row['parsed']}", f"{row['embedded']}", f"{row['ingest_s']:.2f}", f"{row['command_s']:.2f}")
        for row in rows
        if row["case"] == "unchanged"
    ]  # fmt: skip
    heads = ("", "passages:", "edits:", "answered:", "stale:", "median s:", "worst s:")
    return [
        (heads, edits),
        (("unchanged files:", "parsed:", "embedded:", "ingest s:", "with the process's start s:"), looks),
    ]


def draw(rows: Sequence[Row], images: Path) -> None:
    """Write the ageing chart of each history as SVG into `images`."""
    from steelyard.decision.ageing_chart import ageing_chart

    for row in rows:
        if "series" in row:
            (images / f"ageing-{row['history']}.svg").write_text(
                ageing_chart(row["series"], "wide", legend=True), encoding="utf-8"
            )
