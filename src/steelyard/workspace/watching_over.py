"""Gathers what is known of a running workspace and lets the monitors look at it: what `status` and `/api/status` show as `watched`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from steelyard.candidates import CANDIDATES
from steelyard.corpus.freshness import Freshness
from steelyard.corpus.seen_files import open_sources
from steelyard.corpus.waiting import waiting_since
from steelyard.economics.prices import load_prices
from steelyard.metrics.statistics import wilson
from steelyard.models.artefact import load_artefact
from steelyard.registry.operations import HOUR_S
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.errors import SteelyardError
from steelyard.schema.watching import WHOLE_REQUEST, Aggregate, Alert, BaseModel, DecisionNow, SliceHealth, Watched
from steelyard.serving.money_monitors import watch_break_even, watch_spend
from steelyard.serving.state_monitors import (
    GENERATOR,
    base_model,
    watch_freshness,
    watch_ingest,
    watch_models,
    watch_retrieval,
)
from steelyard.serving.traffic_monitors import (
    SLICES,
    Traffic,
    watch_drift,
    watch_errors,
    watch_latency,
    watch_refusals,
)
from steelyard.workspace.deciding_again import DecidingAgain, Measured
from steelyard.workspace.quality import kept_quality
from steelyard.workspace.traffic_history import TrafficHistory
from steelyard.workspace.trying import trials_now
from steelyard.workspace.tuning_control import tuned_models

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

SHOWN_DAYS = 14
SHOWN_SLICES = 30
DISLIKED = ("wrong", "unsafe")
ORDER = ("critical", "warning")


class WatchingOver:
    """One look at a workspace, at one moment (`now`, aware; by default the present one)."""

    def __init__(self, parts: Parts, last: Mapping[str, Any] | None, now: datetime | None = None) -> None:
        self._parts = parts
        self._last = last
        self._at = (now or datetime.now(UTC)).astimezone(UTC)
        self._watch = parts.settings.watch
        self._history = TrafficHistory(parts.operations, self._at)
        self._candidates = self._answering()

    def look(self) -> Watched:
        """Every monitor's figures and alerts; a workspace that answers nobody yet has figures of its documents only."""
        traffic = self._traffic()
        drift, alerts = watch_drift(traffic, self._watch, self._of_task("classify"))
        alerts += watch_errors(traffic, self._watch, self._parts.operations.error_codes(self._since()))
        alerts += watch_refusals(traffic, self._watch, self._foreseen())
        alerts += watch_latency(traffic, self._watch, self.limit_ms)
        spend, more = watch_spend(
            self._history.months(self._parts.settings.components),
            self._history.plans(self._last, self._candidates, self._parts.settings),
            self._parts.settings.economics.handoff_usd,
            self._watch,
        )
        alerts += more
        distances, more = watch_break_even(
            self._history.crossings(self._last), self._history.growths(self._parts.settings.components), self._watch
        )
        alerts += more
        models = self._models()
        alerts += watch_models(models, self._watch)
        alerts += self._of_documents()
        verdicts = self._parts.feedback.verdicts(_iso(self._since()))
        whole, _ = traffic.whole(WHOLE_REQUEST)
        release = self._parts.releases.in_force()
        return Watched(
            at=self._at.isoformat(timespec="seconds"),
            hours=self._watch.hours,
            release=None if release is None else release.number,
            generation=self._parts.toolbox.generation,
            requests=whole.requests if whole else 0,
            alerts=tuple(sorted(alerts, key=lambda one: (ORDER.index(one.severity), one.name, one.blame))),
            components=tuple(_health(one, verdicts) for one in traffic.now if one.dimension == "all"),
            slices=tuple(_health(one, ()) for one in _largest(traffic.now)),
            drift=tuple(drift),
            spend=tuple(spend),
            break_even=tuple(distances),
            decisions=tuple(self._decisions(traffic)),
            models=tuple(models),
            trials=tuple(trials_now(self._parts)),
            feedback={**Counter(one.verdict for one in self._parts.feedback.all()), **self._waiting()},
            by_day=tuple(self._history.by_day(SHOWN_DAYS)),
        )

    @property
    def limit_ms(self) -> float:
        """The latency that 95 of 100 answers must keep: the requirement, else what [watch] says."""
        wanted = self._parts.settings.requirements.p95_ms
        return self._watch.p95_ms if wanted is None else wanted

    def _since(self) -> float:
        """The begin of the window: whole hours, the running one included."""
        return (self._at.timestamp() // HOUR_S - self._watch.hours + 1) * HOUR_S

    def _traffic(self) -> Traffic:
        since, until = self._since(), self._at.timestamp()
        dimensions = ("all", *SLICES)
        aggregates = self._parts.operations.aggregates
        return Traffic(
            now=aggregates(since, until, dimensions=dimensions),
            before=aggregates(since - self._watch.reference_days * 86400, since, dimensions=dimensions),
        )

    def _of_task(self, task: str) -> list[str]:
        return [name for name, one in self._parts.settings.components.items() if one.task == task]

    def _answering(self) -> dict[str, str]:
        """The candidate that answers for each component: the released one, else the recommended."""
        release = self._parts.releases.in_force()
        found = {} if release is None else {name: one for name, (one, _) in release.versions.items()}
        for name in self._parts.settings.components:
            record = self._parts.registry.alias(name, RECOMMENDED)
            if record is not None:
                found.setdefault(name, record.candidate)
        return found

    def _foreseen(self) -> dict[str, float]:
        """The share of declined requests that the decision measured, of each candidate that answers."""
        found = {}
        for name, decided in (self._last or {}).get("components", {}).items():
            for one in decided.get("candidates", ()):
                if one["name"] == self._candidates.get(name) and one.get("handoff_rate") is not None:
                    found[name] = float(one["handoff_rate"])
        return found

    def _of_documents(self) -> list[Alert]:
        parts = self._parts
        if not parts.toolbox.generation:
            return []
        made = parts.toolbox.library.generation(parts.toolbox.generation)
        waiting: dict[str, float] = {}
        with closing(open_sources(parts.state.corpus)) as database:
            freshness = Freshness(database)
            for source in freshness.sources():
                since = waiting_since(parts.folder / source.source, source.scanned_at.timestamp())
                if since is not None:
                    waiting[source.source] = self._at.timestamp() - since
        sources = [one.path for one in parts.settings.sources]
        return [
            *watch_freshness(waiting, self._watch),
            *watch_ingest(parts.toolbox.library.failing(), made.documents, sources),
            *watch_retrieval(kept_quality(parts.state.quality), made.number, self._watch),
        ]

    def _models(self) -> list[BaseModel]:
        """The generator, and the models that were tuned at a provider and answer now, each with the days left to it."""
        name, today = self._parts.settings.models.generator.model, self._at.date()
        found = []
        if name is not None:
            ends: date | None = None
            with suppress(SteelyardError):
                ends = load_prices().price(name).end_of_life
            found.append(base_model(name, GENERATOR, ends, today))
        return [*found, *self._tuned(today)]

    def _tuned(self, today: date) -> list[BaseModel]:
        """The tuned models behind the hosted versions that answer; the day is the provider's, or that of the base where it is earlier."""
        known = {one["model"]: one["ends"] for one in tuned_models(self._parts, today)}
        release = self._parts.releases.in_force()
        found = []
        for component, candidate in self._candidates.items():
            if not CANDIDATES.part(candidate).hosted:
                continue
            version = release.versions[component][1] if release and component in release.versions else None
            record = self._parts.registry.get(component, candidate, version)
            with suppress(SteelyardError):  # a file that is gone is told where it is needed
                tuned = load_artefact(self._parts.state.root / record.folder)[1].get("tuned", {}).get("tuned")
                day = known.get(tuned)
                found.append(base_model(str(tuned), component, date.fromisoformat(day) if day else None, today))
        return found

    def _decisions(self, traffic: Traffic) -> list[DecisionNow]:
        """Each decided component on measured inputs; what too few calls say is left out."""
        if self._last is None:
            return []
        again = DecidingAgain(self._parts, self._last)
        growths = self._history.growths(self._parts.settings.components)
        found = []
        for component in self._parts.settings.components:
            now, _ = traffic.whole(component)
            enough = now is not None and now.requests >= self._watch.least_requests
            grown = growths.get(component)
            measured = Measured(
                queries_per_month=self._history.queries_per_month(component),
                # Growth that chance can explain would be carried over the whole horizon.
                growth_per_month=grown.rate if grown is not None and (grown.low > 0 or grown.high < 0) else None,
                p95_ms=now.quantile_ms(0.95) if now is not None and enough else None,
                declined=max(now.abstained, now.out_of_scope) / now.requests if now is not None and enough else None,
            )
            told = again.decide(component, self._candidates.get(component), measured)
            if told is not None:
                found.append(told)
        return found

    def _waiting(self) -> dict[str, int]:
        return {"new": len(self._parts.feedback.all("new"))}


def _largest(aggregates: Sequence[Aggregate]) -> list[Aggregate]:
    found = [one for one in aggregates if one.dimension != "all" and one.component != WHOLE_REQUEST]
    return sorted(found, key=lambda one: (-one.requests, one.component, one.dimension, one.slice))[:SHOWN_SLICES]


def _health(one: Aggregate, verdicts: Sequence[tuple[str, str | None, str]]) -> SliceHealth:
    refused = max(one.abstained, one.out_of_scope)
    low, high = wilson(refused / one.requests, one.requests)
    own = [
        verdict
        for _, component, verdict in verdicts
        if component == one.component or (component is None and one.component == WHOLE_REQUEST)
    ]
    return SliceHealth(
        component=one.component,
        dimension=one.dimension,
        slice=one.slice,
        requests=one.requests,
        error_rate=one.errors / one.requests,
        refused=refused / one.requests,
        refused_low=low,
        refused_high=high,
        out_of_scope=one.out_of_scope / one.requests,
        p50_ms=one.quantile_ms(0.5),
        p95_ms=one.quantile_ms(0.95),
        usd=one.usd,
        liked=sum(verdict == "right" for verdict in own),
        disliked=sum(verdict in DISLIKED for verdict in own),
    )


def _iso(seconds: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
