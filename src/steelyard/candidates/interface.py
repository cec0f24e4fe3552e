"""What a candidate must do: what is measured is what is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Self, runtime_checkable

from steelyard.models.fitting_plan import Plan
from steelyard.models.generation import Generator
from steelyard.models.interface import Encoder
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope
from steelyard.schema.tuning import ChatPair, TuningJob


class Search(Protocol):
    """Ranked passages of one generation, for one asker."""

    def lexical(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """Best by BM25; see `Store.lexical`."""

    def dense(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """Best by cosine to the embedded text; see `Store.dense`."""

    def fused(self, text: str, scope: Scope, k: int, dense_weight: float) -> list[Hit]:
        """Best by convex fusion: dense_weight * dense + (1 - dense_weight) * bm25, both scaled to 0..1 per query."""

    def visible(self, scope: Scope) -> list[Passage]:
        """All passages that the asker may see, in passage-id order."""


class Tuner(Protocol):
    """Fine-tuning at a provider, for the rows of one component."""

    def tune(
        self,
        train: Sequence[ChatPair],
        held: Sequence[ChatPair],
        seed: int,
        progress: Callable[[int, int], None],
    ) -> TuningJob:
        """The succeeded job of these rows; the same rows never have two."""

    def speaking(self, model: str) -> Generator:
        """A tuned model for asking, metered and capped."""


class TuningRehearsal(Protocol):
    """Stands in for tuning a local model: what would be learned and asked is noted, and nothing is learned."""

    def learn(self, train: Sequence[ChatPair], held: Sequence[ChatPair], plan: Plan) -> None:
        """Note what would be learned."""

    def ask(self, prompts: Sequence[Sequence[Message]], max_tokens: int) -> None:
        """Note what would be asked."""


def _silent(done: int, total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What candidates work with. `search` is None in a workspace without documents.

    `work` is a folder for checkpoints, the same for the same inputs, so that a training that was cut off is taken up again; None:
    nothing is kept. `budget_s` is how long a candidate may train; None: as long as its plan says. `generator` is None where the
    settings name none; its calls are metered, kept and capped. `base_model` is the folder of the local language model that adapters are
    tuned on, `tuner` tunes at a provider; None without one.
    `rehearsal` takes the place of tuning on `base_model`. `style_guide` is the house style in words, for writers with a generator;
    `unsupported` says what becomes of a generated sentence that no passage says: it is dropped, or marked.
    """

    encoder: Encoder
    search: Search | None = None
    seed: int = 0
    out_of_scope_label: str = "out_of_scope"
    work: Path | None = None
    budget_s: float | None = None
    generator: Generator | None = None
    base_model: Path | None = None
    tuner: Tuner | None = None
    rehearsal: TuningRehearsal | None = None
    style_guide: str = ""
    unsupported: Literal["drop", "mark"] = "drop"
    progress: Callable[[int, int], None] = field(default=_silent)


class Candidate(Protocol):
    """One buildable way to do a component.

    The constructor takes `Tools` and does no work. `fit` may read train rows freely, choose settings and calibrate on
    validation rows; it never sees the holdout.
    """

    name: str

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """Learn and calibrate; returns self. Deterministic for a seed."""

    def predict(self, request: Request, scope: Scope) -> Output:
        """One output. `usage.seconds` is the wall time of this call.

        Raises:
            NotFittedError: neither fitted nor loaded.
        """

    def save(self, folder: Path) -> None:
        """Write the fitted state: `manifest.json` with hashes, JSON and safetensors files; never pickle."""

    def load(self, folder: Path) -> Self:
        """Read what `save` wrote, checking its hashes; returns self. Predictions equal those before saving.

        Needs only serving libraries: no torch, no scikit-learn.
        """


@runtime_checkable
class Streaming(Protocol):
    """A candidate that can give its text while it is being made: one that a generator reads or writes for."""

    def stream(self, request: Request, scope: Scope) -> Iterator[str | Output]:
        """Pieces of the text in order, then the output; the pieces together are the output's text. Otherwise as `Candidate.predict`."""


@runtime_checkable
class OnDocuments(Protocol):
    """A candidate that answers from documents, and that the same fit answers on any generation of them: it is loaded once for all."""

    def on(self, search: Search) -> Self:
        """This candidate, fitted or not, on another generation; what it keeps in memory is shared, so it costs next to nothing."""
