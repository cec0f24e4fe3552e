"""What a command would spend on a generator, foreseen before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What building and measuring one candidate would still ask of the generator.

    `calls` are those that would be paid, `kept` those whose answers are kept from earlier and cost nothing. `tokens_in` are prompt tokens
    without `tokens_cached`, which the provider is expected to read from its cache. `seconds` is wall time. `basis` says what the
    tokens of answers and the seconds are taken from; `note` why there are no figures, where there are none. `local`: no call is made,
    and the seconds are those of a tuning on this machine.
    """

    component: str
    candidate: str
    calls: int = 0
    kept: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    basis: str = ""
    note: str | None = None
    local: bool = False

    def to_json(self) -> dict[str, Any]:
        """The row as JSON, with minutes beside seconds."""
        return {**self.__dict__, "minutes": self.seconds / 60}


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a command would spend: a row for each candidate, the month's spending so far, and the cap (None: none).

    `priced` False: nobody knows what the endpoint's tokens cost, and USD are 0 for that reason. `sampled_calls` were made to know it, for
    `sampled_usd`; they are among what is kept.
    """

    rows: tuple[Foreseen, ...]
    generator: str | None
    month_usd: float = 0.0
    cap_usd: float | None = None
    priced: bool = True
    sampled_calls: int = 0
    sampled_usd: float = 0.0

    @property
    def total(self) -> Foreseen:
        """All rows together."""
        counted = ("calls", "kept", "tokens_in", "tokens_cached", "tokens_out", "usd", "seconds")
        sums = {name: sum(getattr(row, name) for row in self.rows) for name in counted}
        return Foreseen(component="", candidate="", **sums)

    @property
    def beyond_cap_usd(self) -> float:
        """By how much the cap would be passed; 0 where it would not."""
        return 0.0 if self.cap_usd is None else max(0.0, self.month_usd + self.total.usd - self.cap_usd)

    def to_json(self) -> dict[str, Any]:
        """The foresight with the keys of `--dry-run --json`."""
        total = {
            key: value
            for key, value in self.total.to_json().items()
            if key not in ("component", "candidate", "basis", "note", "local")
        }
        return {
            "dry_run": True,
            "generator": self.generator,
            "rows": [row.to_json() for row in self.rows],
            "total": total,
            "month_usd": self.month_usd,
            "cap_usd": self.cap_usd,
            "beyond_cap_usd": self.beyond_cap_usd,
            "priced": self.priced,
            "sampled": {"calls": self.sampled_calls, "usd": self.sampled_usd},
        }
