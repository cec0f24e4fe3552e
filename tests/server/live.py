"""A server in processes of its own, as `steelyard serve` starts it; stopped surely."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

READY_S = 120.0
"""How long a server may take to start on a busy machine."""


@dataclass(frozen=True)
class Live:
    """A running server: its address, its first process, and what it writes."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop, wait until it has, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(READY_S)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def live_server(folder: Path, *, workers: int = 1) -> Iterator[Live]:
    """`steelyard serve` on a free port of this machine, ready to answer."""
    port, log = free_port(), folder.with_name(folder.name + ".log")
    command = [
        sys.executable,
        "-m",
        "steelyard",
        "-w",
        str(folder),
        "serve",
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    live = Live(url=f"http://127.0.0.1:{port}", process=process, log=log)
    try:
        _wait(live)
        yield live
    finally:
        if process.poll() is None:
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(READY_S)
        # Workers share the session of the first process; none may outlive the test.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(live: Live) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if live.process.poll() is not None:
            break
        try:
            if httpx.get(f"{live.url}/readyz", timeout=5.0).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{live.log.read_text(encoding='utf-8', errors='replace')}")
