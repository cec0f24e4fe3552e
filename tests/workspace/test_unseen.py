"""To an asker, a document that is forbidden and one that was never written are the same; revocations reach open workspaces."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from steelyard.corpus.library import Library
from steelyard.schema.errors import SteelyardError
from steelyard.schema.scope import Scope
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from workspace.tiny import slimmed

FILES = Path(__file__).parent / "tool_library"
QUESTIONS = ("Who has the spare key to the machine room?", "How long is the loan period?", "xylophone", "")
CANDIDATES = ("rag-bm25", "rag-hybrid")
OWN = ("latency_ms", "cost_usd", "trace_id")
"""What differs from call to call whoever asks."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same workspace twice: one holds documents that are closed, in the other they were never written."""
    root = tmp_path_factory.mktemp("unseen")
    made = []
    for name in ("closed", "absent"):
        folder = slimmed(Path(shutil.copytree(FILES, root / name)))
        if name == "absent":
            for path in (folder / "docs-staff").iterdir():
                path.write_text("Nothing of interest.\n" if path.name == "till.md" else "Nor here.\n")
        workspace = Workspace(folder)
        workspace.ingest()
        workspace.train("answer")
        made.append(folder)
    # The same fitted candidates on both sides: what is compared is what an asker sees, not what a fit learned.
    shutil.copytree(made[0] / ".steelyard" / "models", made[1] / ".steelyard" / "models", dirs_exist_ok=True)
    shutil.copy(made[0] / ".steelyard" / "registry.sqlite", made[1] / ".steelyard" / "registry.sqlite")
    absent = made[1]
    shutil.rmtree(absent / "docs-staff")
    (absent / "docs-staff").mkdir()
    Workspace(absent).ingest()
    return made[0], absent


def told(folder: Path, question: str, candidate: str, **how: object) -> str:
    """Everything an asker gets, errors included."""
    try:
        answer = Workspace(folder).ask(question, user="eve", groups=["visitors"], candidate=candidate, **how).to_json()
    except SteelyardError as error:
        return json.dumps(error.to_json())
    kept = {key: value for key, value in answer.items() if key not in (*OWN, "generation", "release")}
    return json.dumps(kept, sort_keys=True)


@pytest.mark.slow
@pytest.mark.parametrize("candidate", CANDIDATES)
def test_an_answer_is_the_same_to_the_letter_where_closed_documents_were_never_written(pair, candidate: str) -> None:
    closed, absent = pair
    for question in QUESTIONS:
        assert told(closed, question, candidate) == told(absent, question, candidate)


@pytest.mark.slow
def test_reading_and_citing_a_closed_document_is_told_as_for_an_absent_one(pair) -> None:
    closed, _ = pair
    workspace = Workspace(closed)
    library = Parts(closed, workspace.settings, workspace.state).toolbox.library
    secret = next(one for one in library.versions(1) if one.document.startswith("docs-staff/"))
    said = []
    for document, version in ((secret.document, secret.version), (secret.document, "0" * 64), ("no/such.md", "0" * 64)):
        with pytest.raises(SteelyardError) as caught:
            library.read(document, version, Scope(user="eve"))
        said.append(str(caught.value).replace(document, "D").replace(version[:12], "V"))
    assert len(set(said)) == 1
    library.close()


@pytest.mark.slow
def test_a_closed_document_is_not_read_to_say_that_there_is_none(pair, monkeypatch) -> None:
    """Else the time would tell of it: unpacking a megabyte took half a second, and saying that nothing is there no time at all."""
    closed, _ = pair
    workspace = Workspace(closed)
    library = Parts(closed, workspace.settings, workspace.state).toolbox.library
    held = {one.document: one.version for one in library.versions(1)}
    read: list[str] = []
    stored = Library._stored
    monkeypatch.setattr(Library, "_stored", lambda self, *which: read.append(which[0]) or stored(self, *which))
    for document, version in (*held.items(), ("no/such.md", "0" * 64)):
        with contextlib.suppress(SteelyardError):
            library.read(document, version, Scope(user="eve"))
    assert read == [name for name in held if not name.startswith("docs-staff/")] != []
    library.close()


@pytest.mark.slow
def test_a_revocation_by_another_process_counts_from_the_next_question_of_an_open_workspace(pair) -> None:
    closed, _ = pair
    workspace = Workspace(closed)
    parts = Parts(closed, workspace.settings, workspace.state)
    from steelyard.schema.outputs import Request

    answerer = parts.training.load(parts.registry.get("answer", "rag-bm25"))
    staff = Scope(groups=frozenset({"staff"}))
    shown = lambda: {hit.passage.document for hit in answerer.predict(Request(text=QUESTIONS[0]), staff).hits}  # noqa: E731
    assert "docs-staff/keys.txt" in shown()
    Workspace(closed).access().say("docs-staff/**", "staff", "deny", why="closed for the audit")
    assert not {name for name in shown() if name.startswith("docs-staff/")}
    Workspace(closed).access().reset("docs-staff/**", "staff")
    assert "docs-staff/keys.txt" in shown()
    parts.toolbox.close()
