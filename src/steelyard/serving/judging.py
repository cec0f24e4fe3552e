"""Judges a running canary, block after block, and stops it when it is shown to be worse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from steelyard.config import CanarySettings
from steelyard.metrics.canary import CANARY, PRODUCTION, CanaryTest, Limits, Outcome, counts
from steelyard.registry.feedback import FeedbackLog
from steelyard.registry.operations import Operations
from steelyard.registry.trials import Trials
from steelyard.schema.trials import CanaryReport, Compared, Trial
from steelyard.schema.watching import WHOLE_REQUEST

BLOCK_S = 5
"""Length of a block: how late a fault is noticed at the least."""

LATE_S = 2.0
"""A block is closed so long after its end, when every process has written what it noted in it."""

LEAST_LEARNED = 200
"""Production's requests during the trial from which its usual latency is learned; blocks count from then on."""

BLOCKS_AT_ONCE = 720
"""An hour: whoever comes late catches up in several steps."""

NAMES = {
    "errors": "requests fail more often",
    "declined": "requests are declined more often",
    "slow_half": "answers are slower than production's median",
    "slow_tail": "answers are slower than production's 95th percentile",
    "disliked": "people call answers wrong or unsafe more often",
}

log = logging.getLogger("steelyard.serving")


class CanaryJudge:
    """Advances the test of the running canary over closed blocks. Any process may: what was judged is kept once.

    `stopped` is told when it stops one: the trial and the reason.
    """

    def __init__(
        self,
        trials: Trials,
        operations: Operations,
        feedback: FeedbackLog,
        settings: CanarySettings,
        stopped: Callable[[Trial, str], None] = lambda *_: None,
    ) -> None:
        self._trials = trials
        self._operations = operations
        self._feedback = feedback
        self._settings = settings
        self._stopped = stopped

    def advance(self, now: float, release: int | None) -> None:
        """Judge what was noted up to `now` (UTC seconds); ends a canary that another release than its own has overtaken."""
        trial = self._trials.running("canary")
        if trial is None:
            return
        if trial.release != release:
            self._trials.end(trial.number, "ended", f"release {release} took the place of the one it was compared with")
            return
        upto, progress = self._trials.progress(trial.number)
        closed = now - LATE_S
        if "limits" not in progress:
            self._learn(trial, upto, closed)
            return
        blocks = min(int((closed - upto) // BLOCK_S), BLOCKS_AT_ONCE)
        if blocks <= 0:
            return
        until = upto + blocks * BLOCK_S
        test, limits = CanaryTest.from_json(progress["test"]), Limits(**progress["limits"])
        rows = self._rows(trial, upto, until)
        verdicts = self._verdicts(trial, upto, until)
        judged, callers = progress["blocks"], set(progress["callers"])
        for at in range(blocks):
            begin = upto + at * BLOCK_S
            here = [row for row in rows if begin <= row["at"] < begin + BLOCK_S]
            callers |= {str(row["key"]) for row in here if row["arm"] == "canary"}
            said = [(side, bad) for when, side, bad in verdicts if begin <= when < begin + BLOCK_S]
            test = test.seen(counts(map(_outcome, here), said, limits, self._settings))
            judged += 1
            if test.worse():
                until = begin + BLOCK_S
                break
        kept = {
            "limits": limits.__dict__,
            "test": test.to_json(),
            "blocks": judged,
            "callers": sorted(callers)[:MOST_CALLERS],
        }
        if self._trials.advance(trial.number, upto, until, kept) and test.worse():
            self._stop(trial, test)

    def report(self, trial: Trial) -> CanaryReport:
        """What was seen of a canary so far."""
        _, progress = self._trials.progress(trial.number)
        known = "test" in progress
        test = CanaryTest.from_json(progress["test"]) if known else CanaryTest.begin(self._settings)
        return CanaryReport(
            trial=trial,
            figures=tuple(_compared(name, test) for name in test.tests),
            reason=self._trials.reason(trial.number),
            callers=len(progress.get("callers", ())),
            blocks=progress.get("blocks", 0),
        )

    def _learn(self, trial: Trial, upto: float, closed: float) -> None:
        """Fix what counts as slow once production has answered enough; those requests are not judged."""
        rows = self._rows(trial, upto, closed)
        known = [row for row in rows if row["arm"] == "production" and row["error"] is None]
        if len(known) < LEAST_LEARNED:
            return
        limits = Limits.of([row["latency_ms"] for row in known[:LEAST_LEARNED]])
        begin = {
            "limits": limits.__dict__,
            "test": CanaryTest.begin(self._settings).to_json(),
            "blocks": 0,
            "callers": [],
        }
        self._trials.advance(trial.number, upto, known[LEAST_LEARNED - 1]["at"] + 1e-3, begin)

    def _rows(self, trial: Trial, since: float, until: float) -> list[dict[str, Any]]:
        rows = self._operations.trial_rows(trial.number, since, until)
        return [row for row in rows if row["component"] == WHOLE_REQUEST]

    def _verdicts(self, trial: Trial, since: float, until: float) -> list[tuple[float, int, bool]]:
        """(when, side, whether bad) of the feedback given between two times on requests of this trial."""
        found = []
        begin = datetime.fromtimestamp(since, UTC).isoformat()
        for one in self._feedback.all_since(begin):
            when = datetime.fromisoformat(one.at).timestamp()
            sides = [call["arm"] for call in self._operations.calls(one.request) if call["trial"] == trial.number]
            if since <= when < until and sides:
                found.append((when, CANARY if "canary" in sides else PRODUCTION, one.verdict != "right"))
        return found

    def _stop(self, trial: Trial, test: CanaryTest) -> None:
        reason = "; ".join(_words(name, test) for name in test.worse())
        if self._trials.end(trial.number, "stopped", reason):
            log.warning("canary %s was stopped: %s", trial.number, reason)
            self._stopped(trial, reason)


MOST_CALLERS = 1000
"""Callers of a canary that are told apart; more are enough anyway."""


def _outcome(row: Mapping[str, Any]) -> Outcome:
    return Outcome(
        side=CANARY if row["arm"] == "canary" else PRODUCTION,
        failed=row["error"] is not None,
        declined=bool(row["abstained"] or row["out_of_scope"]),
        latency_ms=float(row["latency_ms"]),
    )


def _compared(name: str, test: CanaryTest) -> Compared:
    one = test.tests[name]
    return Compared(
        metric=name,
        production=one.hits_a / one.count_a if one.count_a else None,
        canary=one.hits_b / one.count_b if one.count_b else None,
        requests=int(one.count_a),
        canary_requests=int(one.count_b),
        margin=one.margin,
        evidence=float(one.evidence),
        needed=test.needed,
        worse=bool(one.evidence >= test.needed),
        not_worse=bool(one.evidence_not_worse >= 1 / test.alpha),
    )


def _words(name: str, test: CanaryTest) -> str:
    one = _compared(name, test)
    shares: Sequence[float] = (one.canary or 0.0, one.production or 0.0)
    return f"{NAMES[name]}: {shares[0]:.1%} of {one.canary_requests:,} requests, {shares[1]:.1%} in production"
