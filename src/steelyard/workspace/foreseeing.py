"""What `train` and `weigh` would spend on a generator: every call is rehearsed, none is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Candidate
from steelyard.evaluation.language_judge import LanguageJudge, case_of
from steelyard.evaluation.run import request_of, scope_of
from steelyard.models.call_ledger import Spent
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.models.rehearsal import Asked, Rehearsal
from steelyard.schema.errors import CannotBuildError, StoppedError, UserError
from steelyard.schema.generation import TokenUse
from steelyard.schema.items import Item, Split
from steelyard.schema.progress import Report
from steelyard.schema.spending import Foreseen, Foresight
from steelyard.workspace.generating import price_of
from steelyard.workspace.pacing import Course, server_pace, taken_by
from steelyard.workspace.rehearsed_tuning import RehearsedAdapter, RehearsedTuner
from steelyard.workspace.sampling import sample, sampled_as
from steelyard.workspace.training import PAID_PARITY_ITEMS
from steelyard.workspace.trusting import judged_outputs

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.tuning import WorkspaceTuner

ENOUGH_CALLS = 3
"""Earlier calls of a candidate from which the length of its prompts and answers and their speed are taken."""

GUESSED = "no call of it was made yet: answers as long as the labelled ones, and speed, are guessed; a server's tokens too (--sample asks)"
GUESSED_ANSWERS = "prompts counted by the model's tokenizer; answers as long as the labelled ones, and speed, are guessed (--sample asks)"
REMEMBERED = "no call of it was made yet: answers as long as the labelled ones are guessed; speed as in {:,} other calls (--sample asks)"
SYSTEMS = "whole systems"
IN_SYSTEMS = "end-to-end cases, should it be the best that retrieves: "


def foresee(
    parts: Parts, pairs: Sequence[tuple[str, str]], report: Report, *, measuring: bool, sampling: bool = False
) -> Foresight:
    """What building the candidates of `pairs` (component, candidate) would still spend, and measuring them where `measuring`.

    With `sampling` a few calls of each are made, paid and kept, and a few steps of a local tuning; else nothing is.

    Raises:
        UserError: there are documents and none was ingested: what would be retrieved is not known.
        GeneratorError, StoppedError: a sample was not answered, or no call can succeed.
    """
    settings = parts.settings.models.generator
    generator = parts.toolbox.generator
    reads = any(CANDIDATES.part(candidate).needs_documents for _, candidate in pairs)
    if reads and parts.toolbox.has_documents and not parts.toolbox.generation and generator is not None:
        raise UserError(
            "the documents were not ingested yet, so nobody knows which passages prompts would hold.",
            where="--dry-run",
            remedy="Run `steelyard ingest` first; it asks no generator.",
            code="workspace.not_ingested",
        )
    whole = {component for component, _ in pairs} == set(parts.settings.components)
    cases = parts.examples.cases() if measuring and whole else ()
    before = parts.toolbox.calls.spent()
    rows: list[Foreseen] = []
    for done, (component, candidate) in enumerate(pairs, start=1):
        if CANDIDATES.part(candidate).needs != "generator" or not isinstance(generator, MeteredGenerator):
            rows.append(Foreseen(component=component, candidate=candidate, basis="asks no generator"))
        else:
            rows += _Foreseeing(parts, generator, component, candidate, report).rows(
                cases, measuring=measuring, sampling=sampling
            )
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
        priced=settings.kind != "openai" or settings.input_usd is not None or price_of(settings).output > 0,
        sampled_calls=parts.toolbox.calls.spent().calls - before.calls,
        sampled_usd=parts.toolbox.calls.spent().usd - before.usd,
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
    settings = parts.settings.models.generator
    pace = server_pace(parts.toolbox.calls, generator.name)
    course = Course(groups=tuple(rehearsal.groups), alone=rehearsal.calls - rehearsal.together)
    return Foreseen(
        component=component,
        candidate="(judge)",
        calls=rehearsal.calls,
        kept=rehearsal.kept,
        tokens_in=rehearsal.use.input,
        tokens_cached=rehearsal.use.cached,
        tokens_out=rehearsal.use.output,
        usd=generator.price.usd(rehearsal.use),
        seconds=course.seconds(pace.each_s(rehearsal.use, rehearsal.calls), settings.concurrency),
        basis="a verdict for every row that people judged, and for every sealed row and candidate",
    )


def foresee_training(parts: Parts, target: str | None, report: Report, *, sampling: bool = False) -> Foresight:
    """What `train` would spend on a generator; `sampling`: see `foresee`.

    Raises:
        NotFoundError: an unknown component or candidate; the nearest is named.
        UserError: the documents were not ingested yet.
    """
    return foresee(parts, parts.targets(target), report, measuring=False, sampling=sampling)


def foresee_weighing(parts: Parts, names: Sequence[str], report: Report, *, sampling: bool = False) -> Foresight:
    """What `weigh` would spend on a generator, training included; all components by default. `sampling`: see `foresee`.

    Raises:
        NotFoundError: an unknown component.
        UserError: the documents were not ingested yet.
    """
    for name in names:
        parts.examples.component(name)
    wanted = [name for name in parts.settings.components if not names or name in names]
    return foresee(
        parts, [pair for name in wanted for pair in parts.targets(name)], report, measuring=True, sampling=sampling
    )


class _Foreseeing:
    """The rehearsal of one candidate."""

    def __init__(
        self, parts: Parts, generator: MeteredGenerator, component: str, candidate: str, report: Report
    ) -> None:
        self._parts = parts
        self._report = report
        self._generator = generator
        self._candidate = candidate
        self._name = f"{component}/{candidate}"
        self._blank = Foreseen(component=component, candidate=candidate)
        self._split = parts.examples.split(component)

    def rows(self, cases: Sequence[Item], *, measuring: bool, sampling: bool) -> list[Foreseen]:
        """The calls that are left to pay, with their tokens, USD and seconds; those of `cases` in a row of their own.

        With `sampling` a few of them are made first, unless as many were made before; then they are among those that are kept.
        """
        part = CANDIDATES.part(self._candidate)
        try:
            if part.trains and not part.hosted:
                return [self._adapter(measuring=measuring, sampling=sampling)]
            found, waiting = self._paid(cases, measuring=measuring)
            if sampling and not part.hosted and sample(self._generator, waiting, self._name, self._report):
                found, _ = self._paid(cases, measuring=measuring)
        except (CannotBuildError, UserError) as error:
            if sampling and isinstance(error, StoppedError):
                raise  # whoever asks for a sample wants to know that nobody answers
            return [replace(self._blank, note=error.message)]
        return found

    def _paid(self, cases: Sequence[Item], *, measuring: bool) -> tuple[list[Foreseen], list[Asked]]:
        """The rows of a candidate that asks a generator, and the calls of the first."""
        part = CANDIDATES.part(self._candidate)
        rehearsal = Rehearsal(self._generator, _typical(self._split))
        tuner = RehearsedTuner(self._tuner(), _typical(self._split)) if part.hosted else None
        begun = perf_counter()
        candidate = self._rehearse(generator=rehearsal, tuner=tuner)
        asked = rehearsal if tuner is None else tuner.asked or rehearsal
        fitted = Course(
            groups=tuple(asked.groups),
            alone=asked.calls - asked.together,
            fitting_s=0.0 if self._is_known else perf_counter() - begun - asked.aside_s,
        )
        begun, aside_s = perf_counter(), asked.aside_s
        _ask(candidate, self._split.holdout if measuring else ())
        asked = rehearsal if tuner is None else tuner.asked or rehearsal
        own_s = perf_counter() - begun - (asked.aside_s - aside_s)
        course = replace(fitted, measured=asked.calls - fitted.calls, measuring_s=own_s)
        found = [self._priced(asked, course, tuner)]
        waiting = rehearsal.waiting
        # Which candidates whole systems are made of is known after the measurement; the one that retrieves is the likeliest.
        if cases and part.approach == "rag" and tuner is None:
            rehearsal.start_again()
            begun = perf_counter()
            _ask(candidate, cases)
            # Whole systems answer one case after the other.
            course = Course(alone=rehearsal.calls, measuring_s=perf_counter() - begun - rehearsal.aside_s)
            row = self._priced(rehearsal, course)
            found.append(replace(row, component=SYSTEMS, basis=IN_SYSTEMS + row.basis))
        return found, waiting

    def _adapter(self, *, measuring: bool, sampling: bool) -> Foreseen:
        """Minutes of a candidate whose adapter is tuned here; nobody is paid."""
        folder = self._parts.toolbox.base_model
        if folder is None:
            return replace(self._blank, note="it needs a local model to tune")
        rehearsal = RehearsedAdapter(folder)
        candidate = self._rehearse(rehearsal=rehearsal)
        _ask(candidate, self._split.holdout if measuring else ())
        if not rehearsal.learns:
            return replace(self._blank, basis="it is trained already; the model here answers for nothing")
        pace = rehearsal.pace(measure=sampling)
        how = "as a few steps took just now" if pace.measured else "worked out from the size of its weights: a guess"
        return replace(
            self._blank,
            seconds=rehearsal.seconds(pace),
            local=True,
            basis=f"trained here, nobody is paid; at most so many minutes, {how}",
        )

    def _tuner(self) -> WorkspaceTuner | None:
        file = self._parts.examples.file_of(self._blank.component)
        return self._parts.toolbox.tuner(self._blank.component, self._candidate, file)

    @property
    def _is_known(self) -> bool:
        """Whether it was trained already."""
        return self._parts.training.known(self._blank.component, self._candidate, self._split) is not None

    def _rehearse(self, **stand_ins: Any) -> Candidate:
        """The candidate, fitted and checked as `train` does, with stand-ins for what costs money or time."""
        training, component = self._parts.training, self._blank.component
        known = training.known(component, self._candidate, self._split)
        if known is not None:
            return training.load(known, **stand_ins)
        candidate = training.rehearse(component, self._candidate, self._split, **stand_ins)
        _ask(candidate, self._split.validation[:PAID_PARITY_ITEMS])
        return candidate

    @property
    def _purposes(self) -> tuple[str, ...]:
        """What calls for it are entered as: calibrating, measuring, sampling; those of a sample in batches last."""
        name = self._name
        return f"train {name}", f"weigh {name}", sampled_as(name), sampled_as(name, together=True)

    def _priced(self, rehearsal: Rehearsal, course: Course, tuner: RehearsedTuner | None = None) -> Foreseen:
        """The counts of a rehearsal; how long prompts and answers are and what they take, from earlier calls where there are some."""
        ledger = self._parts.toolbox.calls
        earlier = [ledger.spent(one) for one in self._purposes]
        calls, use, basis = sum(one.calls for one in earlier), rehearsal.use, GUESSED
        pace = server_pace(ledger, rehearsal.name)
        each_s = pace.each_s(use, rehearsal.calls)
        if pace.calls:
            basis = REMEMBERED.format(pace.calls)
        elif getattr(self._generator.inner, "counts_exactly", False):
            basis = GUESSED_ANSWERS
        if calls >= ENOUGH_CALLS:
            basis = f"prompts, answers and speed as in {calls:,} earlier calls, and this machine's own work as just now"
            use = _scaled(rehearsal, earlier)
            each_s = taken_by(ledger, self._purposes).seconds
        job = None if tuner is None else tuner.estimate
        if job is not None:
            basis = f"a job of {job.rows:,} rows at {job.usd:.2f} USD ({job.basis}); {basis}"
        seconds = (
            _of_a_local_model(course, earlier, float(each_s.mean()))
            if getattr(self._generator.inner, "answers_in_batches", False)
            else course.seconds(each_s, self._parts.settings.models.generator.concurrency)
        )
        return replace(
            self._blank,
            calls=rehearsal.calls,
            kept=rehearsal.kept,
            tokens_in=use.input,
            tokens_cached=use.cached,
            tokens_out=use.output,
            usd=rehearsal.inner.price.usd(use) + (0.0 if job is None else job.usd),
            seconds=seconds + (0.0 if job is None else 60 * job.minutes),
            basis=basis,
        )


def _scaled(rehearsal: Rehearsal, earlier: Sequence[Spent]) -> TokenUse:
    """What the calls of a rehearsal use if they go like earlier ones: tokens a character of prompts, tokens of an answer."""
    calls, characters = sum(one.calls for one in earlier), sum(one.characters for one in earlier)
    seen = sum((one.use for one in earlier), TokenUse())
    counted = rehearsal.use.input + rehearsal.use.cached
    prompts = (seen.input + seen.cached) / max(1, characters) * rehearsal.characters
    # The same share of a prompt may be cached, where the provider was seen to keep any.
    share = rehearsal.use.cached / max(1, counted) if seen.cached else 0.0
    if seen.cached and not share:
        share = seen.cached / (seen.input + seen.cached)
    cached = round(prompts * share)
    return TokenUse(input=round(prompts) - cached, cached=cached, output=round(rehearsal.calls * seen.output / calls))


def _of_a_local_model(course: Course, earlier: Sequence[Spent], call_s: float) -> float:
    """Wall time of calls that are answered in batches while it is fitted, and one at a time while it is measured."""
    trained, weighed, sampled, batched = earlier
    together, alone = _mean_s((trained, batched)), _mean_s((weighed, sampled))
    together, alone = together or alone or call_s, alone or together or call_s
    waited = sum(course.groups) * together + (course.alone + course.measured) * alone
    return course.fitting_s + waited + course.measuring_s


def _mean_s(spent: Sequence[Spent]) -> float:
    return sum(one.seconds for one in spent) / max(1, sum(one.calls for one in spent))


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
