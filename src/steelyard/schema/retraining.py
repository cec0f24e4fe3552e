"""Whether to train again: what is new, whether it is of another kind, and what training would bring and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from steelyard.schema.statistics import Interval

RetrainVerdict = Literal["do it", "do not", "cannot tell", "nothing changed"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far new rows are from those that were learned from.

    `psi` is the population stability index of the predicted labels, `shift` the distance between the mean vectors of the texts (0 to 2);
    each with the share of random splits of the same rows that are as far apart (`psi_p`, `shift_p`). `psi` is None for components without
    labels. `drifted`: one of the two is beyond chance, at 5 % for both together.
    """

    rows: int
    new_rows: int
    psi: float | None
    psi_p: float | None
    shift: float
    shift_p: float
    drifted: bool

    def to_json(self) -> dict[str, Any]:
        """The drift as JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """The decision for one component and the version that it would replace.

    `new_labels` counts rows added or given another label or answer since that version was fitted, `removed` those taken out. `on_new_rows`
    is how right that version is on the added rows, which it never saw. `gain`, `value_usd` and `cost_usd` are None where nothing foretells
    them; `why` says the whole in a sentence.
    """

    component: str
    candidate: str
    version: int
    new_labels: int
    removed: int
    verdict: RetrainVerdict
    why: str
    gain: Interval | None = None
    value_usd: Interval | None = None
    cost_usd: float | None = None
    drift: Drift | None = None
    on_new_rows: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON."""
        out = dict(self.__dict__)
        for name in ("gain", "value_usd", "drift", "on_new_rows"):
            value = getattr(self, name)
            out[name] = None if value is None else value.to_json()
        return out
