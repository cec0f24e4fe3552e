"""The pages of the docs, their code blocks, and a checkout to run them in."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

DEMO = "demo-workspace"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; `words` are those behind the fence: the language, then marks of ours."""

    words: tuple[str, ...]
    content: str
    line: int

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    return tuple(
        Block(words=tuple(token.info.split()), content=token.content, line=token.map[0] + 1)
        for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
        if token.type == "fence"
    )


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def is_slow(page: Path) -> bool:
    """Every command is a process of its own, half a second at the least."""
    return any(block.language == "bash" for block in blocks(page))


def needs_demo(page: Path) -> bool:
    return any(DEMO in block.content for block in blocks(page) if block.language in ("bash", "python"))


def checkout(folder: Path) -> Path:
    """A folder that looks like a checkout after `make install`: the commands of the docs run in it and leave nothing in this one."""
    for part in ("Makefile", "pyproject.toml", "README.md", "LICENSE", "src", "scripts", "docs"):
        (folder / part).symlink_to(ROOT / part)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".installed":
            (environment / part.name).symlink_to(part)
    (environment / ".installed").touch()
    return folder


MINUTES = 60
SHARED = Path(os.environ.get("STEELYARD_SHARED", ROOT.parent / "shared")).absolute()


def run_bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STEELYARD_SHARED": str(SHARED), "COLUMNS": "100", "NO_COLOR": "1"}
    # Inside a test `make test` would start itself.
    script = script.replace("make test", "make -n test")
    whole = f". .venv/bin/activate\n{script}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", whole],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20 * MINUTES,
        check=False,
    )
