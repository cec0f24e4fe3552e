"""How much a reply sounds like the approved ones: a discriminator between the house voice and neutral rewrites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

from steelyard.schema.errors import NotFittedError

MAX_CHARS = 4  # longer n-grams learn the topic, not the voice
STRENGTH = (
    10.0  # weak regularisation: on 200 replies of the example it separates best of 1, 3, 10, 30 by cross-validation
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PLACE = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_SAYS_SOMETHING = re.compile(r"\{[A-Za-z_]|\d|\b(not|must|need|will|can|cannot|is|are|was|has|have)\b", re.IGNORECASE)
_COURTESY = re.compile(
    r"\b(please|thanks( so much| again| a lot)?|thank you( so much| again| very much)?|sorry( about that| for [^.,;!?]*)?|"
    r"hi( there)?|hello|hey|dear|cheers|kind regards|best wishes|all the best|happy to help|no worries|of course|great news|"
    r"just|really|very|absolutely|lovely|gladly)\b[ ,!]*",
    re.IGNORECASE,
)
_CONTRACTIONS = (
    (r"\bcan['’]t\b", "cannot"),
    (r"\bwon['’]t\b", "will not"),
    (r"n['’]t\b", " not"),
    (r"['’]re\b", " are"),
    (r"['’]ve\b", " have"),
    (r"['’]ll\b", " will"),
    (r"\bI['’]m\b", "I am"),
    (r"\b(it|that|there|here|what)['’]s\b", r"\1 is"),
)
_PERSONS = (
    (r"\bI am\b", "support is"),
    (r"\b(I|we)\b", "support"),
    (r"\b(my|our)\b", "the"),
    (r"\b(me|us)\b", "support"),
    (r"\byour\b", "the customer's"),
    (r"\byou are\b", "the customer is"),
    (r"\byou\b", "the customer"),
)


def neutral_rewrite(reply: str) -> str:
    """The facts of `reply` without its voice: no courtesies, contractions or persons, plain sentence ends.

    Rules, not a model: the same text always gives the same rewrite, and slots and numbers stay as they are. It stands in where a team has
    written no neutral versions of its own; sentences that state nothing are dropped, unless none would be left.
    """
    sentences = [sentence.strip() for sentence in _SENTENCE.split(reply) if sentence.strip()]
    stating = [sentence for sentence in sentences if _SAYS_SOMETHING.search(_COURTESY.sub("", sentence))]
    plain = [_plain(sentence) for sentence in stating or sentences]
    return " ".join(sentence for sentence in plain if sentence) or reply


class StyleDiscriminator:
    """Logistic regression on character n-grams: approved replies against neutral rewrites.

    Fitted on training replies, used to measure only; slot places are masked, so it judges the voice and not the names.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, replies: Sequence[str], neutral: Sequence[str] | None = None) -> Self:
        """Learn from approved `replies` (templates with their places) and `neutral` ones, by default their `neutral_rewrite`.

        Raises:
            ValueError: no replies, or nothing neutral that differs from them.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        house = [_masked(reply) for reply in replies]
        known = set(house)
        given = neutral if neutral is not None else [neutral_rewrite(reply) for reply in replies]
        plain = [text for text in map(_masked, given) if text not in known]
        if not house or not plain:
            raise ValueError("the style needs approved replies and neutral ones that differ from them")
        # Case and spacing are part of a voice: kept.
        grams = TfidfVectorizer(
            analyzer="char", ngram_range=(1, MAX_CHARS), lowercase=False, sublinear_tf=True, min_df=2
        )
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000, random_state=self.seed)
        self.pipeline_: Any = make_pipeline(grams, model)
        self.pipeline_.fit([*house, *plain], [1] * len(house) + [0] * len(plain))
        return self

    def score(self, templates: Sequence[str]) -> list[float]:
        """Probability, 0.0 to 1.0, that each text is in the house voice; 0.0 for an empty one.

        Pass replies before their slots were filled where there are any.

        Raises:
            NotFittedError: not fitted.
        """
        if not hasattr(self, "pipeline_"):
            raise NotFittedError(
                "the style discriminator is not fitted.", remedy="Call fit first.", code="metrics.not_fitted"
            )
        if not templates:
            return []
        house = self.pipeline_.predict_proba([_masked(text) for text in templates])[:, 1]
        return [float(p) if text.strip() else 0.0 for p, text in zip(house, templates, strict=True)]


def _masked(text: str) -> str:
    return _PLACE.sub("{}", text.strip())


def _plain(sentence: str) -> str:
    sentence = _COURTESY.sub("", sentence)
    for pattern, replacement in (*_CONTRACTIONS, *_PERSONS):
        sentence = re.sub(pattern, replacement, sentence, flags=re.IGNORECASE)
    sentence = re.sub(r"\s*[—–]\s*|\s+-\s+", ", ", sentence)
    sentence = re.sub(r"\s+([.,;:!?])", r"\1", re.sub(r"\s+", " ", sentence)).strip(" ,;:-")
    if not sentence.strip(".!?"):
        return ""
    return sentence[0].upper() + sentence[1:].rstrip(".!?") + "."
