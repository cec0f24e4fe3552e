"""Monitors of what the calls themselves show: failures, refusals, latency, and where messages are routed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.config import WatchSettings
from steelyard.metrics.traffic import count_drift, shown_rise, shown_share
from steelyard.schema.watching import WHOLE_REQUEST, Aggregate, Alert, RouterDrift

SLOW_SHARE = 0.05
"""A limit on the 95th percentile is a limit on this share of slower calls."""

DRIFT_P = 0.002
"""With 1,000 random splits: at most one of them moved as far."""

SHOWN_LABELS = 3
SLICES = ("label", "source", "group", "key")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Calls of the window that is watched, and of the days before it: per component, and per slice of each."""

    now: Sequence[Aggregate]
    before: Sequence[Aggregate]

    def whole(self, component: str) -> tuple[Aggregate | None, Aggregate | None]:
        """A component's own sums, now and before; None where it had no call."""
        return _find(self.now, component), _find(self.before, component)

    def components(self) -> list[str]:
        """Every component with calls now, in name order."""
        return sorted({one.component for one in self.now if one.dimension == "all"})


def watch_errors(traffic: Traffic, watch: WatchSettings, codes: Mapping[str, int]) -> list[Alert]:
    """`error_rate_high`, when more requests fail than [watch] error_rate, beyond chance; `codes` counts the errors by their code."""
    found = []
    for component in traffic.components():
        now, _ = traffic.whole(component)
        if now is None or now.requests < watch.least_requests:
            continue
        if shown_share(now.errors, now.requests) <= watch.error_rate:
            continue
        often = ", ".join(f"{code} ({count})" for code, count in _most(codes))
        found.append(
            Alert(
                name="error_rate_high",
                blame=component,
                severity="critical",
                message=f"{_percent(now.errors / now.requests)} of {now.requests:,} requests failed; "
                f"{_percent(watch.error_rate)} are allowed.{f' Most often: {often}.' if often else ''}",
                remedy="Read the server's log at the error's code; if it began with a release, run `steelyard rollback`.",
                evidence={"errors": now.errors, "requests": now.requests, "codes": dict(codes)},
            )
        )
    return _whole_only_where_no_part_is_to_blame(found)


def watch_refusals(traffic: Traffic, watch: WatchSettings, measured: Mapping[str, float]) -> list[Alert]:
    """`refusal_rate_high`, when a component declines more than was measured, or than before, by [watch] refusal_margin beyond chance.

    `measured` is the share that the decision foresaw, by component. Out-of-scope messages count as declined.
    """
    found = []
    for component in traffic.components():
        now, before = traffic.whole(component)
        if component == WHOLE_REQUEST or now is None or now.requests < watch.least_requests:
            continue
        refused, share = _refused(now), _refused(now) / now.requests
        foreseen = measured.get(component)
        above = foreseen is not None and shown_share(refused, now.requests) > foreseen + watch.refusal_margin
        risen = before is not None and before.requests >= watch.least_requests
        rise = shown_rise(refused, now.requests, _refused(before), before.requests) if risen and before else -1.0
        if not above and rise <= watch.refusal_margin:
            continue
        usual = _refused(before) / before.requests if risen and before else foreseen or 0.0
        compared = f"{_percent(usual)} before" if rise > watch.refusal_margin else f"{_percent(foreseen or 0)} measured"
        found.append(
            Alert(
                name="refusal_rate_high",
                blame=component,
                severity="warning",
                message=f"{component} declines {_percent(share)} of {now.requests:,} requests; {compared}."
                + _where(traffic, component, usual, watch),
                remedy="Look at what is asked in that slice: add documents or examples for it, then run `steelyard weigh`.",
                evidence={"declined": refused, "requests": now.requests, "measured": foreseen, "usual": usual},
            )
        )
    return found


def watch_latency(traffic: Traffic, watch: WatchSettings, limit_ms: float) -> list[Alert]:
    """`latency_high`, when more than one answer in twenty takes longer than the limit, beyond chance; blames the slowest part."""
    whole, _ = traffic.whole(WHOLE_REQUEST)
    judged = [WHOLE_REQUEST] if whole is not None else traffic.components()
    found = []
    for component in judged:
        now, _ = traffic.whole(component)
        if now is None or now.requests < watch.least_requests or shown_share(now.slow, now.requests) <= SLOW_SHARE:
            continue
        blame = _slowest(traffic) if component == WHOLE_REQUEST else component
        p95 = now.quantile_ms(0.95) or 0.0
        found.append(
            Alert(
                name="latency_high",
                blame=blame,
                severity="warning",
                message=f"{_percent(now.slow / now.requests)} of {now.requests:,} answers took longer than {limit_ms:g} ms "
                f"(95th percentile about {p95:,.0f} ms); one in twenty may. The most time went into {blame}.",
                remedy="Add a worker or a core; if it began with a release, run `steelyard rollback`.",
                evidence={"slow": now.slow, "requests": now.requests, "p95_ms": p95, "limit_ms": limit_ms},
            )
        )
    return found


def watch_drift(
    traffic: Traffic, watch: WatchSettings, routers: Sequence[str]
) -> tuple[list[RouterDrift], list[Alert]]:
    """How far the labels of each router moved, and `router_drift` where it is far and beyond chance.

    Far is a population stability index [watch] drift_index above what chance alone gives, or a share of out-of-scope messages that
    rose by [watch] refusal_margin beyond chance. Nothing is told before there are enough calls on both sides.
    """
    drifts, alerts = [], []
    for router in routers:
        now, before = traffic.whole(router)
        if now is None or before is None or min(now.requests, before.requests) < watch.least_requests:
            continue
        old, new = _labels(traffic.before, router), _labels(traffic.now, router)
        if not old or not new:
            continue
        index, by_chance, p_value = count_drift(old, new)
        drift = RouterDrift(
            component=router,
            now=sum(new.values()),
            before=sum(old.values()),
            index=index,
            p_value=p_value,
            out_of_scope_before=before.out_of_scope / before.requests,
            out_of_scope_now=now.out_of_scope / now.requests,
            moved=_moved(old, new),
        )
        drifts.append(drift)
        moved = index - by_chance >= watch.drift_index and p_value <= DRIFT_P
        outside = shown_rise(now.out_of_scope, now.requests, before.out_of_scope, before.requests)
        if moved or outside > watch.refusal_margin:
            alerts.append(_drift_alert(drift, outside > watch.refusal_margin))
    return drifts, alerts


def _drift_alert(drift: RouterDrift, outside: bool) -> Alert:
    shares = ", ".join(f"{label} {_percent(old)} to {_percent(new)}" for label, old, new in drift.moved)
    more = (
        f" Out of scope: {_percent(drift.out_of_scope_before)} before, {_percent(drift.out_of_scope_now)} now."
        if outside
        else ""
    )
    return Alert(
        name="router_drift",
        blame=drift.component,
        severity="warning",
        message=f"messages to {drift.component} moved (stability index {drift.index:.2f}): {shares}.{more}",
        remedy="Label some of the new messages (`steelyard feedback`), then run `steelyard weigh`: it says whether to retrain.",
        evidence=drift.to_json(),
    )


def _find(aggregates: Sequence[Aggregate], component: str) -> Aggregate | None:
    return next((one for one in aggregates if one.component == component and one.dimension == "all"), None)


def _refused(one: Aggregate | None) -> int:
    """Declined or out-of-scope calls; a call can be only one of the two: routers say out of scope, the others decline."""
    return 0 if one is None else max(one.abstained, one.out_of_scope)


def _where(traffic: Traffic, component: str, usual: float, watch: WatchSettings) -> str:
    """The slice that adds the most refusals beyond the usual share, where one stands out."""
    found = []
    for one in traffic.now:
        if one.component == component and one.dimension in SLICES and one.requests >= watch.least_requests // 4:
            excess = _refused(one) - usual * one.requests
            if shown_share(_refused(one), one.requests) > usual:
                found.append((excess, one))
    if not found:
        return ""
    _, worst = max(found, key=lambda pair: pair[0])
    return f" Most of it: {worst.dimension} {worst.slice!r}, {_percent(_refused(worst) / worst.requests)} of {worst.requests:,}."


def _slowest(traffic: Traffic) -> str:
    """The part whose mean latency grew most since before; where there is no before, the part that takes the most time."""

    def grew(component: str) -> float:
        now, before = traffic.whole(component)
        mean = now.latency_ms / now.requests if now and now.requests else 0.0
        return mean - (before.latency_ms / before.requests if before and before.requests else 0.0)

    parts = [name for name in traffic.components() if name != WHOLE_REQUEST]
    return max(parts, key=grew, default=WHOLE_REQUEST)


def _labels(aggregates: Sequence[Aggregate], router: str) -> dict[str, int]:
    return {one.slice: one.requests for one in aggregates if one.component == router and one.dimension == "label"}


def _moved(old: Mapping[str, int], new: Mapping[str, int]) -> tuple[tuple[str, float, float], ...]:
    before, now = sum(old.values()), sum(new.values())
    shares = [(name, old.get(name, 0) / before, new.get(name, 0) / now) for name in {*old, *new}]
    return tuple(sorted(shares, key=lambda one: (-abs(one[2] - one[1]), one[0]))[:SHOWN_LABELS])


def _most(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(codes.items(), key=lambda one: (-one[1], one[0]))[:SHOWN_LABELS]


def _whole_only_where_no_part_is_to_blame(found: list[Alert]) -> list[Alert]:
    parts = [one for one in found if one.blame != WHOLE_REQUEST]
    return parts or found


_percent: Callable[[float], str] = "{:.1%}".format
