"""The verbs of a workspace, one short method each. Loads nothing heavy until a verb is used."""

from steelyard.workspace.workspace import Workspace

__all__ = ["Workspace"]
