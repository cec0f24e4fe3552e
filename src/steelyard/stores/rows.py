"""Which rows exist, from which generation to which, and who may see them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Passage
from steelyard.schema.errors import StoreError
from steelyard.schema.scope import NOBODY, Access, Scope

OPEN = 2**62
"""`retired` of a row that is still in force."""

SCORE_DECIMALS = 6
"""Scores are rounded to this: below float32's accuracy, so that equal texts tie on every backend."""

KEPT_VIEWS = 64  # scopes whose visible rows are remembered; one takes a byte a row and eight for each visible row

Holder = tuple[str, str]
"""The document and the version that a row is a part of."""

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """The rows one asker may see in one generation: as a mask over all rows, and as row numbers, ascending."""

    mask: Mask
    rows: Numbers


@dataclass(frozen=True, eq=False)
class Rows:
    """An immutable list of rows in the order they were added; later generations stand behind earlier ones.

    `added` and `retired` are the generations a row is in force from and until (exclusive); `rule` indexes `rules`, and `holder`
    indexes `holders`, the (document, version) that the row is a part of.
    """

    ids: tuple[str, ...] = ()
    added: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    retired: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rule: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rules: tuple[Access, ...] = ()
    holder: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    holders: tuple[Holder, ...] = ()
    _views: OrderedDict[tuple[tuple[str, ...], int], View] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def __len__(self) -> int:
        return len(self.ids)

    def before(self, generation: int) -> Rows:
        """The rows as they were before anything was staged for `generation` or a later one."""
        kept = int(np.searchsorted(self.added, generation, side="left"))
        retired = self.retired[:kept].copy()
        retired[retired >= generation] = OPEN
        return Rows(
            self.ids[:kept], self.added[:kept], retired, self.rule[:kept], self.rules, self.holder[:kept], self.holders
        )

    def staged(self, generation: int, add: Sequence[Passage], retire: Iterable[str]) -> Rows:
        """These rows with `retire` retired and those of `add` added in `generation`, which must be later than all others.

        Ids to retire that are not in force are ignored.

        Raises:
            StoreError: an id is added that stays in force, or twice.
        """
        ids = [entry.id for entry in add]
        retired = self.retired.copy()
        leaving = set(retire)
        in_force = {self.ids[row]: row for row in np.flatnonzero(retired == OPEN).tolist()}
        retired[[in_force[name] for name in leaving if name in in_force]] = generation
        staying = in_force.keys() - leaving
        twice = next((name for name in ids if name in staying), None) or _repeated(ids)
        if twice is not None:
            raise StoreError(
                f"passage '{twice}' would be in force twice in generation {generation}.",
                remedy="Retire the old row in the generation that adds the new one.",
                code="stores.passage_twice",
            )
        codes = {rule: code for code, rule in enumerate(self.rules)}
        rule = [codes.setdefault(entry.access, len(codes)) for entry in add]
        holding = {pair: code for code, pair in enumerate(self.holders)}
        holder = [holding.setdefault((entry.document, entry.version), len(holding)) for entry in add]
        count = len(ids)
        return Rows(
            (*self.ids, *ids),
            np.concatenate([self.added, np.full(count, generation, dtype=np.int64)]),
            np.concatenate([retired, np.full(count, OPEN, dtype=np.int64)]),
            np.concatenate([self.rule, np.array(rule, dtype=np.int64)]),
            tuple(codes),
            np.concatenate([self.holder, np.array(holder, dtype=np.int64)]),
            tuple(holding),
        )

    def restricted(self, access: Mapping[str, Access], withheld: Collection[Holder]) -> Rows:
        """These rows with the access of the named documents, whatever generations they are in; nobody sees what is withheld.

        `withheld` names (document, version) pairs; an empty document stands for any.
        """
        if not access and not withheld:
            return self
        codes = {rule: code for code, rule in enumerate(self.rules)}
        now = np.full(len(self.holders), -1, dtype=np.int64)
        for number, (document, version) in enumerate(self.holders):
            rule = access.get(document)
            if withheld and ((document, version) in withheld or ("", version) in withheld):
                rule = NOBODY
            if rule is not None:
                now[number] = codes.setdefault(rule, len(codes))
        changed = now[self.holder] if len(self) else now[:0]
        rule_now = np.where(changed >= 0, changed, self.rule)
        return Rows(self.ids, self.added, self.retired, rule_now, tuple(codes), self.holder, self.holders)

    def access(self, row: int) -> Access:
        """Who may see a row now."""
        return self.rules[int(self.rule[row])]

    def only(self, kept: Mask) -> Rows:
        """The rows where `kept` is true, in their order, numbered anew."""
        ids = tuple(self.ids[row] for row in np.flatnonzero(kept).tolist())
        left, holder = np.unique(self.holder[kept], return_inverse=True)
        holders = tuple(self.holders[number] for number in left.tolist())
        return Rows(ids, self.added[kept], self.retired[kept], self.rule[kept], self.rules, holder, holders)

    def needed(self, generations: Iterable[int], erased: Collection[Holder] = ()) -> Mask:
        """Mask of the rows in force in at least one of `generations` that are not a part of what is erased."""
        mask = np.zeros(len(self), dtype=bool)
        for number in generations:
            mask |= self.in_force(number)
        if erased and len(self):
            gone = [pair in erased or ("", pair[1]) in erased for pair in self.holders]
            mask &= ~np.array(gone, dtype=bool)[self.holder]
        return mask

    def in_force(self, generation: int) -> Mask:
        """Mask of the rows in force in `generation`, visible to anyone or not."""
        mask: Mask = (self.added <= generation) & (self.retired > generation)
        return mask

    def view(self, scope: Scope, generation: int) -> View:
        """What `scope` may see in `generation`; remembered for the askers of late."""
        key = (scope.principals, generation)
        with self._lock:
            known = self._views.get(key)
            if known is not None:
                self._views.move_to_end(key)
                return known
        permitted = np.array([rule.permits(scope) for rule in self.rules], dtype=bool)
        mask = self.in_force(generation)
        if len(self):
            mask = mask & permitted[self.rule]
        view = View(mask, np.flatnonzero(mask))
        with self._lock:
            self._views[key] = view
            while len(self._views) > KEPT_VIEWS:
                self._views.popitem(last=False)
        return view

    def best(self, rows: Numbers, scores: NDArray[np.floating], k: int) -> list[tuple[int, float]]:
        """The `k` best of `rows` with their rounded scores, best first, equal scores in passage-id order."""
        if k <= 0 or not len(rows):
            return []
        rounded = np.round(np.asarray(scores, dtype=np.float64), SCORE_DECIMALS)
        if len(rows) > k:
            # Everything that ties with the k-th stays in, so that the passage id decides and not the place in memory.
            threshold = np.partition(rounded, len(rows) - k)[len(rows) - k]
            chosen = np.flatnonzero(rounded >= threshold)
        else:
            chosen = np.arange(len(rows))
        pairs = [(int(rows[place]), float(rounded[place])) for place in chosen.tolist()]
        return sorted(pairs, key=lambda pair: (-pair[1], self.ids[pair[0]]))[:k]


def _repeated(ids: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            return name
        seen.add(name)
    return None
