"""Processes that answer the same questions in turn: one line of JSON in, one line out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TOKENIZERS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


class Contender:
    """A process that was started with `words` and has said that it is ready.

    `ready` is what it said; `start_s` the seconds from its start until then. Its libraries may use `threads` threads. Without a
    process (its libraries are missing) `missing` says why.
    """

    def __init__(self, name: str, words: Sequence[str | Path], threads: int) -> None:
        self.name = name
        begin = perf_counter()
        quiet = {
            "TOKENIZERS_PARALLELISM": "false",
            "ANONYMIZED_TELEMETRY": "false",
            "HAYSTACK_TELEMETRY_ENABLED": "false",
        }
        threaded = dict.fromkeys(THREAD_VARIABLES, str(threads))
        self._process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **threaded, **quiet},
        )
        self.ready = self._heard()
        self.start_s = perf_counter() - begin
        self.missing: str | None = self.ready.get("missing")

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # Libraries print to the same channel; an answer is one JSON object.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        return {"missing": f"the process ended with code {self._process.wait()}"}


def in_turn(contenders: Sequence[Contender], commands: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Every command to every contender, one after the other; who begins changes from command to command."""
    answers: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contenders}
    for turn, command in enumerate(commands):
        order = list(contenders) if turn % 2 == 0 else list(reversed(contenders))
        for one in order:
            answers[one.name].append(one.ask(**command))
    return answers
