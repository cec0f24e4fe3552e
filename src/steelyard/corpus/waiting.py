"""Changes of a source that no ingest has looked at yet: found by the time stamps of files, without reading any."""

from __future__ import annotations

import os
from pathlib import Path

from steelyard.corpus.freshness import CLOCK_GRAIN_S
from steelyard.corpus.parsing import format_of

MOST_FILES = 50_000
"""Files that are looked at: some hundred milliseconds. What lies beyond is left to the next ingest."""


def waiting_since(top: Path, scanned_at: float) -> float | None:
    """When the oldest change of a document below `top` after `scanned_at` was made (both UTC seconds); None when there is none.

    A document that went shows in the time stamp of its folder. A file put there with an old time stamp is not seen; the next ingest
    finds it.
    """
    oldest: float | None = None
    seen = 0
    waiting = [top]
    while waiting and seen < MOST_FILES:
        folder = waiting.pop()
        try:
            stamps = [folder.stat().st_mtime] if folder.is_dir() else []
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif format_of(entry.name) is not None:
                        stamps.append(entry.stat().st_mtime)
        except OSError:
            continue
        fresh = [stamp for stamp in stamps if stamp > scanned_at + CLOCK_GRAIN_S]
        oldest = min([*fresh, *([] if oldest is None else [oldest])], default=None)
    return oldest
