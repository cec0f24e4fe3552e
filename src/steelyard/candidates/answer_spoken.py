"""Answers of a language model tuned on the team's questions: from its weights alone, or from retrieved passages it learned to read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from steelyard.candidates.answer_closed_book import FEWEST_TO_CHOOSE, fit_threshold, latest_rows
from steelyard.candidates.answer_generated import CONTEXT_PASSAGES, DENSE_WEIGHT, shown_passages
from steelyard.candidates.interface import Search, Tools
from steelyard.candidates.prompting import Prompt, fence, load_prompt
from steelyard.candidates.speaking import UNKNOWN, AdapterSpeaker, Said, Speaker, not_fitted
from steelyard.components.grounding import Checked, Claim, GroundingCheck, sentences_of
from steelyard.metrics.answers import contains_answer
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit
from steelyard.schema.errors import ModelError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope
from steelyard.schema.tuning import ChatPair

ANSWER_TOKENS = 160
CALIBRATION_ROWS = 60
"""Validation questions asked to learn below which probability it is better to decline."""

DISTRACTORS_ONLY = 0.2
"""Share of training questions whose answering passages are taken away, so that declining is taught; Zhang et al., RAFT, 2024, take 0.2."""

_CITED = re.compile(r"\s*\[(\d{1,3})\]")


class SpokenAnswer:
    """What tuned answerers share: rows to conversations, declining below a probability chosen on validation rows, saving.

    Rows whose question cannot be answered teach the words that decline.
    """

    name = "spoken"
    prompt_name = "tuned-recall"

    def __init__(self, tools: Tools, speaker: Speaker | None = None) -> None:
        self._tools = tools
        self._speaker: Speaker = speaker or AdapterSpeaker(tools, self.name)
        self._threshold: float | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. Of rows with the same question and groups the one that began last is learned.

        Raises:
            UserError: too few questions, or no documents where they are needed.
            CannotBuildError: the settings name no model that can be tuned.
        """
        held = latest_rows(validation)
        self._speaker.learn(*self.teaching(train, validation))
        self._threshold = 0.0
        asked = held[:CALIBRATION_ROWS]
        if len(asked) >= FEWEST_TO_CHOOSE:
            found = [self._hits(item.text, Scope(groups=item.groups)) for item in asked]
            prompts = [self._messages(item.text, hits) for item, hits in zip(asked, found, strict=True)]
            said = self._speaker.say(prompts, ANSWER_TOKENS)
            told = [(one, item) for one, item in zip(said, asked, strict=True) if not _declines(one)]
            likely = [one.log_probability for one, _ in told]
            if told and None not in likely:
                right = [item.answerable and contains_answer(plain(one.text), item.answers) > 0 for one, item in told]
                self._threshold = fit_threshold(
                    np.exp(np.array(likely, dtype=np.float64)), np.array(right, dtype=np.bool_)
                )
        return self

    def teaching(self, train: Sequence[Item], validation: Sequence[Item]) -> tuple[list[ChatPair], list[ChatPair]]:
        """What the model is taught, and what it is judged by."""
        return self._pairs(latest_rows(train), 0), self._pairs(latest_rows(validation), 1)

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`."""
        if self._threshold is None:
            raise not_fitted(self.name)
        with metered() as meter:
            hits = self._hits(request.text, scope)
            said = self._speaker.say([self._messages(request.text, hits)], ANSWER_TOKENS)[0]
            checked = self._checked(said, hits)
        return self._output(said, hits, checked, meter.usage)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if self._threshold is None:
            raise not_fitted(self.name)
        meta = {"candidate": self.name, "prompt": self._prompt.label, "threshold": self._threshold}
        self._speaker.save(folder, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`. Serving needs the local model with torch and PEFT, or the provider's endpoint.

        Raises:
            ModelError: the artefact is damaged, of another candidate or prompt, or was made with another model.
        """
        meta = self._speaker.load(folder)
        check_making(meta, self.name, self._prompt, folder)
        self._threshold = float(meta["threshold"])
        return self

    @property
    def training(self) -> dict[str, Any]:
        """How the tuning went: steps, losses, why it stopped, seconds; {} before."""
        return self._speaker.training

    @property
    def _prompt(self) -> Prompt:
        return load_prompt(self.prompt_name)

    def _pairs(self, rows: Sequence[Item], stream: int) -> list[ChatPair]:
        del stream  # nothing is drawn
        return [
            ChatPair(
                messages=self._messages(item.text, ()),
                completion=item.answers[0] if item.answerable and item.answers else UNKNOWN,
                row=item.row,
            )
            for item in rows
        ]

    def _hits(self, question: str, scope: Scope) -> list[Hit]:
        del question, scope  # weights hold no access rules: that is what this candidate is measured for
        return []

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        del hits
        return self._prompt.messages(question=question, unknown=UNKNOWN)

    def _checked(self, said: Said, hits: Sequence[Hit]) -> Checked | None:
        del said, hits
        return None

    def _output(self, said: Said, hits: Sequence[Hit], checked: Checked | None, usage: Usage) -> Output:
        probability = None if said.log_probability is None else math.exp(said.log_probability)
        trace = [("prompt", self._prompt.label), ("threshold", f"{self._threshold:.4f}")]
        declined = None
        if _declines(said):
            declined = "the model declined"
        elif not said.ended:
            declined = "the answer came to no end"
        elif probability is not None and probability < (self._threshold or 0.0):
            declined = "too unlikely"
        elif checked is not None and not checked.text:
            declined = "no sentence is supported"
        if checked is not None:
            trace += (("unsupported", sentence) for sentence in checked.unsupported)
            if checked.foreign:
                trace.append(("cited_without_being_given", ", ".join(map(str, checked.foreign))))
        if declined is not None:
            trace.append(("declined", declined))
        text = said.text if checked is None else checked.text
        return Output(
            text="" if declined else text,
            abstained=declined is not None,
            probability=probability,
            citations=() if declined or checked is None else checked.citations,
            hits=tuple(hits),
            usage=usage,
            trace=tuple(trace),
            grounding=None if checked is None else checked.figures,
        )


class LoraClosedBook(SpokenAnswer):
    """An adapter that learned the answers. Knowledge is in the weights: it cites nothing and tells every asker the same."""

    name = "lora-closed-book"


class LoraRaft(SpokenAnswer):
    """An adapter that learned to read: retrieved passages in the prompt while it is tuned, those that answer among others that do not.

    Facts stay outside and every sentence is checked against the passages it names, as with any generated answer. From a share of the
    questions the answering passages are taken away: then the right thing to say is that the passages do not say it.
    Source: Zhang et al., RAFT: Adapting Language Model to Domain Specific RAG, 2024; there the answer is kept in such rows, to be learned
    by heart, which a checked answer cannot use.
    """

    name = "lora-raft"
    prompt_name = "tuned-raft"

    def _pairs(self, rows: Sequence[Item], stream: int) -> list[ChatPair]:
        found = []
        for at, item in enumerate(rows):
            draw = np.random.default_rng([self._tools.seed, stream, at])
            hits = self._hits(item.text, Scope(groups=item.groups))
            answering = [hit for hit in hits if _answers(hit, item)]
            if draw.random() < DISTRACTORS_ONLY:
                hits, answering = [hit for hit in hits if hit not in answering], []
            # In another order than retrieval's: the place in the list must not be what is learned.
            hits = [hits[place] for place in draw.permutation(len(hits))]
            messages = self._messages(item.text, hits)
            if item.answerable and item.answers and answering:
                best = next((hit for hit in answering if hit.passage.document == item.source), answering[0])
                said = f"{item.answers[0]} [{1 + hits.index(best)}]"
            else:
                said = UNKNOWN
            found.append(ChatPair(messages=messages, completion=said, row=item.row))
        return found

    def _hits(self, question: str, scope: Scope) -> list[Hit]:
        return self._search().fused(question, scope, CONTEXT_PASSAGES, DENSE_WEIGHT)

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        passages = shown_passages(hits)
        mark = fence(question, *(text for one in passages for text in one.values()))
        return self._prompt.messages(question=question, passages=passages, fence=mark, unknown=UNKNOWN)

    def _checked(self, said: Said, hits: Sequence[Hit]) -> Checked | None:
        if _declines(said):
            return None
        return GroundingCheck(self._tools.encoder, unsupported=self._tools.unsupported).check(
            claims_of(said.text), hits
        )

    def on(self, search: Search) -> Self:
        """See `OnDocuments.on`."""
        other = copy(self)
        other._tools = replace(self._tools, search=search)
        return other

    def _search(self) -> Search:
        if self._tools.search is None:
            raise UserError(
                "there are no documents to search.",
                where=f"candidate {self.name}",
                remedy="Add [[sources]] to steelyard.toml and run `steelyard ingest`.",
                code="candidate.no_documents",
            )
        return self._tools.search


def claims_of(text: str) -> list[Claim]:
    """The sentences of an answer with the passages that stand behind them in brackets.

    >>> claims_of("It takes two days. [1] Call us [2][3].")
    [Claim(text='It takes two days.', cited=(1,)), Claim(text='Call us.', cited=(2, 3))]
    """
    found: list[Claim] = []
    at = 0
    for match in re.finditer(r"(?:\s*\[\d{1,3}\])+[.!?]?", text):
        said = text[at : match.start()].strip()
        ending = match[0][-1] if match[0][-1] in ".!?" else ""
        cited = tuple(int(number) for number in _CITED.findall(match[0]))
        found += (
            Claim(text=part, cited=cited) for part in sentences_of(said + (ending if said[-1:] != ending else ""))
        )
        at = match.end()
    found += (Claim(text=part) for part in sentences_of(text[at:].strip()))
    return found


def plain(text: str) -> str:
    """An answer without the numbers of its passages."""
    return _CITED.sub("", text)


def check_making(meta: dict[str, Any], name: str, prompt: Prompt, folder: Path) -> None:
    """Nothing, when a saved candidate is `name`, taught with this prompt.

    Raises:
        ModelError: it is another, or was taught with another prompt, to which it would answer otherwise.
    """
    if (meta.get("candidate"), meta.get("prompt")) != (name, prompt.label):
        raise ModelError(
            f"this is '{meta.get('candidate')}' taught with prompt {meta.get('prompt')}, not '{name}' with {prompt.label}.",
            where=str(folder),
            remedy="Train it again.",
            code="candidate.other_artefact",
        )


def _answers(hit: Hit, item: Item) -> bool:
    return contains_answer(hit.passage.search_text, item.answers) > 0


def _declines(said: Said) -> bool:
    return not said.text or plain(said.text).strip().rstrip(".").casefold() == UNKNOWN.rstrip(".").casefold()
