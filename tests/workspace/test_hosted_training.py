"""Candidates tuned at a provider, from the command to the answer, against a simulated provider in a process of its own."""

import json
from datetime import UTC, date, datetime

import pytest

from models.tuning_simulator import BASE, running_simulator
from steelyard.models import tuning_api
from steelyard.schema.errors import DataError, NotFoundError, StoppedError, UserError
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from steelyard.workspace.tuning import tuned_price
from steelyard.workspace.tuning_control import tuned_models
from workspace.tiny import lay_out, replace_in, slimmed, steelyard

pytest.importorskip("openai")

ENDING = "base_model_ending"

TARGETS = {
    "intent/hosted-classifier": "messages.csv",
    "answer/hosted-closed-book": "questions.jsonl",
    "reply/hosted-writer": "replies.jsonl",
}


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as found:
        yield found


@pytest.fixture(autouse=True)
def calm(simulator, monkeypatch):
    simulator.calm()
    monkeypatch.setenv("SIM_KEY", "sim-key")
    monkeypatch.setattr(tuning_api, "pause_s", lambda attempt: 0.01)


def made(simulator, folder, tuning="cap_usd = 5.0\ntraining_usd = 100.0", more=""):
    slimmed(lay_out(folder))
    settings = folder / "steelyard.toml"
    generator = f'generator = {{kind = "openai", base_url = "{simulator.url}", model = "{BASE}", key_env = "SIM_KEY"}}'
    replace_in(settings, 'encoder = "fake"\n', f'encoder = "fake"\n{generator}\n')
    settings.write_text(settings.read_text() + f"\n[models.tuning]\npoll_s = 0.01\n{tuning}\n{more}")
    return Workspace(folder)


@pytest.fixture(scope="module")
def trained(simulator, tmp_path_factory):
    """A workspace whose three components were tuned at the provider."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIM_KEY", "sim-key")
        workspace = made(simulator, tmp_path_factory.mktemp("trained"))
        found = {target: workspace.train(target).versions for target in TARGETS}
    return workspace, found


def loaded(workspace, version):
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    split = parts.examples.split(version.component)
    return parts.training.load(version), split


def test_a_tuned_model_is_a_version_that_answers_as_it_was_taught(trained):
    from steelyard.evaluation.run import request_of, scope_of

    workspace, found = trained
    for target, (version,) in found.items():
        candidate, split = loaded(workspace, version)
        assert (f"{version.component}/{version.candidate}", version.version) == (target, 1)
        assert version.cost_usd > 0
        outputs = [candidate.predict(request_of(item), scope_of(item)) for item in split.train[:8]]
        if "intent" in target:
            assert [one.label for one in outputs] == [item.label for item in split.train[:8]]
            assert all(0 < one.probability < 1 for one in outputs)
        elif "answer" in target:
            right = [one.text in item.answers or one.abstained for one, item in zip(outputs, split.train, strict=False)]
            assert all(right)
            assert any(one.text for one in outputs)
        else:
            assert sum("fallback" not in dict(one.trace) for one in outputs) >= 4
        assert all(one.usage.tokens_in > 0 for one in outputs)


def test_training_again_costs_nothing_and_starts_no_job(simulator, trained):
    workspace, found = trained
    jobs = len(simulator.told()["jobs"])
    spent = sum(job.usd for job in workspace.tuning_jobs())
    for target in TARGETS:
        again = workspace.train(target)
        assert [one.version for one in again.skipped] == [found[target][0].version]
    assert len(simulator.told()["jobs"]) == jobs
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    billed = sum(one.usd for purpose, one in parts.toolbox.calls.by_purpose().items() if purpose.startswith("train"))
    assert billed >= spent > 0  # jobs are in the one ledger of what was spent


def test_a_workspace_that_lost_its_state_pays_for_no_second_job(simulator, trained, tmp_path):
    jobs = len(simulator.told()["jobs"])
    workspace = made(simulator, tmp_path)
    (version,) = workspace.train("intent/hosted-classifier").versions
    assert len(simulator.told()["jobs"]) == jobs
    assert version.version == 1


def test_without_a_cap_nothing_is_sent_and_the_price_is_told(simulator, tmp_path):
    files = simulator.told()["files"]
    workspace = made(simulator, tmp_path, "training_usd = 100.0\nepochs = 2")
    with pytest.raises(StoppedError, match="trained tokens") as caught:
        workspace.train("answer/hosted-closed-book")
    assert caught.value.code == "tuning.beyond_cap"
    with pytest.raises(UserError) as caught:
        made(simulator, tmp_path / "b", "cap_usd = 9.0").train("answer/hosted-closed-book")
    assert caught.value.code == "tuning.no_price"
    assert simulator.told()["files"] == files


def test_data_that_must_stay_stays(simulator, tmp_path):
    workspace = made(simulator, tmp_path)
    replace_in(workspace.folder / "steelyard.toml", "audit = true\n", "audit = true\nresidency = true\n")
    with pytest.raises(UserError) as caught:
        Workspace(workspace.folder).train("reply/hosted-writer")
    assert caught.value.code == "tuning.residency"


def test_bad_rows_are_named_by_file_and_row(simulator, tmp_path):
    workspace = made(simulator, tmp_path, "cap_usd = 5.0\ntraining_usd = 100.0\nlongest_tokens = 30")
    with pytest.raises(DataError) as caught:
        workspace.train("reply/hosted-writer")
    finding = caught.value.findings[0]
    assert (finding.file, finding.code) == ("replies.jsonl", "tuning.too_long")
    assert finding.row > 0


def test_no_curve_and_no_refit_starts_paid_jobs(simulator, trained):
    workspace, _ = trained
    jobs = len(simulator.told()["jobs"])
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    split = parts.examples.split("intent")
    for call in (
        lambda: parts.training.trial("intent", "hosted-classifier", split.train, split.validation, split.validation),
        lambda: parts.training.refit("intent", "hosted-classifier", workspace.folder / "x", split.train),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert caught.value.code == "tuning.paid"
    assert len(simulator.told()["jobs"]) == jobs


def test_status_tells_when_a_tuned_model_is_switched_off(simulator, trained):
    workspace, _ = trained
    assert [one["ends"] for one in workspace.status()["tuned_models"]] == [None] * 3
    (first, *_) = workspace.tuning_jobs()
    simulator.set(ends={first.tuned: "2027-03-01"})
    workspace.tuning_jobs(look=True)
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    one = tuned_models(parts, date(2026, 12, 1))[0]
    assert (one["ends"], one["days_left"], one["soon"]) == ("2027-03-01", 90, True)
    assert not tuned_models(parts, date(2026, 1, 1))[0]["soon"]
    shown = steelyard("-w", str(workspace.folder), "status").stdout
    assert "switched off on 2027-03-01" in " ".join(shown.split()) or "SWITCHED OFF" in shown


def test_a_tuned_model_that_answers_raises_an_alert_before_it_is_switched_off(simulator, trained):
    workspace, _ = trained
    job = next(one for one in workspace.tuning_jobs() if one.status == "succeeded")
    component, _, candidate = job.purpose.partition("/")
    simulator.set(ends={job.tuned: "2027-03-01"})
    workspace.tuning_jobs(look=True)
    near = datetime(2027, 2, 1, tzinfo=UTC)
    workspace.release([f"{component}/{candidate}"], force=True, why="for the test")
    assert [one for one in workspace.watched(datetime(2026, 1, 1, tzinfo=UTC)).alerts if one.name == ENDING] == []
    (alert,) = (one for one in workspace.watched(near).alerts if one.name == ENDING)
    assert (alert.blame, alert.severity) == (component, "critical")
    assert job.tuned in alert.message
    assert "[models.tuning]" in alert.remedy


def test_the_command_lists_and_cancels_jobs(simulator, trained, tmp_path):
    workspace, _ = trained
    listed = json.loads(steelyard("-w", str(workspace.folder), "tuning", "jobs", "--json").stdout)["jobs"]
    assert [one["purpose"] for one in listed] == [*TARGETS]
    assert all(one["status"] == "succeeded" for one in listed)
    with pytest.raises(NotFoundError):
        workspace.cancel_tuning("ftjob-none")
    with pytest.raises(UserError) as caught:
        workspace.cancel_tuning(listed[0]["job"])
    assert caught.value.code == "tuning.not_running"
    simulator.set(hold="running")
    other = made(simulator, tmp_path, "cap_usd = 5.0\ntraining_usd = 100.0\nepochs = 1\nwait_hours = 0.0")
    with pytest.raises(StoppedError, match="still"):
        other.train("intent/hosted-classifier")
    (job,) = other.tuning_jobs()
    done = steelyard("-w", str(other.folder), "tuning", "cancel", job.job)
    assert (done.returncode, done.stdout.strip()) == (0, f"{job.job}: cancelled")


def test_a_provider_is_needed(tmp_path):
    slimmed(lay_out(tmp_path))
    replace_in(
        tmp_path / "steelyard.toml",
        'encoder = "fake"\n',
        'encoder = "fake"\ngenerator = {kind = "transformers", path = "model"}\n',
    )
    with pytest.raises(NotFoundError, match="cannot be built here") as caught:
        Workspace(tmp_path).train("intent/hosted-classifier")
    assert "a provider that tunes" in caught.value.remedy


def test_prices_of_tuned_models_are_found_by_dated_names():
    assert tuned_price("gpt-4.1-mini-2025-04-14").name == "ft:gpt-4.1-mini"
    assert tuned_price("gpt-4.1-mini").training == 5
    assert tuned_price("nothing-like-it") is None
