"""What `train` and `weigh` would spend on a generator: every call is rehearsed, none is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Candidate
from steelyard.evaluation.language_judge import LanguageJudge, case_of
from steelyard.evaluation.run import WARM_UP, request_of, scope_of
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.models.rehearsal import Rehearsal
from steelyard.schema.errors import CannotBuildError, UserError
from steelyard.schema.generation import TokenUse
from steelyard.schema.items import Item, Split
from steelyard.schema.progress import Report
from steelyard.schema.spending import Foreseen, Foresight
from steelyard.schema.tuning import ChatPair, TuningEstimate, TuningJob
from steelyard.workspace.training import PAID_PARITY_ITEMS
from steelyard.workspace.trusting import judged_outputs

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.tuning import WorkspaceTuner

ENOUGH_CALLS = 3
"""Earlier calls of a candidate from which the length of its prompts and answers and their speed are taken."""

FIRST_TOKEN_S, S_PER_TOKEN = 0.5, 0.02
"""What a call takes where none was made yet: half a second, and 50 tokens a second. A guess, and said to be one."""

GUESSED = (
    "no call of it was made yet: answers as long as the labelled ones, and speed, are guessed; a server's tokens too"
)
SYSTEMS = "whole systems"
IN_SYSTEMS = "end-to-end cases, should it be the best that retrieves: "


def foresee(parts: Parts, pairs: Sequence[tuple[str, str]], report: Report, *, measuring: bool) -> Foresight:
    """What building the candidates of `pairs` (component, candidate) would still spend, and measuring them where `measuring`.

    Raises:
        UserError: there are documents and none was ingested: what would be retrieved is not known.
    """
    settings = parts.settings.models.generator
    generator = parts.toolbox.generator
    if parts.toolbox.has_documents and not parts.toolbox.generation and generator is not None:
        raise UserError(
            "the documents were not ingested yet, so nobody knows which passages prompts would hold.",
            where="--dry-run",
            remedy="Run `steelyard ingest` first; it asks no generator.",
            code="workspace.not_ingested",
        )
    whole = {component for component, _ in pairs} == set(parts.settings.components)
    cases = parts.examples.cases() if measuring and whole else ()
    rows: list[Foreseen] = []
    for done, (component, candidate) in enumerate(pairs, start=1):
        if CANDIDATES.part(candidate).needs != "generator" or not isinstance(generator, MeteredGenerator):
            rows.append(Foreseen(component=component, candidate=candidate, basis="asks no generator"))
        else:
            rows += _Foreseeing(parts, generator, component, candidate).rows(cases, measuring=measuring)
        report("foresee", done, len(pairs))
    if measuring and isinstance(generator, MeteredGenerator):
        rows += (
            _judging(parts, generator, name, pairs)
            for name in dict.fromkeys(one for one, _ in pairs)
            if _judges(parts, name)
        )
    if not any(row.calls for row in rows if row.component != SYSTEMS):
        # Everything was measured, and so were the systems that came of it.
        rows = [row for row in rows if row.component != SYSTEMS]
    return Foresight(
        rows=tuple(rows),
        generator=None if generator is None else generator.name,
        month_usd=parts.toolbox.calls.month_usd(),
        cap_usd=settings.cap_usd,
    )


def _judges(parts: Parts, component: str) -> bool:
    return parts.examples.component(component).headline == "judge"


def _judging(parts: Parts, generator: MeteredGenerator, component: str, pairs: Sequence[tuple[str, str]]) -> Foreseen:
    """What a judge takes: the outputs that people judged, and at most one verdict for each row and candidate."""
    rehearsal = Rehearsal(generator)
    judge = LanguageJudge(rehearsal)
    judge.verdicts(judged_outputs(parts.examples, component)[0])
    for name in (candidate for one, candidate in pairs if one == component):
        items = [item for item in parts.examples.split(component).holdout if item.answerable]
        judge.verdicts([case_of(item, f"{name}: {item.answers[0] if item.answers else ''}") for item in items])
    return Foreseen(
        component=component,
        candidate="(judge)",
        calls=rehearsal.calls,
        kept=rehearsal.kept,
        tokens_in=rehearsal.use.input,
        tokens_cached=rehearsal.use.cached,
        tokens_out=rehearsal.use.output,
        usd=generator.price.usd(rehearsal.use),
        seconds=rehearsal.calls * FIRST_TOKEN_S,
        basis="a verdict for every row that people judged, and for every sealed row and candidate",
    )


def foresee_training(parts: Parts, target: str | None, report: Report) -> Foresight:
    """What `train` would spend on a generator.

    Raises:
        NotFoundError: an unknown component or candidate; the nearest is named.
        UserError: the documents were not ingested yet.
    """
    return foresee(parts, parts.targets(target), report, measuring=False)


def foresee_weighing(parts: Parts, names: Sequence[str], report: Report) -> Foresight:
    """What `weigh` would spend on a generator, training included; all components by default.

    Raises:
        NotFoundError: an unknown component.
        UserError: the documents were not ingested yet.
    """
    for name in names:
        parts.examples.component(name)
    wanted = [name for name in parts.settings.components if not names or name in names]
    return foresee(parts, [pair for name in wanted for pair in parts.targets(name)], report, measuring=True)


class RehearsedTuner:
    """Stands in for tuning at a provider: the job is priced and not started, and its model answers nothing real.

    Raises:
        CannotBuildError: the settings name no provider.
    """

    def __init__(self, inner: WorkspaceTuner | None, typical: Sequence[str]) -> None:
        if inner is None:
            raise CannotBuildError(
                "there is no provider to tune a model at.",
                where="--dry-run",
                remedy="Set base_url and model under [models.tuning].",
                code="candidate.no_provider",
            )
        self._inner, self._typical = inner, typical
        self.estimate: TuningEstimate | None = None
        self._asked: dict[str, Rehearsal] = {}

    def tune(
        self, train: Sequence[ChatPair], held: Sequence[ChatPair], seed: int, progress: Callable[[int, int], None]
    ) -> TuningJob:
        """A job that was over at once; see `candidates.interface.Tuner`."""
        del held, seed, progress
        self.estimate = self._inner.hosted().estimate(train)
        return TuningJob(key="", base=self.estimate.model, place="", status="succeeded", tuned=self.estimate.model)

    def speaking(self, model: str) -> Rehearsal:
        """The rehearsal of what is asked of a tuned model."""
        if model not in self._asked:
            self._asked[model] = Rehearsal(self._inner.metered(model), self._typical)
        return self._asked[model]

    @property
    def asked(self) -> Rehearsal | None:
        """The rehearsal of the one model that was asked; None where none was."""
        return next(iter(self._asked.values()), None)


class _Foreseeing:
    """The rehearsal of one candidate."""

    def __init__(self, parts: Parts, generator: MeteredGenerator, component: str, candidate: str) -> None:
        self._parts = parts
        self._generator = generator
        self._candidate = candidate
        self._blank = Foreseen(component=component, candidate=candidate)

    def rows(self, cases: Sequence[Item], *, measuring: bool) -> list[Foreseen]:
        """The calls that are left to pay, with their tokens, USD and seconds; those of `cases` in a row of their own."""
        part = CANDIDATES.part(self._candidate)
        if part.trains and not part.hosted:
            return [replace(self._blank, note="it trains weights here and pays nobody for it")]
        split = self._parts.examples.split(self._blank.component)
        rehearsal = Rehearsal(self._generator, _typical(split))
        try:
            tuner = RehearsedTuner(self._tuner(), _typical(split)) if part.hosted else None
            candidate = self._rehearse(split, rehearsal, tuner)
            _ask(candidate, split.holdout if measuring else ())
            found = [self._priced(rehearsal if tuner is None else tuner.asked or rehearsal, tuner)]
            # Which candidates whole systems are made of is known after the measurement; the one that retrieves is the likeliest.
            if cases and part.approach == "rag" and tuner is None:
                rehearsal.start_again()
                _ask(candidate, cases)
                row = self._priced(rehearsal)
                found.append(replace(row, component=SYSTEMS, basis=IN_SYSTEMS + row.basis))
        except (CannotBuildError, UserError) as error:
            return [replace(self._blank, note=error.message)]
        return found

    def _tuner(self) -> WorkspaceTuner | None:
        file = self._parts.examples.file_of(self._blank.component)
        return self._parts.toolbox.tuner(self._blank.component, self._candidate, file)

    def _rehearse(self, split: Split, rehearsal: Rehearsal, tuner: RehearsedTuner | None) -> Candidate:
        """The candidate, fitted and checked as `train` does, with answers that are kept or made up."""
        training = self._parts.training
        known = training.known(self._blank.component, self._candidate, split)
        if known is not None:
            return training.load(known, generator=rehearsal, tuner=tuner)
        candidate = training.rehearse(self._blank.component, self._candidate, split, generator=rehearsal, tuner=tuner)
        _ask(candidate, split.validation[:PAID_PARITY_ITEMS])
        return candidate

    def _priced(self, rehearsal: Rehearsal, tuner: RehearsedTuner | None = None) -> Foreseen:
        """The counts of a rehearsal; how long prompts and answers are and what they take, from earlier calls where there are some."""
        name = f"{self._blank.component}/{self._candidate}"
        ledger = self._parts.toolbox.calls
        earlier = [one for one in (ledger.spent(f"train {name}"), ledger.spent(f"weigh {name}")) if one.calls]
        calls = sum(one.calls for one in earlier)
        use, basis = rehearsal.use, GUESSED
        mean_s = FIRST_TOKEN_S + S_PER_TOKEN * use.output / max(1, rehearsal.calls)
        if calls >= ENOUGH_CALLS:
            basis = f"prompts, answers and speed as in {calls:,} earlier calls"
            rate = sum(one.use.input + one.use.cached for one in earlier) / sum(one.characters for one in earlier)
            # The same share of a prompt may be cached; its length follows the tokens that the server counted.
            scale = rate * rehearsal.characters / max(1, use.input + use.cached)
            use = TokenUse(
                input=round(use.input * scale),
                cached=round(use.cached * scale),
                output=round(rehearsal.calls * sum(one.use.output for one in earlier) / calls),
            )
            mean_s = sum(one.seconds for one in earlier) / calls
        # The first few rows of a run are asked one after the other.
        alone = min(rehearsal.calls, WARM_UP)
        at_once = max(1, self._parts.settings.models.generator.concurrency)
        job = None if tuner is None else tuner.estimate
        if job is not None:
            basis = f"a job of {job.rows:,} rows at {job.usd:.2f} USD ({job.basis}); {basis}"
        return replace(
            self._blank,
            calls=rehearsal.calls,
            kept=rehearsal.kept,
            tokens_in=use.input,
            tokens_cached=use.cached,
            tokens_out=use.output,
            usd=rehearsal.inner.price.usd(use) + (0.0 if job is None else job.usd),
            seconds=mean_s * (alone + (rehearsal.calls - alone) / at_once) + (0.0 if job is None else 60 * job.minutes),
            basis=basis,
        )


def _ask(candidate: Candidate, items: Sequence[Item]) -> None:
    for item in items:
        candidate.predict(request_of(item), scope_of(item))


def _typical(split: Split) -> list[str]:
    """Texts as long as what is asked for: labels, replies with their places, or sentences that hold an answer."""
    rows = [*split.train, *split.validation]
    if any(item.output for item in rows):
        return [item.output for item in rows if item.output]
    if any(item.label for item in rows):
        return [item.label for item in rows if item.label]
    # An answer stands in a sentence that takes up the question: what is asked, and what is answered.
    return [f"{item.text} {item.answers[0]}" for item in rows if item.answers]
