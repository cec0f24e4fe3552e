"""The facts file: what a team knows before anything is built, read strictly, inherited by components from the top."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from steelyard.economics.input_file import check_keys, parse_object, read_object
from steelyard.schema.decision import APPROACHES, Behaviour, Facts, FactSheet, Pilot, TeamSkills
from steelyard.schema.errors import FactsError, nearest

Kind = Literal["number", "whole", "flag", "behaviour", "skills", "pilot"]

MAX_COMPONENTS = 200
"""More parts than any feature has; a longer list is a file of something else."""

MAX_NAME_LENGTH = 120

_SKILLS = ("mlops", "ir_ops")
_PILOT_KEYS = ("metric", "target", *APPROACHES, "lower_is_better", "items")
_LOWER_IS_BETTER = re.compile(
    r"\b(latency|p50|p90|p95|p99|ms|milliseconds?|seconds?|errors?|wrong|hallucinat\w*|violations?|invalid|failures?|leaks?"
    r"|cost|usd|dollars?|complaints?|escalations?|rework|wer|cer|perplexity|loss|edits?|stale)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FactField:
    """One key of a facts file: its kind, its bounds, and the question that asks for it."""

    kind: Kind
    question: str
    low: float = 0.0
    high: float = 1e12


FIELDS: Mapping[str, FactField] = {
    "queries_per_month": FactField("number", "How many requests a month?"),
    "knowledge_update_per_year": FactField("number", "How many times a year does the knowledge change?", high=1e6),
    "needs_citations": FactField("flag", "Must answers cite their sources?"),
    "needs_audit": FactField("flag", "Must it be possible to show afterwards what an answer rested on?"),
    "per_user_scoping": FactField("flag", "Do different users see different parts of the knowledge?"),
    "behaviour": FactField("behaviour", "What is wanted: facts, a style, a format, a classification, or a mixture?"),
    "corpus_tokens": FactField("number", "How large is the knowledge, in tokens (a page is about 700)?", high=1e15),
    "latency_budget_ms": FactField("number", "How many milliseconds may one request take?", low=1.0, high=1e9),
    "examples_count": FactField("whole", "How many labelled examples are there?"),
    "prompt_examples_tokens": FactField("number", "How many tokens of worked examples would a prompt need?", high=1e9),
    "team_skills": FactField("skills", "Which discipline does the team carry: model operations, retrieval operations?"),
    "measured": FactField("pilot", "What did a pilot measure, per approach?"),
    "needs_refusal": FactField("flag", "Must the system decline when the knowledge holds no answer?"),
    "needs_erasure": FactField("flag", "Must personal data in the knowledge be deletable on request?"),
    "needs_residency": FactField("flag", "Must the data stay on your own machines?"),
    "styles_count": FactField("whole", "How many different styles (clients, brands) share the model?", low=1),
    "retrieval_p95_ms": FactField(
        "number", "How long does a retrieval step take at the 95th percentile, measured?", high=1e9
    ),
    "base_model_ends_in_months": FactField(
        "number", "In how many months does the base model for tuning end?", high=1200
    ),
    "wrong_answer_usd": FactField("number", "What does one wrong answer cost, in USD?", high=1e9),
    "horizon_months": FactField("whole", "Over how many months are costs compared?", low=1, high=120),
}
"""Every key of a facts file, in the order of the reference."""


def read_facts(path: Path) -> FactSheet:
    """The facts file at `path`, validated, with every component's inherited facts filled in.

    Raises:
        FactsError: unreadable, too large, not UTF-8, not a JSON object, an unknown or doubled key, or a wrong value.
    """
    return facts_from_json(read_object(path, kind="facts"), where=str(path))


def parse_facts(text: str, where: str = "facts") -> FactSheet:
    """The facts in the text of a facts file; `where` names it in errors.

    Raises:
        FactsError: as `read_facts`.
    """
    return facts_from_json(parse_object(text, where=where, kind="facts"), where=where)


def facts_from_json(tree: Mapping[str, Any], where: str = "facts") -> FactSheet:
    """The facts in a parsed JSON object. A component takes from the top what it leaves out; an explicit null is unknown.

    Raises:
        FactsError: an unknown key (the message names the nearest), or a value of the wrong type or out of bounds.
    """
    _known_keys(tree, (*FIELDS, "components"), where)
    top = {key: value for key, value in tree.items() if key != "components"}
    components = tree.get("components")
    if components is None or components == []:
        return FactSheet(components=(_one(top, "main", where),))
    if not isinstance(components, list):
        raise _wrong(f"{where}: components", f"must be a list of objects, not {_shown(components)}")
    if len(components) > MAX_COMPONENTS:
        raise _wrong(f"{where}: components", f"has {len(components)} entries; at most {MAX_COMPONENTS} are read")
    _one(top, "main", where)  # a mistake at the top is reported there, not once per component
    parts: list[Facts] = []
    for index, part in enumerate(components):
        place = f"{where}: components[{index}]"
        if not isinstance(part, Mapping):
            raise _wrong(place, f"must be an object with a name, not {_shown(part)}")
        _known_keys(part, ("name", *FIELDS), place)
        name = _name(part.get("name"), place)
        if any(name == other.name for other in parts):
            raise _wrong(f"{place}.name", f"is '{name}', which an earlier component is named already")
        own = {key: value for key, value in part.items() if key != "name"}
        parts.append(_one({**top, **own}, name, place))
    return FactSheet(components=tuple(parts))


def _one(tree: Mapping[str, Any], name: str, where: str) -> Facts:
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if value is None:
            continue
        values[key] = _value(key, value, f"{where}: {key}")
    return Facts(name=name, **values)


def _value(key: str, value: Any, where: str) -> Any:
    field = FIELDS[key]
    if field.kind == "flag":
        return _flag(value, where)
    if field.kind == "behaviour":
        return _choice(value, get_args(Behaviour), where)
    if field.kind == "skills":
        return _skills(value, where)
    if field.kind == "pilot":
        return _pilot(value, where)
    number = _number(value, where, field.low, field.high)
    return _whole(number, where) if field.kind == "whole" else number


def _number(value: Any, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise _wrong(where, f"must be a number, not {_shown(value)}")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(where, f"must be a finite number, not {_shown(value)}")
    if number < low:
        raise _wrong(where, f"is {_shown(value)}; it cannot be less than {low:g}")
    if number > high:
        raise _wrong(where, f"is {_shown(value)}; more than {high:,.0f} is not plausible")
    return number


def _whole(number: float, where: str) -> int:
    if number != int(number):
        raise _wrong(where, f"must be a whole number, not {number:g}")
    return int(number)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, f"must be true or false, not {_shown(value)}")
    return value


def _choice(value: Any, known: tuple[str, ...], where: str) -> str:
    if value in known and isinstance(value, str):
        return value
    near = nearest(value, known) if isinstance(value, str) else []
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise _wrong(where, f"must be one of {', '.join(known)}, not {_shown(value)}.{hint}")


def _name(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(f"{place}.name", "is missing; every component needs a name")
    if len(value) > MAX_NAME_LENGTH or not value.isprintable():
        raise _wrong(f"{place}.name", f"must be at most {MAX_NAME_LENGTH} printable characters")
    return value


def _skills(value: Any, where: str) -> TeamSkills:
    if not isinstance(value, Mapping):
        raise _wrong(where, f"must be an object with mlops and ir_ops, not {_shown(value)}")
    _known_keys(value, _SKILLS, where)
    return TeamSkills(**{key: _flag(flag, f"{where}.{key}") for key, flag in value.items() if flag is not None})


def _pilot(value: Any, where: str) -> Pilot:
    if not isinstance(value, Mapping):
        raise _wrong(where, f"must be an object with metric, target and the scores, or null, not {_shown(value)}")
    _known_keys(value, _PILOT_KEYS, where)
    metric = value.get("metric", "score")
    if not isinstance(metric, str) or not metric.strip() or not metric.isprintable():
        raise _wrong(f"{where}.metric", f"must name the metric, not {_shown(metric)}")
    scores = {
        approach: _number(value[approach], f"{where}.{approach}", 0.0, 1e12)
        for approach in APPROACHES
        if value.get(approach) is not None
    }
    target, lower, items = value.get("target"), value.get("lower_is_better"), value.get("items")
    return Pilot(
        metric=metric,
        scores=scores,
        target=None if target is None else _number(target, f"{where}.target", 0.0, 1e12),
        lower_is_better=_lower_is_better(metric) if lower is None else _flag(lower, f"{where}.lower_is_better"),
        items=None if items is None else _whole(_number(items, f"{where}.items", 1, 1e9), f"{where}.items"),
    )


def _lower_is_better(metric: str) -> bool:
    """Whether the metric's name says that less is better: a latency, an error, a cost."""
    return bool(_LOWER_IS_BETTER.search(metric.replace("_", " ")))


def _known_keys(tree: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    check_keys(tree, known, where)


def _shown(value: Any) -> str:
    """A value as an error may show it: short, and printable whatever the file held."""
    text = str(value) if hasattr(value, "__float__") and not isinstance(value, bool | str) else repr(value)
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(where: str, problem: str) -> FactsError:
    return FactsError(
        f"{problem}." if not problem.endswith((".", "?")) else problem,
        where=where,
        remedy="Correct the value, or leave the key out if the fact is unknown.",
        code="facts.wrong_value",
    )
