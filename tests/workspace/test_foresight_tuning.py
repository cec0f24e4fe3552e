"""What a tuning at a provider would cost, as `train --dry-run` tells it, beside the provider's own bill."""

import json
from urllib.request import urlopen

import pytest

from steelyard.evaluation.tuning_simulator import tuning_simulator
from steelyard.workspace import Workspace, foresight_tuning

pytest.importorskip("openai")


@pytest.fixture
def tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    file = tmp_path / "tokenizer.json"
    words.save(str(file))
    return file


def test_a_provider_bills_what_was_foreseen_with_its_own_tokenizer(tmp_path, tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(foresight_tuning, "HOSTED", ("reply/hosted-writer",))
    guessed, counted = foresight_tuning.hosted_rows(tmp_path, tokenizer)
    assert (guessed["forecast"], counted["forecast"]) == ("guessed", "tokenizer")
    assert guessed["trained_tokens_actual"] == counted["trained_tokens_actual"] > 10_000
    assert guessed["usd_actual"] == counted["usd_actual"] > 0
    # Words and signs are fewer than a quarter of the characters; told the provider's tokenizer, the forecast is close.
    assert abs(counted["usd_off"]) < 0.02
    assert abs(guessed["usd_off"]) < 0.5


def test_the_simulator_bills_each_epoch_of_a_job_once(tmp_path, tokenizer) -> None:
    with tuning_simulator(tokenizer) as url:
        hosted = foresight_tuning._hosted(url, "tokenizer", tokenizer)
        workspace = Workspace(foresight_tuning._laid_out(tmp_path / "place", hosted))
        workspace.train("reply/hosted-writer")
        (job,) = workspace.tuning_jobs()
        with urlopen(url.removesuffix("/v1") + "/bill") as answer:
            bill = json.load(answer)
        workspace.train("reply/hosted-writer")  # there is nothing new to tune
        with urlopen(url.removesuffix("/v1") + "/bill") as answer:
            assert json.load(answer) == bill
    assert bill["trained"] == job.trained_tokens
    assert job.trained_tokens % workspace.settings.models.tuning.epochs == 0
