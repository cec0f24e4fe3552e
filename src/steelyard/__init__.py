"""Steelyard weighs fine-tuning against retrieval on a team's own data and runs the winner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.version import __version__

if TYPE_CHECKING:
    from steelyard.workspace import Workspace

__all__ = ["Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    # `Workspace` stays unloaded until used, so that `import steelyard` costs nothing.
    if name == "Workspace":
        from steelyard.workspace import Workspace

        return Workspace
    raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
