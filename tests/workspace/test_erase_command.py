"""`erase` on a whole workspace: index, library, caches, runs and models; nothing below .steelyard holds the text afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.models.call_ledger import Call, CallLedger
from steelyard.schema.errors import NotFoundError
from steelyard.schema.feedback import Feedback
from steelyard.schema.generation import Completion, TokenUse
from steelyard.workspace import Workspace
from workspace.kept_corpus import STATE, copied, files
from workspace.tiny import steelyard

SENTINEL = "Quidnunc Zyxomma keeps the lathe manual behind the green cupboard"
OTHER = "größeÜberschwang heißt das Kennwort der Werkstatt seit dem Frühling"
QUESTION = "Who keeps the lathe manual behind the green cupboard?"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A workspace that has ingested a page with the sentinels, edited it, answered from it, and kept a run that quotes it."""
    folder = copied(tmp_path / "kept")
    page = folder / "docs" / "manual.md"
    page.write_text(f"# Manual\n\n{OTHER}.\n", encoding="utf-8")
    Workspace(folder).ingest()
    page.write_text(f"# Manual\n\n{SENTINEL}.\n", encoding="utf-8")
    Workspace(folder).ingest()
    run = files(folder, "runs/*.json")[0]
    record = json.loads(run.read_text(encoding="utf-8"))
    (folder / STATE / "runs" / "quoting.json").write_text(
        json.dumps({"of": record, "output": SENTINEL}), encoding="utf-8"
    )
    keep_generated_answer(folder)
    return folder


def keep_generated_answer(folder: Path) -> None:
    """As if a language model had answered with the sentinel, for two cents."""
    ledger = CallLedger(folder / STATE / "calls.sqlite")
    call = Call(
        key=b"k", generator="g", model="m", purpose="ask", characters=1, use=TokenUse(), seconds=1.0, usd=0.02, outcome="answered"
    )  # fmt: skip
    ledger.add(call, Completion(text=SENTINEL))
    ledger.close()


def holding(folder: Path) -> Iterator[str]:
    """The files below the state folder with a sentinel: as UTF-8, in both UTF-16s, and as JSON escapes it."""
    forms = [
        form
        for word in (SENTINEL, OTHER)
        for form in (word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"))
    ]
    forms += [json.dumps(OTHER)[1:-1].encode(), b"kennwort", b"zyxomma", b"Zyxomma"]
    for path in (folder / STATE).rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if any(form in data for form in forms):
            yield path.relative_to(folder / STATE).as_posix()


def answer(folder: Path, **more: object) -> str:
    return Workspace(folder).ask(QUESTION, candidate="rag-bm25", **more).answer


def test_nobody_is_answered_from_it_in_any_generation_and_no_file_holds_it(kept):
    number = Workspace(kept).generations()[-1].number
    assert "Zyxomma" in answer(kept)
    places = set(holding(kept))
    assert "runs/quoting.json" in places
    assert any(place.startswith("corpus.sqlite") for place in places)
    assert any(place.startswith("calls.sqlite") for place in places)
    assert any(place.startswith("index/") for place in places)
    done = Workspace(kept).erase(["docs/manual.md"], why="asked to")
    assert (done.documents, done.found) == (("docs/manual.md",), ())
    assert "runs/quoting.json" in done.runs
    assert list(holding(kept)) == []
    for past in range(1, number + 1):
        assert "Zyxomma" not in answer(kept, generation=past)
    assert "Zyxomma" not in answer(kept)
    assert Workspace(kept).doctor().healthy


def test_what_people_wrote_of_it_is_emptied_and_the_audit_stays_whole(kept):
    workspace = Workspace(kept)
    traces = [workspace.ask(QUESTION, candidate="rag-bm25").trace_id for _ in range(2)]
    parts = workspace._parts()
    common = {"number": 0, "at": "2026-01-01T00:00:00+00:00", "component": None, "versions": (), "caller": "k"}
    told = {"verdict": "wrong", "comment": f"It says:\n{SENTINEL}!", "answer": "By the door."}
    for trace, more in zip(traces, (told, {"verdict": "right", "comment": "Thank you."}), strict=True):
        parts.feedback.add(Feedback(request=trace, **common, **more))
    parts.requests.note(replace(parts.requests.get(traces[0]), id="f" * 32, text=SENTINEL.lower()))
    before = {name: one.entries for name, one in workspace.verify_audit().items()}
    assert any(place.startswith("feedback.sqlite") for place in holding(kept))
    done = workspace.erase(["docs/manual.md"])
    assert (done.texts, done.found) == (2, ())
    assert list(holding(kept)) == []
    assert [(one.verdict, one.comment, one.answer) for one in parts.feedback.all()] == [
        ("wrong", None, "By the door."),
        ("right", "Thank you.", None),
    ]
    assert parts.requests.get("f" * 32).text is None
    found = workspace.verify_audit()
    assert all(one.whole for one in found.values())
    assert all(found[name].entries >= count for name, count in before.items())
    # What is kept of the answers names the passages, and says nothing of them.
    assert parts.requests.get(traces[0]).candidate == "rag-bm25"


def test_a_question_kept_in_the_sealed_audit_is_named_with_what_to_do(kept):
    settings = kept / "steelyard.toml"
    settings.write_text(settings.read_text() + "\n[releases]\nkeep_questions = true\n")
    Workspace(kept).ask(f"Is it true that {SENTINEL}?", candidate="rag-bm25")
    done = Workspace(kept).erase(["docs/manual.md"])
    assert {place.partition("-")[0] for place in done.found} == {"audit.sqlite"}
    assert all(one.whole for one in Workspace(kept).verify_audit().values())


def test_it_does_not_come_back_under_any_name_until_it_is_lifted(kept):
    content = (kept / "docs" / "manual.md").read_bytes()
    Workspace(kept).erase(["docs/manual.md"])
    (kept / "docs" / "copy.md").write_bytes(content)
    report = Workspace(kept).ingest()
    assert [path for path, _ in report.failed] == ["docs/copy.md", "docs/manual.md"]
    assert all("erased" in reason for _, reason in report.failed)
    assert "Zyxomma" not in answer(kept)
    (kept / "docs" / "copy.md").unlink()
    Workspace(kept).lift_erasure(["docs/manual.md"], why="consent")
    assert Workspace(kept).ingest().added == 1
    assert "Zyxomma" in answer(kept)


def test_what_is_left_is_named(kept):
    done = Workspace(kept).erase(["docs/manual.md"])
    places = {one.place: one.why for one in done.left}
    assert "the source file itself" in places["docs/manual.md"]
    assert not any("in git" in place for place in places)


def test_models_that_saw_the_documents_are_listed_and_those_that_quote_them_removed(kept):
    Workspace(kept).train("answer")
    model = next(one for one in Workspace(kept).versions() if one.candidate == "closed-book")
    (kept / STATE / model.folder / "quote.json").write_text(json.dumps([SENTINEL]), encoding="utf-8")
    done = Workspace(kept).erase(["docs/manual.md"])
    assert done.models == (f"answer/closed-book@{model.version}",)
    assert not (kept / STATE / model.folder).exists()
    assert any(one.place.startswith("answer/rag-hybrid@") and "train it again" in one.why for one in done.left)


def test_patterns_and_hashes_and_a_dry_run(kept):
    version = Workspace(kept)._parts().toolbox.library.history("docs/manual.md")[-1].version
    dry = Workspace(kept).erase([version], dry_run=True)
    assert (dry.dry_run, dry.versions) == (True, (version,))
    assert "Zyxomma" in answer(kept)
    assert Workspace(kept).erase(["docs/man*"]).documents == ("docs/manual.md",)
    with pytest.raises(NotFoundError):
        Workspace(kept).erase(["docs/none.md"])


@pytest.mark.slow
def test_the_commands_say_what_they_did(kept):
    said = steelyard("-w", str(kept), "erase", "docs/manual.md", "--why", "asked to", COLUMNS="200")
    assert said.returncode == 0, said.stderr
    assert "erased: docs/manual.md" in said.stdout
    listed = json.loads(steelyard("-w", str(kept), "generations", "list", "--json").stdout)["generations"]
    assert [one["answers"] for one in listed].count(True) == 1
    first = str(listed[0]["number"])
    assert steelyard("-w", str(kept), "generations", "use", first).returncode == 0
    assert steelyard("-w", str(kept), "generations", "use", "999").returncode == 2
    assert json.loads(steelyard("-w", str(kept), "compact", "--dry-run", "--json").stdout)["dry_run"] is True
