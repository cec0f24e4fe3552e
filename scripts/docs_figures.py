"""Blocks of figures inside written pages, filled from the JSON files that runs left in docs/figures.

A block stands between `<!-- numbers: NAME -->` and `<!-- end -->`; `BLOCKS` says which function writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
BLOCK = re.compile(r"(<!-- numbers: (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """`text` with every block written anew.

    Raises:
        KeyError: a block that no function writes.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found['name']]()}\n{found[3]}", text)


def figures(name: str) -> dict[str, Any]:
    """What the run of that name left; empty when it has not run yet."""
    path = FIGURES / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


BLOCKS: Mapping[str, Callable[[], str]] = {}
