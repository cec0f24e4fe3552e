"""What documents, file names and people say, made harmless for a terminal."""

from __future__ import annotations

import re

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that steer a terminal or turn the direction of text (escape sequences begin with them), and what UTF-8 cannot carry."""

UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Of these, what JSON leaves as it is; inside its strings an escape means the same."""


def printable(text: str) -> str:
    r"""`text` with every steering character shown as its escape; line breaks and tabs stay.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return STEERING.sub(_escape, text)


def json_safe(text: str) -> str:
    """A JSON text that reads back the same, and does nothing to a terminal that shows it."""
    return UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
