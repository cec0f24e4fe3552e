"""What goes to a language model and what comes back: messages, tokens, money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str

    def to_json(self) -> dict[str, str]:
        """The message as chat endpoints take it."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, kw_only=True)
class TokenUse:
    """Tokens of one call by class, disjoint: the prompt is `input` + `cached`, where `cached` was read from the provider's cache."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def __add__(self, other: TokenUse) -> TokenUse:
        """Both uses together."""
        return TokenUse(
            input=self.input + other.input, cached=self.cached + other.cached, output=self.output + other.output
        )


@dataclass(frozen=True, kw_only=True)
class TokenPrice:
    """USD per million tokens by class. Floats: a price is multiplied by counts, sums of money are kept by the ledger."""

    input: float = 0.0
    cached: float = 0.0
    output: float = 0.0

    def usd(self, use: TokenUse) -> float:
        """What a use costs.

        >>> TokenPrice(input=2.0, cached=0.5, output=8.0).usd(TokenUse(input=1000, cached=2000, output=500))
        0.007
        """
        return (use.input * self.input + use.cached * self.cached + use.output * self.output) / 1e6


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model answered.

    `seconds` is the wall time of the call and `usd` its price, both as they were when the call was made; `reused` says that it was made
    earlier and its answer was kept, so that this time nothing was paid or waited for (`paid_usd`). `model` is what the server says
    answered. `finish` is `length` where the answer was cut at `max_tokens`. `notes` are decisions for the trace, e.g. that a stream
    broke off and the answer was asked for again.
    """

    text: str
    use: TokenUse = TokenUse()
    seconds: float = 0.0
    usd: float = 0.0
    model: str = ""
    finish: Finish = "stop"
    reused: bool = False
    notes: tuple[str, ...] = ()

    @property
    def paid_usd(self) -> float:
        """What this call cost now: 0 for a kept answer."""
        return 0.0 if self.reused else self.usd

    def to_json(self) -> dict[str, Any]:
        """The completion as JSON."""
        return {
            "text": self.text,
            "input": self.use.input,
            "cached": self.use.cached,
            "output": self.use.output,
            "seconds": self.seconds,
            "usd": self.usd,
            "model": self.model,
            "finish": self.finish,
            "reused": self.reused,
            "notes": list(self.notes),
        }
