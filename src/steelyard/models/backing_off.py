"""When a call may be tried again: exponential pauses with jitter, the server's own word first, one pause for all threads."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic, sleep

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

LONGEST_WAIT_S = 120.0
"""A server that asks for a longer wait is taken to be out of service: the work stops and can be resumed."""

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def pause_s(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds before try `attempt` + 1 (the first try is 0): between half and all of FIRST_PAUSE_S x 2^attempt, at most LONGEST_PAUSE_S.

    The jitter keeps callers that failed together from coming back together.
    """
    whole = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt)
    return whole * (0.5 + 0.5 * draw())


def asked_wait_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a refusal asks to wait: `retry-after-ms`, else `Retry-After` as seconds or a date; None: it does not say."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    after = headers.get("retry-after")
    if after is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", after):
        return float(after)
    try:
        moment = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def exhausted_wait_s(headers: Mapping[str, str]) -> float:
    """Seconds until the next call is allowed by the rate-limit headers of an answer; 0 while requests and tokens are left.

    >>> exhausted_wait_s({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m1.5s"})
    61.5
    """
    kinds = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    return max((_duration_s(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in kinds), default=0.0)


def _duration_s(text: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PARTS.findall(text))


class Gate:
    """Lets `width` calls through at a time, and none before a moment that a server asked for. Safe for several threads."""

    def __init__(self, width: int) -> None:
        self._places = threading.BoundedSemaphore(width)
        self._lock = threading.Lock()
        self._opens = 0.0

    def __enter__(self) -> None:
        """Wait for a place, then for the moment."""
        self._places.acquire()
        try:
            while (wait := self._opens - monotonic()) > 0:
                sleep(wait)
        except BaseException:
            self._places.release()
            raise

    def __exit__(self, *_: object) -> None:
        """Give the place to the next."""
        self._places.release()

    def close_for(self, seconds: float) -> None:
        """Let nobody through for so long; a longer wait that was asked for before stays."""
        with self._lock:
            self._opens = max(self._opens, monotonic() + seconds)
