"""What tuning at a provider would cost, told before anything is sent, beside what it then cost."""

import pytest

from models.tuning_simulator import BASE, running_simulator
from steelyard.models import tuning_api
from steelyard.workspace import Workspace
from workspace.tiny import lay_out, replace_in, slimmed

pytest.importorskip("openai")

TARGETS = ("intent/hosted-classifier", "answer/hosted-closed-book", "reply/hosted-writer")


@pytest.fixture(scope="module")
def provider():
    with running_simulator() as found:
        yield found


@pytest.fixture
def workspace(provider, tmp_path, monkeypatch):
    provider.calm()
    monkeypatch.setenv("SIM_KEY", "sim-key")
    monkeypatch.setattr(tuning_api, "pause_s", lambda attempt: 0.01)
    folder = slimmed(lay_out(tmp_path / "tuned"))
    settings = folder / "steelyard.toml"
    generator = f'generator = {{kind = "openai", base_url = "{provider.url}", model = "{BASE}", key_env = "SIM_KEY"}}'
    replace_in(settings, 'encoder = "fake"\n', f'encoder = "fake"\n{generator}\n')
    settings.write_text(
        settings.read_text() + "\n[models.tuning]\npoll_s = 0.01\ncap_usd = 5.0\ntraining_usd = 100.0\n"
    )
    made = Workspace(folder)
    made.ingest()
    return made


def test_a_job_is_priced_before_it_is_started_and_nothing_is_sent(workspace, provider) -> None:
    before = provider.told()
    for target in TARGETS:
        (row,) = workspace.foresee_training(target).rows
        assert row.note is None
        assert "a job of" in row.basis
        assert row.usd > 0
        assert row.seconds > 60
    assert provider.told() == before
    (row,) = workspace.foresee_training("reply/hosted-writer").rows
    (version,) = workspace.train("reply/hosted-writer").versions
    (job,) = workspace.tuning_jobs()
    # What the provider bills is counted in its own tokens; what it was told to be is what the job was allowed by.
    assert row.usd == pytest.approx(job.estimate["usd"], rel=0.01)
    assert version.cost_usd > 0
    (after,) = workspace.foresee_training("reply/hosted-writer").rows
    assert (after.calls, after.usd) == (0, 0.0)
