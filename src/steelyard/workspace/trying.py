"""Canaries and shadows: begin, look, end, and let a canary become a release."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING, Any

from steelyard.metrics.statistics import wilson
from steelyard.schema.errors import UserError
from steelyard.schema.trials import CanaryReport, ShadowPart, ShadowReport, Trial, TrialKind
from steelyard.workspace.releasing import named_version

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

SHOWN_DIFFERING = 10
SHOWN_S = 7 * 86400.0
"""How long `status` tells of a trial that has ended: a week."""

LARGEST_SHARE = {"canary": 0.5, "shadow": 1.0}


def start(parts: Parts, kind: TrialKind, targets: Sequence[str], *, share: float, split_by: str, why: str) -> Trial:
    """Try versions beside production, from the next request on in every serving process.

    Raises:
        UserError: a wrong share, two versions of one component, one that answers already, or a trial of this kind runs.
        NotFoundError: no such component, candidate, version or alias.
    """
    if not 0 < share <= LARGEST_SHARE[kind]:
        raise UserError(
            f"a {kind} cannot have a share of {share:g}.",
            remedy=f"Give --share above 0 and at most {LARGEST_SHARE[kind]:g}.",
            code="trials.bad_share",
        )
    records = [named_version(parts, target) for target in targets]
    versions = {record.component: (record.candidate, record.version) for record in records}
    if len(versions) != len(records) or not records:
        raise UserError(
            "a trial needs one version for each component that it tries.",
            remedy="Name each component once, as COMPONENT/CANDIDATE@VERSION.",
            code="trials.bad_versions",
        )
    release = parts.releases.in_force()
    same = release is not None and all(release.versions.get(name) == one for name, one in versions.items())
    if same:
        raise UserError(
            "exactly this answers in production already.",
            remedy="Name another version; `steelyard versions` lists them.",
            code="trials.nothing_new",
        )
    made = parts.trials.start(
        kind,
        versions,
        share=share,
        split_by=split_by,
        release=None if release is None else release.number,
        who=parts.registry.who,
        why=why,
    )
    _note(parts, f"{kind}.started", why, made)
    return made


def stop(parts: Parts, kind: TrialKind, why: str) -> Trial:
    """End the trial of a kind; production answers everybody.

    Raises:
        UserError: none runs.
    """
    trial = require_running(parts, kind)
    if parts.trials.end(trial.number, "ended", why or "ended by hand"):
        _note(parts, f"{kind}.ended", why, trial)
    return parts.trials.latest(kind)


def canary_report(parts: Parts) -> CanaryReport:
    """The newest canary with everything that was seen of it until now.

    Raises:
        NotFoundError: there was none.
    """
    release = parts.releases.in_force()
    parts.judge.advance(time(), None if release is None else release.number)
    return parts.judge.report(parts.trials.latest("canary"))


def shadow_report(parts: Parts) -> ShadowReport:
    """The newest shadow compared with production.

    Raises:
        NotFoundError: there was none.
    """
    trial = parts.trials.latest("shadow")
    until = trial.ended or time()
    sums = {
        (one.component, one.arm): one
        for one in parts.operations.aggregates(
            trial.began, until, by=("component", "arm"), arms=("production", "shadow")
        )
    }
    found = []
    for component, counts in parts.trials.compared(trial.number).items():
        low, high = wilson(counts["agreed"] / counts["compared"], counts["compared"])
        ours, theirs = sums.get((component, "production")), sums.get((component, "shadow"))
        found.append(
            ShadowPart(
                component=component,
                **counts,
                low=low,
                high=high,
                production_ms=ours.quantile_ms(0.5) if ours else None,
                shadow_ms=theirs.quantile_ms(0.5) if theirs else None,
            )
        )
    return ShadowReport(
        trial=trial, parts=tuple(found), differing=tuple(parts.trials.differing(trial.number, SHOWN_DIFFERING))
    )


def trials_now(parts: Parts) -> list[dict[str, Any]]:
    """The newest canary and shadow with the reason of their end, for `status`; those that ended longer ago than SHOWN_S are left out."""
    kinds: tuple[TrialKind, ...] = ("canary", "shadow")
    newest = (parts.trials.newest(kind) for kind in kinds)
    shown = [one for one in newest if one is not None and (one.ended is None or time() - one.ended < SHOWN_S)]
    return [{**one.to_json(), "reason": parts.trials.reason(one.number)} for one in shown]


def require_running(parts: Parts, kind: TrialKind) -> Trial:
    """The running trial of a kind.

    Raises:
        UserError: none runs.
    """
    trial = parts.trials.running(kind)
    if trial is None:
        raise UserError(
            f"no {kind} runs.",
            remedy=f"Begin one with `steelyard {kind} start COMPONENT/CANDIDATE@VERSION`.",
            code="trials.none_running",
        )
    return trial


def promoted(parts: Parts, trial: Trial, release: int) -> None:
    """Say that a canary became a release."""
    if parts.trials.end(trial.number, "promoted", f"it is release {release}"):
        _note(parts, "canary.promoted", f"it is release {release}", trial)


def _note(parts: Parts, what: str, why: str, trial: Trial) -> None:
    with parts.registry.database.connect() as connection:
        parts.registry.note(connection, what, why, trial.to_json())
