"""What `status` says of a workspace in operation: traffic, spend, break-even, and whether the decision still holds."""

from __future__ import annotations

import json
import os
import random
import shutil
from datetime import UTC, datetime, timedelta

from steelyard.registry.operations import Operations
from steelyard.schema.watching import WHOLE_REQUEST, Noted
from steelyard.workspace import Workspace
from workspace.tiny import steelyard

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def fill(
    folder, *, days: int, a_day: float, growth: float = 0.0, latency_ms: float = 10.0, declined: float = 0.1
) -> None:
    """Traffic up to NOW, as a server would have noted it."""
    workspace = Workspace(folder)
    decision = json.loads((folder / "decision.json").read_text())
    answering = {name: one["candidate"] for name, one in decision["components"].items()}
    rng = random.Random(5)
    noted = []
    for day in range(days, -1, -1):
        for number in range(int(a_day * (1 + growth) ** ((days - day) / 30.4))):
            at = (NOW - timedelta(days=day)).timestamp() - rng.random() * 40_000
            refused = rng.random() < declined
            base = {"id": f"{day}-{number}", "at": at, "version": 1, "release": None, "generation": 1, "usd": 1e-6}
            for name, candidate in answering.items():
                task = workspace.settings.components[name].task
                noted.append(
                    Noted(
                        **base,
                        component=name,
                        candidate=candidate,
                        latency_ms=latency_ms * rng.uniform(0.8, 1.2),
                        abstained=refused and task == "answer",
                    )
                )
            noted.append(Noted(**base, component=WHOLE_REQUEST, candidate="", latency_ms=3 * latency_ms))
    Operations(workspace.state.operations).write(noted, limit_ms=800)


def test_a_workspace_that_answered_nobody_has_no_traffic_and_makes_no_files(weighed) -> None:
    found = Workspace(weighed).watched(NOW)
    assert (found.requests, found.components, found.spend, found.break_even) == (0, (), (), ())
    assert not (weighed / ".steelyard" / "operations.sqlite").exists()


def test_what_was_noted_is_shown_by_component_and_day(weighed) -> None:
    fill(weighed, days=3, a_day=300, declined=0.25)
    found = Workspace(weighed).watched(NOW)
    parts = {one.component: one for one in found.components}
    answer = next(name for name, one in Workspace(weighed).settings.components.items() if one.task == "answer")
    assert parts[WHOLE_REQUEST].requests == found.requests > 0
    assert 0.15 < parts[answer].refused < 0.35
    assert parts[answer].refused_low < parts[answer].refused < parts[answer].refused_high
    assert [one["requests"] for one in found.by_day] == [300] * 4


def test_measured_volume_that_changes_the_verdict_is_told_with_what_to_do(weighed) -> None:
    decision = json.loads((weighed / "decision.json").read_text())
    holds = Workspace(weighed)
    fill(weighed, days=10, a_day=holds.settings.traffic.queries_per_month / 30.4)
    assert decision["components"]
    found = holds.watched(NOW)
    assert {one.component for one in found.decisions} == set(decision["components"])
    for one in found.decisions:
        assert one.holds, one


def test_a_volume_at_which_another_candidate_wins_flips_the_decision(weighed) -> None:
    decision = json.loads((weighed / "decision.json").read_text())
    name, flip = next(
        (name, flip)
        for name, one in decision["components"].items()
        for flip in one["flips"]
        if flip["input"] == "queries_per_month" and flip["candidate"] != one["candidate"]
    )
    fill(weighed, days=10, a_day=flip["to"] / 2 / 30.4)
    (found,) = [one for one in Workspace(weighed).watched(NOW).decisions if one.component == name]
    assert not found.holds
    assert found.now.endswith(f"({flip['candidate']})")
    assert "queries a month come" in found.because
    assert f"steelyard release {name}/{flip['candidate']}" in found.do


def test_a_latency_that_breaks_the_requirement_flips_the_decision(weighed) -> None:
    settings = weighed / "steelyard.toml"
    text = settings.read_text()
    assert "p95_ms" in text
    fill(weighed, days=10, a_day=300, latency_ms=5000.0)
    found = Workspace(weighed).watched(NOW)
    broken = [one for one in found.decisions if not one.holds]
    alarmed = {one.name for one in found.alerts}
    assert "latency_high" in alarmed
    # Every candidate runs on the same slow machine, so what is fastest may win, or nothing is left that meets the requirement.
    assert all("95th percentile" in one.because and "steelyard weigh" in one.do for one in broken)


def test_a_change_that_no_ingest_took_in_raises_the_alert_of_its_source(weighed) -> None:
    source = Workspace(weighed).settings.sources[0].path
    changed = next(path for path in sorted((weighed / source).rglob("*.md")))
    later = datetime.now(UTC).timestamp() + 60
    os.utime(changed, (later, later))
    found = Workspace(weighed).watched(datetime.now(UTC) + timedelta(hours=30))
    assert [(one.name, one.blame) for one in found.alerts if one.name == "freshness_lag"] == [("freshness_lag", source)]


def test_a_generator_that_is_switched_off_soon_is_told(weighed) -> None:
    settings = weighed / "steelyard.toml"
    generator = '\n[models.generator]\nkind = "openai"\nbase_url = "http://127.0.0.1:9"\nmodel = "gpt-4.1"\n'
    settings.write_text(settings.read_text() + generator)
    found = Workspace(weighed).watched(NOW)
    assert [one.name for one in found.alerts if one.blame == "the generator"] == ["base_model_ending"]


def test_status_prints_what_is_watched_and_gives_it_as_json(weighed, tmp_path) -> None:
    copy = shutil.copytree(weighed, tmp_path / "copy")
    done = steelyard("-w", str(copy), "status", "--json")
    assert done.returncode == 0, done.stderr
    watched = json.loads(done.stdout)["watched"]
    assert {"alerts", "components", "drift", "spend", "break_even", "decisions", "models", "trials"} <= set(watched)
    text = steelyard("-w", str(copy), "status")
    assert "in operation:" in text.stdout
