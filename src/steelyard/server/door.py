"""The door: every request passes it before a route sees it, and every answer on the way out."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import HTTPConnection
from starlette.routing import Match

from steelyard.schema.errors import BrokenError, ForbiddenError, LimitError, SteelyardError
from steelyard.server.access_matrix import OPEN, role_of
from steelyard.server.callers import STATE
from steelyard.server.failures import RefusedError, headers_of, packed, status_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from steelyard.server.site import Site

log = logging.getLogger("steelyard.server")

REQUEST_ID = "x-request-id"

SECURE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
"""On every answer, the API's and the page's."""

API_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Added where a route did not set its own: answers are for their asker and are not kept on the way."""


class Door:
    """Finds the route, asks the access matrix, identifies the caller, holds the body to its limit, and turns errors into JSON.

    The matrix is asked with the route's own path, so no route is reached without its row; and before the body is read, so nobody without
    a key can make the server read one.
    """

    def __init__(self, app: ASGIApp, site: Site, routes: list[Any]) -> None:
        self._app = app
        self._site = site
        self._routes = routes
        self._known: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = uuid4().hex
        answer = _Answer(send, request_id)
        try:
            await self._admit(scope)
            await self._app(scope, self._bounded(scope, receive), answer.send)
        except SteelyardError as error:
            await self._fail(error, scope, receive, request_id, answer)
        except Exception as error:
            log.error("request %s broke\n%s", request_id, traceback.format_exc())
            broken = BrokenError(str(error), code="server.broken")
            await self._fail(broken, scope, receive, request_id, answer)

    async def _fail(
        self, error: SteelyardError, scope: Scope, receive: Receive, request_id: str, answer: _Answer
    ) -> None:
        if answer.begun:
            # The status is out already; cutting the connection is the only way left to say that the answer is not whole.
            raise error
        if status_of(error) >= 500:
            log.error("request %s: %s", request_id, error)
        page = self._site.page_failure(error, scope)
        if page is not None:
            await page(scope, receive, answer.send)
            return
        await answer.refuse(error, scope["path"], request_id)

    async def _admit(self, scope: Scope) -> None:
        method, path = scope["method"], self._path_of(scope)
        role = role_of(method, path)
        if role == OPEN:
            return
        connection = HTTPConnection(scope)
        who = await self._site.identify(connection)
        if not who.may(role):
            raise ForbiddenError(
                "this key may not do that.",
                remedy=f"It needs the role '{role}': ask an operator for a key that has it.",
                code="server.forbidden",
            )
        scope["state"][STATE] = who

    def _path_of(self, scope: Scope) -> str:
        """The path of the route that will answer.

        Raises:
            RefusedError: there is no such path, or it does not take this method.
        """
        asked = (scope["method"], scope["path"])
        if asked in self._known:
            return asked[1]
        other: set[str] = set()
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                if route.path == asked[1]:  # no placeholder, so this set stays as small as the list of routes
                    self._known.add(asked)
                return str(route.path)
            if match is Match.PARTIAL:
                other |= set(route.methods or ())
        if other:
            raise RefusedError(
                f"this path does not take {scope['method']}.",
                status=405,
                remedy=f"It takes {', '.join(sorted(other))}.",
                code="server.method",
                headers={"Allow": ", ".join(sorted(other))},
            )
        raise RefusedError(
            "there is nothing at this path.",
            status=404,
            remedy="The API is listed at /openapi.json.",
            code="server.no_path",
        )

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        limit = self._site.settings.serve.max_body_bytes
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_large(limit)
            return message

        return bounded


class _Answer:
    """What goes out: adds the headers, and knows whether it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.begun = False

    async def send(self, message: Message) -> None:
        """One message of the route's answer."""
        if message["type"] == "http.response.start":
            self.begun = True
            headers = list(message.get("headers", []))
            set_ = {name.lower() for name, _ in headers}
            headers += [one for one in (*SECURE_HEADERS, *API_HEADERS) if one[0] not in set_]
            headers.append((REQUEST_ID.encode(), self._request_id))
            message["headers"] = headers
        await self._send(message)

    async def refuse(self, error: SteelyardError, path: str, request_id: str) -> None:
        """An error as the whole answer."""
        body = packed(error, path, request_id)
        headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status_of(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _too_large(limit: int) -> LimitError:
    return LimitError(
        f"the request is larger than {limit} bytes.",
        retry_after_s=None,
        remedy="Send less; the operator sets the limit under [serve] max_body_bytes.",
        code="limits.body",
    )
