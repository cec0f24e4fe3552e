"""What a workspace does about its own operation: watch it, hear what people say of answers, try versions beside production."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from steelyard.schema.watching import Watched
    from steelyard.workspace.parts import Parts


class WatchVerbs:
    """The verbs of watching; part of `Workspace`."""

    def watched(self, now: datetime | None = None) -> Watched:
        """Everything that is watched, with the alerts, at `now` (aware; default: the present moment).

        Raises:
            StoreError: a store of the state folder is damaged.
        """
        from steelyard.workspace.watching_over import WatchingOver

        return WatchingOver(self._parts(), self._last_decision(), now).look()

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""

    @abstractmethod
    def _last_decision(self) -> dict[str, Any] | None:
        """What `weigh` wrote last."""
