"""What the last backtest of a component left behind for a decision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from steelyard.workspace.toolbox import Toolbox

NEEDED = {"steps", "update_rate_per_year", "update_rate", "hindsight", "sentences", "begin", "end"}


def kept_path(toolbox: Toolbox, component: str) -> Path:
    """Where the last backtest of a component is kept, as JSON."""
    return toolbox.state.root / "backtest" / component / "backtest.json"


def kept_backtest(toolbox: Toolbox, component: str) -> dict[str, Any] | None:
    """The last backtest of a component, None where there is none that can be read."""
    try:
        tree = json.loads(kept_path(toolbox, component).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return tree if isinstance(tree, dict) and set(tree) >= NEEDED else None


def measured_updates(toolbox: Toolbox, component: str) -> float | None:
    """Changes a year that a component had to follow; None where nothing is known.

    Days on which an asked answer changed, by its backtest; else days on which its documents changed, by their git history.
    """
    kept = kept_backtest(toolbox, component)
    if kept is not None and isinstance(kept["update_rate_per_year"], int | float):
        return float(kept["update_rate_per_year"])
    return toolbox.updates_per_year()
