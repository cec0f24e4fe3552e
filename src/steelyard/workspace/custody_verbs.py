"""What a workspace keeps for those who answer for it: keys, the audit of answers, backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.workspace.paths import State

if TYPE_CHECKING:
    from steelyard.registry.keys import Keys


class CustodyVerbs:
    """The verbs of keys, audit and backup; part of `Workspace`."""

    state: State

    def keys(self) -> Keys:
        """The API keys that may call this workspace's server; made, listed, rotated and revoked here."""
        from steelyard.registry.keys import Keys

        return Keys(self.state.keys)
