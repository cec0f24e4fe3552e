"""`check` and `status` on a workspace with a generator: what is wrong with it, and what it cost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.openai_simulator import MODEL, simulator
from steelyard.cli.app import app
from steelyard.config import EmbeddingSettings, GeneratorSettings, ModelSettings
from steelyard.schema.errors import NotFoundError
from steelyard.schema.generation import Message, TokenPrice
from steelyard.workspace import Workspace
from steelyard.workspace.generating import is_own_network, model_findings, price_of
from workspace.tiny import replace_in

KEY = "sk-open-sesame"
runner = CliRunner()


@pytest.fixture(scope="module")
def server():
    with simulator() as running:
        yield running


def _with(folder: Path, **settings) -> Workspace:
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"kind": "openai", "model": MODEL, **settings}.items()]
    file = folder / "steelyard.toml"
    file.write_text(file.read_text() + "\n[models.generator]\n" + "\n".join(lines) + "\n")
    return Workspace(folder)


def test_a_missing_key_is_an_error_that_names_its_variable(tool_library, server, monkeypatch) -> None:
    monkeypatch.delenv("STEELYARD_TEST_KEY", raising=False)
    workspace = _with(tool_library, base_url=server.url, key_env="STEELYARD_TEST_KEY", input_usd=1)
    (found,) = workspace.check()
    assert (found.code, found.severity) == ("generator.no_key", "error")
    assert "STEELYARD_TEST_KEY" in found.message
    assert found.file == "steelyard.toml [models.generator]"
    assert workspace.status()["generator"]["problem"]["code"] == "generator.no_key"


def test_a_server_that_does_not_answer_is_an_error(tool_library) -> None:
    workspace = _with(tool_library, base_url="http://127.0.0.1:9/v1", input_usd=1)
    assert [one.code for one in workspace.check()] == ["generator.unreachable"]
    state = workspace.status()["generator"]
    assert (state["ready"], state["problem"]["code"]) == (False, "generator.unreachable")


def test_a_cap_without_a_price_is_a_warning(tool_library, server) -> None:
    (found,) = _with(tool_library, base_url=server.url, cap_usd=5).check()
    assert (found.code, found.severity) == ("generator.no_price", "warning")


def test_what_calls_cost_stands_in_the_status_and_the_key_in_no_file(tool_library, server, monkeypatch) -> None:
    monkeypatch.setenv("STEELYARD_TEST_KEY", KEY)
    workspace = _with(
        tool_library, base_url=server.url, key_env="STEELYARD_TEST_KEY", input_usd=1000, output_usd=5000, cap_usd=2
    )
    assert workspace.check() == []
    generator = workspace._parts().toolbox.generator
    generator.complete([Message(role="user", content="hello there")], max_tokens=5)
    state = workspace.status()["generator"]
    # 2 words in at 0.001 USD, 2 words out at 0.005 USD
    assert state["month_usd"] == pytest.approx(0.012)
    assert (state["ready"], state["cap_usd"], state["spent"]["calls"]) == (True, 2.0, 1)
    workspace._parts().toolbox.close()
    generator.inner.close()
    files = [path for path in tool_library.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_compact_drops_answers_by_age_and_says_so_with_or_without_a_corpus(tool_library, server) -> None:
    workspace = _with(tool_library, base_url=server.url, input_usd=1, keep_answers_days=0.0)
    with pytest.raises(NotFoundError, match="nothing is ingested yet"):
        workspace.compact()
    generator = workspace._parts().toolbox.generator
    generator.complete([Message(role="user", content="hello there")], max_tokens=5)
    told = runner.invoke(app, ["-w", str(tool_library), "compact", "--dry-run"])
    assert "kept answers of a generator would go: 1; what needs them is asked again" in " ".join(told.stdout.split())
    assert workspace.compact().answers == 1
    generator.complete([Message(role="user", content="hello there")], max_tokens=5)
    assert generator.ledger.spent().calls == 2
    workspace.ingest()
    done = workspace.compact()
    assert (done.answers, done.kept) == (1, (1,))
    assert workspace.compact().answers == 0
    assert generator.ledger.spent().calls == 2
    workspace._parts().toolbox.close()
    generator.inner.close()


def test_a_dry_run_says_that_there_is_no_price_and_a_sample_that_nobody_answers(tool_library) -> None:
    _with(tool_library, base_url="http://127.0.0.1:9/v1", context_tokens=100_000)
    settings = tool_library / "steelyard.toml"
    settings.write_text(re.sub(r"candidates = \[.*\]", 'candidates = ["zero-shot"]', settings.read_text(), count=1))
    command = ["-w", str(tool_library), "train", "intent/zero-shot", "--dry-run"]
    told = runner.invoke(app, command)
    assert told.exit_code == 0
    assert "no price is known for this model, so USD are 0" in " ".join(told.stdout.split())
    told = runner.invoke(app, [*command, "--sample"])
    assert told.exception.code == "generator.unreachable"


def test_without_a_generator_nothing_is_said_of_one(tool_library) -> None:
    assert Workspace(tool_library).status()["generator"] is None


def test_where_data_must_stay_an_address_outside_is_an_error() -> None:
    outside = {"base_url": "http://192.0.2.1.example.com/v1", "model": "m", "key_env": "NO_SUCH_KEY", "input_usd": 0.0}
    models = ModelSettings(
        encoder="openai", embeddings=EmbeddingSettings(**outside), generator=GeneratorSettings(kind="openai", **outside)
    )
    places = [
        one.file for one in model_findings(models, Path(), residency=True) if one.code == "generator.leaves_network"
    ]
    assert places == ["steelyard.toml [models.generator]", "steelyard.toml [models.embeddings]"]
    assert {one.code for one in model_findings(models, Path())} == {"generator.no_key"}


def test_a_corpus_is_embedded_by_an_endpoint_and_paid_once(tool_library, server) -> None:
    file = tool_library / "steelyard.toml"
    endpoint = f'{{ kind = "openai", base_url = "{server.url}", model = "{MODEL}", dim = 16, input_usd = 1000 }}'
    replace_in(file, 'encoder = "fake"', f"encoder = {endpoint}")
    workspace = Workspace(tool_library)
    assert workspace.check() == []
    workspace.ingest()
    toolbox = workspace._parts().toolbox
    assert toolbox.library.generation(toolbox.generation).encoder == toolbox.encoder.name
    paid = toolbox.calls.by_purpose()["embed"].usd
    assert paid > 0
    workspace.ingest()
    assert toolbox.calls.by_purpose()["embed"].usd == paid
    toolbox.encoder.close()


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://[::1]/v1", True),
        ("http://10.1.2.3:8000/v1", True),
        ("http://gpu-box:8000/v1", True),
        ("https://models.internal/v1", True),
        ("https://api.example.com/v1", False),
        ("http://8.8.8.8/v1", False),
    ],
)
def test_an_address_is_the_own_networks_by_its_name(address, own) -> None:
    assert is_own_network(address) is own


def test_prices_come_from_the_settings_then_from_the_table() -> None:
    def price(**settings) -> TokenPrice:
        return price_of(GeneratorSettings(**{"kind": "openai", "base_url": "http://h/v1", "model": "m", **settings}))

    assert price() == TokenPrice()
    assert price(input_usd=2.0) == TokenPrice(input=2.0, cached=2.0)
    assert price(input_usd=2.0, cached_usd=0.2, output_usd=8.0) == TokenPrice(input=2.0, cached=0.2, output=8.0)
    listed = price(model="gpt-5.4-mini")
    assert 0 < listed.cached < listed.input < listed.output
    assert price(price_of="gpt-5.4-mini") == listed
    assert price(kind="transformers", path="p", model=None) == TokenPrice()
    with pytest.raises(NotFoundError):
        price(price_of="no-such-model")
