"""Answers that a language model writes: from its memory, from every document, or from retrieved passages; checked sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.answer_forms import GROUNDED, REMEMBERED, Asked, evidence_pairs
from steelyard.candidates.interface import Search, Tools
from steelyard.candidates.prompting import (
    Asking,
    Prompt,
    batches,
    fence,
    load_prompt,
    made_with,
    read_object,
    same_making,
    stepped,
)
from steelyard.components.declining import Decliner
from steelyard.components.fusion import DENSE
from steelyard.components.grounding import Checked, Claim, GroundingCheck, sentences_of
from steelyard.metrics.answers import contains_answer
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.errors import CannotBuildError, NotFittedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope
from steelyard.stores.analysis import terms

CONTEXT_PASSAGES = 6
"""Passages in a prompt: as many as the extractive reader reads, so that both answer from the same."""

DENSE_WEIGHT = 0.5
"""Share of meaning in the fusion of words and meaning: the neutral one, because every trial of another would cost calls."""

CALIBRATION_ROWS = 100
"""Validation questions asked to learn what the evidence is worth; each costs a call."""

ROOM_ROWS = 8
"""Questions whose prompts are counted to see whether the usual one fits the model's context."""

ANSWER_TOKENS = 400
LONGEST_QUESTION = 4_000

EVIDENCE = ("support", "weakest", "kept", "similar", "found")
"""What tells a sound answer: mean and least support of its sentences, the share that was kept, the highest cosine of any passage, and the
share of the question's terms in what was given."""


class GeneratedAnswer:
    """What generated answers share: one call a question, strict reading, the check of every sentence, declining.

    The model may decline itself; an answer of which no sentence is supported is declined; and one whose evidence is, by what validation
    showed, more likely wrong than worth giving is declined too. Facts stay outside: nothing of a document is learned.
    """

    name = "generated"
    prompt_name = "answer"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._check = GroundingCheck(tools.encoder, unsupported=tools.unsupported)
        self._decliner: Decliner | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. Learns nothing from train rows but that there are some.

        The threshold of support is calibrated on the sentences that the model wrote for validation questions and that contain their answer:
        they are said by the passage with that answer; with another question's answer in its place, or against another question's passage,
        they are not. The probability of being right and the threshold for declining follow from the same questions.

        Raises:
            UserError: there are no questions, no documents, or no generator.
            CannotBuildError: the prompt cannot fit the model's context.
            GeneratorError, StoppedError: a call failed; answers that came before are kept.
        """
        if not train:
            raise UserError(
                "there are no questions.", where=self.name, remedy="Add questions.", code="candidate.no_rows"
            )
        held = stepped(validation, CALIBRATION_ROWS)
        asking = Asking(self._tools, self.name)
        self._require_room(asking, (*train, *validation))
        asked: list[Asked] = []
        for part in batches(held):
            asked += self._ask(asking, [(item.text, Scope(groups=item.groups)) for item in part])
            self._tools.progress(len(asked), len(held))
        self._check = self._check.calibrated(*evidence_pairs(held, asked))
        rows, right = [], []
        for item, one in zip(held, asked, strict=True):
            checked = self._checked(one)
            if checked is not None and checked.text:
                rows.append(self._evidence(one, checked))
                right.append(item.answerable and contains_answer(checked.text, item.answers) > 0)
        width = len(EVIDENCE)
        self._decliner = Decliner.fit(np.array(rows).reshape(-1, width), np.array(right, dtype=np.bool_))
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. Every citation is a span of a passage that was in the prompt, and that says the sentence it stands for.

        Raises:
            GeneratorError, StoppedError: the model did not answer.
            CannotBuildError: what this asker may see does not fit the model's context.
        """
        decliner = self._fitted()
        asking = Asking(self._tools, self.name)
        with metered() as meter:
            asked = self._ask(asking, [(request.text, scope)])[0]
            checked = self._checked(asked)
        return self._output(decliner, asked, checked, asking.usage(meter), asking.notes)

    @property
    def made_with(self) -> dict[str, str]:
        """See `prompting.made_with`."""
        return made_with(self._prompt, Asking(self._tools, self.name).generator)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`. Writes the prompt's version and the generator's name, never a key."""
        decliner = self._fitted()
        meta = {
            "candidate": self.name,
            "prompt": self._prompt.label,
            "generator": Asking(self._tools, self.name).generator.name,
            "support": self._check.threshold,
            "decline_below": decliner.threshold,
        }
        save_artefact(folder, {"decline": decliner.coefficients}, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, of another candidate, or was made with another prompt or generator.
        """
        arrays, meta = load_artefact(folder)
        same_making(meta, self.name, self._prompt, Asking(self._tools, self.name).generator, str(folder))
        self._check = GroundingCheck(self._tools.encoder, float(meta["support"]), self._tools.unsupported)
        self._decliner = Decliner(arrays["decline"], float(meta["decline_below"]))
        return self

    def on(self, search: Search) -> Self:
        """See `OnDocuments.on`."""
        other = copy(self)
        other._tools = replace(self._tools, search=search)
        return other

    @property
    def _prompt(self) -> Prompt:
        return load_prompt(self.prompt_name)

    @property
    def _schema(self) -> dict[str, Any]:
        return GROUNDED

    def _hits(self, question: str, scope: Scope) -> list[Hit]:
        """The passages that are put into the prompt, in order."""
        return self._search().fused(question, scope, CONTEXT_PASSAGES, DENSE_WEIGHT)

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        shown = shown_passages(hits)
        mark = fence(question, *(text for one in shown for text in one.values()))
        return self._prompt.messages(question=question, passages=shown, fence=mark, corpus=False)

    def _require_room(self, asking: Asking, items: Sequence[Item]) -> None:
        """Nothing, when the usual prompt fits the model's context."""
        some = items[:ROOM_ROWS]
        prompts = [self._messages(one.text, self._hits(one.text, Scope(groups=one.groups))) for one in some]
        asking.require_room(prompts, ANSWER_TOKENS, self.name)

    def _ask(self, asking: Asking, questions: Sequence[tuple[str, Scope]]) -> list[Asked]:
        found = [(text[:LONGEST_QUESTION], self._hits(text[:LONGEST_QUESTION], scope)) for text, scope in questions]
        # Where nothing was found there is nothing to answer from: no call is made.
        called = [at for at, (_, hits) in enumerate(found) if hits or not self._retrieves]
        prompts = [self._messages(*found[at]) for at in called]
        texts = asking.texts(prompts, max_tokens=ANSWER_TOKENS, schema=self._schema)
        said: dict[int, tuple[Claim, ...] | None] = dict(
            zip(called, (self._claims(text) for text in texts), strict=True)
        )
        return [Asked(question=text, hits=hits, claims=said.get(at, ())) for at, (text, hits) in enumerate(found)]

    _retrieves = True

    def _claims(self, text: str | None) -> tuple[Claim, ...] | None:
        """The sentences of an answer; () where the model declined, None where the answer is not of the form."""
        found = None if text is None else read_object(text)
        if (
            found is None
            or not isinstance(found.get("answerable"), bool)
            or not isinstance(found.get("sentences"), list)
        ):
            return None
        if not found["answerable"]:
            return ()
        claims: list[Claim] = []
        for one in found["sentences"]:
            cited = one.get("passages") if isinstance(one, dict) else None
            if not isinstance(cited, list) or not all(type(number) is int for number in cited):
                return None
            claims += (Claim(text=part, cited=tuple(cited)) for part in sentences_of(str(one.get("text", ""))))
        return tuple(claims)

    def _checked(self, asked: Asked) -> Checked | None:
        return None if asked.claims is None else self._check.check(asked.claims, asked.hits)

    def _evidence(self, asked: Asked, checked: Checked) -> NDArray[np.float64]:
        wanted = frozenset(terms(asked.question))
        there = frozenset(term for hit in asked.hits for term in terms(hit.passage.search_text))
        similar = [value for hit in asked.hits for name, value in hit.parts if name == DENSE]
        supports = checked.supports or (0.0,)
        return np.array(
            [
                sum(supports) / len(supports),
                min(supports),
                1.0 - len(checked.unsupported) / len(supports),
                max(similar, default=0.0),
                len(wanted & there) / len(wanted) if wanted else 0.0,
            ],
            dtype=np.float64,
        )

    def _output(
        self, decliner: Decliner, asked: Asked, checked: Checked | None, usage: Usage, notes: tuple[str, ...]
    ) -> Output:
        hits = tuple(asked.hits)
        trace: list[tuple[str, str]] = [
            ("prompt", self._prompt.label),
            ("support_threshold", f"{self._check.threshold:.3f}"),
            *(("generator", note) for note in notes),
        ]
        if checked is None:
            trace.append(("declined", "the model's answer was not of the form that was asked for"))
            return Output(
                abstained=True, probability=0.0, hits=hits, usage=usage, trace=tuple(trace), well_formed=False
            )
        trace += (("unsupported", sentence) for sentence in checked.unsupported)
        if checked.foreign:
            trace.append(("cited_without_being_given", ", ".join(map(str, checked.foreign))))
        if checked.attributed:
            trace.append(("cited_by_the_check", str(checked.attributed)))
        confidence = decliner.confidence(self._evidence(asked, checked)) if checked.text else 0.0
        trace.append(("threshold", f"{decliner.threshold:.3f}"))
        declined = None
        if not asked.claims:
            declined = "the model declined" if hits or not self._retrieves else "nothing was found"
        elif not checked.text:
            declined = "no sentence is supported"
        elif confidence < decliner.threshold:
            declined = "the evidence is too weak"
        if declined is not None:
            trace.append(("declined", declined))
        return Output(
            text="" if declined else checked.text,
            abstained=declined is not None,
            probability=confidence,
            citations=() if declined else checked.citations,
            hits=hits,
            usage=usage,
            trace=tuple(trace),
            well_formed=True,
            grounding=checked.figures if self._retrieves else None,
        )

    def _search(self) -> Search:
        if self._tools.search is None:
            raise UserError(
                "there are no documents to search.",
                where=f"candidate {self.name}",
                remedy="Add [[sources]] to steelyard.toml and run `steelyard ingest`.",
                code="candidate.no_documents",
            )
        return self._tools.search

    def _fitted(self) -> Decliner:
        if self._decliner is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        return self._decliner


class RagGenerator(GeneratedAnswer):
    """Passages found by words and meaning, put into the prompt as data; the model writes the answer, the check cites it."""

    name = "rag-generator"


class WholeCorpus(GeneratedAnswer):
    """Every passage that the asker may see, in a prompt whose long beginning is the same for every question, so that it is cached.

    What the asker may not see is not in it: askers of other groups have another beginning. It is refused where it cannot fit the context.
    """

    name = "whole-corpus"

    def _hits(self, question: str, scope: Scope) -> list[Hit]:
        del question
        return [Hit(passage=passage, score=1.0) for passage in _in_order(self._search().visible(scope))]

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        shown = shown_passages(hits)
        # Without the question: the beginning must be the same for all of them. Only who wrote every document could know the mark, and
        # would have to write the hash of all of them into one.
        mark = fence(*(text for one in shown for text in one.values()))
        messages = self._prompt.messages(question=question, passages=shown, fence=mark, corpus=True)
        return messages

    def _require_room(self, asking: Asking, items: Sequence[Item]) -> None:
        everyone = Scope(groups=frozenset().union(*(item.groups for item in items)))
        hits = self._hits("", everyone)
        tokens = asking.generator.count_tokens(self._messages("", hits)) + ANSWER_TOKENS
        if tokens > asking.generator.context_tokens:
            raise CannotBuildError(
                f"the documents take {tokens:,} tokens with room for the answer, and {asking.generator.name} takes "
                f"{asking.generator.context_tokens:,}.",
                where=f"candidate {self.name}",
                remedy="Use retrieval, or a model with a larger context; `context_tokens` under [models.generator] says how large it is.",
                code="candidate.corpus_too_large",
            )


class NoContext(GeneratedAnswer):
    """The question alone: what the model knows by itself. It cites nothing and is what every use of documents must beat."""

    name = "no-context"
    prompt_name = "no-context"
    _retrieves = False

    @property
    def _schema(self) -> dict[str, Any]:
        return REMEMBERED

    def _hits(self, question: str, scope: Scope) -> list[Hit]:
        del question, scope
        return []

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        del hits
        return self._prompt.messages(question=question, fence=fence(question))

    def _claims(self, text: str | None) -> tuple[Claim, ...] | None:
        found = None if text is None else read_object(text)
        if found is None or not isinstance(found.get("answerable"), bool) or not isinstance(found.get("answer"), str):
            return None
        return (Claim(text=found["answer"].strip()),) if found["answerable"] and found["answer"].strip() else ()

    def _checked(self, asked: Asked) -> Checked | None:
        if asked.claims is None:
            return None
        text = " ".join(claim.text for claim in asked.claims)
        return Checked(text=text, citations=(), supports=(), unsupported=(), foreign=(), attributed=0)


def _in_order(passages: Sequence[Passage]) -> list[Passage]:
    return sorted(passages, key=lambda one: (one.document, one.version, one.start))


def shown_passages(hits: Sequence[Hit]) -> list[dict[str, str]]:
    """What a prompt shows of each passage: where it stands, and its text with what introduces it."""
    return [
        {
            "path": " > ".join(dict.fromkeys(part for part in (hit.passage.title, *hit.passage.heading) if part)),
            "text": "\n".join(part for part in (hit.passage.lead, hit.passage.text) if part),
        }
        for hit in hits
    ]
