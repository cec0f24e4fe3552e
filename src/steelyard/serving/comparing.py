"""Compares what two pipelines made of one request, part by part."""

from __future__ import annotations

from collections.abc import Collection

from steelyard.schema.serving import PartUse, Served

AGREED, ONLY_PRODUCTION, ONLY_SHADOW, FAILED, DIFFERS = "agreed", "only_production", "only_shadow", "failed", "differs"


def compare(production: Served, other: Served | None, components: Collection[str]) -> dict[str, str]:
    """By component of `components` that production used: whether the other side said the same.

    Labels are compared as they are; answers by what they cite, else like replies by their words (spaces aside). `other` None: it failed.
    """
    theirs = {part.component: part for part in other.parts} if other is not None else {}
    found = {}
    for part in production.parts:
        if part.component in components:
            mate = theirs.get(part.component)
            same = other is not None and _same(production, other, part)
            found[part.component] = FAILED if mate is None else _outcome(part, mate, same=same)
    return found


def _same(production: Served, other: Served, part: PartUse) -> bool:
    if part.task == "answer" and production.citations and production.citations == other.citations:
        return True
    return production.text.split() == other.text.split()


def _outcome(part: PartUse, mate: PartUse, *, same: bool) -> str:
    declined, declines = (bool(one.details.get("abstained") or one.details.get("out_of_scope")) for one in (part, mate))
    if declined != declines:
        return ONLY_SHADOW if declined else ONLY_PRODUCTION
    if declined:
        return AGREED
    if part.task == "classify":
        return AGREED if part.details.get("label") == mate.details.get("label") else DIFFERS
    return AGREED if same else DIFFERS
