"""Places for slot values in an approved reply: `{name}`."""

from __future__ import annotations

import re

# Doubled braces are not places: they are literal text, as in a reply that shows a template.
PLACE = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")


def places_of(template: str) -> tuple[str, ...]:
    """The slot names in `template`, in reading order, repeats kept.

    >>> places_of("Hello {name}, order {order} is {{not}} a place, {name}.")
    ('name', 'order', 'name')
    """
    return tuple(PLACE.findall(template))
