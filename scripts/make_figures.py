"""Runs what the docs quote and keeps the outcome in docs/figures; `make docs` then writes it into the pages.

`python scripts/make_figures.py demo DIR`     the example workspace: twice, then one question, one message; and every command's JSON keys
`python scripts/make_figures.py facts`        the README's `decide` and `tco`
`python scripts/make_figures.py public DIR`   the workspace from public data: build, check, ingest, train, weigh
`python scripts/make_figures.py bench NAME`   a benchmark

For benchmarks, STEELYARD_PEERS names the Python that has the peers of `store`, `ingest` and `serve`, and STEELYARD_MINUTES says how long
the soak of `serve` goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import docs_ageing
import make_public_workspace

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

QUESTION = "When do card takings reach my bank?"
MESSAGE = "money went out twice this morning"
DECIDE = ("--queries", "120k", "--updates", "weekly", "--behaviour", "facts", "--citations")
SCENARIO: Mapping[str, Any] = {"queries_per_month": 120000, "updates_per_year": 4}

CANDIDATE_KEYS = (
    "name", "approach", "feasible", "why_not", "measured", "quality", "latency_ms", "build_s", "refresh_s", "leaks", "error_rate",
    "handoff_rate",
)  # fmt: skip
COMPONENT_KEYS = (
    "task", "recommendation", "candidate", "confidence", "metric", "rows", "smallest_detectable_difference", "next_step",
)  # fmt: skip


def main() -> int:
    """Run one kind of figures; the exit code."""
    match sys.argv[1:]:
        case ["demo", folder]:
            demo(Path(folder))
        case ["facts"]:
            facts()
        case ["public", folder]:
            public(Path(folder))
        case ["bench", *names] if names:
            for name in names:
                peers = ("--peers", os.environ["STEELYARD_PEERS"]) if "STEELYARD_PEERS" in os.environ else ()
                minutes = os.environ.get("STEELYARD_MINUTES")
                more = (*peers, "--minutes", minutes) if minutes and name == "serve" else peers
                # Samples are texts of the data sets, which are no part of this repository.
                found = {key: value for key, value in steelyard("bench", name, *more).items() if key != "samples"}
                write(f"bench-{name}", beside_other_parts(name, found | machine()))
                if name == "backtest":
                    docs_ageing.draw(found["rows"], FIGURES.with_name("images"))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def beside_other_parts(name: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """A benchmark that runs part by part keeps the rows of the parts that did not run now; each row says when it was made."""
    if not any("part" in row for row in found["rows"]):
        return found
    made = {key: found[key] for key in ("day", "cores")}
    rows = [row | made for row in found["rows"]]
    ran = {row["part"] for row in rows}
    kept = [row for row in read(f"bench-{name}").get("rows", []) if "part" in row and row["part"] not in ran]
    return {**found, "rows": sorted([*kept, *rows], key=lambda row: row["part"])}


def demo(folder: Path) -> None:
    """A first and a second run of the example, and what it then answers."""
    first = {} if folder.exists() else timed("demo", str(folder))
    again = timed("demo", str(folder))
    at = ("-w", str(folder))
    corpus = steelyard(*at, "status")["corpus"]
    asked = steelyard(*at, "ask", QUESTION)
    routed = steelyard(*at, "route", MESSAGE)
    known = read("demo")
    write(
        "demo",
        {
            **machine(),
            "seconds": first.get("seconds", known.get("seconds")),
            "seconds_again": again["seconds"],
            "documents": corpus["documents"],
            "passages": corpus["passages"],
            **weighed(again["result"]),
            "ask": {"question": QUESTION, **without_ids(asked)},
            "route": {"message": MESSAGE, **routed},
        },
    )
    write("json-keys", {name: list(dict.fromkeys(keys(result))) for name, result in results(folder, again["result"])})


def results(folder: Path, report: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every command of the command tree that prints JSON, with what it prints."""
    at = ("-w", str(folder))
    yield "demo", report
    with tempfile.TemporaryDirectory() as beside:
        yield "init", steelyard("init", f"{beside}/own", "--docs", str(folder / "docs"))
        scenario = Path(beside) / "scenario.json"
        scenario.write_text(json.dumps(SCENARIO), encoding="utf-8")
        yield "tco", steelyard("tco", "--scenario", str(scenario))
    yield "decide", steelyard("decide", *DECIDE)
    yield "check", steelyard(*at, "check")
    yield "ingest", steelyard(*at, "ingest")
    yield "ask", steelyard(*at, "ask", QUESTION)
    yield "route", steelyard(*at, "route", MESSAGE)
    yield "train", steelyard(*at, "train")
    yield "weigh", report
    yield "versions", steelyard(*at, "versions")
    yield "status", steelyard(*at, "status")
    yield "quality", steelyard(*at, "quality")
    yield "bench", {"name": "", "rows": []}
    yield "prices list", steelyard("prices", "list")


def facts() -> None:
    """The README's two commands that need no data."""
    write("decide", steelyard("decide", *DECIDE))
    with tempfile.TemporaryDirectory() as beside:
        scenario = Path(beside) / "scenario.json"
        scenario.write_text(json.dumps(SCENARIO), encoding="utf-8")
        found = steelyard("tco", "--scenario", str(scenario))
    write("tco", {name: found[name] for name in ("break_even_queries_per_month", "totals_usd", "lines", "p_cheapest")})


def public(folder: Path) -> None:
    """The workspace from public data, step by step with seconds."""
    data = Path(os.environ.get("STEELYARD_SHARED", "../shared")) / "data"
    known = read("public-workspace")
    rows = make_public_workspace.build(folder, data) if not folder.exists() else known["made"]
    at = ("-w", str(folder))
    steps: dict[str, Any] = {name: timed(*at, name) for name in ("check", "ingest", "train", "weigh")}
    findings = [finding["code"] for finding in steps["check"]["result"]["findings"]]
    write(
        "public-workspace",
        {
            **machine(),
            "made": rows,
            "findings": {code: findings.count(code) for code in sorted(set(findings))},
            "passages": steelyard(*at, "status")["corpus"]["passages"],
            "seconds": {name: step["seconds"] for name, step in steps.items()},
            **weighed(steps["weigh"]["result"]),
        },
    )


def weighed(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the pages quote of a report."""
    components = {
        name: {
            **{key: one[key] for key in COMPONENT_KEYS},
            "candidates": [
                {key: candidate[key] for key in CANDIDATE_KEYS} | {"usd_total": candidate["usd"]["total"]}
                for candidate in one["candidates"]
            ],
        }
        for name, one in report["components"].items()
    }
    systems = {
        name: {key: one[key] for key in ("parts", "quality", "latency_ms", "leaks")}
        for name, one in report["systems"].items()
    }
    return {"components": components, "systems": systems, "horizon_months": report["inputs"]["horizon_months"]}


def without_ids(asked: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from run to run."""
    return {name: value for name, value in asked.items() if name not in ("trace_id", "component_trace")}


def keys(value: Any, prefix: str = "", depth: int = 3) -> Iterator[str]:
    """The keys of a JSON object as `a.b`; names that users give become NAME, items of a list `[]`."""
    if isinstance(value, Mapping) and depth:
        named = prefix in NAMED
        for key, one in value.items():
            name = "NAME" if named else key
            whole = f"{prefix}.{name}" if prefix else name
            inner = list(keys(one, whole, depth if named else depth - 1))
            yield from inner or [whole]
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield from keys(value[0], f"{prefix}[]", depth)
    elif prefix:
        yield prefix


NAMED = {
    "components", "systems", "components.NAME.candidates[].metrics", "components.NAME.holdout_uses", "inputs", "provenance", "totals_usd",
    "lines", "p_cheapest", "components.NAME.p_cheapest", "components.NAME.total_usd", "usd_per_query", "systems.NAME.parts",
    "systems.NAME.metrics", "mean_usd", "interval_usd", "regret_usd", "versions[].metrics", "components.NAME.curve.totals", "files",
}  # fmt: skip
"""Objects whose keys are names of a workspace, of approaches or of inputs."""


def steelyard(*words: str) -> Any:
    """The JSON of a command."""
    done = subprocess.run([sys.executable, "-m", "steelyard", *words, "--json"], stdout=subprocess.PIPE, check=False)
    # 1 is an answer, too: findings, a price to mend.
    if done.returncode not in (0, 1):
        raise SystemExit(f"steelyard {' '.join(words)}: exit code {done.returncode}")
    return json.loads(done.stdout)


def timed(*words: str) -> dict[str, Any]:
    """The JSON of a command, and its seconds."""
    begun = perf_counter()
    result = steelyard(*words)
    return {"seconds": round(perf_counter() - begun, 1), "result": result}


def machine() -> dict[str, Any]:
    """Where and when; the cores count because many run in parallel, the model of the processor does not."""
    threads: Sequence[str] = [os.environ["OMP_NUM_THREADS"]] if "OMP_NUM_THREADS" in os.environ else []
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "cores": int(threads[0])
        if threads
        else len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


def read(name: str) -> dict[str, Any]:
    """What an earlier run left."""
    path = FIGURES / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def write(name: str, value: Mapping[str, Any]) -> None:
    """Keep figures under their name."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False)
    (FIGURES / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"written: docs/figures/{name}.json")


if __name__ == "__main__":
    sys.exit(main())
