"""Routes of the room *Decision*."""

from __future__ import annotations

from threading import Lock
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from steelyard.schema.errors import NotFoundError
from steelyard.server.pages.decision_room import context, moved_context, read_numbers
from steelyard.server.pages.rendering import Pages
from steelyard.workspace.moving import MovableDecision


class LatestDecision:
    """The decision that `weigh` wrote last, read again only when its file changed."""

    def __init__(self, pages: Pages) -> None:
        self._workspace = pages.site.workspace
        self._lock = Lock()
        self._seen: Any = None
        self._held: MovableDecision | None = None

    def get(self) -> MovableDecision:
        """The decision.

        Raises:
            NotFoundError: nothing was weighed yet, or another version wrote what is there.
        """
        with self._lock:
            seen = self._state()
            if self._held is None or seen != self._seen:
                self._held = self._workspace.decision()
                # What moving rests on is prepared once, so that the first move is as quick as the next.
                self._held.at({})
                self._seen = seen
            return self._held

    def _state(self) -> tuple[int, int] | None:
        try:
            found = (self._workspace.folder / "decision.json").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size


def add_decision(app: FastAPI, pages: Pages) -> None:
    """Add the room, and the fragment that follows while a number moves."""
    latest = LatestDecision(pages)

    @app.get("/decision", include_in_schema=False)
    async def decision(request: Request) -> Response:
        """The decision, under the numbers of the address where it names some."""
        form = dict(request.query_params)
        try:
            found = await pages.site.work(lambda: context(latest.get(), form))
        except NotFoundError as error:
            text = f"{error.message[:1].upper()}{error.message[1:]} {error.remedy}"
            return pages.show(request, "decision.html.j2", room="decision", report=None, empty_text=text)
        status = 400 if found["wrong"] else 200
        return pages.show(request, "decision.html.j2", room="decision", status=status, **found)

    @app.get("/decision/moved", include_in_schema=False)
    async def moved(request: Request) -> Response:
        """What follows from the numbers of the address; those that are wrong count as not moved."""
        form = dict(request.query_params)

        def made() -> dict[str, Any]:
            movable = latest.get()
            numbers, _ = read_numbers(form, movable.knobs)
            return moved_context(movable, numbers)

        return pages.fragment("moved.html.j2", **await pages.site.work(made))
