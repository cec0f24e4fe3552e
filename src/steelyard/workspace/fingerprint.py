"""Hashes of what a result depends on, so that unchanged work is not done again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from steelyard.version import __version__

PARTS_OF_A_RESULT = ("candidates", "components", "dataset", "metrics", "models", "stores", "corpus")
"""Rooms whose code can change what a fit or a run gives."""

PARTS_OF_A_MEASUREMENT = (
    "evaluation/run.py",
    "evaluation/scoring.py",
    "evaluation/refresh.py",
    "evaluation/systems.py",
)
"""Code that asks and scores for `weigh`."""

PARTS_OF_A_REPLAY = tuple(
    f"evaluation/{name}.py" for name in ("ageing", "alone", "asking", "dated", "past_documents", "same_search")
)
"""Code that asks a replay's questions; how its answers are judged is not among it, for that is done anew each time."""

PACKAGE = Path(__file__).parents[1]


PARTS_IN_FILES = frozenset({".py", ".j2"})
"""Code, and prompts."""


def fingerprint(**parts: Any) -> str:
    """SHA-256, in hex, of named JSON values; their order does not matter."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@lru_cache(maxsize=8)
def code_fingerprint(*more: str) -> str:
    """SHA-256 of the code behind results: an edited candidate is fitted and measured again without a version bump.

    `more` are files of other rooms that a result follows from as well, by their path in the package.
    """
    whole = hashlib.sha256()
    rooms = (one for room in PARTS_OF_A_RESULT for one in sorted((PACKAGE / room).rglob("*")))
    for path in (*(one for one in rooms if one.suffix in PARTS_IN_FILES), *(PACKAGE / name for name in more)):
        whole.update(path.relative_to(PACKAGE).as_posix().encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


@lru_cache(maxsize=1)
def code_version() -> str:
    """The package's version, the hash of the code behind results, and the commit where the package runs from a checkout.

    `0.1.0+5f2c...` installed, `0.1.0+5f2c....g1a2b3c4d5e6f` from a checkout, with `.changed` behind it where files differ from the commit.
    """
    return f"{__version__}+{code_fingerprint()}{_commit()}"


def _commit() -> str:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=False, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed package may lie inside somebody else's repository, whose commit says nothing of it.
    if git("ls-files", "--error-unmatch", "version.py") is None:
        return ""
    commit = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return "" if commit is None else f".g{commit}{'.changed' if changed else ''}"
