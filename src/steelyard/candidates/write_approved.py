"""Writers that answer with an approved reply: the nearest, the tuned choice, or the most usual; slots refilled verbatim."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.interface import Tools
from steelyard.components.linear_head import LinearHead
from steelyard.components.slots import ANSWER_SLOT, fill, fitting, given, situation
from steelyard.dataset.places import places_of
from steelyard.metrics.writing import chrf
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.interface import Vectors
from steelyard.models.metering import metered
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

Arrays = dict[str, NDArray[Any]]
Scores = NDArray[np.float64]

CENTRALITY_WEIGHTS = (0.0, 0.3)  # how much a usual reply is preferred to one written for a single odd case
SUPPORT_WEIGHTS = (0.0, 0.5, 1.0)  # how much a reply gains whose label the nearest past messages share
CENTRAL_NEIGHBOURS = 10
SUPPORTERS = 10
SUPPORT_SHARPNESS = 0.05  # a neighbour 0.05 further away counts 1/e
REPLIES_PER_ACT = (4, 8, 16)  # tried where replies carry no label: an act is then a cluster of like replies
MAX_TUNING_ROWS = 200  # chrF of a pair takes about 1 ms; more rows move the choice no further


class ApprovedWriter(ABC):
    """What writers of approved replies share: the replies, which of them fit the slots, filling, saving.

    A reply fits when all its places have values; of those, the ones that use most of the values are ranked by the subclass. When
    values stay unused the trace says so (`fallback`); when nothing fits the writer declines. So no value is ever changed, lost
    unnoticed, or made up.
    """

    name = "approved"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._templates: list[str] = []
        self._labels: list[str | None] = []
        self._places: list[frozenset[str]] = []

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. Replies of validation rows join the approved ones once the settings are chosen.

        Raises:
            UserError: no row has an approved reply.
        """
        rows = [item for item in train if item.output]
        held = [item for item in validation if item.output]
        if not rows:
            raise UserError(
                "there are no approved replies to learn from.",
                where=self.name,
                remedy="Add rows with an output.",
                code="candidate.no_rows",
            )
        self._learn(rows, held)
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `template` is the approved reply before its slots were filled, `label` its label."""
        del scope  # approved replies are for everyone; what is confidential comes in through the slots
        if not self._templates:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        names = given(request.slots)
        fits, unused = self._fits(names, request.label)
        if not fits:
            reason = f"no approved reply fits the slots: {', '.join(sorted(names)) or 'none'}"
            return Output(abstained=True, trace=(("declined", reason),))
        return self._best(request, fits, unused)

    def predict_once(self, request: Request, names: Sequence[str]) -> Output:
        """As `predict`, but of the replies that place some of `names`, each once, and nothing else: of those that place the most.

        Of the routed kind where one of those is. The trace names no values left out: the caller places them.
        """
        places = [places_of(template) for template in self._templates]
        once = [at for at, own in enumerate(places) if len(set(own)) == len(own) and set(own) <= set(names)]
        if not once:
            reason = f"no approved reply fits the slots: {', '.join(sorted(names)) or 'none'}"
            return Output(abstained=True, trace=(("declined", reason),))
        most = max(len(places[at]) for at in once)
        fits = [at for at in once if len(places[at]) == most]
        of_kind = [at for at in fits if request.label is not None and self._labels[at] == request.label]
        return self._best(request, of_kind or fits, frozenset())

    @property
    def approved(self) -> tuple[str, ...]:
        """The approved replies, places and all."""
        return tuple(self._templates)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if not self._templates:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        arrays, meta = self._state()
        writer = {
            "candidate": self.name,
            "encoder": self._tools.encoder.name,
            "templates": self._templates,
            "labels": self._labels,
        }
        save_artefact(folder, arrays, {"writer": writer, **meta})

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, of another candidate, or made with another encoder.
        """
        arrays, meta = load_artefact(folder)
        writer = meta["writer"]
        if (writer["candidate"], writer["encoder"]) != (self.name, self._tools.encoder.name):
            raise ModelError(
                f"this is '{writer['candidate']}' made with encoder {writer['encoder']}.",
                where=str(folder),
                remedy="Train it again with this encoder.",
                code="candidate.other_artefact",
            )
        self._keep(writer["templates"], writer["labels"])
        self._restore(arrays, meta)
        return self

    def _fits(self, names: frozenset[str], label: str | None) -> tuple[list[int], frozenset[str]]:
        """The replies to choose from, and the values they leave unused: those of the routed kind where they lose no fact."""
        fits, unused = fitting(self._places, names)
        kind = [at for at, own in enumerate(self._labels) if own == label] if label is not None else []
        if not kind:
            return fits, unused
        of_kind, left = fitting([self._places[at] for at in kind], names)
        # A reply of the right kind that drops the answer helps nobody; a page title may stay out.
        if not of_kind or ANSWER_SLOT in left - unused:
            return fits, unused
        return [kind[at] for at in of_kind], left

    def _best(self, request: Request, fits: list[int], unused: frozenset[str]) -> Output:
        with metered() as meter:
            scores = self._scores(situation(request.text, request.slots), fits)
        # Ties fall to the earliest reply, so that the same request always gets the same reply.
        best = fits[int(np.argmax(scores))]
        trace = [("reply", str(best)), ("score", f"{float(scores.max()):.4f}")]
        if unused:
            trace.append(("fallback", f"no approved reply uses {', '.join(sorted(unused))} as well"))
        template = self._templates[best]
        text = fill(template, request.slots)
        return Output(text=text, label=self._labels[best], template=template, usage=meter.usage, trace=tuple(trace))

    @abstractmethod
    def _learn(self, _rows: list[Item], _held: list[Item]) -> None: ...

    @abstractmethod
    def _scores(self, _text: str, _fits: list[int]) -> Scores:
        """One score for each of the replies at `fits`, for a `situation`; the best is sent."""

    @abstractmethod
    def _state(self) -> tuple[Arrays, dict[str, Any]]: ...

    @abstractmethod
    def _restore(self, _arrays: Arrays, _meta: dict[str, Any]) -> None: ...

    def _keep(self, templates: Sequence[str], labels: Sequence[str | None]) -> None:
        self._templates, self._labels = list(templates), list(labels)
        self._places = [frozenset(places_of(template)) for template in templates]

    def _encode(self, texts: Sequence[str]) -> Vectors:
        return self._tools.encoder.encode(list(texts))

    def _agreement(self, held: Sequence[Item], score: Callable[[int, list[int]], Scores]) -> float:
        """How often the reply chosen for a held row is of its label; without labels, mean chrF with the approved one.

        `score(row, fits)` ranks the fitting replies for a held row. Both are 0.0 to 1.0; a declined row counts 0.
        """
        labelled = all(item.label for item in held)
        total = 0.0
        for at, item in enumerate(held):
            fits, _ = fitting(self._places, frozenset(places_of(item.output or "")))
            if fits:
                best = fits[int(np.argmax(score(at, fits)))]
                same = self._labels[best] == item.label
                total += float(same) if labelled else chrf(self._templates[best], [item.output or ""])
        return total / max(1, len(held))


class ExemplarWriter(ApprovedWriter):
    """The approved reply to the nearest past situation. Knowledge stays outside: a new reply is used as soon as it is added.

    Similarity to the past situation, joined with how usual the reply is and with the share of the nearest situations that have
    its label. The two weights are chosen on validation.
    """

    name = "exemplar"

    def _learn(self, rows: list[Item], held: list[Item]) -> None:
        self._remember(rows)
        self._weights = (CENTRALITY_WEIGHTS[0], SUPPORT_WEIGHTS[0])
        if held:
            sample = held[:MAX_TUNING_ROWS]
            vectors = self._encode([situation(item.text, item.slots) for item in sample])
            self._weights = max(
                product(CENTRALITY_WEIGHTS, SUPPORT_WEIGHTS),
                key=lambda weights: self._agreement(sample, lambda at, fits: self._weighed(vectors[at], fits, weights)),
            )
            self._remember([*rows, *held])

    def _remember(self, rows: Sequence[Item]) -> None:
        self._keep([item.output or "" for item in rows], [item.label for item in rows])
        self._inputs = self._encode([situation(item.text, item.slots) for item in rows])
        self._central = _centrality(self._encode(self._templates))

    def _scores(self, text: str, fits: list[int]) -> Scores:
        return self._weighed(self._encode([text])[0], fits, self._weights)

    def _weighed(self, vector: Vectors, fits: list[int], weights: tuple[float, float]) -> Scores:
        similar = (self._inputs @ vector).astype(np.float64)
        # Support comes from all past situations, also those whose own reply does not fit the slots.
        nearest = np.argsort(-similar, kind="stable")[:SUPPORTERS]
        votes = np.exp((similar[nearest] - similar[nearest[0]]) / SUPPORT_SHARPNESS)
        share: dict[str | None, float] = {}
        for at, vote in zip(nearest.tolist(), (votes / votes.sum()).tolist(), strict=True):
            share[self._labels[at]] = share.get(self._labels[at], 0.0) + vote
        support = np.array([share.get(self._labels[at], 0.0) for at in fits])
        return np.asarray(similar[fits] + weights[0] * self._central[fits] + weights[1] * support)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        return {"inputs": self._inputs, "central": self._central}, {"weights": list(self._weights)}

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._inputs, self._central = arrays["inputs"], arrays["central"]
        self._weights = (float(meta["weights"][0]), float(meta["weights"][1]))


class TunedSelector(ApprovedWriter):
    """A tuned head chooses what to say, its most usual approved wording says it. Knowledge is in the weights.

    What to say is an act: the rows' labels where all have one, else clusters of replies that read alike. The head maps a message to acts;
    of the likeliest act the most central reply that fits the slots is sent.
    """

    name = "tuned-selector"

    def _learn(self, rows: list[Item], held: list[Item]) -> None:
        texts, held_texts = ([situation(item.text, item.slots) for item in part] for part in (rows, held))
        vectors, held_vectors = self._encode(texts), self._encode(held_texts)
        everything = [item.output or "" for item in [*rows, *held]]
        replies = self._encode(everything)
        self._central = _centrality(replies)
        # Settings are judged as if only the training replies were approved: a held row must not find its own reply.
        labels = [item.label for item in [*rows, *held]]
        self._keep(everything[: len(rows)], labels[: len(rows)])
        best: tuple[float, LinearHead, list[str]] | None = None
        for acts in self._possible_acts(rows, held, replies):
            head = LinearHead(seed=self._tools.seed)
            head.fit(
                (texts, vectors, acts[: len(rows)]),
                (held_texts, held_vectors, acts[len(rows) :]),
            )
            agreement = self._agreement(held[:MAX_TUNING_ROWS], partial(self._judged, head, acts)) if held else 0.0
            if best is None or agreement > best[0]:
                best = (agreement, head, acts)
        assert best is not None
        _, self._head, self._acts = best
        self._keep(everything, labels)

    def _possible_acts(self, rows: list[Item], held: list[Item], replies: Vectors) -> list[list[str]]:
        labels = [item.label for item in [*rows, *held]]
        if all(labels):
            return [[label or "" for label in labels]]
        counts = dict.fromkeys(max(2, min(len(replies), len(replies) // size)) for size in REPLIES_PER_ACT)
        return [_clusters(replies, count, self._tools.seed) for count in counts]

    def _scores(self, text: str, fits: list[int]) -> Scores:
        likely = self._head.log_probabilities([text], self._encode([text]))[0]
        return self._ranked(likely, self._head.labels_, self._acts, fits)

    def _judged(self, head: LinearHead, acts: list[str], row: int, fits: list[int]) -> Scores:
        return self._ranked(head.validation_log_probabilities_[row], head.chosen_labels_, acts, fits)

    def _ranked(self, likely: Scores, labels: list[str], acts: list[str], fits: list[int]) -> Scores:
        rank = dict(zip(labels, np.argsort(np.argsort(likely)).tolist(), strict=True))
        # The act decides; centrality, whose half stays below 1, only orders the replies of one act.
        return np.array([rank.get(acts[at], -1) + 0.5 * self._central[at] for at in fits])

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        arrays, meta = self._head.state()
        return {**arrays, "central": self._central}, {"head": meta, "acts": self._acts}

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._head = LinearHead.from_state(arrays, meta["head"])
        self._acts, self._central = list(meta["acts"]), arrays["central"]


class TemplateWriter(ApprovedWriter):
    """The plain baseline: the most usual approved reply for the slots at hand, whatever the message says."""

    name = "template"

    def _learn(self, rows: list[Item], held: list[Item]) -> None:
        both = [*rows, *held]
        self._keep([item.output or "" for item in both], [item.label for item in both])
        self._central = _centrality(self._encode(self._templates))

    def _scores(self, _text: str, fits: list[int]) -> Scores:
        return self._central[fits]

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        return {"central": self._central}, {}

    def _restore(self, arrays: Arrays, _meta: dict[str, Any]) -> None:
        self._central = arrays["central"]


def _centrality(replies: Vectors) -> Scores:
    """How usual each reply is: mean cosine to its nearest others, -1 to 1, (replies,)."""
    if len(replies) < 2:
        return np.zeros(len(replies))
    similar = (replies @ replies.T).astype(np.float64)
    np.fill_diagonal(similar, -np.inf)
    near = min(CENTRAL_NEIGHBOURS, len(replies) - 1)
    return np.asarray(np.sort(similar, axis=1)[:, -near:].mean(axis=1))


def _clusters(replies: Vectors, count: int, seed: int) -> list[str]:
    from sklearn.cluster import KMeans

    if count >= len(replies):
        return [str(at) for at in range(len(replies))]
    found = KMeans(n_clusters=count, n_init=4, random_state=seed).fit_predict(replies)
    width = math.ceil(math.log10(count + 1))
    return [f"{cluster:0{width}d}" for cluster in found.tolist()]
