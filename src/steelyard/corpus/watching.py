"""Follows the sources: says what in them may have changed, once for each burst of changes."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from steelyard.corpus.kept import Burst
from steelyard.corpus.parsing import format_of
from steelyard.corpus.sources import SourceRule

QUIET_MS = 50
"""A burst ends when nothing happened for this long: longer than an editor takes from its temporary file to the final name."""
LONGEST_BURST_MS = 3000
"""Of changes that never stop, what came so far is taken after this long."""
TICK_MS = 200
"""How often the single files beside the sources are looked at, and how soon a wish to end is heard."""
RESCAN_S = 60.0
"""All sources are looked at this often whatever was heard: events get lost when a queue overflows or another machine writes."""
UNDISTURBED_S = 3.0
"""That look waits until nothing was heard for this long, so that it is not between a change and its answer; but not for more than
LONGEST_RESCAN_S."""
LONGEST_RESCAN_S = 600.0
POLL_S = 2.0
"""How often the sources are looked at where the system cannot report changes."""
PATIENCE_S = 30.0
"""How long the first listening may take to begin: a folder tree is walked for it."""


class Watching:
    """The sources of a workspace and some single files beside them (`also`: settings, access rules; they need not exist).

    A context manager. The system's own reports are used where they work (inotify, FSEvents). Where they do not (a file system without
    them, too many folders), or when `poll_s` is given, the sources are looked at every `poll_s` seconds instead, and `polling` says so.
    It only says where something may have changed: the ingest that follows finds out what, and costs nothing when it was nothing. Where
    more than single documents may have (a folder came or went, rules, settings, reports that were missed), it says so.
    """

    def __init__(
        self, rules: Sequence[SourceRule], root: Path, also: Sequence[Path] = (), *, poll_s: float | None = None
    ) -> None:
        self.polling = poll_s is not None
        self._poll_s = POLL_S if poll_s is None else poll_s
        self._tops = [root / rule.path for rule in rules]
        self._also = tuple(also)
        self._ended = threading.Event()
        self._ready = threading.Event()
        self._changed = threading.Event()
        self._guard = threading.Lock()
        self._paths: set[str] | None = set()
        self._until = datetime.now(UTC)
        # A thread of its own keeps the system's queue empty while an ingest runs, and whatever comes then is one burst.
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen: no change from here on goes unheard."""
        self._thread.start()
        self._ready.wait(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the listening."""
        self._ended.set()
        self._thread.join()

    def wait(self, seconds: float) -> Burst | None:
        """What may have changed since the last call that said so, None when nothing did; waits up to `seconds` for it."""
        if not self._changed.wait(seconds):
            return None
        with self._guard:
            self._changed.clear()
            paths, self._paths = self._paths, set()
            return Burst(paths=None if paths is None else frozenset(paths), until=self._until)

    def _tell(self, paths: Iterable[str] | None) -> None:
        """Add paths to the burst that `wait` gives next; None for anything."""
        with self._guard:
            if paths is None or self._paths is None:
                self._paths = None
            else:
                self._paths.update(paths)
            self._changed.set()

    def _follow(self) -> None:
        while not self._ended.is_set():
            if self.polling:
                self._ready.set()
                if not self._ended.wait(self._poll_s):
                    self._tell(None)
                continue
            try:
                self._listen()
            except (OSError, RuntimeError):
                # No reports to be had here: limits of the system are told as OSError, the rest as a RuntimeError of the library.
                self.polling = True

    def _listen(self) -> None:
        """Hear reports until the folders themselves are other ones, then return to begin anew."""
        # Imported late: a compiled library that only a follower needs.
        from watchfiles import watch

        state, looked_at, heard_at = self._look(), time.monotonic(), 0.0
        folders = set(_folders(self._tops))
        if not folders:
            self._ready.set()
            self._ended.wait(TICK_MS / 1000)
            return
        # One watch a folder, not one for the tree: the library follows links, and one to `/` would take in the whole machine.
        # FSEvents knows no links, and watches trees only.
        trees = sys.platform == "darwin"
        heard = False
        for changes in watch(
            *(self._present() if trees else folders),
            watch_filter=None,
            debounce=LONGEST_BURST_MS,
            step=QUIET_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            stop_event=self._ended,
            raise_interrupt=False,
            recursive=trees,
            ignore_permission_denied=True,
        ):
            until = datetime.now(UTC)
            paths = {path for _, path in changes if not self._hidden(path)}
            now, clock = self._look(), time.monotonic()
            quiet = clock - heard_at > UNDISTURBED_S or clock - looked_at > LONGEST_RESCAN_S
            due = clock - looked_at > RESCAN_S and quiet
            fresh = any(path not in folders and os.path.isdir(path) for path in paths)
            if now != state or due or fresh or not paths.isdisjoint(folders):
                self._tell(None)
                looked_at = clock
            elif documents := [path for path in paths if format_of(path) is not None]:
                self._tell(documents)
                heard_at = clock
            with self._guard:
                self._until = until
            if fresh or now[0] != state[0]:
                return
            state = now
            if not heard:
                if self._ready.is_set():
                    self._tell(None)  # begun anew: what came between the two listenings was not heard
                heard = True
                self._ready.set()

    def _look(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What the top folders are (a folder that was replaced is another), and what the single files look like."""
        return (
            tuple(_identity(top, content=False) for top in self._tops),
            tuple(_identity(file, content=True) for file in self._also),
        )

    def _present(self) -> list[str]:
        return [str(top) for top in self._tops if top.exists()]

    def _hidden(self, path: str) -> bool:
        """Whether a path has a hidden part below its source, as `.git` is."""
        for top in self._tops:
            below = os.path.relpath(path, top)
            if not below.startswith(".."):
                return any(part.startswith(".") and part != "." for part in below.split(os.sep))
        return False


def _folders(tops: Iterable[Path]) -> Iterator[str]:
    """The folders of the sources, themselves included; links and hidden ones left out. Of a single file: the one it lies in."""
    waiting = [str(top if top.is_dir() else top.parent) for top in tops]
    while waiting:
        folder = waiting.pop()
        if os.path.isdir(folder):
            yield folder
        try:
            with os.scandir(folder) as entries:
                waiting += [
                    entry.path
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            continue


def _identity(path: Path, *, content: bool) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    place = (status.st_dev, status.st_ino)
    return (*place, status.st_size, status.st_mtime_ns, status.st_ctime_ns) if content else place
