"""A real OpenAI-compatible server process on a local folder: `transformers serve`, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

READY_S = 180.0  # how long a slow machine may take to load libraries and model


@contextmanager
def served_model(folder, cache):
    """The address (ending in /v1) and the process of a server of the model in `folder`; its name there is the folder's path."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    # The list of models reads the cache folder, which must be there.
    hub = cache / "hub"
    hub.mkdir(parents=True, exist_ok=True)
    command = "from transformers.cli.transformers import app; app()"
    arguments = [
        "serve",
        str(folder),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
        "--log-level",
        "error",
    ]
    env = {**os.environ, "HF_HOME": str(cache), "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = cache / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", command, *arguments], env=env, stdout=out, stderr=out)
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


def _wait_until_ready(process, url, log):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
