"""The room *Ask*: who asks, what came out, which part did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from steelyard.decision import wording
from steelyard.schema.callers import OPERATE, Caller
from steelyard.schema.corpus import Citation, DocumentVersion
from steelyard.schema.errors import SteelyardError, UserError
from steelyard.schema.scope import Scope
from steelyard.schema.serving import PartUse, Served
from steelyard.server.callers import asked_scope

if TYPE_CHECKING:
    from steelyard.server.site import Site

LONGEST_QUESTION = 8_000
"""Characters; more is a document, not a question."""

SHOWN_TEXT = 120_000
"""Characters of a source that one page shows, around the span."""

TRIES = 6
"""Questions offered to try."""

KINDS: Mapping[str, str] = {
    "pipeline": "The whole pipeline",
    "answer": "The documents alone",
    "search": "Passages only",
}


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A filled form. `other` says that another asker than the caller was chosen, whose `user` and `groups` are then used."""

    text: str = ""
    kind: str = "pipeline"
    other: bool = False
    user: str = ""
    groups: str = ""
    slots: str = ""

    @property
    def slot_values(self) -> dict[str, str]:
        """What a reply may say of the asker, by slot: `name=Ines, agent=Bo`."""
        pairs = [part.partition("=") for part in self.slots.replace("\n", ",").split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups as names."""
        return tuple(name for part in self.groups.replace(";", ",").split(",") if (name := part.strip()))

    def scope(self, who: Caller) -> Scope:
        """Whose documents are looked at.

        Raises:
            ForbiddenError: another asker is named by somebody who may not operate.
        """
        return asked_scope(who, self.user or None, self.group_names) if self.other else who.scope

    def checked(self) -> Asking:
        """The form, when there is something to ask.

        Raises:
            UserError: nothing was written, or too much.
        """
        if not self.text.strip():
            raise UserError("there is no question.", remedy="Write one.", code="page.no_question")
        if len(self.text) > LONGEST_QUESTION:
            raise UserError(
                f"the question is longer than {LONGEST_QUESTION:,} characters.",
                remedy="Shorten it.",
                code="page.long_question",
            )
        return self


def asking_of(form: Mapping[str, str]) -> Asking:
    """The form as it was sent."""
    kind = form.get("kind", "pipeline")
    return Asking(
        text=form.get("text", ""),
        kind=kind if kind in KINDS else "pipeline",
        other=form.get("asker") == "other",
        user=form.get("user", "").strip()[:200],
        groups=form.get("groups", "").strip()[:1000],
        slots=form.get("slots", "").strip()[:2000],
    )


def context(asking: Asking, who: Caller, served: Served | None = None) -> dict[str, Any]:
    """What the template shows besides the tries."""
    return {
        "asking": asking,
        "kinds": KINDS,
        "may_choose": who.may(OPERATE),
        "served": served,
        "steps": [] if served is None else steps(served),
        "cites": [] if served is None else cites(served, asking),
        "hits": [] if served is None else hits(served, asking),
        "scope_said": scope_said(asking.scope(who)),
        "wrong": None,
    }


def scope_said(scope: Scope) -> str:
    """A scope in words: `mira, in staff`."""
    name = scope.user or "somebody without a name"
    return f"{name}, in {wording.joined(sorted(scope.groups))}" if scope.groups else f"{name}, in no group"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one part did: `share` is its part of the whole latency."""

    name: str
    component: str
    did: str
    latency_ms: float
    share: float
    cost_usd: float


def steps(served: Served) -> list[Step]:
    """The parts in the order in which they worked."""
    longest = max((part.latency_ms for part in served.parts), default=0.0) or 1.0
    return [
        Step(
            name=part.name,
            component=part.component,
            did=_did(part),
            latency_ms=part.latency_ms,
            share=part.latency_ms / longest,
            cost_usd=part.cost_usd,
        )
        for part in served.parts
    ]


def _did(part: PartUse) -> str:
    details = part.details
    probability = details.get("probability")
    sure = f", {wording.probability(probability)} sure" if isinstance(probability, float) else ""
    if part.task == "classify":
        outside = "; out of scope, so a person takes over" if details.get("out_of_scope") else ""
        return f"labelled it {details.get('label') or 'nothing'}{sure}{outside}"
    if part.task == "answer":
        count = len(part.passages)
        looked = f"looked at {count} passage{'' if count == 1 else 's'}"
        return f"{looked} and {'found no answer' if details.get('abstained') else 'quoted one'}{sure}"
    return "found no approved reply that fits" if details.get("abstained") else f"wrote it in the house's words{sure}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something stands: the address of its source, what to call it, the words, and the part of the answer that they support."""

    address: str
    document: str
    where: str
    quote: str
    supports: str = ""


def cites(served: Served, asking: Asking) -> list[Place]:
    """The citations of an answer; where it rests on several, each with the part of the answer that it supports."""
    several = len({one.supports for one in served.citations}) > 1
    return [
        replace(_place(one, asking), supports=served.text[slice(*one.supports)] if several and one.supports else "")
        for one in served.citations
    ]


def hits(served: Served, asking: Asking) -> list[Place]:
    """The passages of a search."""
    found = []
    for hit in served.hits:
        passage = hit.passage
        address = source_address(passage.document, passage.version, passage.start, passage.end, asking)
        found.append(
            Place(
                address=address,
                document=passage.document,
                where=_where(passage.heading, passage.page),
                quote=passage.text,
            )
        )
    return found


def _place(one: Citation, asking: Asking) -> Place:
    return Place(
        address=source_address(one.document, one.version, one.start, one.end, asking),
        document=one.document,
        where=_where(one.heading, one.page),
        quote=one.quote,
    )


def _where(heading: Sequence[str], page: int | None) -> str:
    return " › ".join([*heading, *([f"page {page}"] if page is not None else [])])


def source_address(document: str, version: str, start: int, end: int, asking: Asking) -> str:
    """The address at which a source opens at a span, for the asker who was chosen."""
    query: dict[str, Any] = {"document": document, "version": version, "start": start, "end": end}
    if asking.other:
        query |= {"asker": "other", "user": asking.user, "groups": asking.groups}
    return f"/source?{urlencode(query)}#span"


def source_context(found: DocumentVersion, start: int, end: int) -> dict[str, Any]:
    """A stored version with the span apart; of a long one what stands around the span."""
    size = len(found.text)
    start, end = min(max(start, 0), size), min(max(end, 0), size)
    if end <= start:
        start = end = 0
    first = max(0, start - SHOWN_TEXT // 2) if size > SHOWN_TEXT else 0
    last = min(size, first + SHOWN_TEXT)
    end = min(end, last)
    return {
        "found": found,
        "before": found.text[first:start],
        "span": found.text[start:end],
        "after": found.text[end:last],
        "cut": (first, last, size) if (first, last) != (0, size) else None,
    }


def tries(site: Site, who: Caller) -> list[str]:
    """A few questions that the answer component learned from, for operators: a question may tell what somebody else may read.

    Of the sealed rows none is shown.
    """
    if not who.may(OPERATE):
        return []
    examples = site.running.parts.examples
    for name, settings in site.settings.components.items():
        if settings.task == "answer":
            try:
                rows = [item.text for item in examples.split(name).train if item.answerable]
            except SteelyardError:
                return []
            step = max(1, len(rows) // TRIES)
            return rows[::step][:TRIES]
    return []
