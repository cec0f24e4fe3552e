"""What building candidates took: time, energy, money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

EnergySource = Literal["estimate", "rapl"]
Kind = Literal["train", "curve"]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a piece of work took. `seconds` of wall time; `cpu_seconds` over all cores of this process and its children.

    `energy_wh` is in watt-hours. `energy_source` says how it came: `estimate` is cpu_seconds x `cpu_watts` / 3600; `rapl` is what the
    processor's own counter says of the whole package, whatever else ran on it.
    """

    seconds: float
    cpu_seconds: float
    energy_wh: float
    energy_source: EnergySource


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One run of a fit: what was fitted, what it took, what it cost. `version` is None for fits that are not registered."""

    component: str
    candidate: str
    version: int | None
    kind: Kind
    rows: int
    effort: Effort
    usd: float
    created: str

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON, flat."""
        own = {name: value for name, value in self.__dict__.items() if name != "effort"}
        return {**own, **self.effort.__dict__}
