"""The decoder as torch trains it: one or two layers of BERT's kind with attention to what was read."""

from __future__ import annotations

from functools import cache
from typing import Any

from steelyard.models.reply_graph import Shape

DROPOUT = 0.1
WIDENED = 4  # times the width between the two products of a layer, as in BERT
START_SPREAD = 0.02  # BERT's standard deviation of weights that start from nothing


def decoder(shape: Shape, words: int, acts: int, epsilon: float) -> Any:
    """A fresh decoder in torch over `words` ids; row 0 of its `acts` + 1 acts means none.

    Called with vectors (rows, tokens, width), slot ids (rows, slots), acts (rows,), a mask (rows, 1 + slots + tokens) of what is there, and
    the ids said (rows, n), it gives the logits of the next id at each place, (rows, n, words).
    """
    return _decoder_class()(shape, words, acts, epsilon)


@cache
def _attention_class() -> Any:
    """Made when torch is first needed, as the classes below."""
    import torch
    from torch import nn

    class Attention(nn.Module):  # type: ignore[misc]
        """Attention of several heads, and the norm after it."""

        def __init__(self, shape: Shape, epsilon: float) -> None:
            super().__init__()
            width = shape.width
            self.heads = shape.heads
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
            self.norm = nn.LayerNorm(width, eps=epsilon)
            self.drop = nn.Dropout(DROPOUT)

        def forward(self, state: Any, read: Any, hidden: Any) -> Any:
            """`state` (rows, n, width) looks at `read` (rows, m, width), but where `hidden`, broadcast to (rows, heads, n, m)."""
            queries, keys, values = (
                part.unflatten(2, (self.heads, -1)).transpose(1, 2)
                for part in (self.query(state), self.key(read), self.value(read))
            )
            scores = queries @ keys.transpose(2, 3) * (queries.shape[-1] ** -0.5)
            shares = self.drop(scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1))
            mixed = (shares @ values).transpose(1, 2).flatten(2)
            return self.norm(state + self.drop(self.out(mixed)))

    return Attention


@cache
def _layer_class() -> Any:
    """What was said, what was read, and a widening between."""
    from torch import nn

    attention = _attention_class()

    class Layer(nn.Module):  # type: ignore[misc]
        """What was said, what was read, and a widening between."""

        def __init__(self, shape: Shape, epsilon: float) -> None:
            super().__init__()
            self.self = attention(shape, epsilon)
            self.cross = attention(shape, epsilon)
            self.up = nn.Linear(shape.width, WIDENED * shape.width)
            self.down = nn.Linear(WIDENED * shape.width, shape.width)
            self.norm = nn.LayerNorm(shape.width, eps=epsilon)
            self.drop = nn.Dropout(DROPOUT)

        def forward(self, state: Any, read: Any, later: Any, absent: Any) -> Any:
            """(rows, n, width) to the same."""
            state = self.cross(self.self(state, state, later), read, absent)
            return self.norm(state + self.drop(self.down(nn.functional.gelu(self.up(state)))))

    return Layer


@cache
def _head_class() -> Any:
    """What starts from nothing."""
    import torch
    from torch import nn

    class Head(nn.Module):  # type: ignore[misc]
        """All that starts from nothing: how vectors are read, what tells slots and acts, and the bias of each word."""

        def __init__(self, width: int, words: int, acts: int, epsilon: float) -> None:
            super().__init__()
            self.read = nn.Linear(width, width)
            self.acts = nn.Embedding(acts + 1, width)
            self.slot = nn.Parameter(torch.zeros(width))
            self.norm = nn.LayerNorm(width, eps=epsilon)
            self.bias = nn.Parameter(torch.zeros(words))

        def forward(self, vectors: Any, slots: Any, acts: Any) -> Any:
            """Act, slots and vectors side by side, (rows, 1 + slots + tokens, width)."""
            return self.norm(torch.cat([self.acts(acts)[:, None], slots + self.slot, self.read(vectors)], dim=1))

    return Head


@cache
def _decoder_class() -> Any:
    """The whole."""
    import torch
    from torch import nn

    made_layer, made_head = _layer_class(), _head_class()

    class Decoder(nn.Module):  # type: ignore[misc]
        """See `decoder`."""

        def __init__(self, shape: Shape, words: int, acts: int, epsilon: float) -> None:
            super().__init__()
            self.scale = shape.scale
            self.words = nn.Embedding(words, shape.width)
            self.places = nn.Embedding(shape.positions, shape.width)
            self.embedded = nn.LayerNorm(shape.width, eps=epsilon)
            self.layer = nn.ModuleList(made_layer(shape, epsilon) for _ in range(shape.layers))
            self.head = made_head(shape.width, words, acts, epsilon)
            self.drop = nn.Dropout(DROPOUT)
            for part in (self.words, self.places):
                nn.init.normal_(part.weight, std=START_SPREAD)

        def forward(self, vectors: Any, slots: Any, acts: Any, there: Any, said: Any) -> Any:
            """See `decoder`."""
            read = self.drop(self.head(vectors, self.words(slots), acts))
            count = said.shape[1]
            later = torch.ones((count, count), dtype=torch.bool, device=said.device).triu(1)
            places = self.places(torch.arange(count, device=said.device))
            state = self.drop(self.embedded(self.words(said) + places))
            for layer in self.layer:
                state = layer(state, read, later, ~there[:, None, None, :])
            return state @ self.words.weight.T * self.scale + self.head.bias

    return Decoder
