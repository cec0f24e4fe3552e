"""Which rows exist, from which generation to which, and who may see them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

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
    memo: dict[object, Any] = field(default_factory=dict)
    """What searches have worked out of this view and need again: derived, so a race does no harm."""


class Places:
    """Row numbers by passage id, for lists of which each begins with the one before it; made when first asked, then only extended."""

    def __init__(self) -> None:
        self._rows: dict[str, int | tuple[int, ...]] = {}
        self._ids: tuple[str, ...] = ()
        self._lock = Lock()

    def of(self, name: str, ids: tuple[str, ...]) -> tuple[int, ...]:
        """The rows of `ids` that are named so."""
        with self._lock:
            if ids is not self._ids:
                self._take(ids)
            found = self._rows.get(name, ())
        rows = (found,) if isinstance(found, int) else found
        return tuple(row for row in rows if row < len(ids) and ids[row] == name)

    def _take(self, ids: tuple[str, ...]) -> None:
        known = min(len(self._ids), len(ids))
        if not known:
            self._rows = dict(zip(ids, range(len(ids)), strict=True))
            if len(self._rows) == len(ids):
                self._ids = ids
                return
        for row in range(known, len(ids)):
            before = self._rows.setdefault(ids[row], row)
            if before != row and not (isinstance(before, tuple) and row in before):
                self._rows[ids[row]] = (*((before,) if isinstance(before, int) else before), row)
        self._ids = ids


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
    _places: Places = field(default_factory=Places)
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
            self.ids[:kept],
            self.added[:kept],
            retired,
            self.rule[:kept],
            self.rules,
            self.holder[:kept],
            self.holders,
            # What is known of names holds for rows that are only ever added to.
            self._places if kept == len(self) else Places(),
        )

    def staged(self, generation: int, add: Sequence[Passage], retire: Iterable[str]) -> Rows:
        """These rows with `retire` retired and those of `add` added in `generation`; no row may be of a later one.

        Ids to retire that are not in force are ignored.

        Raises:
            StoreError: an id is added that stays in force, or twice.
        """
        ids = [entry.id for entry in add]
        retired = self.retired.copy()
        leaving = [row for name in retire for row in self._places.of(name, self.ids)]
        retired[[row for row in leaving if retired[row] == OPEN]] = generation
        staying = (name for name in ids if any(retired[row] == OPEN for row in self._places.of(name, self.ids)))
        twice = next(staying, None) or _repeated(ids)
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
            self._places,
        )

    def joined(self, more: Rows, retired: Mapping[int, int]) -> Rows:
        """These rows with `more` behind them, all of later generations; `retired` says of rows here when they were since."""
        codes = {rule: code for code, rule in enumerate(self.rules)}
        rule = np.array([codes.setdefault(one, len(codes)) for one in more.rules], dtype=np.int64)
        holding = {pair: code for code, pair in enumerate(self.holders)}
        holder = np.array([holding.setdefault(pair, len(holding)) for pair in more.holders], dtype=np.int64)
        until = np.concatenate([self.retired, more.retired])
        until[list(retired)] = list(retired.values())
        return Rows(
            (*self.ids, *more.ids),
            np.concatenate([self.added, more.added]),
            until,
            np.concatenate([self.rule, rule[more.rule]]),
            tuple(codes),
            np.concatenate([self.holder, holder[more.holder]]),
            tuple(holding),
            self._places,
        )

    def named(self, name: str, added: int) -> int | None:
        """The row of this id that was added in this generation, or None."""
        return next((row for row in self._places.of(name, self.ids) if self.added[row] == added), None)

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
            if (document, version) in withheld or ("", version) in withheld:
                rule = NOBODY
            if rule is not None:
                now[number] = codes.setdefault(rule, len(codes))
        changed = now[self.holder] if len(self) else now[:0]
        rule_now = np.where(changed >= 0, changed, self.rule)
        return Rows(self.ids, self.added, self.retired, rule_now, tuple(codes), self.holder, self.holders, self._places)

    def unlike(self, access: Mapping[str, Access]) -> dict[str, Access]:
        """Those of `access` that the rows of a document do not all say yet, and those of documents that have no rows here."""
        several = max(len(self.rules), 1)
        held: set[str] = set()
        differing: set[str] = set()
        for code in np.unique(self.holder * several + self.rule).tolist():
            document = self.holders[code // several][0]
            held.add(document)
            if document in access and access[document] != self.rules[code % several]:
                differing.add(document)
        return {name: rule for name, rule in access.items() if name in differing or name not in held}

    def copied(self) -> Rows:
        """The same rows with no view remembered."""
        return replace(self, _views=OrderedDict(), _lock=Lock())

    def find(self, names: Iterable[str], among: Mask) -> dict[str, int]:
        """The row of each name that has one in `among`, a mask in which no name stands twice."""
        found = {}
        for name in names:
            row = next((row for row in self._places.of(name, self.ids) if among[row]), None)
            if row is not None:
                found[name] = row
        return found

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
            named = frozenset(erased)
            gone = [not named.isdisjoint((pair, ("", pair[1]), (pair[0], ""))) for pair in self.holders]
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

    def best(
        self, rows: Numbers, scores: NDArray[np.floating], k: int, *, ordered: bool = True
    ) -> list[tuple[int, float]]:
        """The `k` best of `rows` with their rounded scores, best first, equal scores in passage-id order; else in no order."""
        if k <= 0 or not len(rows):
            return []
        places = np.arange(len(rows))
        if len(rows) > 2 * k:
            # Rounding is slow: first what rounding cannot bring among the best is left out.
            cut = np.partition(scores, len(rows) - k)[len(rows) - k]
            places = np.flatnonzero(scores >= cut - 10.0**-SCORE_DECIMALS)
        rounded = self.rounded(scores[places])
        if len(places) > k:
            # Everything that ties with the k-th stays in, so that the passage id decides and not the place in memory.
            threshold = np.partition(rounded, len(places) - k)[len(places) - k]
            kept = np.flatnonzero(rounded >= threshold)
            places, rounded = places[kept], rounded[kept]
        pairs = zip(rows[places].tolist(), rounded.tolist(), strict=True)
        if not ordered and len(places) <= k:
            return list(pairs)
        return sorted(pairs, key=lambda pair: (-pair[1], self.ids[pair[0]]))[:k]

    @staticmethod
    def rounded(scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Scores as searches give them: rounded to SCORE_DECIMALS."""
        wide: NDArray[np.float64] = np.asarray(scores, dtype=np.float64)
        return wide.round(SCORE_DECIMALS)


def _repeated(ids: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            return name
        seen.add(name)
    return None
