"""A real OpenAI-compatible server process on a model's folder: `transformers serve`, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from steelyard.schema.errors import MissingExtraError, ModelError

READY_S = 600.0
"""How long a slow machine may take to load libraries and model."""

COMMAND = "from transformers.cli.transformers import app; app()"


@contextmanager
def served_language_model(folder: Path, cache: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address (ending in /v1) and the process of a server of the model in `folder`; its name there is the folder's path.

    The server looks for nothing outside this machine; it takes its own folder `cache`, and one thread unless OMP_NUM_THREADS says more.

    Raises:
        MissingExtraError: `transformers serve` is not installed.
        ModelError: the server did not start.
    """
    if find_spec("transformers") is None or find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise MissingExtraError(
            "`transformers serve` is not installed.",
            remedy="Install it with: pip install 'transformers[serving]' torch.",
            code="bench.missing_extra",
        )
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    # The list of models reads the cache folder, which must be there.
    hub = cache / "hub"
    hub.mkdir(parents=True, exist_ok=True)
    place = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "error"]
    own = {"HF_HOME": str(cache), "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **own}
    log = cache / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", str(folder), *place], env=environment, stdout=out, stderr=out
        )
        try:
            _wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1", process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise ModelError(
        f"the server did not start: {said[0] if said else 'it said nothing'}",
        where=str(log),
        remedy="Run it alone to see why: transformers serve FOLDER.",
        code="bench.failed",
    )
