"""The tables of the gates and canary benchmarks in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def canary(rows: Sequence[Row]) -> list[Table]:
    """How often, and after how many of its requests, a canary with each fault is stopped; one table a share."""
    tables: list[Table] = []
    for share in dict.fromkeys(row["share"] for row in rows):
        lines = []
        for row in (one for one in rows if one["share"] == share):
            delay = row["delay_requests"]
            lines.append(
                (
                    row["fault"],
                    f"{row['stopped'] * 100:.1f} % ({row['low'] * 100:.1f} to {row['high'] * 100:.1f})",
                    "–" if delay is None else f"{delay:,.0f}",
                    "–" if delay is None else f"{row['delay_all']:,.0f}",
                )
            )
        heads = (
            f"canary on {share:.0%} of requests",
            "stopped:",
            "its requests until then:",
            "all requests until then:",
        )
        tables.append((heads, lines))
    return tables


def gates(rows: Sequence[Row]) -> list[Table]:
    """How often a candidate of known quality passes, by rows; one table for each likeness of the two versions."""
    tables: list[Table] = []
    gains = list(dict.fromkeys(row["gain"] for row in rows))
    groups: list[list[Row]] = []
    for row in rows:
        if not groups or abs(groups[-1][0]["discordance"] - row["discordance"]) >= ALIKE:
            groups.append([])
        groups[-1].append(row)
    for group in groups:
        mean = sum(row["discordance"] for row in group) / len(group)
        heads = (f"differ on {mean * 100:.0f} % of rows:", *(f"{gain * 100:+.0f} points:" for gain in gains))
        lines = []
        for size in dict.fromkeys(row["rows"] for row in group):
            found = {row["gain"]: row for row in group if row["rows"] == size}
            shares = (
                f"{one['passed'] * 100:.1f} % ({one['low'] * 100:.1f} to {one['high'] * 100:.1f})"
                for one in (found[gain] for gain in gains)
            )
            lines.append((f"{size:,} rows", *shares))
        tables.append((heads, lines))
    return tables


ALIKE = 0.04
"""Discordances nearer than this belong to one likeness."""
