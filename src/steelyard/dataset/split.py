"""Datasets by content hash, and their split into train, validation and holdout."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction

from steelyard.dataset.content import content_key
from steelyard.dataset.duplicates import connected, near_duplicates
from steelyard.schema.items import Item, Split, SplitName

FRACTIONS = (0.6, 0.2, 0.2)
NAMES: tuple[SplitName, SplitName, SplitName] = ("train", "validation", "holdout")


def dataset_hash(items: Iterable[Item]) -> str:
    """SHA-256, in hex, of the rows' contents: the dataset's name. The order of rows and their ids do not matter."""
    return hash_of_keys(content_key(item) for item in items)


def hash_of_keys(keys: Iterable[str]) -> str:
    """The dataset's name from the keys of its rows, see `content_key`."""
    whole = hashlib.sha256()
    for key in sorted(keys):
        whole.update(key.encode())
    return whole.hexdigest()


def split_items(items: Sequence[Item], *, fractions: tuple[float, float, float] = FRACTIONS, seed: int = 0) -> Split:
    """Cut `items` into train, validation and holdout, the same way for the same rows, fractions and seed.

    A row with a `split` of its own goes there. Once any row names the holdout, the holdout is what is named and nothing is drawn into
    it, and likewise for validation; rows named for train count towards its share. The rest is drawn:

    Rows that are near-duplicates of each other, or share a `group`, stay together: a cluster, and one with a named row follows it
    (of several parts the one that is learned from, so that nothing drawn leaks). Each label (answer: answerable or not; write:
    the slots) is cut by `fractions` on its own, and stands in all three parts when it has three or more clusters; with two, in
    train and holdout; with one, in train. Rows keep their order inside a part. Most rows keep their part when rows are added:
    a cluster's place follows from a hash of its own content.

    Raises:
        ValueError: a fraction is negative, train's is 0, or they do not add up to 1.
    """
    if min(fractions) < 0 or fractions[0] == 0 or not math.isclose(sum(fractions), 1.0, abs_tol=1e-9):
        raise ValueError(f"fractions must be at least 0, above 0 for train, and add up to 1, got {fractions}")
    part_of = [0] * len(items)
    shares = _left_to_draw(items, fractions)
    strata: dict[str, list[list[int]]] = defaultdict(list)
    fixed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for members in cluster_rows(items):
        kinds = Counter(_stratum(items[index]) for index in members)
        # The most common kind of the cluster; ties go to the smallest name, so that row order does not matter.
        kind = min(kinds, key=lambda kind: (-kinds[kind], kind))
        named = [NAMES.index(name) for index in members if (name := items[index].split)]
        if not named:
            strata[kind].append(members)
            continue
        for index in members:
            own = items[index].split
            part_of[index] = NAMES.index(own) if own else min(named)
            fixed[kind][part_of[index]] += 1
    owed = [Fraction(0)] * 3
    for kind in sorted(strata):
        units = sorted(strata[kind], key=lambda members: _place(items, members, seed))
        parts = _deal([len(members) for members in units], shares, owed, fixed[kind])
        for members, part in zip(units, parts, strict=True):
            for index in members:
                part_of[index] = part
    cut = [tuple(item for item, part in zip(items, part_of, strict=True) if part == at) for at in range(3)]
    return Split(dataset=dataset_hash(items), train=cut[0], validation=cut[1], holdout=cut[2])


def cluster_rows(items: Sequence[Item]) -> list[list[int]]:
    """Positions of rows that belong together, each cluster in row order: near-duplicates, and rows of one `group`."""
    links = [(pair.first, pair.second) for pair in near_duplicates([item.text for item in items])]
    first_of: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.group is not None:
            links.append((first_of.setdefault(item.group, index), index))
    clusters: dict[int, list[int]] = defaultdict(list)
    for index, root in enumerate(connected(len(items), links)):
        clusters[root].append(index)
    return list(clusters.values())


def valid_at(items: Iterable[Item], at: datetime) -> tuple[Item, ...]:
    """The rows that hold at `at` (aware): from `valid_from` on, up to but not at `valid_to`; undated rows always hold."""
    return tuple(
        item
        for item in items
        if (item.valid_from is None or item.valid_from <= at) and (item.valid_to is None or at < item.valid_to)
    )


def _stratum(item: Item) -> str:
    if item.task == "classify":
        return item.label or ""
    if item.task == "write":
        return ",".join(sorted(item.slots))
    return "answerable" if item.answerable else "unanswerable"


def _place(items: Sequence[Item], members: Sequence[int], seed: int) -> str:
    smallest = min(content_key(items[index]) for index in members)
    return hashlib.sha256(f"{seed}:{smallest}".encode()).hexdigest()


def _left_to_draw(items: Sequence[Item], fractions: tuple[float, float, float]) -> tuple[Fraction, ...]:
    """The shares among rows that are drawn: nothing into a validation or holdout that the file names."""
    named = {item.split for item in items}
    shares = [Fraction(fraction).limit_denominator(10_000) for fraction in fractions]
    for at in (1, 2):
        if NAMES[at] in named:
            shares[at] = Fraction(0)
    whole = sum(shares)
    return tuple(share / whole for share in shares)


def _deal(
    sizes: Sequence[int], shares: tuple[Fraction, ...], owed: list[Fraction], fixed: Sequence[int] = (0, 0, 0)
) -> list[int]:
    """A part for each cluster, in the order given, as near to `shares` of the rows as whole clusters allow.

    `fixed` rows of the stratum are in each part already. `owed` is what earlier strata left each part short of; it is updated, so
    roundings even out over the whole dataset.
    """
    counted = [have if share else 0 for have, share in zip(fixed, shares, strict=True)]
    total = sum(sizes) + sum(counted)
    wanted = [share * total + short for share, short in zip(shares, owed, strict=True)]
    # Holdout first, then validation, then train, along the hash: added rows only shift the two borders a little.
    parts = [0] * len(sizes)
    at = 0
    for part in (2, 1):
        have = counted[part]
        while at < len(sizes) and shares[part] and 2 * (wanted[part] - have) >= sizes[at]:
            parts[at] = part
            have += sizes[at]
            at += 1
    _fill_empty(parts, sizes, shares, fixed)
    for part in range(3):
        dealt = sum(size for size, chosen in zip(sizes, parts, strict=True) if chosen == part)
        owed[part] = wanted[part] - counted[part] - dealt
    return parts


def _fill_empty(
    parts: list[int], sizes: Sequence[int], shares: tuple[Fraction, ...], fixed: Sequence[int] = (0, 0, 0)
) -> None:
    """Give a stratum's empty parts one cluster each, while there are enough: train first, then holdout, then validation."""
    for part in (0, 2, 1):
        if shares[part] == 0 or part in parts or fixed[part]:
            continue
        counts = Counter(parts)
        # Train's last cluster stays: without it the label could not be learned at all.
        spare = [at for at, owner in enumerate(parts) if counts[owner] > 1 or (part == 0 or (part == 2 and owner == 1))]
        if spare:
            parts[min(spare, key=lambda at: (sizes[at], at))] = part
