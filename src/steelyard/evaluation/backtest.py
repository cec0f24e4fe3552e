"""A replay as a verdict: curves, the best choice in hindsight, what the first guess would have cost, and sentences to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from steelyard.config import EconomicsSettings
from steelyard.evaluation.flip_price import flip_price
from steelyard.evaluation.hindsight import (
    CADENCES,
    ERRORS,
    MONTHS,
    OPERATION,
    SETUP,
    UPDATES,
    Aged,
    Judged,
    best_retraining,
    following,
    lines_usd,
    months_between,
    on_cadence,
    paying_moments,
    retrain_moments,
    steps_of,
    total_usd,
)
from steelyard.schema.ageing import AgedStep, Backtest, Hindsight, Retraining, UpdateRate
from steelyard.schema.items import Approach

EVENT_SHARE = 0.05
"""A step in which the answers to at least this share of the asked facts changed is marked, if there were also thrice as many as usual."""
EVENTS_SHOWN = 4

FIRST_CADENCE = "quarterly"
"""What a team without a measured update rate would plan for a tuned model."""


def fairness(facts: int, as_trained: int) -> str:
    """What a reader must know before comparing tuned answers with retrieval: whether they are asked what they have seen.

    >>> fairness(200, 0)
    'Tuned answers learned each fact in one wording, with its answer of that day, and are asked in another.'
    """
    if not as_trained:
        return "Tuned answers learned each fact in one wording, with its answer of that day, and are asked in another."
    how_many = (
        "the very questions that are asked here"
        if as_trained == facts
        else f"{as_trained} of the {facts} questions as they are asked"
    )
    return (
        f"Tuned answers were trained on {how_many}, because these have one wording only: there they show how weights age, not how well "
        "they answer questions worded anew; give facts a second wording (`fact` names what two rows ask for) to see that too."
    )


DRIVERS = {
    SETUP: "setting it up",
    OPERATION: "operating it",
    UPDATES: "keeping it up to date",
    ERRORS: "its wrong answers and handoffs",
}


@dataclass(frozen=True, kw_only=True)
class Replaying:
    """What is known about a replay beside its answers."""

    component: str
    every: str
    questions_from: str
    approaches: Mapping[str, Approach]
    verdict: str
    rate: UpdateRate


def cadence_name(candidate: str, cadence: str) -> str:
    """A tuned candidate with its cadence, as it is shown.

    >>> cadence_name("closed-book", "quarterly")
    'closed-book (quarterly)'
    """
    return f"{candidate} ({cadence})"


def backtest(judged: Judged, about: Replaying) -> Backtest:
    """The verdict on a replay; see `Backtest`."""
    ways = _ways(judged, about)
    steps = tuple(step for aged in ways for step in steps_of(aged, judged))
    retraining = tuple(best_retraining(name, judged, about.rate) for name in judged.replayed.trained)
    hindsight = _hindsight(ways, judged, about)
    as_trained = sum(not fact.others for fact in judged.facts) if judged.replayed.trained else 0
    return Backtest(
        component=about.component,
        begin=judged.moments[0],
        end=judged.moments[-1],
        every=about.every,
        facts=len(judged.facts),
        questions_from=about.questions_from,
        approaches={aged.name: aged.approach for aged in ways},
        steps=steps,
        update_rate=about.rate,
        retraining=retraining,
        hindsight=hindsight,
        sentences=(
            *_sentences(ways, steps, about, hindsight, retraining, (len(judged.facts), as_trained)),
            *_flip(hindsight, steps, judged.prices.economics),
            *(f"{name} is left out: {reason}" for name, reason in judged.replayed.left_out.items()),
        ),
        events=events(judged),
        asked_as_trained=as_trained,
        left_out=judged.replayed.left_out,
    )


def events(judged: Judged) -> tuple[tuple[datetime, str], ...]:
    """The steps at which far more asked answers changed than usual, by time: what a curve that breaks there needs beside it."""
    moments = judged.moments
    changes = [at for fact in judged.facts for at in fact.changes()]
    counts = {at: sum(before < change <= at for change in changes) for before, at in pairwise(moments)}
    usual = median(counts.values()) if counts else 0.0
    least = max(EVENT_SHARE * len(judged.facts), 3 * usual, 1)
    most = sorted((at for at, count in counts.items() if count >= least), key=lambda at: -counts[at])[:EVENTS_SHOWN]
    return tuple((at, f"{counts[at]} of {len(judged.facts)} answers changed") for at in sorted(most))


def _ways(judged: Judged, about: Replaying) -> list[Aged]:
    ways = [following(name, about.approaches[name], judged) for name in judged.replayed.following]
    for name in judged.replayed.trained:
        for cadence in CADENCES:
            due = (
                paying_moments(judged)
                if cadence == "when it pays"
                else retrain_moments(judged.moments, MONTHS[cadence])
            )
            ways.append(on_cadence(cadence_name(name, cadence), name, due, judged))
    return ways


def _hindsight(ways: Sequence[Aged], judged: Judged, about: Replaying) -> Hindsight:
    totals = {aged.name: total_usd(aged, judged) for aged in ways}
    best = min(ways, key=lambda aged: totals[aged.name])
    choice = _stood_for(about.verdict, ways, judged)
    flip = flip_price(best, ways, totals, judged)
    return Hindsight(
        best=best.name,
        best_usd=totals[best.name],
        choice=choice,
        verdict=about.verdict,
        regret_usd=totals[choice] - totals[best.name],
        totals_usd=totals,
        because=_because(best, ways, totals, judged),
        flip_usd=flip.usd if flip else None,
        flip_to=flip.candidate if flip else "",
    )


def _stood_for(verdict: str, ways: Sequence[Aged], judged: Judged) -> str:
    """The candidate that a verdict of the criteria means on the first day.

    A tuned model at the cadence of FIRST_CADENCE; of several candidates of an approach, the one that was right most often at the first
    step, which a pilot would have shown. A verdict without an approach of its own falls to retrieval, which is undone most cheaply.
    """
    approach = verdict if any(aged.approach == verdict for aged in ways) else "rag"
    named = [aged for aged in ways if aged.approach == approach]
    planned = [aged for aged in named if aged.name.endswith(f"({FIRST_CADENCE})")] or named or list(ways)
    first = judged.moments[0]

    def right(aged: Aged) -> int:
        return sum(one.right for one in judged.verdicts(aged.candidate, aged.made[0], first))

    return max(planned, key=right).name


def _because(best: Aged, ways: Sequence[Aged], totals: Mapping[str, float], judged: Judged) -> str:
    """The line of the bill in which the best choice is furthest ahead of the best of the other approaches."""
    others = [aged for aged in ways if aged.approach != best.approach]
    if not others:
        return "no other approach was replayed"
    other = min(others, key=lambda aged: totals[aged.name])
    mine, theirs = _by_line(best, judged), _by_line(other, judged)
    line = max(DRIVERS, key=lambda name: theirs[name] - mine[name])
    return f"{DRIVERS[line]} cost {theirs[line] - mine[line]:,.0f} USD less than with {other.name}"


def _by_line(aged: Aged, judged: Judged) -> dict[str, float]:
    rows = lines_usd(aged, judged)
    return {name: sum(row[name] for row in rows) for name in DRIVERS}


# Sentences that a lead can repeat


def _sentences(
    ways: Sequence[Aged],
    steps: Sequence[AgedStep],
    about: Replaying,
    hindsight: Hindsight,
    retraining: Sequence[Retraining],
    asked: tuple[int, int],
) -> list[str]:
    rate = about.rate
    said = [
        f"Documents changed on {rate.document_days:.0f} days a year; the answer to an asked question on {rate.asked_days:.0f}: "
        f"{rate.asked_share_per_month:.1%} of the asked facts a month."
    ]
    for aged in ways:
        own = [step for step in steps if step.candidate == aged.name]
        if aged.approach == "fine_tune" and aged.name.endswith(("(never)", "(quarterly)")):
            said.append(_staleness(aged, own))
    said += _steadiness([aged.name for aged in ways if aged.approach != "fine_tune"], steps)
    if retraining:
        said.append(fairness(*asked))
    said += [_interval(one) for one in retraining]
    regret = f"{hindsight.regret_usd:,.0f} USD" if hindsight.regret_usd >= 1 else "nothing"
    said.append(
        f"In hindsight {hindsight.best} was the cheapest choice, because {hindsight.because}. The criteria alone said "
        f"{hindsight.verdict.replace('_', ' ')} on the first day ({hindsight.choice}); that would have cost {regret} more."
    )
    return said


def _flip(hindsight: Hindsight, steps: Sequence[AgedStep], prices: EconomicsSettings) -> list[str]:
    """What a wrong answer would have to cost for another to be the cheapest; nothing where no price does it."""
    if hindsight.flip_usd is None:
        return []

    def right(name: str) -> float:
        own = [step.accuracy.mean for step in steps if step.candidate == name]
        return sum(own) / len(own)

    said = (
        f"From {hindsight.flip_usd:,.2f} USD a wrong answer on (now {prices.wrong_answer_usd:,.2f}), {hindsight.flip_to} would have "
        f"been cheaper: over all steps it was right on {right(hindsight.flip_to):.0%} of the questions, "
        f"{hindsight.best} on {right(hindsight.best):.0%}."
    )
    if prices.handoff_usd > prices.wrong_answer_usd:
        said += (
            f" A handoff ({prices.handoff_usd:,.2f} USD) is priced above a wrong answer, so declining is dear even where it is right: "
            "set wrong_answer_usd to what a wrong answer really costs you."
        )
    return [said]


def _staleness(aged: Aged, steps: Sequence[AgedStep]) -> str:
    """How many answers had gone stale by the third month after the first training, or when it was worst."""
    how = "Trained once" if aged.name.endswith("(never)") else "Retrained quarterly"
    third = next((step for step in steps if months_between(steps[0].at, step.at) >= 2.5), steps[-1])
    worst = max(steps, key=lambda step: step.stale.mean)
    month = max(1, round(months_between(steps[0].at, third.at)))
    last = round(months_between(steps[0].at, worst.at))
    if worst.stale.mean <= 0:
        return f"{how}, {aged.candidate} would have given no stale answer at any step."
    text = f"{how}, {aged.candidate} would have given {one_in(third.stale.mean)} by month {month}"
    return f"{text}." if worst is third else f"{text}, and {one_in(worst.stale.mean)} at its worst (month {last})."


def _steadiness(names: Sequence[str], steps: Sequence[AgedStep]) -> list[str]:
    """How those that read the documents held up; candidates with the same figures share a sentence."""
    told: dict[str, list[str]] = {}
    for name in names:
        own = [step for step in steps if step.candidate == name]
        first, last = own[0].accuracy.mean, own[-1].accuracy.mean
        stale = max(step.stale.mean for step in own)
        worst = f"with {one_in(stale)} at its worst" if stale > 0 else "with no stale answer at any step"
        right = f"on {first:.0%} of the questions at the first step and on {last:.0%} at the last, {worst}."
        told.setdefault(right, []).append(name)
    return [f"{', '.join(group)} answered rightly {right}" for right, group in told.items()]


def _interval(one: Retraining) -> str:
    best = "never to retrain" if one.best_months is None else f"to retrain every {_months(one.best_months)}"
    rule = (
        "nothing asked changed, so the square-root rule has no interval"
        if one.rule_months is None
        else f"the square-root rule says every {one.rule_months:.1f} months"
    )
    return f"For {one.candidate} it would have been cheapest {best}; {rule}."


def _months(count: int) -> str:
    return "month" if count == 1 else f"{count} months"


def one_in(share: float) -> str:
    """A share of stale answers in words.

    >>> one_in(0.2), one_in(0.0), one_in(0.001)
    ('1 stale answer in 5', 'no stale answer', 'fewer than 1 stale answer in 200')
    """
    if share <= 0:
        return "no stale answer"
    if share < 1 / 200:
        return "fewer than 1 stale answer in 200"
    if share > 2 / 3:
        return f"{share:.0%} stale answers"
    return f"1 stale answer in {round(1 / share)}"
