"""What should answer is read as one: a release made meanwhile never stands under the number of the one before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from steelyard.workspace import running


def test_a_release_made_while_versions_are_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [SimpleNamespace(number=number, pinned=False, generation=1) for number in (1, 2)]
    now = {"release": made[0]}

    def version_for(_parts: Any, name: str, _task: str, _candidate: None) -> Any:
        if now["release"] is made[0]:
            now["release"] = made[1]  # another process releases just before the first component is read
        return SimpleNamespace(record=SimpleNamespace(candidate=name, version=now["release"].number))

    monkeypatch.setattr(running, "version_for", version_for)
    parts: Any = SimpleNamespace(
        releases=SimpleNamespace(in_force=lambda: now["release"]),
        settings=SimpleNamespace(components={"intent": SimpleNamespace(task="classify")}),
        toolbox=SimpleNamespace(generation=1),
    )
    found = running.in_force(parts)
    assert (found.release, found.versions) == (2, (("intent", "intent", 2),))
