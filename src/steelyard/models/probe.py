"""Texts on which a converted encoder is compared with its original: short and long, plain and awkward."""

from __future__ import annotations

_SENTENCES = (
    "How do I get my money back for an order that never arrived?",
    "The invoice for March shows the old address.",
    "reset pasword pls",
    "Our plan allows 40 requests a second; bursts of up to 120 are tolerated for ten seconds.",
    "Error 502 from the webhook endpoint since 09:14 UTC",
    "Which file formats can be imported in bulk?",
    "A refund reaches the customer's bank within five working days after it was approved.",
    "Cats sleep for most of the day.",
    "To rotate a key, create the second key first, move every client to it, and only then revoke the first one.",
    "What is the default value of the parameter max_connections?",
    "The wing's lift increases in the slipstream of the propeller, above all at high angles of attack.",
    "Symptoms include fever, a sore throat and swollen glands in the neck.",
    "ok",
    "Die Rechnung wurde zweimal gestellt.",
    "SELECT name, total FROM orders WHERE total > 100 ORDER BY total DESC;",
    "She was elected in 1998 and served two terms as the city's mayor.",
    "Please cancel my subscription and delete all of my data.",
    "The contract ends thirty days after either side gives notice in writing.",
    "£1,299.00 was charged to the card ending in 4242",
    "Interest is compounded monthly and paid out at the end of each quarter.",
    "How tall is the tallest mountain in Africa?",
    "Log in, open Settings, choose Members, and press Invite.",
    "A river delta forms where sediment settles faster than the current carries it away.",
    "My parcel says delivered but nothing is here!!!",
)


def _passages() -> tuple[str, ...]:
    """Runs of sentences from 2 to 20 long, each starting elsewhere: the lengths that documents have."""
    lengths = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
    return tuple(
        " ".join(_SENTENCES[(start + step) % len(_SENTENCES)] for step in range(length))
        for start, length in enumerate(lengths)
    )


PROBE_TEXTS: tuple[str, ...] = _SENTENCES + _passages()
