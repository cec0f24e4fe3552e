"""A canary judged over its blocks: faults stop it, twins go on, and nothing is judged twice."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from steelyard.config import CanarySettings
from steelyard.registry.feedback import FeedbackLog
from steelyard.registry.operations import Operations
from steelyard.registry.trials import Trials
from steelyard.schema.errors import UserError
from steelyard.schema.feedback import Feedback
from steelyard.schema.watching import WHOLE_REQUEST, Noted
from steelyard.serving.judging import CanaryJudge
from steelyard.serving.splitting import draw

A_SECOND = 40


class Course:
    """A canary on a fifth of some traffic, noted as servers do."""

    def __init__(self, folder, seed: int = 1) -> None:
        self.trials = Trials(folder / "trials.sqlite")
        self.operations = Operations(folder / "operations.sqlite")
        self.stopped: list[str] = []
        self.feedback = FeedbackLog(folder / "feedback.sqlite")
        self.judge = CanaryJudge(
            self.trials,
            self.operations,
            self.feedback,
            CanarySettings(),
            lambda _, reason: self.stopped.append(reason),
        )
        self.trial = self.trials.start(
            "canary", {"intent": ("knn", 1)}, share=0.2, split_by="caller", release=1, who="ann", why=""
        )
        self.rng = random.Random(seed)
        self.now = self.trial.began

    def run(self, seconds: int, *, slower: float = 1.0, errors: float = 0.0, declined: float = 0.1) -> None:
        """So many seconds of traffic; the canary's side has these faults."""
        noted = []
        for at in range(seconds * A_SECOND):
            canary = self.rng.random() < 0.2
            noted.append(
                Noted(
                    id=f"{self.now}-{at}",
                    at=self.now + at / A_SECOND,
                    component=WHOLE_REQUEST,
                    candidate="pipeline",
                    version=0,
                    release=1,
                    generation=1,
                    latency_ms=self.rng.lognormvariate(3, 0.5) * (slower if canary else 1.0),
                    abstained=self.rng.random() < (declined if canary else 0.1),
                    error="serving.broken" if canary and self.rng.random() < errors else None,
                    key=f"k{at % 50}",
                    arm="canary" if canary else "production",
                    trial=self.trial.number,
                )
            )
        self.operations.write(noted, limit_ms=800)
        self.now += seconds

    def hear(self, count: int, *, wrong: float) -> None:
        """Verdicts on requests of both sides, as many; the canary's are wrong with this chance, production's with one in ten."""
        for arm, chance in (("canary", wrong), ("production", 0.1)):
            rows = [row for row in self.operations.trial_rows(self.trial.number, 0.0, self.now) if row["arm"] == arm]
            for at, row in enumerate(rows[-count:]):
                said = Feedback(
                    number=0,
                    at=datetime.fromtimestamp(self.now + at / 10, UTC).isoformat(),
                    request=row["id"],
                    component=None,
                    versions=(),
                    verdict="wrong" if self.rng.random() < chance else "right",
                    caller=f"k{at}",
                )
                self.feedback.add(said)
        self.now += count // 10

    def judged(self) -> str:
        self.judge.advance(self.now + 3, 1)  # learns what is slow
        self.judge.advance(self.now + 3, 1)
        return self.trials.latest("canary").state


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"slower": 2.0}, "answers are slower"),
        ({"errors": 0.2}, "requests fail more often"),
        ({"declined": 0.4}, "declined more often"),
    ],
)
def test_a_planted_fault_stops_the_canary_and_says_why(tmp_path, fault, said) -> None:
    course = Course(tmp_path)
    course.run(120, **fault)
    assert course.judged() == "stopped"
    assert said in course.trials.reason(course.trial.number)
    assert len(course.stopped) == 1


def test_people_who_call_its_answers_wrong_stop_it(tmp_path) -> None:
    course = Course(tmp_path)
    course.run(60)
    assert course.judged() == "running"
    course.hear(200, wrong=0.6)
    assert course.judged() == "stopped"
    assert "wrong or unsafe" in course.trials.reason(course.trial.number)


def test_people_who_like_both_alike_do_not(tmp_path) -> None:
    course = Course(tmp_path)
    course.run(60)
    course.hear(200, wrong=0.1)
    assert course.judged() == "running"


def test_twins_go_on_and_are_shown_beside_each_other(tmp_path) -> None:
    course = Course(tmp_path)
    course.run(200)
    assert course.judged() == "running"
    report = course.judge.report(course.trial)
    figures = {one.metric: one for one in report.figures}
    assert figures["declined"].canary == pytest.approx(0.1, abs=0.03)
    assert figures["declined"].production == pytest.approx(0.1, abs=0.02)
    assert report.callers == 50
    assert not any(one.worse for one in report.figures)


def test_what_was_judged_by_one_process_is_not_judged_again_by_another(tmp_path) -> None:
    course = Course(tmp_path)
    course.run(60)
    assert course.judged() == "running"
    before = course.judge.report(course.trial)
    other = CanaryJudge(course.trials, course.operations, FeedbackLog(tmp_path / "feedback.sqlite"), CanarySettings())
    other.advance(course.now + 3, 1)
    assert other.report(course.trial) == before


def test_a_canary_ends_when_another_release_takes_the_place_of_its_own(tmp_path) -> None:
    course = Course(tmp_path)
    course.judge.advance(course.now, 2)
    ended = course.trials.latest("canary")
    assert (ended.state, course.stopped) == ("ended", [])
    assert "release 2" in course.trials.reason(ended.number)


def test_one_canary_runs_at_a_time_and_another_begins_when_it_has_ended(tmp_path) -> None:
    course = Course(tmp_path)
    again = {"share": 0.1, "split_by": "caller", "release": 1, "who": "ann", "why": ""}
    with pytest.raises(UserError, match="canary 1 runs already"):
        course.trials.start("canary", {"intent": ("linear", 1)}, **again)
    assert course.trials.start("shadow", {"intent": ("linear", 1)}, **again).number == 2
    assert course.trials.end(1, "ended", "by hand")
    assert not course.trials.end(1, "ended", "twice")
    assert course.trials.start("canary", {"intent": ("linear", 1)}, **again).number == 3


def test_callers_are_split_by_the_share_and_anew_in_each_trial() -> None:
    callers = [f"k{at}" for at in range(4000)]
    first, second = ({name for name in callers if draw(trial, name) < 0.2} for trial in (1, 2))
    assert len(first) == pytest.approx(800, abs=100)
    assert len(first & second) == pytest.approx(160, abs=60)
