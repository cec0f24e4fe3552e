"""`release` and `rollback`: versions pass the gates, then one pointer moves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard.registry.gates import Contender, Limits, judge
from steelyard.registry.releases import check_alias
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.errors import NotFoundError, SteelyardError, UserError, nearest
from steelyard.schema.progress import Report
from steelyard.schema.releases import Gate, Parity, Promotion, Release
from steelyard.schema.runs import VersionRecord
from steelyard.workspace.weighing import Weighing

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

TARGET = re.compile(r"(?P<component>[^/@]+)(?:/(?P<candidate>[^@]+)(?:@(?P<version>\d+))?|@(?P<alias>.+))")
"""COMPONENT/CANDIDATE, COMPONENT/CANDIDATE@VERSION, or COMPONENT@ALIAS."""


def release(
    parts: Parts,
    targets: Sequence[str],
    *,
    why: str,
    force: bool,
    pin_corpus: bool,
    dry_run: bool,
    report: Report,
) -> Promotion:
    """Let versions answer in production when every gate passes: the named ones, by default the recommended ones.

    Components that are not named keep what they have. A forced release goes out whatever the gates say, with its reason in the history.
    Changes nothing when production runs exactly this already.

    Raises:
        UserError: nothing to release, a reason is missing, or a corpus is to be pinned and there is none.
        NotFoundError: no such component, candidate, version or alias.
    """
    if force and not why.strip():
        raise UserError(
            "a forced release needs a reason.", remedy="Say it with --why TEXT.", code="release.force_without_reason"
        )
    if pin_corpus and not parts.toolbox.generation:
        raise UserError(
            "there is no corpus to pin.", remedy="Run `steelyard ingest` first.", code="release.nothing_to_pin"
        )
    before = parts.releases.in_force()
    wanted = _chosen(parts, targets)
    versions = {**_kept(parts, before), **wanted}
    names = tuple(record.name for record in versions.values())
    if before is not None and _is_same(parts, before, versions, pin_corpus=pin_corpus):
        return Promotion(release=before.number, previous=before.previous, gates=(), versions=names, unchanged=True)
    gates, evidence = _judged(parts, before, wanted, report)
    number = before.number if before else None
    refused = not all(gate.passed for gate in gates)
    if dry_run or (refused and not force):
        return Promotion(release=None, previous=number, gates=gates, versions=names)
    made = parts.releases.make(
        versions,
        generation=parts.toolbox.generation,
        pinned=pin_corpus,
        gates=gates,
        forced=refused,
        why=why or ("the recommended versions" if not targets else "named on the command line"),
        evidence=evidence,
    )
    return Promotion(release=made.number, previous=number, gates=gates, versions=names, forced=refused)


def point_alias(parts: Parts, name: str, target: str, why: str) -> VersionRecord:
    """Give a version a name of the user's own.

    Raises:
        UserError: the name means something else.
        NotFoundError: no such component, candidate or version.
    """
    check_alias(name)
    record = named_version(parts, target)
    parts.registry.point(record.component, name, record, why)
    return record


def named_version(parts: Parts, target: str) -> VersionRecord:
    """The version that a target names: the newest of a candidate, one by its number, or the one behind an alias.

    Raises:
        UserError: the target cannot be read.
        NotFoundError: no such component, candidate, version or alias.
    """
    found = TARGET.fullmatch(target)
    if found is None:
        raise UserError(
            f"{target!r} names no version.",
            remedy="Write COMPONENT/CANDIDATE@VERSION, e.g. intent/linear@3, or COMPONENT@ALIAS.",
            code="release.bad_target",
        )
    component = found["component"]
    parts.examples.component(component)
    if found["alias"] is None:
        parts.training.check_candidate(component, found["candidate"])
        number = None if found["version"] is None else int(found["version"])
        return parts.registry.get(component, found["candidate"], number)
    record = parts.registry.alias(component, found["alias"])
    if record is None:
        known = [alias for one, alias in parts.registry.aliases() if one == component]
        near = nearest(found["alias"], known)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(known) or 'none yet'}."
        raise NotFoundError(
            f"component '{component}' has no alias '{found['alias']}'.", remedy=hint, code="registry.unknown_alias"
        )
    return record


def _chosen(parts: Parts, targets: Sequence[str]) -> dict[str, VersionRecord]:
    if targets:
        named = [named_version(parts, target) for target in targets]
        twice = next((one.component for one in named if sum(o.component == one.component for o in named) > 1), None)
        if twice is not None:
            raise UserError(
                f"two versions of component '{twice}' are named.", remedy="Name one.", code="release.named_twice"
            )
        return {record.component: record for record in named}
    recommended = {name: parts.registry.alias(name, RECOMMENDED) for name in parts.settings.components}
    found = {name: record for name, record in recommended.items() if record is not None}
    if not found:
        raise UserError(
            "nothing is recommended yet, so there is nothing to release.",
            remedy="Run `steelyard weigh` first, or name versions: steelyard release COMPONENT/CANDIDATE@VERSION.",
            code="release.nothing",
        )
    return found


def _kept(parts: Parts, before: Release | None) -> dict[str, VersionRecord]:
    if before is None:
        return {}
    return {
        component: parts.registry.get(component, *chosen)
        for component, chosen in before.versions.items()
        if component in parts.settings.components
    }


def _is_same(parts: Parts, before: Release, versions: Mapping[str, VersionRecord], *, pin_corpus: bool) -> bool:
    same = {name: (one.candidate, one.version) for name, one in versions.items()} == dict(before.versions)
    if before.pinned != pin_corpus:
        return False
    return same and (not pin_corpus or before.generation == parts.toolbox.generation)


def _judged(
    parts: Parts, before: Release | None, wanted: Mapping[str, VersionRecord], report: Report
) -> tuple[tuple[Gate, ...], dict[str, object]]:
    """The gates of every version that production does not run yet, and the runs that they rest on."""
    weighing = Weighing(parts.examples, parts.toolbox, parts.registry, parts.training)
    contenders, runs = [], {}
    for done, (component, record) in enumerate(wanted.items(), start=1):
        now = before.versions.get(component) if before else None
        if now != (record.candidate, record.version):
            one = _contender(parts, weighing, record, now, report)
            contenders.append(one)
            runs[record.name] = one.run.key
            if one.production is not None and now is not None:
                runs[f"{component}/{now[0]}@{now[1]}"] = one.production.key
        report("check the gates", done, len(wanted))
    settings = parts.settings.gates
    limits = Limits(
        margin=settings.margin,
        alpha=settings.alpha,
        agreement=settings.agreement,
        margins=settings.margins,
        guarded=settings.guarded,
    )
    return judge(contenders, limits), {"runs": runs}


def _contender(
    parts: Parts, weighing: Weighing, record: VersionRecord, now: tuple[str, int] | None, report: Report
) -> Contender:
    split = parts.examples.split(record.component)
    run = weighing.run_of(record, split, report)
    parities = [Parity.from_json(record.parity)] if record.parity else []
    precision = parts.training.precision_parity(record, split.holdout)
    if precision is not None:
        parities.append(precision)
    if now is None:
        return Contender(run=run, production=None, parities=parities)
    current = parts.registry.get(record.component, *now)
    if current.artefact == record.artefact:
        return Contender(run=run, production=None, parities=parities, byte_equal=True)
    try:
        return Contender(run=run, production=weighing.run_of(current, split, report), parities=parities)
    except SteelyardError as error:
        return Contender(run=run, production=None, parities=parities, unmeasured=f"{current.name}: {error.message}")
