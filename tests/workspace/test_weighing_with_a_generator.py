"""A bake-off with a generator, through the real client against a simulated server: measured, priced, kept, capped, foreseen."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.models.call_ledger import CallLedger
from steelyard.workspace import Workspace
from workspace.scripted_model import ASKING, asks, simulator
from workspace.tiny import lay_out, replace_in, weigh

ASKED = [(component, name) for component, names in ASKING.items() for name in names[1:]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tool library that was weighed with a generator; the server's state, the folder, what was foreseen, and the report."""
    with simulator() as state:
        folder = asks(lay_out(tmp_path_factory.mktemp("asked") / "tool-library"), state)
        workspace = Workspace(folder)
        workspace.ingest()
        foreseen = workspace.foresee_weighing()
        assert foreseen.generator.startswith("openai:echo-1@")
        assert state.requests == []
        yield state, folder, foreseen, weigh(folder)


def candidate(report, component, name):
    parts = next(one for one in report.components if one.name == component)
    return next(one for one in parts.candidates if one.name == name)


def spent(folder, purpose=None):
    ledger = CallLedger(folder / ".steelyard" / "calls.sqlite")
    try:
        return ledger.spent(purpose)
    finally:
        ledger.close()


def test_every_candidate_with_a_generator_is_measured_and_its_calls_are_priced(whole) -> None:
    _, folder, _, report = whole
    for component, name in ASKED:
        found = candidate(report, component, name)
        assert found.quality is not None, found.not_measured
        said = found.to_json()
        assert said["tokens"]["in"] > 30
        assert said["usd"]["generator_per_query"] > 0
        assert said["usd"]["per_query"] >= said["usd"]["generator_per_query"]
        assert said["made_with"]["prompt"].partition("@")[0] in ("classify", "answer", "no-context", "write")
        assert said["made_with"]["generator"].startswith("openai:echo-1@")
        assert found.leaks == 0
        assert found.metrics["well_formed"].mean == 1.0
    assert candidate(report, "answer", "rag-generator").quality.mean > 0.6
    assert candidate(report, "answer", "rag-generator").metrics["citation_validity"].mean == 1.0
    assert candidate(report, "answer", "rag-generator").metrics["grounded"].mean > 0.9
    assert candidate(report, "answer", "rag-generator").refusal_recall is not None
    assert candidate(report, "answer", "no-context").refusal_recall == 1.0
    assert candidate(report, "answer", "no-context").why_not is not None  # it cites nothing, and citations are required
    assert candidate(report, "answer", "rag-generator").why_not is None
    assert spent(folder).usd > 0


def test_the_calls_of_a_first_weigh_are_foreseen_one_by_one(whole) -> None:
    _, folder, foreseen, _ = whole
    rows = {(row.component, row.candidate): row.calls for row in foreseen.rows if row.calls}
    assert set(ASKED) == {key for key in rows if key[0] != "whole systems"}
    for component, name in ASKED:
        made = spent(folder, f"train {component}/{name}").calls + spent(folder, f"weigh {component}/{name}").calls
        assert rows[component, name] == made
    assert foreseen.total.calls == pytest.approx(spent(folder).calls, rel=0.1)
    assert "guessed" in foreseen.rows[1].basis


def test_what_measuring_costs_is_foreseen_within_a_tenth_once_the_candidates_are_trained(tmp_path) -> None:
    with simulator() as state:
        few = {component: (names[0], names[-1]) for component, names in ASKING.items()}
        folder = asks(lay_out(tmp_path / "trained"), state, components=few)
        Workspace(folder).ingest()
        Workspace(folder).train()
        before = spent(folder)
        foreseen = Workspace(folder).foresee_weighing()
        weigh(folder)
    assert spent(folder).calls > before.calls
    rows = [row for row in foreseen.rows if row.calls and row.component != "whole systems"]
    assert len(rows) == len(few)
    for row in rows:
        made = spent(folder, f"weigh {row.component}/{row.candidate}")
        assert row.calls == made.calls
        assert row.tokens_in + row.tokens_cached == pytest.approx(made.use.input + made.use.cached, rel=0.1)
        assert row.usd == pytest.approx(made.usd, rel=0.1)
        assert "earlier calls" in row.basis
        trained = spent(folder, f"train {row.component}/{row.candidate}")
        # Three calls alone and the others eight at a time is the least, each as long as the earlier ones took; and never one by one.
        each_s = trained.seconds / trained.calls
        assert row.seconds > 0.8 * each_s * (3 + (row.calls - 3) / 8)
        assert row.seconds < 5 * each_s * row.calls


def test_a_sample_foresees_a_first_run_within_a_tenth_and_is_not_paid_twice(tmp_path) -> None:
    with simulator() as state:
        few = {component: (names[0], names[-1]) for component, names in ASKING.items()}
        folder = asks(lay_out(tmp_path / "sampled"), state, components=few)
        Workspace(folder).ingest()
        foreseen = Workspace(folder).foresee_weighing(sampling=True)
        sampled = spent(folder)
        assert foreseen.sampled_calls == sampled.calls == len(state.requests)
        asked = {row.candidate: row.kept for row in foreseen.rows if row.kept and row.component != "whole systems"}
        whole = {row.candidate: row.kept + row.calls for row in foreseen.rows if row.component != "whole systems"}
        # Ten of each, or a quarter of a job's calls where that is more.
        assert len(asked) == len(few)
        assert all(10 <= kept <= max(10, round(0.25 * whole[name])) for name, kept in asked.items())
        assert foreseen.sampled_usd == pytest.approx(sampled.usd)
        again = Workspace(folder).foresee_weighing(sampling=True)
        assert again.sampled_calls == 0  # the first sample tells enough
        weigh(folder)
        assert len({json.dumps(one, sort_keys=True) for one in state.requests}) == len(state.requests)
    for row in (row for row in again.rows if row.calls and row.component != "whole systems"):
        name = f"{row.component}/{row.candidate}"
        made = [spent(folder, f"train {name}"), spent(folder, f"weigh {name}")]
        assert row.calls == sum(one.calls for one in made)
        # What the sample asked is among what is kept, not among what is left to pay.
        assert row.kept == asked[row.candidate]
        tokens = sum(one.use.input + one.use.cached for one in made)
        assert row.tokens_in + row.tokens_cached == pytest.approx(tokens, rel=0.1)
        assert row.usd == pytest.approx(sum(one.usd for one in made), rel=0.1)
        assert "earlier calls" in row.basis


def test_a_sample_is_refused_without_a_dry_run(tool_library) -> None:
    told = CliRunner().invoke(app, ["-w", str(tool_library), "weigh", "--sample"])
    assert told.exit_code == 2
    assert "it goes with --dry-run" in " ".join(told.stderr.split())


def test_a_repeated_weigh_asks_nothing_and_costs_nothing(whole, tmp_path) -> None:
    state, folder, _, report = whole
    before = len(state.requests)
    again = weigh(folder)
    assert len(state.requests) == before
    assert again.components == report.components
    # And neither does one that lost its models and runs, and kept the ledger of calls.
    for name in ("models", "runs", "checks"):
        shutil.rmtree(folder / ".steelyard" / name)
    foreseen = Workspace(folder).foresee_weighing().total
    assert (foreseen.calls, foreseen.usd) == (0, 0.0)
    assert foreseen.kept > 100
    once_more = weigh(folder)
    assert len(state.requests) == before
    for component, name in ASKED:
        assert candidate(once_more, component, name).quality == candidate(report, component, name).quality


def test_the_cap_stops_within_a_batch_keeps_everything_and_is_taken_up_again(tmp_path) -> None:
    one = {"answer": ("rag-bm25", "rag-generator")}
    with simulator() as state:
        folder = asks(lay_out(tmp_path / "capped"), state, components=one, more="cap_usd = 0.005\nconcurrency = 4")
        report = weigh(folder, ["answer"])
        stopped = len(state.requests)
        found = candidate(report, "answer", "rag-generator")
        assert found.quality is None
        assert "the cap is 0.01 USD" in found.not_measured
        assert candidate(report, "answer", "rag-bm25").quality is not None
        assert report.components[0].decision.candidate == "rag-bm25"
        assert found.usd_total > 0
        # Over the cap by less than the four calls that were in flight.
        dearest = max(spent(folder).usd / stopped * 2, 0.0)
        assert 0.005 <= spent(folder).usd <= 0.005 + 4 * dearest
        replace_in(folder / "steelyard.toml", "cap_usd = 0.005", "cap_usd = 5.0")
        report = weigh(folder, ["answer"])
        assert candidate(report, "answer", "rag-generator").quality is not None
        asked = [json.dumps(request["messages"]) for request in state.requests]
        assert len(asked) - len(set(asked)) <= 4  # at most one batch is asked twice
        assert len(asked) > stopped
