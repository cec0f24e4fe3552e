"""What is watched, over HTTP: `/metrics` for Prometheus, and `/api/status`."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from steelyard.schema.callers import OPERATE
from steelyard.schema.watching import ALERTS, BUCKETS_MS, Aggregate
from steelyard.server.documented import errors

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from steelyard.schema.watching import Watched
    from steelyard.server.site import Site

FRESH_S = 30.0
"""How long one look at everything that is watched is good for: it reads some files, and is asked every few seconds."""

ARMS = ("production", "canary", "shadow")


class Status(BaseModel):
    """What `steelyard status --json` has under `watched`."""

    model_config = ConfigDict(extra="allow")

    at: str
    hours: int
    release: int | None
    generation: int
    requests: int
    alerts: list[dict[str, Any]]


class Looked:
    """The last look at what is watched, taken anew when it is older than FRESH_S. Safe for many threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._guard = Lock()
        self._kept: tuple[float, Watched] | None = None

    def get(self) -> Watched:
        """What is watched.

        Raises:
            StoreError: a store of the state folder is damaged.
        """
        with self._guard:
            if self._kept is None or monotonic() - self._kept[0] > FRESH_S:
                self._kept = (monotonic(), self._site.workspace.watched())
            return self._kept[1]


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes."""
    looked = Looked(site)

    @app.get(
        "/api/status",
        tags=["watching"],
        summary="See what is watched",
        response_model=Status,
        responses=errors(504, role=OPERATE),
    )
    async def status() -> JSONResponse:
        """Traffic, drift, spend, break-evens, trials and alerts, at most half a minute old."""
        return JSONResponse((await site.work(looked.get)).to_json())

    @app.get(
        "/metrics",
        tags=["watching"],
        summary="Read the metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text format."},
            **errors(504, role=OPERATE),
        },
    )
    async def metrics() -> Response:
        """Counters and histograms of all worker processes together, in the text format of Prometheus."""
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

        return Response(await site.work(lambda: exposed(site, looked)), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposed(site: Site, looked: Looked) -> bytes:
    """The metrics as text. Everything comes from the shared stores, so any worker tells the same."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Stored:
        def collect(self) -> Iterator[Metric]:
            yield from _of_calls(site)
            yield from _of_state(site, looked.get())

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Stored())
    return generate_latest(registry)


def _of_calls(site: Site) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    site.observer.recorder.flush()
    by = ("component", "candidate", "version", "arm")
    found = site.running.parts.operations.aggregates(0.0, time(), by=by, arms=ARMS)
    names = ["component", "candidate", "version", "arm"]
    requests = CounterMetricFamily(
        "steelyard_requests", "Calls of a component (`request`: whole requests) by outcome.", labels=[*names, "outcome"]
    )
    latency = HistogramMetricFamily("steelyard_latency_seconds", "Latency of the calls.", labels=names)
    cost = CounterMetricFamily("steelyard_cost_usd", "What the calls were metered at.", labels=names)
    tokens = CounterMetricFamily("steelyard_tokens", "Tokens of generators.", labels=[*names, "direction"])
    for one in found:
        labels = [one.component, one.candidate, str(one.version), one.arm]
        declined = max(one.abstained, one.out_of_scope)
        for outcome, count in (
            ("answered", one.requests - one.errors - declined),
            ("declined", declined),
            ("failed", one.errors),
        ):
            requests.add_metric([*labels, outcome], count)
        latency.add_metric(labels, buckets=_cumulated(one), sum_value=one.latency_ms / 1000)
        cost.add_metric(labels, one.usd)
        for direction, count in (("in", one.tokens_in), ("out", one.tokens_out)):
            tokens.add_metric([*labels, direction], count)
    yield from (requests, latency, cost, tokens)


def _cumulated(one: Aggregate) -> list[tuple[str, float]]:
    seen, found = 0, []
    bounds = [*(f"{bound / 1000:g}" for bound in BUCKETS_MS), "+Inf"]
    for bound, count in zip(bounds, one.buckets, strict=True):
        seen += count
        found.append((bound, float(seen)))
    return found


def _of_state(site: Site, watched: Watched) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("steelyard_release", "The release in force; 0 without one.", value=watched.release or 0)
    yield GaugeMetricFamily("steelyard_generation", "The generation of the corpus.", value=watched.generation)
    alerts = GaugeMetricFamily(
        "steelyard_alert", "Alerts that stand now, by name; 0 where none does.", labels=["alert", "blame", "severity"]
    )
    standing = {one.name for one in watched.alerts}
    for name in ALERTS:
        if name not in standing:
            alerts.add_metric([name, "", ""], 0)
    for one in watched.alerts:
        alerts.add_metric([one.name, one.blame, one.severity], 1)
    yield alerts
    said = CounterMetricFamily("steelyard_feedback", "Verdicts of people on answers.", labels=["verdict"])
    for verdict in ("right", "wrong", "unsafe"):
        said.add_metric([verdict], watched.feedback.get(verdict, 0))
    yield said
    spend = GaugeMetricFamily(
        "steelyard_month_usd",
        "USD of this month: spent so far, and planned for all of it.",
        labels=["component", "kind"],
    )
    for month in watched.spend:
        spend.add_metric([month.component, "spent"], sum(month.month_to_date_usd.values()))
        spend.add_metric([month.component, "planned"], sum(month.planned_usd.values()))
    yield spend
    weeks = GaugeMetricFamily(
        "steelyard_break_even_weeks", "Weeks to the break-even at today's growth.", labels=["component"]
    )
    for distance in watched.break_even:
        if distance.weeks is not None:
            weeks.add_metric([distance.component], distance.weeks)
    yield weeks
    pending = GaugeMetricFamily("steelyard_operations_dropped", "Calls that could not be noted in this process.")
    pending.add_metric([], site.observer.recorder.dropped)
    yield pending
