"""The API keeps what its OpenAPI document says, on requests that schemathesis makes up.

A few hundred here; `STEELYARD_API_CASES=10000` sends at least so many.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.live import Live, live_server
from steelyard.registry.keys import Keys
from steelyard.workspace import Workspace

CASES = int(os.environ.get("STEELYARD_API_CASES", "240"))
"""Generated requests, over all routes."""

CHECKS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 413, 422]
"""
"""A request that is wrong and too large as well may be refused for its size."""


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[tuple[Live, str]]:
    """The running server, and a key that may call every route."""
    _, token = Keys(Workspace(folder).state.keys).create("tester", groups=("staff",), roles=("ask", "operate"))
    with live_server(folder) as one:
        yield one, token


def test_no_generated_request_finds_a_difference_from_the_document(live: tuple[Live, str], tmp_path: Path) -> None:
    server, token = live
    document = httpx.get(f"{server.url}/openapi.json").json()
    described = [one for methods in document["paths"].values() for one in methods.values()]
    operations = len(described)
    varied = sum(1 for one in described if "requestBody" in one or one.get("parameters"))
    assert operations >= 10
    (tmp_path / "schemathesis.toml").write_text(CHECKS, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--seed", "7", "--no-color", "--continue-on-failure"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(CASES // varied + 1)),
        ],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
        cwd=tmp_path,
    )
    told = "\n".join(line[:400] for line in done.stdout.splitlines())
    assert done.returncode == 0, told[-12_000:] + done.stderr[-2000:]
    generated = re.search(r"(\d+) generated, (\d+) passed", told)
    assert generated is not None, told[-4000:]
    assert int(generated[1]) == int(generated[2]) >= CASES
    sys.stdout.write(f"{generated[1]} requests to {operations} routes, all as the document says\n")
