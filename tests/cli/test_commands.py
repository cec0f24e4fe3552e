"""The commands in a process of their own: JSON keys of the contract, exit codes, errors with codes, streams kept apart."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from steelyard.cli import tables
from steelyard.workspace import Workspace
from workspace.tiny import lay_out, replace_in, slimmed, steelyard, weigh, weighed_once

INTENT = {"task", "recommendation", "candidate", "confidence", "candidates", "reasons", "flips"}
CANDIDATE = {
    "name",
    "approach",
    "feasible",
    "measured",
    "quality",
    "latency_ms",
    "usd",
    "build_s",
    "refresh_s",
    "tokens",
}


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A weighed tool library that a test may change."""
    return Path(shutil.copytree(weighed_once(), tmp_path / "ready"))


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A tool library where nothing was done yet."""
    return slimmed(lay_out(tmp_path / "tool-library"))


def _json(done: subprocess.CompletedProcess[str], code: int = 0) -> dict[str, Any]:
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return steelyard("-w", str(folder), *arguments, **environment)


def test_weigh_prints_the_keys_of_the_contract_and_writes_three_files(ready: Path) -> None:
    found = _json(_run(ready, "weigh", "--json"))

    assert {"components", "systems", "files"} <= set(found)
    assert set(found["components"]) == {"intent", "answer", "reply"}
    for component in found["components"].values():
        assert {*INTENT, "smallest_detectable_difference"} <= set(component)
        for one in component["candidates"]:
            assert {*CANDIDATE, "leaks", "refusal_recall"} <= set(one)
            assert set(one["usd"]) >= {"per_query", "setup", "total"}
            assert set(one["tokens"]) >= {"in", "out"}
            if one["measured"]:
                assert set(one["quality"]) == {"metric", "mean", "low", "high", "n"}
                assert set(one["latency_ms"]) == {"p50", "p95"}
    assert set(found["systems"]) == {"pure_rag", "pure_fine_tune", "hybrid"}
    assert found["files"]["report"] == "report.html"
    assert found["files"]["record"] == "decision.md"
    for name in found["files"].values():
        assert (ready / name).is_file()


def test_ask_prints_the_keys_of_the_contract_and_its_citations_can_be_checked(ready: Path) -> None:
    found = _json(_run(ready, "ask", "How long is the loan period?", "--candidate", "rag-bm25", "--json"))

    wanted = {"answer", "abstained", "citations", "component_trace", "latency_ms", "cost_usd", "trace_id"}
    assert wanted <= set(found)
    assert "7 days" in found["answer"]
    for citation in found["citations"]:
        assert {"document", "version", "start", "end", "quote", "heading", "page", "copies"} <= set(citation)
        assert found["answer"][slice(*citation["supports"])] == citation["quote"]


def test_ask_shows_a_group_its_documents_and_nobody_else(ready: Path) -> None:
    question = ["ask", "Who has the spare key to the machine room?", "--candidate", "rag-bm25", "--json"]

    staff = _json(_run(ready, *question, "--group", "staff"))
    others = _json(_run(ready, *question, "--user", "eve", "--group", "guests"))

    assert "Odum" in staff["answer"]
    assert "Odum" not in json.dumps(others)
    assert "docs-staff" not in json.dumps(others)


def test_ask_takes_a_day_as_a_whole(ready: Path) -> None:
    today = Workspace(ready).status()["corpus"]["created"][:10]

    found = _json(_run(ready, "ask", "How long is the loan period?", "--as-of", today, "--json"))

    assert found["generation"] == 1


def test_route_prints_the_keys_of_the_contract(ready: Path) -> None:
    found = _json(_run(ready, "route", "What does it cost to be late?", "--candidate", "linear", "--json"))

    assert {"label", "probability", "out_of_scope", "candidate", "version"} <= set(found)
    assert (found["candidate"], found["version"]) == ("linear", 1)


def test_ingest_train_and_versions_print_the_keys_of_the_contract(fresh: Path) -> None:
    ingested = _json(_run(fresh, "ingest", "--json"))
    trained = _json(_run(fresh, "train", "intent/knn", "--json"))
    versions = _json(_run(fresh, "versions", "--json"))

    wanted = {"generation", "added", "updated", "deleted", "unchanged", "passages", "failed", "seconds"}
    assert wanted <= set(ingested)
    assert (ingested["generation"], ingested["added"], ingested["failed"]) == (1, 8, [])
    (version,) = trained["versions"]
    assert {"component", "candidate", "version", "dataset", "seconds", "metrics"} <= set(version)
    assert versions["versions"] == [version]


def test_check_prints_every_finding_and_exits_with_1_where_there_are_errors(fresh: Path) -> None:
    assert _json(_run(fresh, "check", "--json")) == {"findings": []}
    replace_in(fresh / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,")
    replace_in(fresh / "questions.jsonl", '"id": "q02"', '"id": "q01"')

    found = _json(_run(fresh, "check", "--json"), code=1)["findings"]

    assert all(set(one) == {"code", "severity", "file", "row", "field", "message", "remedy"} for one in found)
    assert [(one["file"], one["row"]) for one in found if one["severity"] == "error"] == [
        ("messages.csv", 46),
        ("questions.jsonl", 2),
    ]


def test_status_and_config_print_json(ready: Path) -> None:
    assert _json(_run(ready, "status", "--json"))["components"]["answer"]["recommended"]
    config = _json(_run(ready, "config", "--json"))
    assert (config["requirements"]["p95_ms"], config["economics"]["horizon_months"]) == (800.0, 24)


@pytest.mark.slow
def test_init_makes_a_workspace_around_files_that_stay_where_they_are(fresh: Path, tmp_path: Path) -> None:
    made = tmp_path / "elsewhere" / "made"
    arguments = [
        "--docs",
        fresh / "docs",
        "--examples",
        fresh / "messages.csv",
        "--questions",
        fresh / "questions.jsonl",
    ]

    found = _json(steelyard("init", str(made), *map(str, arguments), "--json"))
    again = _json(steelyard("init", str(made), "--json"), code=2)

    assert set(found) == {"workspace", "files"}
    assert "steelyard.toml" in found["files"]
    assert (fresh / "messages.csv").is_file()
    assert again["error"]["code"] == "init.exists"
    (made / "steelyard.toml").write_text((made / "steelyard.toml").read_text() + '\n[models]\nencoder = "fake"\n')
    assert _json(_run(made, "ingest", "--json"))["added"] == 5


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ask", "Anything?", "--candidate", "rag-bm52"], "workspace.unknown_candidate"),
        (["ask", "Anything?", "--generation", "99"], "corpus.unknown_generation"),
        (["ask", "Anything?", "--as-of", "1999-12-31"], "corpus.before_first"),
        (["train", "intnt"], "workspace.unknown_component"),
        (["weigh", "--component", "intnt"], "workspace.unknown_component"),
        (["bench", "rooter"], "bench.unknown"),
        (["weigh", "--bogus"], "cli.usage"),
        (["ask"], "cli.usage"),
        (["ask", "Anything?", "--as-of", "yesterday"], "cli.usage"),
        (["wiegh"], "cli.usage"),
    ],
)
def test_wrong_input_exits_with_2_and_an_error_in_json(ready: Path, arguments: list[str], code: str) -> None:
    found = _json(_run(ready, *arguments, "--json"), code=2)

    assert found["error"]["code"] == code
    assert set(found["error"]) == {"code", "message", "where", "remedy"}
    assert found["error"]["remedy"]


def test_wrong_input_without_json_is_told_on_stderr_alone(ready: Path) -> None:
    done = _run(ready, "train", "intnt")

    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'intent'?" in done.stderr
    assert "[workspace.unknown_component]" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_workspace_and_wrong_settings_exit_with_2(tmp_path: Path, fresh: Path) -> None:
    nowhere = _json(_run(tmp_path / "nowhere", "check", "--json"), code=2)
    replace_in(fresh / "steelyard.toml", "p95_ms", "p95_sm")
    wrong = _json(_run(fresh, "weigh", "--json"), code=2)

    assert nowhere["error"]["code"] == "config.no_workspace"
    assert wrong["error"]["code"] == "config.unknown_key"


def test_wrong_rows_stop_a_weigh_with_every_finding(fresh: Path) -> None:
    replace_in(fresh / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,")
    replace_in(fresh / "messages.csv", "tell me a joke,out_of_scope", ",out_of_scope")

    found = _json(_run(fresh, "weigh", "--json"), code=2)

    assert found["error"]["code"] == "dataset.invalid"
    assert [one["row"] for one in found["findings"] if one["severity"] == "error"] == [46, 110]


def test_what_should_hold_and_does_not_exits_with_3(ready: Path) -> None:
    for path in (ready / ".steelyard" / "models" / "intent" / "knn").glob("*/*.safetensors"):
        path.write_bytes(b"broken")

    found = _json(_run(ready, "route", "Anything?", "--candidate", "knn", "--json"), code=3)

    assert found["error"]["code"]
    assert found["error"]["remedy"]


@pytest.mark.slow
def test_a_file_that_cannot_be_written_exits_with_3_and_its_name(ready: Path) -> None:
    (ready / "report.html").unlink()
    (ready / "report.html").mkdir()

    found = _json(_run(ready, "weigh", "--json"), code=3)

    assert found["error"]["code"] == "steelyard.system"
    assert "report.html" in found["error"]["where"]


@pytest.mark.parametrize("text", ["[]", "{}", "not json"])
def test_a_decision_that_is_none_means_that_none_was_made(ready: Path, text: str) -> None:
    (ready / "decision.json").write_text(text, encoding="utf-8")

    assert _json(_run(ready, "status", "--json"))["next"] == ["steelyard weigh"]


def test_a_bug_exits_with_3_and_says_so_instead_of_looking_like_an_answer(fresh: Path, tmp_path: Path) -> None:
    # A module found before the package's own stands in for a bug in it.
    (tmp_path / "sitecustomize.py").write_text(
        "from steelyard.workspace import Workspace\nWorkspace.check = lambda *_: 1 / 0\n", encoding="utf-8"
    )

    done = _run(fresh, "check", "--json", PYTHONPATH=str(tmp_path))

    assert _json(done, code=3)["error"]["code"] == "steelyard.bug"
    assert "Traceback" in done.stderr


def test_results_go_to_stdout_and_progress_to_stderr(fresh: Path) -> None:
    done = _run(fresh, "train", "intent/knn")

    assert "knn" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("train: 1 in")
    assert "train:" not in done.stdout


@pytest.mark.slow
def test_a_second_weigh_says_what_was_not_done_again(ready: Path) -> None:
    done = _run(ready, "weigh")

    assert "Not done again" in done.stdout
    assert "majority, knn, linear" in done.stdout


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_tables_fit_the_terminal_and_cut_no_figure(columns: int) -> None:
    workspace = Workspace(weighed_once())
    report = weigh(weighed_once())
    out = Console(file=StringIO(), width=columns, no_color=True)

    tables.show_weighed(out, report, Path("."))
    tables.show_versions(out, workspace.versions())
    tables.show_status(out, workspace.status())

    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert "rag-bm25" in printed
    assert "…" not in printed
    assert max(len(line) for line in printed.splitlines()) <= columns


def test_a_table_that_is_too_wide_puts_the_approach_under_the_name_and_cuts_nothing() -> None:
    report = weigh(weighed_once())
    answer = next(one for one in report.components if one.name == "answer")
    renamed = replace(
        answer, candidates=tuple(replace(one, name=f"{one.name}-with-a-long-name") for one in answer.candidates)
    )
    out = Console(file=StringIO(), width=80, no_color=True)

    tables.show_weighed(out, replace(report, components=(renamed,)), Path("."))

    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert "closed-book-with-a" in printed
    assert "…" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "approach" not in printed.partition("refusals")[0]


def test_paths_and_settings_are_printed_whole_so_that_they_can_be_copied() -> None:
    out = Console(file=StringIO(), width=40, no_color=True)
    folder = Path("/a/folder/with/a/name/that/is/longer/than/the/terminal")

    tables.next_steps(out, folder)
    tables.show_settings(out, {"sources": [{"path": str(folder), "allow": ["everyone"], "deny": []}], "p95_ms": None})

    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert f"steelyard -w {folder} status" in printed
    assert f'sources[0].path = "{folder}"' in printed
    assert 'sources[0].allow = ["everyone"]' in printed
    assert "p95_ms = (not set)" in printed
