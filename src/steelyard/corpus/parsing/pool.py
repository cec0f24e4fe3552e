"""A few parsing processes that outlive the files they read; a file that kills or stalls one is named and the rest goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from queue import LifoQueue
from types import TracebackType
from typing import Self, TypeVar

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.worker import from_json, read_frame, write_frame

Key = TypeVar("Key")


class ParseWorker:
    """One parsing process, started when first needed and again after a file ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def parse(self, format_name: str, content: bytes, limits: Limits) -> Parsed:
        """The parsed file.

        Raises:
            ParseError: the file is broken, above a limit, took too long or ended the process.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        expired = threading.Event()

        def end() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(limits.seconds, end)
        timer.daemon = True
        timer.start()
        answer: bytes | None = None
        try:
            header = json.dumps({"format": format_name, "limits": asdict(limits)}).encode("ascii")
            write_frame(process.stdin, header)
            write_frame(process.stdin, content)
            process.stdin.flush()
            answer = read_frame(process.stdout)
        except (BrokenPipeError, OSError):
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            self.close()
            if expired.is_set():
                raise ParseError(
                    f"reading the file took too long (the limit is {limits.seconds:g} seconds)", transient=True
                )
            raise ParseError(
                f"the parser broke on the file (its process ended with {process.returncode})", transient=True
            )
        fields = json.loads(answer)
        if "failed" in fields:
            raise ParseError(fields["failed"])
        return from_json(fields["parsed"])

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            # Closing flushes what the dead process never read.
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # A plain child instead of multiprocessing: it neither forks threads nor runs the caller's main module again.
            # -P: a `json.py` among the documents one stands in is not a module.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "steelyard.corpus.parsing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


class ParsePool:
    """Parses many files with some workers; a context manager that ends them, or `close`. Between files they wait.

    `workers` None takes one for each core but one, at least one and at most eight: embedding wants the rest.
    """

    def __init__(self, limits: Limits, workers: int | None = None) -> None:
        self._limits = limits
        self._count = workers or min(8, max(1, (os.cpu_count() or 2) - 1))
        self._workers = [ParseWorker() for _ in range(self._count)]
        # Last in, first out: few files need few processes.
        self._idle: LifoQueue[ParseWorker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="parse")

    def map(self, tasks: Iterable[tuple[Key, str, bytes]]) -> Iterator[tuple[Key, Parsed | ParseError]]:
        """Each task (key, format, content) with its outcome, as they finish. Tasks are drawn as workers come free."""
        running: dict[Future[Parsed | ParseError], Key] = {}
        for key, format_name, content in tasks:
            running[self._threads.submit(self._parse, format_name, content)] = key
            if len(running) >= self._count * 2:
                yield from self._finished(running)
        while running:
            yield from self._finished(running)

    def _finished(self, running: dict[Future[Parsed | ParseError], Key]) -> Iterator[tuple[Key, Parsed | ParseError]]:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future.result()

    def _parse(self, format_name: str, content: bytes) -> Parsed | ParseError:
        worker = self._idle.get()
        try:
            return worker.parse(format_name, content, self._limits)
        except ParseError as error:
            return error
        finally:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        """The pool; processes start with the first files."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def warm_up(self) -> None:
        """Start the process that reads the next file, and load what plain files need."""
        self._parse("markdown", b"warm up")
