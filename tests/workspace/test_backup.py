"""Backup and restore: the same answers, versions, rules and proofs come back, and nothing that was erased does so unseen."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import threading
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.schema.errors import IdentityError, NotFoundError, StoreError, UserError
from steelyard.schema.progress import silent
from steelyard.workspace import Workspace
from steelyard.workspace.restoring import restore_backup
from workspace.tiny import rows


@pytest.fixture
def lived(weighed: Path) -> Workspace:
    """A workspace with a release, keys, answers on record, rules that an operator said, and a second generation."""
    settings = weighed / "steelyard.toml"
    settings.write_text(settings.read_text() + "\n[releases]\nkeep_questions = true\n")
    workspace = Workspace(weighed)
    workspace.release(why="first", force=True)
    workspace.keys().create("helpdesk", user="ada", groups=["staff"])
    for one in rows(weighed / "questions.jsonl")[:2]:
        workspace.ask(one["question"], groups=["staff"])
    document = next(iter(workspace.access().show(None)))
    workspace.access().say(document, "user:eve", "deny", why="left")
    first = sorted((weighed / "docs").rglob("*.md"))[0]
    first.write_text(first.read_text() + "\nA line that came later.\n")
    workspace.ingest()
    return workspace


def restored(workspace: Workspace, tmp_path: Path, name: str = "restored", **more) -> Workspace:
    file = tmp_path / f"{name}.backup"
    if not file.exists():
        workspace.backup(file)
    restore_backup(file, tmp_path / name, silent, **more)
    return Workspace(tmp_path / name)


def standing(workspace: Workspace) -> dict[str, object]:
    """Everything that must be equal after a restore."""
    questions = [one["question"] for one in rows(workspace.folder / "questions.jsonl")[:4]]
    asked = [workspace.ask(text, groups=["staff"]) for text in questions]
    heads = {name: one.head for name, one in workspace.verify_audit().items() if name != "answers"}
    return {
        "answers": [(one.answer, one.citations, one.version, one.generation, one.release) for one in asked],
        "passages": [one.component_trace[0]["passages"] for one in asked],
        "versions": [one.to_json() for one in workspace.versions()],
        "releases": [one.to_json() for one in workspace.releases()],
        "access": workspace.access().show(None),
        "keys": [one.to_json() for one in workspace.keys().all()],
        "generations": [one.to_json() for one in workspace.generations()],
        "heads": heads,
    }


def test_what_comes_back_is_equal_to_what_went_in(lived: Workspace, tmp_path: Path) -> None:
    answers = lived.verify_audit()["answers"]
    file = tmp_path / "one.backup"
    done = lived.backup(file)
    told = restore_backup(file, tmp_path / "restored", silent, expect=done.head)
    again = Workspace(tmp_path / "restored")
    assert again.verify_audit()["answers"] == answers
    assert all(one.whole for one in again.verify_audit().values())
    assert [one.hash for one in again.answers(99)] == [one.hash for one in lived.answers(99)]
    newest = lived.answers(1)[0].evidence["trace_id"]
    assert again.replay(newest).same_passages is True
    assert standing(again) == standing(lived)
    assert (told.generation, told.release, told.head) == (2, 1, done.head)
    assert told.passages == lived.generations()[-1].passages


def test_a_key_goes_on_counting_and_sessions_end(lived: Workspace, tmp_path: Path) -> None:
    _, token = lived.keys().create("bot")
    _, gone = lived.keys().create("gone")
    lived.keys().revoke("gone")
    (lived.state.private / "session.key").write_bytes(b"x" * 32)
    again = restored(lived, tmp_path)
    assert again.keys().identify(token).name == "bot"
    with pytest.raises(IdentityError):
        again.keys().identify(gone)
    assert not again.state.session_secret.exists()
    if os.name == "posix":
        assert stat.S_IMODE(again.state.private.stat().st_mode) == 0o700
        assert stat.S_IMODE(again.state.keys.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "restored.backup").stat().st_mode) == 0o600


def test_nothing_is_written_over(lived: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "one.backup"
    lived.backup(file)
    before = file.read_bytes()
    with pytest.raises(UserError, match="exists"):
        lived.backup(file)
    assert file.read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for folder in (tmp_path / "full", lived.folder):
        with pytest.raises(UserError, match="something already"):
            restore_backup(file, folder, silent)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    restore_backup(file, tmp_path / "empty", silent)


def test_any_damage_is_found_and_leaves_nothing_behind(lived: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "one.backup"
    lived.backup(file)
    whole, draw = file.read_bytes(), random.Random(7)
    broken = tmp_path / "broken.backup"
    for number in range(24):
        damaged = bytearray(whole)
        if number % 4 == 0:
            damaged = damaged[: draw.randrange(len(whole))]
        else:
            damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        broken.write_bytes(damaged)
        try:
            restore_backup(broken, tmp_path / "from-broken", silent)
        except StoreError as error:
            assert error.code == "restore.damaged"  # noqa: PT017 - not every flipped bit is damage
            assert not (tmp_path / "from-broken").exists()
        else:
            # A bit of the archive's own bookkeeping, such as a time: every file is still what the manifest says.
            shutil.rmtree(tmp_path / "from-broken")
    assert not list(tmp_path.glob("*.restoring"))


def repacked(file: Path, target: Path, change) -> None:
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        held = {name: old.read(name) for name in old.namelist()}
        for name, data in change(held).items():
            new.writestr(name, data)


def test_a_backup_that_was_changed_on_purpose_is_found(lived: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "one.backup"
    done = lived.backup(file)

    def edited(held):
        return {**held, "steelyard.toml": held["steelyard.toml"] + b"\n"}

    def added(held):
        return {**held, "docs/evil.md": b"evil"}

    def taken(held):
        return {name: data for name, data in held.items() if not name.endswith("audit.sqlite")}

    def outside(held):
        manifest = json.loads(held["manifest.json"])
        manifest["files"].append({"path": "../evil.md", "sha256": hashlib.sha256(b"evil").hexdigest()})
        return {**held, "../evil.md": b"evil", "manifest.json": json.dumps(manifest).encode()}

    for change in (edited, added, taken, outside):
        target = tmp_path / f"{change.__name__}.backup"
        repacked(file, target, change)
        with pytest.raises(StoreError) as caught:
            restore_backup(target, tmp_path / "to", silent)
        assert caught.value.code == "restore.damaged", change
    assert not (tmp_path.parent / "evil.md").exists()
    assert not (tmp_path / "evil.md").exists()
    # Somebody who makes the manifest anew is found by the head that was kept elsewhere.
    with pytest.raises(StoreError, match="expected"):
        restore_backup(file, tmp_path / "to", silent, expect="0" * 64)
    restore_backup(file, tmp_path / "to", silent, expect=done.head)


def test_no_backup_is_made_of_a_history_that_is_not_whole(lived: Workspace, tmp_path: Path) -> None:
    connection = sqlite3.connect(lived.state.audit)
    with connection:
        connection.execute("DROP TRIGGER answers_no_update")
        connection.execute("UPDATE answers SET who = 'eve' WHERE number = 1")
    connection.close()
    with pytest.raises(StoreError, match="not whole"):
        lived.backup(tmp_path / "one.backup")
    assert list(tmp_path.glob("*.backup*")) == []
    assert list(tmp_path.glob(".backup-*")) == []


def test_what_was_erased_later_is_told_and_can_be_erased_again(lived: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "before.backup"
    lived.backup(file)
    document = sorted(path for path in lived.access().show(None))[0]
    report = lived.erase([document], why="asked for")
    assert any("before.backup" in one.place for one in report.left)
    lived.export_audit(tmp_path / "audit.jsonl")

    told = restore_backup(file, tmp_path / "unaware", silent)
    assert "erased after that is in it again" in told.warning
    assert Workspace(tmp_path / "unaware").access().show(document)[document].allow

    for number, source in enumerate((lived.folder, lived.state.control, tmp_path / "audit.jsonl")):
        told = restore_backup(file, tmp_path / f"aware-{number}", silent, erasures=source)
        assert document in told.erased_again
        assert "erased after" not in told.warning
        again = Workspace(tmp_path / f"aware-{number}")
        assert again.access().show(document)[document].allow == ()
        assert again.verify_audit()["access"].whole
        with pytest.raises(NotFoundError):
            again._parts().toolbox.library.version(document, report.versions[0])
    with pytest.raises(UserError, match="nothing there"):
        restore_backup(file, tmp_path / "no", silent, erasures=tmp_path / "nowhere")
    assert not (tmp_path / "no").exists()


def test_a_backup_that_is_younger_than_an_erasure_does_not_hold_it(lived: Workspace, tmp_path: Path) -> None:
    document = sorted(path for path in lived.access().show(None))[0]
    lived.erase([document], why="asked for")
    again = restored(lived, tmp_path)
    assert again.access().show(document)[document].allow == ()


def test_backups_made_while_documents_change_and_questions_are_answered_are_each_whole(
    lived: Workspace, tmp_path: Path
) -> None:
    stop, failures = threading.Event(), []
    question = rows(lived.folder / "questions.jsonl")[0]["question"]
    first = sorted((lived.folder / "docs").rglob("*.md"))[0]

    def busy() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                first.write_text(f"{first.read_text()}\nLine {number}.\n")
                Workspace(lived.folder).ingest()
                Workspace(lived.folder).ask(question, groups=["staff"])
            except Exception as error:
                failures.append(error)
                return

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        for number in range(4):
            lived.backup(tmp_path / f"{number}.backup")
    finally:
        stop.set()
        worker.join(timeout=120)
    assert failures == []
    for number in range(4):
        told = restore_backup(tmp_path / f"{number}.backup", tmp_path / str(number), silent)
        again = Workspace(tmp_path / str(number))
        assert again.ask(question, groups=["staff"]).generation == told.generation
        assert all(one.whole for one in again.verify_audit().values())


def test_the_commands_say_what_is_in_and_what_is_not(lived: Workspace, tmp_path: Path) -> None:
    runner = CliRunner()
    file = tmp_path / "one.backup"
    done = runner.invoke(app, ["-w", str(lived.folder), "backup", str(file), "--documents", "--json"])
    told = json.loads(done.stdout)
    assert told["left_out"] == []
    assert told["bytes"] == file.stat().st_size
    back = runner.invoke(app, ["restore", str(file), str(tmp_path / "to"), "--expect", told["head"]])
    assert back.exit_code == 0, back.output
    assert "erased after that" in back.output.replace("\n", " ")
    assert (tmp_path / "to" / "docs").is_dir()
    assert Workspace(tmp_path / "to").ingest().deleted == 0
    plain = runner.invoke(app, ["-w", str(lived.folder), "backup", str(tmp_path / "two.backup")])
    assert "not in it: the documents of docs" in plain.output
