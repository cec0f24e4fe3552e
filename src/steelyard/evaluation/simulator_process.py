"""A simulator of a language server in a process of its own, so that it takes no time from what is measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen

END_S = 60.0


@contextmanager
def simulated(module: str, *arguments: str) -> Iterator[str]:
    """The address (ending in /v1) of the simulator that `python -m module arguments` runs.

    It must print its port and end when its standard input is closed.
    """
    process = Popen([sys.executable, "-m", module, *arguments], stdin=PIPE, stdout=PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait(timeout=END_S)
        process.stdout.close()
