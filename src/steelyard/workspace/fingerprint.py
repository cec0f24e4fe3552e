"""Hashes of what a result depends on, so that unchanged work is not done again."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

PARTS_OF_A_RESULT = ("candidates", "components", "dataset", "metrics", "models", "stores", "corpus")
"""Rooms whose code can change what a fit or a run gives."""


def fingerprint(**parts: Any) -> str:
    """SHA-256, in hex, of named JSON values; their order does not matter."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """SHA-256 of the code behind results: an edited candidate is fitted and measured again without a version bump."""
    package = Path(__file__).parents[1]
    whole = hashlib.sha256()
    for room in PARTS_OF_A_RESULT:
        for path in sorted((package / room).rglob("*.py")):
            whole.update(path.relative_to(package).as_posix().encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
