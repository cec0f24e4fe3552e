"""Fine-tuning at a provider, through the real client against a simulated provider in a process of its own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from models.tuning_simulator import BASE, running_simulator
from steelyard.config import TuningSettings
from steelyard.models import tuning_api
from steelyard.models.hosted_tuning import HostedTuning
from steelyard.models.tuning_api import TuningApi
from steelyard.models.tuning_jobs import TuningJobs
from steelyard.models.tuning_rows import tuning_file
from steelyard.schema.errors import DataError, GeneratorError, StoppedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

pytest.importorskip("openai")

SETTINGS = TuningSettings(epochs=3, cap_usd=5.0, poll_s=0.01)
PRICE = 100.0  # USD per million trained tokens


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as found:
        yield found


@pytest.fixture(autouse=True)
def calm(simulator, monkeypatch):
    simulator.calm()
    monkeypatch.setenv("SIM_KEY", "sim-key")
    monkeypatch.setattr(tuning_api, "pause_s", lambda attempt: 0.01)


def rows(mark, count=12):
    """Rows that no other test has: the same data never has two jobs."""
    return [
        ChatPair(messages=(Message(role="user", content=f"{mark} {at}?"),), completion=f"answer {at}", row=at + 2)
        for at in range(count)
    ]


def words(messages):
    return sum(len(one.content.split()) for one in messages)


class Tuner:
    """A workspace's tuning, with what it spent."""

    def __init__(self, simulator, folder, settings=SETTINGS, key_env="SIM_KEY", **more):
        self.jobs, self.spent = TuningJobs(folder / "tuning.sqlite"), []
        self.api = TuningApi(simulator.url, more.pop("model", BASE), key_env)
        self.seen = []
        more = {"usd_per_million": PRICE, "file": "questions.jsonl", **more}
        self.inner = HostedTuning(self.api, settings, self.jobs, count=words, spend=self.spent.append, **more)

    def tune(self, pairs):
        return self.inner.tune(pairs, pairs[:2], 7, lambda done, total: self.seen.append((done, total)))


def test_rows_go_up_a_job_comes_back_as_a_model_and_it_is_billed_once(simulator, tmp_path):
    tuner = Tuner(simulator, tmp_path)
    pairs = rows("bill")
    estimate = tuner.inner.estimate(pairs)
    job = tuner.tune(pairs)
    assert (job.status, job.base, job.rows) == ("succeeded", BASE, 12)
    assert job.tuned == f"ft:{BASE}:{job.job}"
    # The words of 12 rows, three times: 2 of the question and 2 of the answer each.
    assert job.trained_tokens == 3 * 12 * 4
    assert job.usd == pytest.approx(144 * PRICE / 1e6)
    assert estimate.trained_tokens == pytest.approx(job.trained_tokens, rel=0.1)
    assert estimate.usd == pytest.approx(job.usd, rel=0.1)
    assert tuner.spent == [job]
    assert tuner.seen[-1][0] == tuner.seen[-1][1]
    assert tuner.tune(pairs) == job
    assert len(tuner.spent) == 1


def test_the_same_data_never_has_two_jobs_even_when_the_state_is_lost(simulator, tmp_path):
    pairs = rows("once")
    first = Tuner(simulator, tmp_path / "a").tune(pairs)
    count = len(simulator.told()["jobs"])
    # Another folder: whatever the workspace knew is gone, and the provider's list is looked through, page by page.
    again = Tuner(simulator, tmp_path / "b").tune(pairs)
    assert (again.job, again.tuned) == (first.job, first.tuned)
    assert len(simulator.told()["jobs"]) == count
    other = Tuner(simulator, tmp_path / "a", replace(SETTINGS, epochs=1)).tune(pairs)
    assert other.job != first.job


def test_every_bad_row_is_told_with_file_and_row_before_anything_is_sent(simulator, tmp_path):
    pairs = rows("bad")
    pairs[3] = replace(pairs[3], completion=" ")
    pairs[5] = replace(pairs[5], messages=(Message(role="system", content="x"),))
    pairs[7] = replace(pairs[7], completion="word " * 60)
    pairs[9] = replace(pairs[9], completion="bell \x07")
    asked = len(simulator.told()["asked"])
    tuner = Tuner(simulator, tmp_path, replace(SETTINGS, longest_tokens=50))
    with pytest.raises(DataError) as caught:
        tuner.tune(pairs)
    found = [(one.file, one.row, one.code) for one in caught.value.findings]
    assert found == [
        ("questions.jsonl", 5, "tuning.no_completion"),
        ("questions.jsonl", 7, "tuning.no_prompt"),
        ("questions.jsonl", 9, "tuning.too_long"),
        ("questions.jsonl", 11, "tuning.control_characters"),
    ]
    with pytest.raises(DataError) as caught:
        tuner.tune(rows("few", 4))
    assert caught.value.findings[0].code == "tuning.too_few"
    assert len(simulator.told()["asked"]) == asked


def test_rows_that_the_provider_refuses_are_named_by_the_users_own_rows(simulator, tmp_path):
    pairs = rows("refused")
    for at in (2, 8):
        pairs[at] = replace(pairs[at], completion="REFUSE this")
    tuner = Tuner(simulator, tmp_path)
    with pytest.raises(DataError) as caught:
        tuner.tune(pairs)
    assert [(one.row, one.code) for one in caught.value.findings] == [
        (4, "tuning.refused_row"),
        (10, "tuning.refused_row"),
    ]
    assert tuner.spent == []


def test_money_is_asked_for_first(simulator, tmp_path):
    pairs = rows("money")
    asked = len(simulator.told()["asked"])
    with pytest.raises(StoppedError, match="12 rows, 144 trained tokens, about 0") as caught:
        Tuner(simulator, tmp_path, replace(SETTINGS, cap_usd=0.0)).tune(pairs)
    assert caught.value.code == "tuning.beyond_cap"
    assert "0.02" in caught.value.remedy
    with pytest.raises(StoppedError, match="this month"):
        Tuner(simulator, tmp_path, left_usd=0.001).tune(pairs)
    with pytest.raises(UserError) as caught:
        Tuner(simulator, tmp_path, usd_per_million=None).tune(pairs)
    assert caught.value.code == "tuning.no_price"
    with pytest.raises(UserError) as caught:
        Tuner(simulator, tmp_path, private=True).tune(pairs)
    assert caught.value.code == "tuning.residency"
    assert len(simulator.told()["asked"]) == asked


def test_rate_limits_and_passing_failures_are_waited_out(simulator, tmp_path):
    limited = {"status": 429, "headers": {"Retry-After": "0.01"}}
    simulator.set(
        faults=[
            {"method": "POST", "path": "/files", **limited},
            {"method": "POST", "path": "/files", "status": 503},
            {"method": "POST", "path": "/fine_tuning/jobs$", **limited},
            {"method": "GET", "path": "/fine_tuning/jobs/", "status": 500},
            {"method": "GET", "path": "/fine_tuning/jobs/", "drop": True},
        ]
    )
    assert Tuner(simulator, tmp_path).tune(rows("limits")).status == "succeeded"


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}])
def test_a_job_whose_answer_was_lost_is_found_and_not_started_again(simulator, tmp_path, fault):
    count = len(simulator.told()["jobs"])
    simulator.set(faults=[{"method": "POST", "path": "/fine_tuning/jobs$", "done": True, **fault}])
    job = Tuner(simulator, tmp_path).tune(rows(f"lost {fault}"))
    assert job.status == "succeeded"
    assert len(simulator.told()["jobs"]) == count + 1


def test_a_job_that_fails_says_why_and_may_be_started_anew(simulator, tmp_path):
    tuner, pairs = Tuner(simulator, tmp_path), rows("fails")
    simulator.set(fail="the cluster burnt down")
    with pytest.raises(GeneratorError, match="the cluster burnt down") as caught:
        tuner.tune(pairs)
    assert caught.value.code == "tuning.failed"
    simulator.calm()
    assert tuner.tune(pairs).status == "succeeded"
    assert len(tuner.spent) == 1


def test_a_running_job_can_be_cancelled_and_a_finished_one_cannot(simulator, tmp_path):
    tuner, pairs = Tuner(simulator, tmp_path, replace(SETTINGS, wait_hours=0.0)), rows("cancel")
    simulator.set(hold="running")
    with pytest.raises(StoppedError) as caught:
        tuner.tune(pairs)
    assert caught.value.code == "tuning.still_running"
    (job,) = tuner.jobs.all()
    assert tuner.inner.cancel(job).status == "cancelled"
    with pytest.raises(UserError) as caught:
        tuner.inner.cancel(tuner.jobs.get(job.key))
    assert caught.value.code == "tuning.not_running"


def test_what_the_provider_will_not_do_is_told(simulator, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="not available for fine-tuning") as caught:
        Tuner(simulator, tmp_path, model="other").tune(rows("model"))
    assert caught.value.code == "tuning.refused"
    monkeypatch.setenv("SIM_KEY", "wrong")
    with pytest.raises(StoppedError) as caught:
        Tuner(simulator, tmp_path / "b").tune(rows("key"))
    assert caught.value.code == "generator.key_refused"
    monkeypatch.delenv("SIM_KEY")
    with pytest.raises(StoppedError) as caught:
        Tuner(simulator, tmp_path / "c").tune(rows("key"))
    assert caught.value.code == "generator.no_key"


def test_shutdown_dates_of_model_and_base_are_noted_the_earlier_counts(simulator, tmp_path):
    simulator.set(ends={BASE: "2027-06-01"})
    tuner = Tuner(simulator, tmp_path, ends=date(2027, 9, 1))
    job = tuner.tune(rows("ends"))
    assert job.ends_on == date(2027, 6, 1)
    simulator.set(ends={job.tuned: "2027-02-01", BASE: "2027-06-01"})
    assert tuner.inner.look(job).ends_on == date(2027, 2, 1)
    assert tuner.jobs.get(job.key).ends == "2027-02-01"


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from models.test_hosted_tuning import Tuner, rows
class Found: url = sys.argv[1]
Tuner(Found, Path(sys.argv[2])).tune(rows("killed"))
"""


def test_a_process_killed_while_it_waits_takes_the_same_job_up_again(simulator, tmp_path):
    simulator.set(hold="running")
    count = len(simulator.told()["jobs"])
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = [sys.executable, "-c", SCRIPT, simulator.url, str(tmp_path), tests]
    jobs = TuningJobs(tmp_path / "tuning.sqlite")
    with subprocess.Popen(script, env=environment) as process:
        while process.poll() is None and not any(one.status == "running" for one in jobs.all()):
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -9
    simulator.calm()
    tuner = Tuner(simulator, tmp_path)
    job = tuner.tune(rows("killed"))
    assert (job.status, job.job) == ("succeeded", jobs.all()[0].job)
    assert len(simulator.told()["jobs"]) == count + 1
    assert len(tuner.spent) == 1


def test_the_file_is_json_lines_in_chat_form():
    lines = [json.loads(line) for line in tuning_file(rows("file", 2)).decode().splitlines()]
    assert lines[1] == {
        "messages": [{"role": "user", "content": "file 1?"}, {"role": "assistant", "content": "answer 1"}]
    }
