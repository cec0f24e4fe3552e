"""The tables of the store and ingest benchmarks in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def store(rows: Sequence[Row]) -> list[Table]:
    """Searches by asker and contender, then recall, then opening."""
    searches = [row for row in rows if "p50_ms" in row]
    ours = [row for row in searches if "recall_at_10" in row]
    opening = [row for row in rows if "open_s" in row]
    lines = [
        (
            row["sees"],
            row["contender"] if row in ours else f"`{row['contender']}`",
            f"{row['p50_ms']:,.1f}",
            f"{row['p99_ms']:,.1f}",
            f"{row['hits']:.1f}",
            f"{row['fewest_hits']}",
            f"{row['times_ours']:,.1f}" if "times_ours" in row else "1",
        )
        for row in sorted(searches, key=lambda row: (list(SEES).index(row["sees"]), row not in ours))
    ]
    heads = ("asker sees", "", "p50 ms:", "p99 ms:", "hits of 10:", "fewest:", "times ours:")
    recall = [(row["sees"], f"{row['recall_at_10']:.3f}", f"{row['recall_at_50']:.3f}") for row in ours]
    memory = [
        (
            f"{row['passages']:,}",
            f"{row['process_to_first_hit_s']:.1f}",
            f"{row['open_s']:.1f}",
            f"{row['first_search_s'] * 1000:,.0f}",
            f"{row['own_mb']:,}",
            f"{row['all_mb']:,}",
            f"{row['disk_mb']:,}",
            f"{row['stage_s'] + row['optimize_s']:,.0f}",
        )
        for row in opening
    ]
    more = (
        "passages:",
        "process start to first hit s:",
        "of that opening s:",
        "first search ms:",
        "memory MB:",
        "with mapped files MB:",
        "disk MB:",
        "staging and laying out s:",
    )
    return [(heads, lines), (("asker sees", "recall at 10:", "at 50:"), recall), (more, memory)]


SEES = ("8 %", "100 %", "0.1 %")


def ingest(rows: Sequence[Row]) -> list[Table]:
    """Passages a second of one core, scaling, the encoder, and memory."""
    alone = [
        (
            row["contender"] if row["contender"].startswith("steelyard") else f"`{row['contender']}`",
            row["chunks"],
            f"{row['passages']:,}",
            f"{row['core_s']:,.1f}",
            f"{row['passages_per_core_s']:.1f}",
            f"{row['ours_times']:.2f}",
        )
        for row in rows
        if "core_s" in row
    ]
    scaling = [
        (f"{row['threads']}", f"{row['seconds']:,.1f}", f"{row['times_one_thread']:.2f}")
        for row in rows
        if "times_one_thread" in row
    ]
    questions = [
        (
            f"`{row['encoder']}`",
            f"{row['threads']}",
            f"{row['questions']:,}",
            f"{row['p50_ms']:.1f}",
            f"{row['p95_ms']:.1f}",
            f"{row['work_p50_ms']:.1f}" if "work_p50_ms" in row else "–",
        )
        for row in rows
        if "encoder" in row
    ]
    memory = [
        (
            f"{row['files']:,}",
            f"{row['passages']:,}",
            f"{row['parent_mb']:,}",
            f"{row['workers_mb']:,}",
            f"{row['edited_mb']:,}" if "edited_mb" in row else "–",
            f"{row['seconds']:,.0f}",
        )
        for row in rows
        if "files" in row
    ]
    return [
        (
            (
                "one core",
                "passages from",
                "passages:",
                "core seconds:",
                "passages a core second:",
                "ours is so many times:",
            ),
            alone,
        ),
        (("threads:", "seconds:", "times one thread:"), scaling),
        (("one question", "threads:", "questions:", "p50 ms:", "p95 ms:", "ms of work, p50:"), questions),
        (("files:", "passages:", "peak MB, ingest:", "its workers:", "after 100 edits:", "seconds:"), memory),
    ]
