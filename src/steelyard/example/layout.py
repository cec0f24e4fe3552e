"""Lays the example workspace out in a folder, as a git repository with dated commits."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from steelyard.example.history import Commit, commits
from steelyard.schema.errors import BrokenError, UserError

DATA = Path(__file__).parent / "data"

PLAIN_FILES = ("tickets.csv", "replies.jsonl", "neutral.jsonl", "cases.jsonl", "style-guide.md")
"""Files that are copied as they are."""

MARKER = 'name = "larkfield-support"'


def lay_out(folder: Path) -> list[str]:
    """Write the example workspace into `folder` (made when absent); returns the files of its top level.

    A folder that already holds the example is left as it is, edits included. Needs git for the documents' history; without it
    the documents of today are written and the history is left out.

    Raises:
        UserError: the folder is a file, or is not empty and not the example workspace.
    """
    folder = folder.resolve()
    settings = folder / "steelyard.toml"
    if settings.is_file() and MARKER in settings.read_text(encoding="utf-8"):
        return _top(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(
            "there is a file of that name.",
            where=str(folder),
            remedy="Name a new folder: `steelyard demo DIR`.",
            code="demo.not_a_folder",
        )
    if folder.exists() and any(folder.iterdir()):
        raise UserError(
            "the folder is not empty.",
            where=str(folder),
            remedy="Name a new folder: `steelyard demo DIR`.",
            code="demo.folder_not_empty",
        )
    # Built beside and renamed, so that an interrupted run leaves no half workspace behind.
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    history = list(commits(DATA))
    last = _with_examples(history[-1])
    if shutil.which("git"):
        _write_repository(building, [*history[:-1], last])
    else:
        _write_files(building, last.files)
    _move(building, folder)
    return _top(folder)


def _move(building: Path, folder: Path) -> None:
    if not folder.exists():
        building.rename(folder)
        return
    # The folder itself stays: it may be where the user stands. The settings come last, so that they mean "whole".
    for child in sorted(building.iterdir(), key=lambda path: path.name == "steelyard.toml"):
        child.rename(folder / child.name)
    building.rmdir()


def questions() -> list[str]:
    """The question rows of both authors, one JSON object a line."""
    lines: list[str] = []
    for path in sorted(DATA.glob("questions-*.jsonl")):
        lines += [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return lines


def _with_examples(last: Commit) -> Commit:
    files = dict(last.files)
    files["steelyard.toml"] = (DATA / "steelyard.toml").read_bytes()
    files["questions.jsonl"] = ("\n".join(_question(line) for line in questions()) + "\n").encode("utf-8")
    files[".gitignore"] = b".steelyard/\n"
    for name in PLAIN_FILES:
        files[name] = (DATA / name).read_bytes()
    return Commit(when=last.when, author=last.author, message=last.message, files=files)


def _question(line: str) -> str:
    # `hidden` is a note to the authors: the answer stands where the asker may not look.
    row = json.loads(line)
    row.pop("hidden", None)
    return json.dumps(row, ensure_ascii=False)


def _top(folder: Path) -> list[str]:
    return sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir() if path.name != ".git")


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _write_repository(folder: Path, history: list[Commit]) -> None:
    # One `git fast-import`: no hook, no user setting and no clock takes part, so every layout has the same commit ids.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command, stdin in (
        (["git", "init", "-q", "-b", "main"], None),
        (["git", "fast-import", "--quiet"], b"".join(_stream(history))),
        (["git", "reset", "-q", "--hard", "main"], None),
    ):
        done = subprocess.run(command, cwd=folder, input=stdin, env=clean, capture_output=True, check=False)
        if done.returncode:
            raise BrokenError(
                f"git could not write the example's history: {done.stderr.decode(errors='replace').strip()}",
                where=str(folder),
                remedy="Check that git works there: git init.",
                code="demo.git_failed",
            )


def _stream(history: list[Commit]) -> Iterator[bytes]:
    for number, commit in enumerate(history):
        author = re.sub(r"[\n]", " ", commit.author)
        stamp = f"{int(commit.when.timestamp())} +0000"
        message = commit.message.encode("utf-8")
        yield b"commit refs/heads/main\n"
        yield f"author {author} {stamp}\ncommitter {author} {stamp}\n".encode()
        yield f"data {len(message)}\n".encode() + message + b"\n"
        before = history[number - 1].files if number else {}
        for name in before:
            if name not in commit.files:
                yield f"D {name}\n".encode()
        for name, content in commit.files.items():
            if before.get(name) != content:
                yield f"M 100644 inline {name}\ndata {len(content)}\n".encode() + content + b"\n"
