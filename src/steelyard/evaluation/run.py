"""One candidate on one set of items: outputs, scores, seconds, tokens, item by item."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from time import perf_counter

from steelyard.candidates.interface import Candidate
from steelyard.schema.errors import SteelyardError, StoppedError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.runs import ItemResult
from steelyard.schema.scope import Scope

Scorer = Callable[[Item, Output], Mapping[str, float]]
"""Per-item scores of one output by metric name."""

WARM_UP = 3
"""Predictions made before timing: the first ones load pages and fill caches, which no served query pays."""


def run_items(
    candidate: Candidate,
    items: Sequence[Item],
    scorer: Scorer,
    *,
    primary: str,
    at: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
    at_once: int = 1,
) -> tuple[ItemResult, ...]:
    """Predict and score every item, one at a time, as a server would; `at_once` for candidates that wait for a model elsewhere.

    A prediction that raises a `SteelyardError` scores 0 on `primary` and keeps its message; any other exception is a bug and is
    raised. `at` is the time the answers must hold at (None: now).

    Raises:
        StoppedError: a generator cannot be called until the user acts; zeros for the rest would measure nothing.
    """
    for item in items[:WARM_UP]:
        _predict(candidate, item, at)
    results: list[ItemResult] = []
    for item, (output, error, seconds) in zip(items, _timed(candidate, items, at, at_once), strict=True):
        results.append(_scored(item, output, error, seconds, scorer, primary))
        if progress is not None:
            progress(len(results), len(items))
    return tuple(results)


def _timed(
    candidate: Candidate, items: Sequence[Item], at: datetime | None, at_once: int
) -> Iterator[tuple[Output, str | None, float]]:
    """Output, error and seconds of each item in order; `at_once` predictions are made at a time, the next as soon as one is there."""

    def one(item: Item) -> tuple[Output, str | None, float]:
        start = perf_counter()
        output, error = _predict(candidate, item, at)
        # An answer that a generator gave before counts with what it took then.
        return output, error, max(perf_counter() - start, output.usage.seconds)

    if at_once == 1:
        yield from map(one, items)
        return
    with ThreadPoolExecutor(at_once, "steelyard-run") as pool:
        # In the context of the caller, so that what is spent is booked where the caller says.
        waiting = [pool.submit(copy_context().run, one, item) for item in items]
        try:
            for each in waiting:
                yield each.result()
        finally:
            # Whoever cannot go on starts nothing more; what is in flight ends.
            pool.shutdown(wait=True, cancel_futures=True)


def request_of(item: Item, at: datetime | None = None) -> Request:
    """The request an item stands for; gold fields stay out of it."""
    return Request(text=item.text, slots=item.slots, at=at)


def same_asker(scope: Scope) -> Scope:
    """The asker alone, where no directory adds groups."""
    return scope


def scope_of(item: Item) -> Scope:
    """The asker of an item: anonymous, in the item's groups."""
    return Scope(groups=item.groups)


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes, macOS in bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _predict(candidate: Candidate, item: Item, at: datetime | None) -> tuple[Output, str | None]:
    try:
        return candidate.predict(request_of(item, at), scope_of(item)), None
    except StoppedError:
        raise
    except SteelyardError as error:
        return Output(), error.message


def _scored(item: Item, output: Output, error: str | None, seconds: float, scorer: Scorer, primary: str) -> ItemResult:
    scores = {primary: 0.0} if error else dict(scorer(item, output))
    usage = output.usage
    return ItemResult(
        item=item.id,
        text=item.text,
        output=output.label or "" if item.task == "classify" else output.text,
        expected=_expected(item),
        scores=scores,
        seconds=seconds,
        tokens_in=usage.tokens_in + usage.tokens_cached,
        tokens_out=usage.tokens_out,
        cluster=item.source or item.group or item.id,
        abstained=output.abstained or output.out_of_scope,
        citations=tuple(citation.to_json() for citation in output.citations),
        error=error,
        tokens_cached=usage.tokens_cached,
        generator_s=usage.generator_s,
        usd=usage.usd,
    )


def _expected(item: Item) -> str:
    if item.task == "classify":
        return item.label or ""
    if item.task == "write":
        return item.output or ""
    return item.answers[0] if item.answerable and item.answers else "(no answer)"


def now() -> str:
    """The time now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
