"""The tables of docs/benchmarks.md, from the rows that `steelyard bench` left in docs/figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import docs_ageing
import docs_data_benchmarks
import docs_generate
import docs_promotions
import docs_serving
import docs_store
from docs_finetune import finetune
from docs_writer import writer

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]
"""Heads (those of numbers end in a colon) and lines."""

ROUTER_SETTINGS = (("banking77", "full"), ("banking77", "10-shot"), ("clinc150", "full"))


def router(rows: Sequence[Row]) -> list[Table]:
    """Accuracy by data set and candidate; what is beside it; differences to `linear`."""
    found = {(row["dataset"], row["setting"], row["candidate"], row["metric"]): row for row in rows}
    names = list(dict.fromkeys(row["candidate"] for row in rows if " - " not in row["candidate"]))

    def value(data: str, setting: str, name: str, metric: str) -> str:
        row = found.get((data, setting, name, metric))
        if row is None:
            return "–"
        return (
            f"{row['mean']:.3f}" if "low" not in row else f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        )

    quality = [
        (
            f"`{name}`" if " " not in name else name,
            *(value(data, setting, name, "accuracy") for data, setting in ROUTER_SETTINGS[:2]),
            *(value("clinc150", "full", name, metric) for metric in ("in_scope_accuracy", "out_of_scope_recall")),
        )
        for name in names
    ]
    beside = [
        (
            f"`{name}`" if " " not in name else name,
            value("banking77", "full", name, "calibration_error"),
            value("clinc150", "full", name, "calibration_error"),
            *(
                plain(found.get(("banking77", "full", name, "fit_s"))),
                plain(found.get(("clinc150", "full", name, "fit_s"))),
            ),
            *(plain(found.get(("banking77", "latency", name, f"p{share}_ms"))) for share in (50, 95)),
        )
        for name in names
    ]
    compared = [
        (
            f"{row['dataset']}, {row['setting']}",
            row["candidate"].removeprefix("linear - "),
            f"{row['mean']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})",
            row["verdict"].replace("_", " "),
        )
        for row in rows
        if row["metric"] == "accuracy_difference"
    ]
    heads = (
        "",
        "banking77, all rows:",
        "banking77, 10 a label:",
        "clinc150, in scope:",
        "clinc150, out-of-scope recall:",
    )
    more = ("", "calibration error, banking77:", "clinc150:", "fit s, banking77:", "clinc150:", "ms p50:", "p95:")
    return [(heads, quality), (more, beside), (("accuracy", "`linear` less", "difference:", "verdict"), compared)]


def retrieval(rows: Sequence[Row]) -> list[Table]:
    """nDCG@10 by set and method, over all queries and over the half that chose nothing, then recall@5."""
    sets = list(dict.fromkeys(row["set"] for row in rows if "missing" not in row))
    found = {(row["set"], row["method"]): row for row in rows if "method" in row}
    last = {row["set"]: row for row in rows if "fusion" in row}
    methods = ("bm25s", "bm25", "dense", "fusion")
    ndcg = [
        (
            f"`{name}`",
            *(f"{found[name, method]['ndcg_at_10']:.3f}" for method in methods),
            f"{last[name]['gain']:+.3f} ({last[name]['gain_low']:+.3f} to {last[name]['gain_high']:+.3f})",
            f"{last[name]['best_peer']:.3f}",
        )
        for name in sets
    ]
    held_out = [
        (
            f"`{name}`",
            *(f"{found[name, method]['held_out']:.3f}" for method in methods[:-1]),
            f"{last[name]['held_out']:.3f} ({last[name]['held_out_low']:.3f} to {last[name]['held_out_high']:.3f})",
            f"{last[name]['best_peer']:.3f}",
            "–" if last[name]["held_out"] < last[name]["best_peer"] else "ahead",
        )
        for name in sets
    ]
    recall = [
        (
            f"`{name}`",
            *(f"{found[name, method]['recall_at_5']:.3f}" for method in methods),
            *(f"{found[name, 'fusion'][what]:,}" for what in ("queries", "documents", "passages")),
        )
        for name in sets
    ]
    heads = (
        "nDCG@10",
        *(f"{method}:" for method in methods),
        "fusion less its better part:",
        "best peer:",
    )
    half = (
        "nDCG@10, held-out half",
        *(f"{method}:" for method in methods),
        "best peer, all queries:",
        "fusion",
    )
    more = ("recall@5", *(f"{method}:" for method in methods), "queries:", "documents:", "passages:")
    return [(heads, ndcg), (half, held_out), (more, recall)]


def answer(rows: Sequence[Row]) -> list[Table]:
    """A table for each set: what was right, what was declined, and the time."""
    tables: list[Table] = []
    for name in dict.fromkeys(row["set"] for row in rows if "missing" not in row):
        mine = [row for row in rows if row["set"] == name]
        refusing = any("refusal_recall" in row for row in mine)
        lines = [
            (
                f"`{row['method']}`" if " " not in row["method"] else row["method"],
                share(row, "containment"),
                f"{row['unguarded']:.3f}",
                f"{row['right_of_given']:.3f}",
                f"{row['citation_validity']:.3f}",
                f"{row['declined']:.3f}",
                *((share(row, "refusal_recall"), share(row, "refusal_precision")) if refusing else ()),
                *(f"{row[which]:.0f}" for which in ("p50_ms", "p95_ms") if which in row),
            )
            for row in mine
        ]
        more = ("refusal recall:", "refusal precision:") if refusing else ()
        times = tuple(f"{which.replace('_', ' ')}:" for which in ("p50_ms", "p95_ms") if which in mine[0])
        title = f"`{name}`, {mine[0]['questions']:,} test questions"
        heads = (
            title,
            "containment:",
            "if none declined:",
            "right of given:",
            "citations valid:",
            "declined:",
            *more,
            *times,
        )
        tables.append((heads, lines))
    return tables


def rag_tuned(rows: Sequence[Row]) -> list[Table]:
    """A table for each set: what was right, how much more than untuned retrieval, and what it took."""
    tables: list[Table] = []
    for name in dict.fromkeys(row["set"] for row in rows if "missing" not in row):
        mine = [row for row in rows if row["set"] == name]
        lines = [
            (
                f"`{row['candidate']}`",
                share(row, "containment"),
                share(row, "first_page"),
                "–" if at == 0 else _signed(row),
                row["level"],
                f"{row['fit_s']:.0f}",
                f"{row['cold_p50_ms']:.0f}",
                f"{row['cold_p95_ms']:.0f}",
                f"{row['p50_ms']:.0f}",
            )
            for at, row in enumerate(mine)
        ]
        heads = (
            f"`{name}`: {mine[0]['train']} + {mine[0]['validation']} to learn, {mine[0]['questions']:,} to test",
            "containment:",
            "first page:",
            "difference:",
            "level",
            "fit s:",
            "ms p50, cold:",
            "p95, cold:",
            "p50, warm:",
        )
        tables.append((heads, lines))
    return tables


def _signed(row: Row) -> str:
    return f"{row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f})"


def statistics(rows: Sequence[Row]) -> list[Table]:
    """Twins and winners by holdout size."""
    lines = [
        (
            f"{row['items']:,}",
            f"{row['clusters']:,}",
            f"{row['trials']:,}",
            f"{row['twins_even'] * 100:.1f} %",
            f"{row['winner_found'] * 100:.1f} %",
            f"{row['smallest_detectable'] * 100:.1f} points",
        )
        for row in rows
    ]
    return [(("rows:", "documents:", "trials:", "twins even:", "winner found:", "smallest detectable:"), lines)]


def durability(rows: Sequence[Row]) -> list[Table]:
    """Seconds of each operation, with what else it said."""
    lines = []
    for row in rows:
        more = []
        if "most_s" in row:
            more.append(f"longest of {row['runs']}: {row['most_s']:.3f} s")
        if "closed_s" in row:
            more.append(f"answered to nobody after {row['closed_s']:.3f} s")
        if "mib_before" in row:
            more.append(
                f"{row['removed']:,} passages gone, {row['mib_before']:,.0f} MiB before, {row['mib_after']:,.0f} after"
            )
        seconds = f"{row['s']:.3f}" if row["s"] < 1 else f"{row['s']:,.1f}"
        lines.append((row["case"], f"{row['passages']:,}", seconds, "; ".join(more)))
    return [(("operation", "passages:", "seconds:", ""), lines)]


def audit(rows: Sequence[Row]) -> list[Table]:
    """Records a second and latency of each way of keeping them."""
    lines = [
        (
            row["way"],
            f"{row['processes']} x {row['threads_a_process']}",
            f"{row['records_per_s']:,.0f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            str(row["lost"]),
        )
        for row in rows
    ]
    return [(("way", "under way:", "records a second:", "p50 ms:", "p99 ms:", "lost:"), lines)]


def serving_form(rows: Sequence[Row]) -> list[Table]:
    """Agreement of the forms, and milliseconds for one message."""
    agreement = [
        (
            f"`{row['router']}`",
            f"{row['served']} against {row['reference']}",
            f"{row['compared']:,}",
            f"{row['agreement'] * 100:.1f} %",
            str(row["flipped"]),
        )
        for row in rows
        if "agreement" in row
    ]
    times = [
        (f"`{row['router']}`", row["form"], *(f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "cpu_p50_ms")))
        for row in rows
        if "form" in row
    ]
    return [
        (("router", "forms", "rows:", "agreement:", "flipped:"), agreement),
        (("router", "form", "ms p50:", "p95:", "ms of work, p50:"), times),
    ]


def plain(row: Row | None) -> str:
    """A number without an interval."""
    return "–" if row is None else f"{row['mean']:,.1f}"


def share(row: Row, name: str) -> str:
    """A share with its interval where there is one."""
    mean = row.get(name)
    if mean is None:
        return "–"
    if isinstance(mean, Mapping):
        return f"{mean['mean']:.3f} ({mean['low']:.3f} to {mean['high']:.3f})"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return f"{mean:.3f}" if low is None else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def beaten(rows: Sequence[Row]) -> str:
    """On which sets fusion is ahead of the best peer: on the half that chose nothing, and over all queries."""
    last = [row for row in rows if "fusion" in row]

    def told(measure: str) -> str:
        behind = [f"`{row['set']}`" for row in last if row[measure] < row["best_peer"]]
        ahead = f"on {len(last) - len(behind)} of {len(last)} sets"
        return f"{ahead} (behind on {', '.join(behind)})" if behind else ahead

    return (
        f"Fusion is ahead of the best peer {told('held_out')} on the held-out half, {told('fusion')} over all queries."
    )


def chunking(rows: Sequence[Row]) -> list[Table]:
    """nDCG@10 of fusion by cut and set with the mean; then how often the answer is read, and how many passages there are."""
    sets = list(dict.fromkeys(row["set"] for row in rows if "missing" not in row))
    answered = list(dict.fromkeys(row["set"] for row in rows if "answer_read" in row))
    found = {(row["size"], row["overlap"], row["set"]): row for row in rows if "missing" not in row}
    cuts = list(dict.fromkeys((size, overlap) for size, overlap, _ in found))

    def mean(cut: tuple[int, int], names: Sequence[str], what: str) -> str:
        return f"{sum(found[*cut, name][what] for name in names) / max(1, len(names)):.3f}"

    def named(cut: tuple[int, int]) -> str:
        return f"{cut[0]:,}" + (f", overlap {cut[1]}" if cut[1] else "")

    quality = [
        (named(cut), *(f"{found[*cut, name]['ndcg_at_10']:.3f}" for name in sets), mean(cut, sets, "ndcg_at_10"))
        for cut in cuts
    ]
    read = [
        (
            named(cut),
            *(f"{found[*cut, name]['answer_read']:.3f}" for name in answered),
            f"{sum(found[*cut, name]['passages'] for name in sets):,}",
        )
        for cut in cuts
    ]
    heads = ("nDCG@10 by size", *(f"`{name}`:" for name in sets), "mean:")
    more = ("answer read", *(f"`{name}`:" for name in answered), "passages, all sets:")
    return [(heads, quality), (more, read)]


def search(rows: Sequence[Row]) -> list[Table]:
    """How near the race comes to the grid's best, at what share of the work, and whether a constraint was ever broken."""
    lines = [
        (
            f"`{row['set']}`, {row['questions']} questions",
            f"{row['grid_worst']:.3f} to {row['grid_best']:.3f}",
            f"{row['race_share_mean'] * 100:.1f} %",
            f"{row['race_share_lowest'] * 100:.1f} %",
            f"{row['races_at_98']} of {row['races']}",
            f"{row['evaluations_share'] * 100:.1f} %",
            str(row["broken"]),
            str(row["over"]),
        )
        for row in rows
        if "missing" not in row
    ]
    heads = ("data set", "grid:", "of the best, mean:", "lowest:", "at 98 %:", "work:", "broken:", "over:")
    return [(heads, lines)]


TABLES = {
    "backtest": docs_ageing.backtest,
    "replay": docs_ageing.replay,
    "freshness": docs_ageing.freshness,
    "audit": audit,
    "durability": durability,
    "router": router,
    "retrieval": retrieval,
    "chunking": chunking,
    "search": search,
    "answer": answer,
    "rag-tuned": rag_tuned,
    **docs_data_benchmarks.TABLES,
    "statistics": statistics,
    "finetune": finetune,
    "gates": docs_promotions.gates,
    "canary": docs_promotions.canary,
    "serving-form": serving_form,
    "store": docs_store.store,
    "store-large": docs_store.store,
    "ingest": docs_store.ingest,
    "generate": docs_generate.generate,
    "lora": docs_generate.lora,
    "foresight": docs_generate.foresight,
    "writer": writer,
    **docs_serving.TABLES,
}
