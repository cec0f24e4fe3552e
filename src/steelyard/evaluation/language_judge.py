"""A language model as judge, distrusted until people's own judgements say how far it may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from steelyard.candidates.prompting import INVALID, batches, fence, load_prompt, read_object
from steelyard.evaluation.scoring import WRONG
from steelyard.metrics.agreement import kappa_interval
from steelyard.models.generation import Generator
from steelyard.schema.errors import GeneratorError
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.runs import ItemResult
from steelyard.schema.statistics import Interval

JUDGED = "judged"
"""The metric that a judge gives: 1.0 for an output that it calls right."""

TRUSTED_KAPPA = 0.6
"""The lower end of kappa's interval from which a judge may decide. Landis and Koch (Biometrics, 1977) call agreement substantial from .61
on; below it the judge's own errors are as large as the differences between good candidates that a bake-off is held to show."""

FEWEST_JUDGED = 30
"""Rows that people judged below which no agreement is believed: the interval would be wider than the scale it is read on."""

VERDICT_TOKENS = 16

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"right": {"type": "boolean"}},
    "required": ["right"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """An output to be judged: what was asked, the accepted texts, and the output."""

    asked: str
    accepted: tuple[str, ...]
    output: str


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a judge agreed with people: Cohen's kappa with its interval, the plain share, and verdicts that could not be read.

    A verdict that could not be read counts as one against the people's.
    """

    kappa: Interval
    agreed: float
    unreadable: int
    judge: str

    @property
    def is_trusted(self) -> bool:
        """Whether the judge may decide: enough rows, and the whole interval of kappa at or above TRUSTED_KAPPA."""
        return self.kappa.n >= FEWEST_JUDGED and self.kappa.low >= TRUSTED_KAPPA

    @property
    def sentence(self) -> str:
        """The finding in a sentence."""
        found = f"kappa {self.kappa.mean:.2f} ({self.kappa.low:.2f} to {self.kappa.high:.2f}) on {self.kappa.n} outputs that people judged"
        verdict = "it may decide" if self.is_trusted else "it may not decide"
        need = f"needed: {FEWEST_JUDGED} outputs or more, and the lower end at {TRUSTED_KAPPA} or above"
        return f"{self.judge} agrees with people at {found}; {verdict} ({need})."

    def to_json(self) -> dict[str, Any]:
        """The agreement as JSON."""
        return {
            "judge": self.judge,
            "kappa": self.kappa.to_json(),
            "agreed": self.agreed,
            "unreadable": self.unreadable,
            "needed": {"kappa_low": TRUSTED_KAPPA, "rows": FEWEST_JUDGED},
            "trusted": self.is_trusted,
        }


class LanguageJudge:
    """Asks a generator whether outputs are right. `name` has its prompt's version and the generator."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.name = f"{load_prompt('judge').label} on {generator.name}"

    def verdicts(self, cases: Sequence[Case]) -> list[bool | None]:
        """Whether each output is right, None where the verdict could not be read.

        Raises:
            GeneratorError, StoppedError: a call failed; verdicts given before are kept.
        """
        found: list[bool | None] = []
        for part in batches(cases):
            prompts = [_prompt(case) for case in part]
            try:
                said = self._generator.complete_many(prompts, max_tokens=VERDICT_TOKENS, schema=SCHEMA)
                found += (_read(one.text) for one in said)
            except GeneratorError as error:
                if error.code != INVALID:
                    raise
                found += (self._one(prompt) for prompt in prompts)
        return found

    def agreement(self, cases: Sequence[Case], right: Sequence[bool], *, seed: int = 0) -> Agreement:
        """How the verdicts on `cases` agree with what people said."""
        verdicts = self.verdicts(cases)
        taken = [not human if said is None else said for said, human in zip(verdicts, right, strict=True)]
        same = [said == human for said, human in zip(taken, right, strict=True)]
        return Agreement(
            kappa=kappa_interval(right, taken, seed=seed),
            agreed=sum(same) / len(same) if same else 0.0,
            unreadable=sum(said is None for said in verdicts),
            judge=self.name,
        )

    def judged(self, results: Sequence[ItemResult], items: Sequence[Item]) -> tuple[ItemResult, ...]:
        """The results with the metric JUDGED; what was declined, or should have been, needs no judge: it counts as `accuracy` has it.

        An output that failed, or whose verdict could not be read, is 0.0. Whether an answer counts as wrong follows the judge.
        """
        open_ = [
            at
            for at, (result, item) in enumerate(zip(results, items, strict=True))
            if not result.abstained and not result.error and item.answerable and result.output
        ]
        verdicts = dict(
            zip(open_, self.verdicts([case_of(items[at], results[at].output) for at in open_]), strict=True)
        )
        out = []
        for at, result in enumerate(results):
            right = float(bool(verdicts[at])) if at in verdicts else result.scores.get("accuracy", 0.0)
            wrong = 1.0 - right if at in verdicts else result.scores.get(WRONG, 1.0 - right)
            out.append(replace(result, scores={**result.scores, JUDGED: right, WRONG: wrong}))
        return tuple(out)

    def _one(self, prompt: tuple[Message, ...]) -> bool | None:
        try:
            return _read(self._generator.complete(prompt, max_tokens=VERDICT_TOKENS, schema=SCHEMA).text)
        except GeneratorError as error:
            if error.code != INVALID:
                raise
            return None


def case_of(item: Item, output: str) -> Case:
    """An output to be judged by the item's accepted answers, or its approved reply."""
    accepted = item.answers or ((item.output,) if item.output else ())
    return Case(asked=item.text, accepted=tuple(accepted), output=output)


def _prompt(case: Case) -> tuple[Message, ...]:
    mark = fence(case.asked, case.output, *case.accepted)
    return load_prompt("judge").messages(asked=case.asked, accepted=case.accepted, output=case.output, fence=mark)


def _read(text: str) -> bool | None:
    found = read_object(text)
    right = None if found is None else found.get("right")
    return right if isinstance(right, bool) else None
