"""A workspace being served in processes of its own, for the load benchmark."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from steelyard.schema.errors import BrokenError

WORKSPACE_VARIABLE = "STEELYARD_BENCH_WORKSPACE"
"""A weighed example workspace, where one is there already."""

READY_S = 180.0
STOP_S = 60.0

SERVE = """
[serve]
requests_per_minute = 0
"""


@dataclass(frozen=True, kw_only=True)
class ServedProcess:
    """A running server: its address, and the process that started its workers."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """The ids of the worker processes, by /proc, the elder first: of a single worker its own process; empty where there is no /proc."""
        found: list[tuple[int, int]] = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError):
                fields = status.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid and b"spawn_main" in (status.parent / "cmdline").read_bytes():
                    found.append((int(fields[19]), int(status.parent.name)))
        alone = [self.process.pid] if Path(f"/proc/{self.process.pid}").is_dir() else []
        return [worker for _, worker in sorted(found)] or alone

    def cpu_s(self) -> float:
        """Processor seconds that the workers have spent so far; 0 where /proc does not tell."""
        total = 0.0
        for worker in self.workers():
            with suppress(OSError):
                fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def memory_mb(self) -> tuple[dict[int, float], dict[int, float]]:
        """Megabytes by worker: what it shares with nobody else, and all that is resident; empty where /proc does not tell."""
        own: dict[int, float] = {}
        resident: dict[int, float] = {}
        for worker in self.workers():
            with suppress(OSError):
                lines = [one.split() for one in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()[1:]]
                held = {name: int(size) / 1024 for name, size, *_ in lines}
                own[worker] = sum(size for name, size in held.items() if name.startswith("Private_"))
                resident[worker] = held["Rss:"]
        return own, resident


def steelyard(*arguments: str) -> Any:
    """Run a command of ours in a process of its own and read its JSON.

    Raises:
        BrokenError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BrokenError(
            f"`steelyard {' '.join(arguments)}` failed: {(done.stdout + done.stderr)[-400:]}", code="bench.command"
        )
    return json.loads(done.stdout)


def example_workspace(folder: Path) -> Path:
    """The example workspace, weighed and released, without a limit of requests; made once, which takes minutes.

    WORKSPACE_VARIABLE names a weighed one to copy instead of making it.
    """
    done = folder / ".bench-ready"
    if not done.is_file():
        ready = os.environ.get(WORKSPACE_VARIABLE)
        if ready is None:
            steelyard("demo", str(folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(ready, folder)
        settings = folder / "steelyard.toml"
        told = settings.read_text(encoding="utf-8")
        settings.write_text(told if "[serve]" in told else told + SERVE, encoding="utf-8")
        steelyard("-w", str(folder), "release", "--force", "--why", "for the benchmark")
        done.touch()
    return folder


def new_key(folder: Path, *, groups: tuple[str, ...] = (), roles: tuple[str, ...] = ("ask",)) -> str:
    """A key of the workspace."""
    options = [part for name in groups for part in ("--group", name)] + [
        part for name in roles for part in ("--role", name)
    ]
    made = steelyard("-w", str(folder), "keys", "create", f"bench-{time.time_ns()}", *options)
    return str(made["token"])


def serve_command(folder: Path, workers: int) -> tuple[int, list[str]]:
    """A free port, and the command that serves the workspace on it."""
    port = free_port()
    command = [sys.executable, "-m", "steelyard", "-w", str(folder), "serve", "--port", str(port)]
    return port, [*command, "--workers", str(workers)]


@contextmanager
def served(folder: Path, workers: int) -> Iterator[ServedProcess]:
    """`steelyard serve` on a free port of this machine, ready to answer; stopped at the end."""
    port, command = serve_command(folder, workers)
    with running(command, f"http://127.0.0.1:{port}", "/readyz") as server:
        yield server


@contextmanager
def running(command: list[str], url: str, ready: str) -> Iterator[ServedProcess]:
    """A server's command, once it answers at `ready`; it and its children are gone at the end.

    Raises:
        BrokenError: it does not start.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        _wait(process, url + ready)
        yield ServedProcess(url=url, process=process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(URLError, OSError), urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise BrokenError("the server did not start.", where=url, code="bench.not_ready")
