"""Blocks of figures inside written pages, filled from the JSON files that runs left in docs/figures.

A block stands between `<!-- numbers: NAME -->` and `<!-- end -->`; `BLOCKS` says which function writes it.
`scripts/make_figures.py` makes the JSON files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docs_ageing
import docs_benchmarks

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
IMAGES = FIGURES.with_name("images")
BLOCK = re.compile(r"(<!-- numbers: (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
APPROACHES = {
    "rag": "RAG",
    "fine_tune": "fine-tuning",
    "hybrid": "hybrid",
    "prompt": "prompting",
    "either": "either",
    "not_enough_evidence": "not enough evidence",
}
Row = Mapping[str, Any]


def fill(text: str) -> str:
    """`text` with every block written anew.

    Raises:
        KeyError: a block that no function writes.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found['name']]()}\n{found[3]}", text)


def figures(name: str) -> dict[str, Any]:
    """What the run of that name left; empty when it has not run yet."""
    path = FIGURES / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns after the first that hold numbers are right-aligned by a head that ends in a colon."""
    names = [head.removesuffix(":") for head in heads]
    lines = [names, ["---:" if head.endswith(":") else "---" for head in heads], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def demo_times() -> str:
    """How long the demo takes."""
    found = figures("demo")
    if not found:
        return MISSING
    return (
        f"After the install (a few minutes, once) the first `make demo` took {minutes(found['seconds'])} with {found['cores']} threads "
        "on a shared machine, "
        f"the second {found['seconds_again']:.0f} seconds: what did not change is not done again."
    )


def demo_components() -> str:
    """What the demo recommends."""
    return recommendations(figures("demo"))


def demo_systems() -> str:
    """Whole systems of the demo."""
    found = figures("demo")
    if not found:
        return MISSING
    rows = (
        (
            name.replace("_", " "),
            " + ".join(one["parts"].values()),
            interval(one["quality"]),
            ms(one["latency_ms"]),
            str(one["leaks"]),
        )
        for name, one in found["systems"].items()
    )
    return table(("system", "made of", "handled right:", "p95:", "leaks:"), rows)


def demo_answers() -> str:
    """One answer and one label of the demo."""
    found = figures("demo")
    if not found:
        return MISSING
    asked, routed = found["ask"], found["route"]
    said = "It declined." if asked["abstained"] else f"It quoted: “{' '.join(asked['answer'].split())}”"
    cited = ", ".join(f"`{one['document']}`, characters {one['start']} to {one['end']}" for one in asked["citations"])
    return (
        f"To the first question the recommended candidate (`{asked['candidate']}`) answered in {asked['latency_ms']:.0f} ms. {said}"
        f"{f' It cited {cited}.' if cited else ''} "
        f"The message was routed to `{routed['label']}` with probability {routed['probability']:.2f}."
    )


def recommendations(found: Row) -> str:
    """A line for each part: what to run, how good it is, and the best of the approaches that were not chosen."""
    if not found:
        return MISSING
    rows = []
    for name, one in found["components"].items():
        measured = [candidate for candidate in one["candidates"] if candidate["measured"]]
        chosen = next((candidate for candidate in measured if candidate["name"] == one["candidate"]), None)
        others = [candidate for candidate in measured if chosen is None or candidate["approach"] != chosen["approach"]]
        other = max(others, key=lambda candidate: candidate["quality"]["mean"], default=None)
        rows.append(
            (
                f"`{name}` ({one['task']})",
                f"{APPROACHES[one['recommendation']]}, {one['confidence'] * 100:.0f} % sure",
                described(chosen),
                described(other),
                f"{one['rows']['holdout']:,}",
                points(one["smallest_detectable_difference"]),
            )
        )
    heads = ("part", "run", "recommended candidate", "best of another approach", "sealed rows:", "shows from:")
    return table(heads, rows)


def described(candidate: Row | None) -> str:
    """A candidate with its quality."""
    if candidate is None:
        return "–"
    note = "" if candidate["feasible"] else "; not allowed here"
    return f"`{candidate['name']}` {interval(candidate['quality'])}{note}"


def candidates(found: Row) -> str:
    """Every measured candidate of every part."""
    if not found:
        return MISSING
    parts = []
    for name, one in found["components"].items():
        rows = (
            (
                f"**`{each['name']}`**" if each["name"] == one["candidate"] else f"`{each['name']}`",
                APPROACHES[each["approach"]],
                interval(each["quality"]),
                ms(each["latency_ms"]),
                seconds(each["build_s"]),
                seconds(each["refresh_s"]),
                "–" if each["usd_total"] is None else f"{each['usd_total']:,.0f}",
                each["why_not"] or "",
            )
            for each in one["candidates"]
            if each["measured"]
        )
        heads = (
            "candidate",
            "approach",
            f"{one['metric']}:",
            "p95:",
            "build:",
            "refresh:",
            f"USD, {found['horizon_months']} months:",
            "",
        )
        verdict = f"**{APPROACHES[one['recommendation']]}**, {one['confidence'] * 100:.0f} % sure"
        shown = f"{one['rows']['holdout']:,} sealed rows show differences from {points(one['smallest_detectable_difference'])}"
        lines = [f"### `{name}`: {verdict}", "", table(heads, rows), "", f"{shown}."]
        if one["next_step"]:
            lines += ["", f"Next step: {one['next_step']}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def public_steps() -> str:
    """How long each step of the public workspace took."""
    found = figures("public-workspace")
    if not found:
        return MISSING
    made = ", ".join(f"{count:,} {what}" for what, count in found["made"].items())
    steps = ", ".join(f"`{name}` {seconds(taken)}" for name, taken in found["seconds"].items())
    return (
        f"{made[0].upper()}{made[1:]}; {found['passages']:,} passages. "
        f"On a shared machine (threads: {found['cores']}), {found['day']}: {steps}. "
        f"`check` found {', '.join(f'{count} x `{code}`' for code, count in found['findings'].items()) or 'nothing'}."
    )


def public_candidates() -> str:
    """The public workspace's candidates."""
    return candidates(figures("public-workspace"))


def decide() -> str:
    """The verdict of the README's `decide`."""
    found = figures("decide")
    if not found:
        return MISSING
    main = found["components"]["main"]
    lines = [
        f"It recommends **{APPROACHES[main['recommendation']]}** with confidence {main['confidence']:.2f}, because:",
        "",
    ]
    lines += [f"- `{reason['criterion']}`: {reason['because']}" for reason in main["reasons"][:3]]
    return "\n".join(lines)


def tco() -> str:
    """The totals of the README's `tco`."""
    found = figures("tco")
    if not found:
        return MISSING
    totals = " against ".join(
        f"{usd:,.0f} USD for {APPROACHES[name]}"
        for name, usd in sorted(found["totals_usd"].items(), key=lambda one: one[1])
    )
    volume = found["break_even_queries_per_month"]
    turn = "they never meet" if volume is None else f"the two cost the same at {volume:,.0f} queries a month"
    return f"Two years cost {totals}; {turn}."


def bench(name: str) -> Callable[[], str]:
    """The tables of a benchmark, what was left out, and when it ran."""

    def block() -> str:
        found = figures(f"bench-{name}")
        if not found:
            return MISSING
        parts = [table(heads, lines) for heads, lines in docs_benchmarks.TABLES[name](found["rows"])]
        if name == "retrieval":
            parts.append(docs_benchmarks.beaten(found["rows"]))
        if name == "backtest":
            parts.append(docs_ageing.conclusions(found["rows"], IMAGES))
        absent = [
            f"Not measured: `{row.get('set', row.get('contender'))}`, {row['missing']}."
            for row in found["rows"]
            if "missing" in row
        ]
        return "\n\n".join([*parts, *absent, f"Run of {found['day']} on a shared machine, threads: {found['cores']}."])

    return block


def bench_lexical() -> str:
    """BM25 of ours and bm25s on the same passages."""
    rows = [row for row in figures("bench-retrieval").get("rows", []) if row.get("method") in ("bm25", "bm25s")]
    if not rows:
        return MISSING
    by_set: dict[str, dict[str, float]] = {}
    for row in rows:
        by_set.setdefault(row["set"], {})[row["method"]] = row["ndcg_at_10"]
    lines = ((name, f"{found['bm25']:.3f}", f"{found['bm25s']:.3f}") for name, found in by_set.items())
    return table(("data set", "nDCG@10, ours:", "bm25s:"), lines)


def interval(quality: Row) -> str:
    """A mean with its interval, in percent."""
    return f"{quality['mean'] * 100:.1f} % ({quality['low'] * 100:.1f} to {quality['high'] * 100:.1f})"


def points(share: float) -> str:
    """A difference of shares."""
    return f"{share * 100:.1f} points"


def ms(latency: Row | None) -> str:
    """The 95th percentile."""
    return "–" if latency is None or latency["p95"] is None else f"{latency['p95']:,.1f} ms"


def seconds(value: float | None) -> str:
    """A duration for a table."""
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 100 else minutes(value)


def minutes(value: float | None) -> str:
    """A duration in a sentence."""
    if value is None:
        return "–"
    return f"{value:.0f} seconds" if value < 100 else f"{value / 60:.1f} minutes"


MISSING = "*Not measured yet: `scripts/make_figures.py`.*"


def canary_delay() -> str:
    """How often twins are stopped, and how soon large faults are, on the smallest share of the benchmark."""
    found = figures("bench-canary")
    if not found:
        return MISSING
    share = min(row["share"] for row in found["rows"])
    rows = {row["fault"]: row for row in found["rows"] if row["share"] == share}
    twins = rows["twins"]
    late = [
        f"{name} after {rows[name]['delay_requests']:,.0f}"
        for name in ("twice as slow", "50 % slower", "5 points more errors", "15 points more declined")
    ]
    return (
        f"In {twins['trials']:,} simulated courses of {twins['requests']:,} requests with a canary on {share:.0%} of them, "
        f"twins were stopped in {twins['stopped'] * 100:.1f} % (95 % interval up to {twins['high'] * 100:.1f} %). "
        f"Large faults were always stopped; the median of the canary's own requests until then: {', '.join(late)}."
    )


BLOCKS: Mapping[str, Callable[[], str]] = {
    "bench-answer": bench("answer"),
    "bench-backtest": bench("backtest"),
    "bench-canary": bench("canary"),
    "bench-audit": bench("audit"),
    "bench-chunking": bench("chunking"),
    "canary-delay": canary_delay,
    "bench-curves": bench("curves"),
    "bench-data": bench("data"),
    "bench-durability": bench("durability"),
    "bench-finetune": bench("finetune"),
    "bench-freshness": bench("freshness"),
    "bench-gates": bench("gates"),
    "bench-labels": bench("labels"),
    "bench-money": bench("money"),
    "bench-lexical": bench_lexical,
    "bench-rag-tuned": bench("rag-tuned"),
    "bench-replay": bench("replay"),
    "bench-retrieval": bench("retrieval"),
    "bench-router": bench("router"),
    "bench-search": bench("search"),
    "bench-serving-form": bench("serving-form"),
    "bench-serve": bench("serve"),
    "bench-page": bench("page"),
    "bench-store": bench("store"),
    "bench-store-large": bench("store-large"),
    "bench-ingest": bench("ingest"),
    "bench-foresight": bench("foresight"),
    "bench-generate": bench("generate"),
    "bench-lora": bench("lora"),
    "bench-statistics": bench("statistics"),
    "bench-writer": bench("writer"),
    "decide": decide,
    "demo-answers": demo_answers,
    "demo-candidates": lambda: candidates(figures("demo")),
    "demo-components": demo_components,
    "demo-systems": demo_systems,
    "demo-times": demo_times,
    "public-candidates": public_candidates,
    "public-steps": public_steps,
    "tco": tco,
}
