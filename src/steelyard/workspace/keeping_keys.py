"""Lifetimes of keys as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

from steelyard.schema.errors import UserError

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def lifetime(text: str) -> timedelta | None:
    """How long `text` is: a number with m, h, d or w; None for `never`.

    >>> lifetime("36h")
    datetime.timedelta(days=1, seconds=43200)
    >>> lifetime("never") is None
    True

    Raises:
        UserError: it is written otherwise, or too long for a calendar.
    """
    if text == "never":
        return None
    written = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if written is None:
        raise UserError(
            f"{text!r} is no length of time.",
            remedy="Write a number with m, h, d or w, such as 90d, or never.",
            code="keys.bad_lifetime",
        )
    return timedelta(**{UNITS[written[2]]: int(written[1])})
