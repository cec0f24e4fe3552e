"""Canaries and shadows in running servers: planted faults end them by themselves, a good one becomes a release, and nobody is failed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from server.live import Live, live_server
from steelyard.registry.keys import Keys
from steelyard.schema.trials import Trial
from steelyard.workspace import Workspace
from workspace.tiny import replace_in, steelyard

pytestmark = pytest.mark.slow

TEXT = "How do I renew my membership?"
PATIENCE_S = 150.0
CLIENTS = 6

PLANTED = '''
"""Read by every process of the server: the version `knn` has the fault that a file names."""

import os
import time
from dataclasses import replace
from pathlib import Path

from steelyard.candidates.classify_router import KnnRouter

sound = KnnRouter.predict


def predict(self, request, scope):
    fault = Path(os.environ["PLANTED_FAULT"]).read_text(encoding="utf-8")
    if fault == "slow":
        time.sleep(0.2)
    output = sound(self, request, scope)
    return replace(output, out_of_scope=True) if fault == "shy" else output


KnnRouter.predict = predict
'''

GATES = """
[gates]
margin = 0.9
"""
"""The tool library has too few rows to show that one version is no worse than another by little."""


class Callers:
    """Threads that route one message after the other, and keep every failure."""

    def __init__(self, url: str, token: str) -> None:
        self.failed: list[str] = []
        self.candidates: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(url, token), daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask_on(self, url: str, token: str) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=120.0) as http:
            while not self._stop.is_set():
                try:
                    answer = http.post(f"{url}/api/route", json={"text": TEXT})
                    answer.raise_for_status()
                    self.candidates.append(answer.json()["candidate"])
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)


@pytest.fixture(scope="module")
def fault(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], int]]:
    """Sets the fault of `knn` in every server that is started from now on: "", "slow" or "shy"."""
    made = tmp_path_factory.mktemp("planted")
    (made / "sitecustomize.py").write_text(PLANTED, encoding="utf-8")
    named = made / "fault"
    named.write_text("", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED_FAULT", str(named))
        patch.setenv("PYTHONPATH", str(made), prepend=":")
        yield lambda name: named.write_text(name, encoding="utf-8")


@pytest.fixture(scope="module")
def running(folder: Path, fault: Callable[[str], int]) -> Iterator[tuple[Live, Workspace, Callers]]:
    """A server of two workers in which `linear` routes, with callers that never stop asking."""
    settings = folder / "steelyard.toml"
    replace_in(settings, 'store = "memory"', 'store = "lance"')
    settings.write_text(settings.read_text(encoding="utf-8") + GATES, encoding="utf-8")
    workspace = Workspace(folder)
    workspace.ingest()
    workspace.release(["intent/linear"], force=True, why="for the test")
    _, token = Keys(workspace.state.keys).create("callers", roles=("ask",))
    with live_server(folder, workers=2) as live:
        callers = Callers(live.url, token)
        yield live, workspace, callers
        callers.stop()


def waited(condition: Callable[[], bool]) -> bool:
    until = monotonic() + PATIENCE_S
    while monotonic() < until:
        if condition():
            return True
        sleep(0.2)
    return False


def ended(workspace: Workspace) -> Trial:
    assert waited(lambda: workspace.canary().trial.ended is not None), workspace.canary().to_json()
    return workspace.canary().trial


@pytest.mark.parametrize(
    ("planted", "shown"), [("slow", "answers are slower"), ("shy", "requests are declined more often")]
)
def test_a_planted_fault_ends_a_canary_by_itself_and_nobody_is_failed(running, fault, planted: str, shown: str) -> None:
    _, workspace, callers = running
    fault(planted)
    workspace.start_trial("canary", ["intent/knn"], share=0.5, split_by="request")
    trial = ended(workspace)
    told = workspace.canary()
    assert trial.state == "stopped", told.to_json()
    assert shown in told.reason
    assert callers.failed == []
    fault("")
    asked = len(callers.candidates)
    assert waited(lambda: len(callers.candidates) >= asked + 4 * CLIENTS)
    assert set(callers.candidates[-2 * CLIENTS :]) == {"linear"}, "somebody is still answered by what was stopped"


def test_a_shadow_is_compared_and_a_canary_that_passes_the_gates_becomes_the_release(running, fault) -> None:
    _, workspace, callers = running
    fault("")
    at = ("-w", str(workspace.folder))
    assert steelyard(*at, "shadow", "start", "intent/knn", "--share", "1").returncode == 0
    assert waited(lambda: sum(part.compared for part in workspace.shadow().parts) >= 20)
    shadow = json.loads(steelyard(*at, "shadow", "status", "--json").stdout)
    assert [part["component"] for part in shadow["parts"]] == ["intent"]
    assert steelyard(*at, "shadow", "stop").returncode == 0

    before = max(one.number for one in workspace.releases())
    workspace.start_trial("canary", ["intent/knn"], share=0.5, split_by="request")
    assert waited(lambda: "knn" in callers.candidates[-2 * CLIENTS :])
    promoted = steelyard(*at, "canary", "promote", "--why", "it does well")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    assert max(one.number for one in workspace.releases()) == before + 1
    assert workspace.canary().trial.state == "promoted"
    asked = len(callers.candidates)
    assert waited(lambda: len(callers.candidates) >= asked + 4 * CLIENTS)
    assert set(callers.candidates[-2 * CLIENTS :]) == {"knn"}
    assert callers.failed == []
    workspace.rollback(before)
