from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from steelyard.config import load_settings
from steelyard.example import layout
from steelyard.example.history import commits
from steelyard.example.layout import DATA, lay_out
from steelyard.schema.errors import BrokenError, UserError

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "demo"
    lay_out(folder)
    return folder


def test_the_top_level_is_what_the_settings_name(example: Path) -> None:
    settings = load_settings(example)
    named = [source.path for source in settings.sources]
    for component in settings.components.values():
        named += [name for name in (component.examples, component.questions, component.neutral) if name]
    named += [settings.system.cases] if settings.system.cases else []
    assert all((example / name).exists() for name in named)
    assert lay_out(example) == sorted(
        path.name + "/" * path.is_dir() for path in example.iterdir() if path.name != ".git"
    )


def test_the_documents_of_today_are_eighty_six(example: Path) -> None:
    documents = [name for name in files_of(example) if name.startswith(("docs/", "docs-internal/"))]
    assert len(documents) == 86


@needs_git
def test_the_history_is_dated_over_two_years_and_written_by_the_authors(example: Path) -> None:
    dates = git(example, "log", "--format=%aI %cI").splitlines()
    history = list(commits(DATA))
    assert len(dates) == len(history)
    assert dates[-1].startswith("2024-11-04T09:30:00+00:00")
    assert [line.split()[0] for line in reversed(dates)] == [one.when.isoformat() for one in history]
    assert all(author == committer for author, committer in (line.split() for line in dates))
    assert (history[-1].when - history[0].when).days > 23 * 30
    assert all("@larkfield.example" in author for author in git(example, "log", "--format=%ae").splitlines())


@needs_git
def test_the_working_tree_is_clean_and_state_is_ignored(example: Path) -> None:
    assert git(example, "status", "--porcelain") == ""
    assert git(example, "check-ignore", ".steelyard/registry.sqlite").strip() == ".steelyard/registry.sqlite"


@needs_git
def test_every_layout_has_the_same_commits_whatever_the_users_git_does(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text(
        "[user]\n name = Somebody\n email = somebody@example.org\n[core]\n autocrlf = true\n[commit]\n gpgsign = true\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    again = tmp_path / "again"
    lay_out(again)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    assert git(again, "rev-parse", "HEAD") == git(example, "rev-parse", "HEAD")
    assert files_of(again) == files_of(example)


@needs_git
def test_the_repository_around_the_folder_is_not_touched(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    lay_out(tmp_path / "inside" / "demo")
    assert git(tmp_path, "rev-list", "--all", "--count").strip() == "0"


def test_without_git_the_documents_of_today_are_written(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout.shutil, "which", lambda _name: None)
    lay_out(tmp_path / "plain")
    assert not (tmp_path / "plain" / ".git").exists()
    assert files_of(tmp_path / "plain") == files_of(example)


def test_an_existing_example_is_left_as_it_is_edits_included(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    lay_out(folder)
    (folder / "docs" / "payouts.md").write_text("mine now\n", encoding="utf-8")
    (folder / "steelyard.toml").write_text(
        (folder / "steelyard.toml").read_text(encoding="utf-8").replace("120_000", "90_000"), encoding="utf-8"
    )
    before = files_of(folder)
    lay_out(folder)
    assert files_of(folder) == before


def test_a_folder_with_something_else_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.md").write_text("three years of work", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        lay_out(tmp_path)
    assert caught.value.code == "demo.folder_not_empty"
    assert files_of(tmp_path) == {"thesis.md": b"three years of work"}


def test_another_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "steelyard.toml").write_text('[workspace]\nname = "ours"\n', encoding="utf-8")
    with pytest.raises(UserError, match="not empty"):
        lay_out(tmp_path)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        lay_out(tmp_path / "demo")
    assert caught.value.code == "demo.not_a_folder"
    assert (tmp_path / "demo").read_text(encoding="utf-8") == "a file"


def test_an_empty_folder_and_a_broken_off_run_are_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (tmp_path / "demo.building").mkdir()
    (tmp_path / "demo.building" / "half.md").write_text("left over", encoding="utf-8")
    assert "docs/" in lay_out(folder)
    assert not (tmp_path / "demo.building").exists()
    assert not (folder / "half.md").exists()


def test_a_relative_folder_and_the_current_one_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "docs/" in lay_out(Path("demo"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert "docs/" in lay_out(Path())
    assert (tmp_path / "here" / "docs").is_dir()


def test_a_history_that_does_not_replay_is_named(tmp_path: Path) -> None:
    (tmp_path / "base" / "docs").mkdir(parents=True)
    (tmp_path / "base" / "docs" / "a.md").write_text("one one", encoding="utf-8")
    (tmp_path / "history-x.toml").write_text(
        '[[commit]]\ndate = 2025-01-06\nmessage = "m"\n[[commit.edit]]\npath = "docs/a.md"\nfind = "one"\nreplace = "two"\n',
        encoding="utf-8",
    )
    with pytest.raises(BrokenError, match="stands 2 times"):
        list(commits(tmp_path))
