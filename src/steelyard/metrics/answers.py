"""Scores of answers: are they right, quoted, allowed, in force; and does the system decline when it should."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from steelyard.metrics.scores import Score, Unscored
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output
from steelyard.schema.scope import Access, Scope

_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Signs inside a number carry meaning: `1,000` and `1000` are equal, `3.5` and `35` are not.
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_PUNCTUATION = str.maketrans(
    {sign: " " for sign in string.punctuation if sign not in ".$%-+"} | {"’": " ", "“": " ", "”": " "}
)
KEPT_TEXTS = 32_768
"""Normalised texts remembered: the same answers are compared with every output of every candidate."""

_LOOSE_SIGN = re.compile(r"(?<!\w)[.\-+]+(?!\d)|(?<=\w)[.\-+]+(?!\w)|(?<=[^\W\d])[.\-+]+(?=\w)")


@lru_cache(maxsize=KEPT_TEXTS)
def normalise_answer(text: str) -> str:
    """Lower case, no articles, no punctuation but in numbers, single spaces.

    As the SQuAD evaluation (Rajpurkar et al., EMNLP 2016), except that a number keeps its point, sign, unit sign and loses its
    thousands separators, so `$3.50` is not `$350`.

    >>> normalise_answer("The  price: $1,250.50 (per-seat).")
    'price $1250.50 per seat'
    """
    text = _THOUSANDS.sub("", text.lower()).translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", _LOOSE_SIGN.sub(" ", text)).split())


def exact_match(text: str, answers: Iterable[str]) -> float:
    """1.0 when `text` equals one of `answers`, both normalised, else 0.0."""
    said = normalise_answer(text)
    return float(any(said == normalise_answer(answer) for answer in answers))


def token_f1(text: str, answers: Iterable[str]) -> float:
    """Best F1 of the normalised words of `text` with one of `answers`, 0.0 to 1.0. Two empty texts match fully."""
    return max(
        (_f1(normalise_answer(text).split(), normalise_answer(answer).split()) for answer in answers), default=0.0
    )


def contains_answer(text: str, answers: Iterable[str]) -> float:
    """1.0 when one of `answers` stands in `text` as whole words, both normalised, else 0.0.

    >>> contains_answer("It costs $5 a month.", ["$5"]), contains_answer("It costs $55.", ["$5"])
    (1.0, 0.0)
    """
    said = f" {normalise_answer(text)} "
    wanted = [normalise_answer(answer) for answer in answers]
    return float(any(answer and f" {answer} " in said for answer in wanted))


def answer_scores(item: Item, output: Output) -> dict[str, Score]:
    """Scores of one answer, 0.0 to 1.0.

    `accuracy`: an answerable question is answered with one of its answers contained, an unanswerable one declined. `exact_match`,
    `token_f1` and `containment` exist for answerable questions (declining scores 0.0), as does
    `coverage` (not declined). `refusal_recall` exists for unanswerable
    questions, `refusal_precision` for declined ones.
    """
    text = "" if output.abstained else output.text
    declined = float(output.abstained)
    unanswerable = Unscored("the question has no answer for this asker")
    contained = contains_answer(text, item.answers)
    return {
        "accuracy": contained if item.answerable else declined,
        "exact_match": exact_match(text, item.answers) if item.answerable else unanswerable,
        "token_f1": token_f1(text, item.answers) if item.answerable else unanswerable,
        "containment": contained if item.answerable else unanswerable,
        "coverage": 1.0 - declined if item.answerable else unanswerable,
        "refusal_recall": Unscored("the question has an answer") if item.answerable else declined,
        "refusal_precision": float(not item.answerable) if output.abstained else Unscored("the question was answered"),
    }


def citation_validity(output: Output, stored_text: Callable[[str, str], str | None]) -> Score:
    """Share of citations whose quote is exactly the characters [start:end) of the stored version, 0.0 to 1.0.

    `stored_text(document, version)` gives a version's text, None when there is none: such a citation is not valid. An
    answer without citations is 0.0; a declined one is not scored. Where a model cited passages that it was never given, each counts as
    one that is not valid.
    """
    if output.abstained or not output.text:
        return Unscored("nothing was answered")
    if not output.citations:
        return 0.0
    valid = 0
    for citation in output.citations:
        text = stored_text(citation.document, citation.version)
        inside = text is not None and 0 <= citation.start < citation.end <= len(text)
        valid += bool(inside and text is not None and text[citation.start : citation.end] == citation.quote)
    foreign = output.grounding.foreign_citations if output.grounding is not None else 0
    return valid / (len(output.citations) + foreign)


def leaks(
    output: Output, scope: Scope, access_of: Callable[[str, str], Access | None] | None = None, item: Item | None = None
) -> int:
    """How many things in `output` the asker may not see.

    Counts used passages that `scope` may not see, citations of versions whose access (`access_of(document, version)`, None: no such
    version) forbids it, and, given `item`, one for an answer that tells what this asker has no right to: the item is
    unanswerable for the asker, and lists the hidden answer.
    """
    count = sum(not used.access.permits(scope) for hit in output.hits for used in (hit.passage, *hit.copies))
    if access_of is not None:
        rules = [access_of(citation.document, citation.version) for citation in output.citations]
        count += sum(rule is None or not rule.permits(scope) for rule in rules)
    if item is not None and not item.answerable and not output.abstained:
        count += int(contains_answer(output.text, item.answers))
    return count


def former_answers(item: Item, dated: Sequence[Item], at: datetime) -> tuple[str, ...]:
    """Answers to the same question that held before `at` and hold no more, each once.

    The same question is the same `group` (fact), else the same normalised text. An answer that also holds at `at` is not former.
    """
    same = [other for other in dated if _same_question(item, other)]
    over = [answer for other in same if other.valid_to is not None and other.valid_to <= at for answer in other.answers]
    now = {
        normalise_answer(answer)
        for other in (item, *same)
        if (other.valid_from is None or other.valid_from <= at) and (other.valid_to is None or at < other.valid_to)
        for answer in other.answers
    }
    return tuple(dict.fromkeys(answer for answer in over if normalise_answer(answer) not in now))


def stale(item: Item, output: Output, former: Sequence[str]) -> Score:
    """1.0 when the answer was true once and is not now: it contains a former answer and no current one; else 0.0."""
    if not former:
        return Unscored("the answer never changed")
    if output.abstained:
        return 0.0
    return float(bool(contains_answer(output.text, former)) and not contains_answer(output.text, item.answers))


def _same_question(item: Item, other: Item) -> bool:
    if item.group is not None or other.group is not None:
        return item.group == other.group
    return normalise_answer(item.text) == normalise_answer(other.text)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))
