"""Who made the request at hand, for routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from steelyard.schema.callers import OPERATE, Caller
from steelyard.schema.errors import ForbiddenError
from steelyard.schema.scope import Scope

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

STATE = "caller"
"""Where the door leaves the caller in the request's state."""


def caller(request: HTTPConnection) -> Caller:
    """The caller that the door let in; only routes that need a role have one."""
    return cast(Caller, getattr(request.state, STATE))


def asked_scope(who: Caller, user: str | None, groups: tuple[str, ...] | None) -> Scope:
    """Whose documents to look at: the caller's own scope, or the one that an operator names.

    Raises:
        ForbiddenError: another asker is named by somebody who may not operate.
    """
    if user is None and groups is None:
        return who.scope
    if not who.may(OPERATE):
        raise ForbiddenError(
            "only an operator may ask as somebody else.",
            remedy="Leave `asker` out: your key says who you are.",
            code="server.forbidden",
        )
    return Scope(user=user, groups=frozenset(groups or ()))
