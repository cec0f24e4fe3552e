"""Two forms of one candidate on the same rows: fitted against saved, fp32 against int8. What is served must say what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.candidates.interface import Candidate
from steelyard.evaluation.run import request_of, scope_of
from steelyard.models.interface import Encoder, Vectors
from steelyard.schema.errors import SteelyardError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output
from steelyard.schema.releases import Flipped, Parity


def compare_forms(
    reference: Candidate, served: Candidate, items: Sequence[Item], *, reference_name: str, served_name: str
) -> Parity:
    """Predict every item with both forms; the rows whose output differs are listed, in the order of the items.

    Equal means: the same label and the same decision to decline (classify), the same text and citations (answer), the same reply (write).
    Probabilities may differ in their last digits. A form that fails on a row says so; two that fail alike agree.
    """
    flipped = []
    for item in items:
        expected, said = _said(reference, item), _said(served, item)
        if expected != said:
            flipped.append(Flipped(item=item.id, text=item.text, reference=expected, served=said))
    return Parity(reference=reference_name, served=served_name, rows=len(items), flipped=tuple(flipped))


class UnderName:
    """An encoder under the name of another, so that a candidate fitted with that one can be asked what it would say with this one."""

    def __init__(self, encoder: Encoder, name: str) -> None:
        self._encoder = encoder
        self._name = name

    @property
    def name(self) -> str:
        """The other encoder's name."""
        return self._name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._encoder.dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        return self._encoder.encode(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return self._encoder.count_tokens(texts)


def _said(candidate: Candidate, item: Item) -> str:
    try:
        output = candidate.predict(request_of(item), scope_of(item))
    except SteelyardError as error:
        return f"(failed: {error.message})"
    return _words(item, output)


def _words(item: Item, output: Output) -> str:
    if item.task == "classify":
        return f"(out of scope) {output.label or ''}".strip() if output.out_of_scope else output.label or ""
    if output.abstained:
        return "(declined)"
    places = "".join(f" [{one.document} {one.start}:{one.end}]" for one in output.citations)
    return output.text + places
