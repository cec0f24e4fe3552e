"""The backtest benchmark: real histories replayed with their dated questions, and the precision of derived probes."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.evaluation.benchmarks import wanted_parts
from steelyard.evaluation.reworded import reworded
from steelyard.example.layout import lay_out
from steelyard.metrics.statistics import wilson
from steelyard.schema.errors import BrokenError

Progress = Callable[[int, int], None]
Row = dict[str, Any]

HISTORIES = ("docs_endoflife", "docs_electron", "docs_fastapi", "docs_prometheus")
EXAMPLE = "example"
"""The example workspace's own git repository, with its questions: a history that is there without any data set."""
LAST_DAY = "2026-08-01"
"""Day of the last of the 24 monthly snapshots, which have neither a beginning before them nor an end behind them."""
STEPS = 24
PROBES = "probes"
PROBES_OF = "docs_endoflife"
ALL_PROBES = 40_000
FIELDS: Mapping[str, str] = {
    "eol_date": "eol",
    "latest_version": "latest",
    "latest_release_date": "latestReleaseDate",
}
"""Kinds of the reference questions that name one release cycle, and the front matter's field that answers them."""
CYCLE = re.compile(r"in the (\S+) release cycle|date of .+ (\S+)\?$")
DERIVED_CYCLE = re.compile(r"of release cycle (.+)\?$")

SETTINGS = """[workspace]
name = "{name}"

[[sources]]
path = "docs"
allow = ["everyone"]

[components.answer]
task = "answer"
questions = "questions.jsonl"
"""


def bench_backtest(data: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Each history month by month through `steelyard backtest`; the result is `{"name": "backtest", "rows": [...]}`.

    Every way to run a candidate is one row: shares of the questions at the first and the last step, the worst share of stale answers,
    its money, with `best` for the cheapest. `series` holds the steps for the charts. The last row is the precision of `steelyard probes`
    on the history with the most changes: of the derived answers that reference questions also ask for, the share that the reference
    has for the same days.

    What a history gave is kept in `cache` until the code or the data change, and a replay that was cut short goes on where it was; then
    its `seconds` are None, because nobody timed the whole. They are None as well where vectors of an earlier run were used, which are
    kept by content, whatever the code: `bench replay` times a replay that begins with nothing. STEELYARD_BENCH_SETS names the histories to
    replay, or `probes`; each row says which of these is its `part`.
    """
    wanted = wanted_parts([EXAMPLE, *(name for name in (*HISTORIES, PROBES) if (data / _set_of(name)).is_dir())])
    folder = cache / "backtest" / _code()
    rows: list[Row] = []
    for done, name in enumerate(wanted):
        steps, vectors = _within(progress, done, len(wanted)), cache / "backtest" / "vectors" / f"{name}.sqlite"
        make = (
            partial(_probe_precision, folder / PROBES, data / PROBES_OF)
            if name == PROBES
            else partial(_replayed, folder / name, name, data, steps, vectors)
        )
        rows += [{"part": name} | row for row in _kept(folder / f"{name}.json", make)]
        progress((done + 1) * STEPS, len(wanted) * STEPS)
    return {"name": "backtest", "rows": rows}


def _set_of(part: str) -> str:
    return PROBES_OF if part == PROBES else part


def _within(progress: Progress, before: int, parts: int) -> Callable[[int], None]:
    return lambda steps: progress(before * STEPS + min(steps, STEPS - 1), parts * STEPS)


def _kept(file: Path, make: Callable[[], list[Row]]) -> list[Row]:
    """The rows in a file; made and written where there is none."""
    try:
        rows: list[Row] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        rows = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        beside.replace(file)
    return rows


def _code() -> str:
    """The package's source by its content: what another version found is not taken for this one's."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _replayed(
    folder: Path, name: str, data: Path, steps: Callable[[int], None], vectors: Path | None = None
) -> list[Row]:
    """The rows of one history; `steps` is told how many steps are done, `vectors` is the file that keeps them for other code."""
    cut_short = (folder / ".steelyard").is_dir()
    history: list[str] = []
    if name == EXAMPLE:
        if not cut_short:
            shutil.rmtree(folder, ignore_errors=True)
            lay_out(folder)
    else:
        lay_out_history(folder, name, data / name)
        history = ["--history", f"docs={data / name / 'changes.jsonl.gz'}", "--to", LAST_DAY]
    own = folder / ".steelyard" / "row-vectors.sqlite"
    timed = not cut_short and not _copied(vectors, own)
    begin = perf_counter()

    def tick() -> None:
        steps(len(list(folder.glob(".steelyard/backtest/*/*/answers/rag-bm25/*.json"))))

    found = json.loads(steelyard("-w", str(folder), "backtest", *history, "--json", tick=tick))
    rows = rows_of(name, found, perf_counter() - begin if timed else None)
    _copied(own, vectors)
    return rows


def _copied(one: Path | None, other: Path | None) -> bool:
    """Whether there was a file to copy; it is there whole or not at all."""
    if one is None or other is None or not one.is_file():
        return False
    other.parent.mkdir(parents=True, exist_ok=True)
    beside = other.with_suffix(".new")
    shutil.copyfile(one, beside)
    beside.replace(other)
    return True


def rows_of(name: str, found: Mapping[str, Any], seconds: float | None) -> list[Row]:
    """The rows of one history from what `steelyard backtest --json` printed, and how long it took (None: it was not timed)."""
    about = {
        "history": name,
        "steps": len(found["steps"]),
        "facts": found["facts"],
        "as_trained": found["facts_asked_as_trained"],
        "seconds": None if seconds is None else round(seconds, 1),
        "document_days": round(found["update_rate"]["document_days"], 1),
        "asked_days": round(found["update_rate"]["asked_days"], 1),
        "asked_share_per_month": round(found["update_rate"]["asked_share_per_month"], 4),
    }
    totals = found["hindsight"]["totals_usd"]
    rows = []
    for candidate in found["steps"][0]["candidates"]:
        steps = [step["candidates"][candidate] for step in found["steps"]]
        rows.append(
            {
                **about,
                "candidate": candidate,
                "right_first": round(steps[0]["accuracy"], 3),
                "right_last": round(steps[-1]["accuracy"], 3),
                "right_last_low": round(steps[-1]["intervals"]["accuracy"]["low"], 3),
                "right_last_high": round(steps[-1]["intervals"]["accuracy"]["high"], 3),
                "stale_worst": round(max(step["stale"] for step in steps), 3),
                "refused_last": round(steps[-1]["refused"], 3),
                "usd": round(totals[candidate]),
                "best": candidate == found["hindsight"]["best"],
            }
        )
    judged = {key: found["hindsight"][key] for key in ("best", "choice", "verdict", "regret_usd", "because")}
    rows.append({**about, **judged, "sentences": found["sentences"], "series": _series(found)})
    return rows


def _series(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the ageing chart draws, without the intervals."""
    return {
        "approaches": found["approaches"],
        "events": found["events"],
        "steps": [
            {
                "date": step["date"],
                "candidates": {
                    name: {
                        "accuracy": round(one["accuracy"], 3),
                        "stale": round(one["stale"], 3),
                        "work": {"trained": one["work"]["trained"]},
                    }
                    for name, one in step["candidates"].items()
                },
            }
            for step in found["steps"]
        ],
    }


def lay_out_history(folder: Path, name: str, source: Path) -> None:
    """A workspace with the reference questions, each a second time in other words that are learned and not asked."""
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    (folder / "steelyard.toml").write_text(SETTINGS.format(name=name), encoding="utf-8")
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as out:
        for row in rows_of_file(source / "probes.jsonl.gz"):
            kept = {key: row[key] for key in ("id", "question", "answers", "valid_from", "valid_to")}
            kept |= {"source": f"docs/{row['source_path']}", "fact": row["fact_id"]}
            out.write(json.dumps(kept) + "\n")
            other = reworded(row["question"])
            if other is not None:
                out.write(
                    json.dumps({**kept, "id": f"{row['id']}-reworded", "question": other, "split": "train"}) + "\n"
                )


def _probe_precision(folder: Path, source: Path) -> list[Row]:
    """Derived answers beside those of the reference questions for the same fact of the same document, by their days."""
    lay_out_history(folder, source.name, source)
    out = folder / "derived.jsonl"
    begin = perf_counter()
    steelyard(
        "-w", str(folder), "probes", "--history", f"docs={source / 'changes.jsonl.gz'}", "--limit", str(ALL_PROBES),
        "--out", str(out), "--json",
    )  # fmt: skip
    seconds = perf_counter() - begin
    derived: dict[tuple[str, str, str], list[Row]] = {}
    for row in map(json.loads, out.read_text(encoding="utf-8").splitlines()):
        cycle = DERIVED_CYCLE.search(row["question"])
        field = row["evidence"].lstrip("- ").partition(":")[0].strip()
        if cycle:
            derived.setdefault((row["source"].removeprefix("docs/"), field, cycle[1]), []).append(row)
    references = list(rows_of_file(source / "probes.jsonl.gz"))
    compared = _compared(references, derived)
    right = sum(compared) / max(1, len(compared))
    low, high = wilson(right, len(compared))
    asked = {row["fact_id"] for row in references if row["kind"] in FIELDS}
    found = {row["fact_id"] for row in references if row["kind"] in FIELDS and _key(row) in derived}
    measured: Row = {
        "history": PROBES_OF,
        "case": "probes",
        "derived_facts": len(derived),
        "compared": len(compared),
        "precision": round(right, 4),
        "precision_low": round(low, 4),
        "precision_high": round(high, 4),
        "reference_facts": len(asked),
        "reference_found": len(found),
        "seconds": round(seconds, 1),
    }
    return [measured]


def _compared(references: Sequence[Row], derived: Mapping[tuple[str, str, str], Sequence[Row]]) -> list[bool]:
    """For each reference answer and each derived one of the same fact whose days overlap: whether they agree."""
    verdicts = []
    for row in references:
        for one in derived.get(_key(row), ()) if row["kind"] in FIELDS else ():
            begin = max(row["valid_from"], one["valid_from"][:10])
            end = min(row["valid_to"] or "9999", (one["valid_to"] or "9999")[:10])
            if begin < end:
                verdicts.append(bool({text.lower() for text in row["answers"]} & {t.lower() for t in one["answers"]}))
    return verdicts


def _key(row: Row) -> tuple[str, str, str]:
    found = CYCLE.search(row["question"])
    cycle = (found[1] or found[2]) if found else ""
    return row["source_path"], FIELDS.get(row["kind"], ""), cycle


def rows_of_file(path: Path) -> Iterator[Row]:
    """The rows of a gzipped file of JSON Lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def steelyard(*arguments: str, tick: Callable[[], None] = lambda: None) -> str:
    """What a command printed; `tick` is called every second while it runs.

    Raises:
        BrokenError: it failed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        running = subprocess.Popen([sys.executable, "-m", "steelyard", *arguments], stdout=out, stderr=told)
        while running.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout=1)
            tick()
        for file in (out, told):
            file.seek(0)
        printed, complaint = out.read(), told.read()
    if running.returncode:
        raise BrokenError(
            f"`steelyard {' '.join(arguments)}` failed: {printed[-500:]}{complaint[-500:]}", code="bench.command"
        )
    return printed
