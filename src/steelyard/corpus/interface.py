"""What the corpus needs from the rooms beside it, and what it tells them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from steelyard.schema.corpus import Block, Heading, Passage
from steelyard.schema.scope import Access

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Encoder(Protocol):
    """What ingest needs of an encoder; `models.interface.Encoder` is one."""

    @property
    def name(self) -> str:
        """The encoder with its precision and weights hash; vectors of different names never mix."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32, (texts, dim), rows of length 1, in the order given."""


@dataclass(frozen=True)
class Staged:
    """Passages to add, with one vector each, in the same order. `vectors` is float32, (passages, dim)."""

    passages: Sequence[Passage]
    vectors: NDArray[np.float32]


class Index(Protocol):
    """The calls that ingest and compaction make; every `stores.interface.Store` is one.

    Rooms on one floor do not import each other, so `add` is any record with `passages` and `vectors`, as both rooms' `Staged` are.
    """

    def stage(self, generation: int, add: Any, retire: Sequence[str]) -> None:
        """Prepare `generation` beside the ones that answer; staging it again replaces what was staged."""

    def extend(self, generation: int, add: Any) -> None:
        """Add more rows to `generation`, which was staged last."""

    def discard(self, generation: int) -> None:
        """Undo what was staged for `generation` and any later one; harmless when nothing was."""

    def purge(self, keep: Collection[int], erased: Collection[tuple[str, str]] = ()) -> int:
        """Remove for good the rows that no generation of `keep` holds, and all rows of what is erased; how many were removed."""

    @property
    def epoch(self) -> int:
        """The state of the control plane that searches follow; 0 before the first `restrict`."""

    def restrict(self, access: Mapping[str, Access], epoch: int, withheld: Collection[tuple[str, str]] = ()) -> None:
        """Set who may see the rows of these documents, in every generation; nobody sees what is withheld."""


class Checkable(Protocol):
    """What a check reads of an index; every `stores.interface.Store` has it."""

    @property
    def epoch(self) -> int:
        """The state of the control plane that searches follow; 0 before the first `restrict`."""

    def stored(self) -> Iterator[Any]:
        """Every row as the files hold it, in parts with `passages`, `vectors`, `added` and `retired`."""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What a parser made of one file.

    `text` is plain text that all offsets refer to. `allow` and `deny` are the document's own rule; None where it states none, and an
    empty `allow` means nobody. `title` is "" where the file has none.
    """

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    page_starts: tuple[int, ...] = ()
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far ingest is. `stage` is `read`, `parse` or `embed`; `rate` is items a second so far, 0.0 before it is known."""

    stage: str
    done: int
    total: int
    rate: float

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate; None before a rate is known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


ProgressCallback = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""
