"""Scores of written replies: valid format, slots kept verbatim, closeness to approved replies."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.metrics.scores import Score, Unscored
from steelyard.schema.errors import ConfigError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

CHRF_ORDER = 6
CHRF_BETA = 2.0  # chrF2: Popović, WMT 2015 and 2017, the default of sacreBLEU
_PLACE = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_SPACE = re.compile(r"\s+")


class ReplyFormat:
    """What every reply must look like: a regular expression for the whole text, or a JSON Schema file for a JSON reply.

    `setting` ending in `.json` names a schema file inside `folder`; anything else is the expression.

    Raises:
        ConfigError: the file is missing or no JSON Schema, or the expression does not compile.
    """

    def __init__(self, setting: str, folder: Path) -> None:
        self._pattern: re.Pattern[str] | None = None
        self._schema: Any = None
        if setting.endswith(".json"):
            self._schema = _schema(folder / setting)
            return
        try:
            self._pattern = re.compile(setting, re.DOTALL)
        except re.error as error:
            raise ConfigError(
                f"format is not a regular expression: {error}.",
                remedy="Correct it, or name a .json schema.",
                code="metrics.bad_format",
            ) from error

    def allows(self, text: str) -> bool:
        """Whether `text` as a whole has this format."""
        if self._pattern is not None:
            return self._pattern.fullmatch(text) is not None
        try:
            return bool(self._schema.is_valid(json.loads(text)))
        except (ValueError, RecursionError):
            return False


def write_scores(item: Item, output: Output, format_: ReplyFormat | None = None) -> dict[str, Score]:
    """Scores of one reply against its approved one, 0.0 to 1.0. A declined reply scores 0.0 wherever a score exists.

    `format_valid` exists when a format is set, else it says whether there is a text without open places. `slot_fidelity`: see there.
    `chrf` compares with the approved reply, both with their slots filled.
    """
    text = "" if output.abstained else output.text
    valid = format_.allows(text) if format_ is not None else bool(text.strip()) and _PLACE.search(text) is None
    reference = filled(item.output or "", item.slots)
    return {
        "format_valid": float(valid),
        "slot_fidelity": slot_fidelity(item, text),
        "chrf": chrf(text, [reference]) if reference else Unscored("no approved reply"),
    }


def slot_fidelity(item: Item, text: str) -> Score:
    """1.0 when every value the approved reply uses stands in `text` verbatim, and no place is left open; else 0.0.

    Unscored when the approved reply has no places.
    """
    needed = {name for name in _PLACE.findall(item.output or "") if name in item.slots}
    if not needed:
        return Unscored("the approved reply has no slots")
    return float(all(item.slots[name] in text for name in needed) and _PLACE.search(text) is None)


def filled(template: str, slots: Mapping[str, str]) -> str:
    """`template` with the value of each place inserted verbatim; a place without a value stays as it is."""
    return _PLACE.sub(lambda match: slots.get(match[1], match[0]), template)


def chrf(text: str, references: Sequence[str], order: int = CHRF_ORDER, beta: float = CHRF_BETA) -> float:
    """Character n-gram F-score of `text` with its best reference, 0.0 to 1.0.

    Mean precision and recall over the n-gram orders that both texts are long enough for, white space left out.
    Source: Popović, chrF: character n-gram F-score, WMT 2015; as sacreBLEU's sentence chrF2 (which gives it times 100).
    """
    return max(
        (_chrf(_SPACE.sub("", text), _SPACE.sub("", reference), order, beta) for reference in references), default=0.0
    )


def _chrf(text: str, reference: str, order: int, beta: float) -> float:
    precisions: list[float] = []
    recalls: list[float] = []
    for n in range(1, order + 1):
        said, wanted = _grams(text, n), _grams(reference, n)
        if not said or not wanted:
            continue
        shared = (said & wanted).total()
        precisions.append(shared / said.total())
        recalls.append(shared / wanted.total())
    if not precisions:
        return float(text == reference)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    if precision + recall == 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def _schema(path: Path) -> Any:
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        validator = validator_for(schema)
        validator.check_schema(schema)
        return validator(schema)
    except (OSError, ValueError, AttributeError, SchemaError) as error:
        reason = error.message if isinstance(error, SchemaError) else str(error)
        raise ConfigError(
            f"the format's JSON Schema cannot be used: {reason}.",
            where=str(path),
            remedy="Correct the file.",
            code="metrics.bad_format",
        ) from error
