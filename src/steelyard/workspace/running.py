"""The release in force as a running pipeline: what it should be, and its parts loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import OnDocuments, Search
from steelyard.models.remembering import RememberingEncoder
from steelyard.schema.errors import UserError
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
from steelyard.schema.serving import InForce
from steelyard.serving.current import Current
from steelyard.serving.pipeline import LoadedPart, Pipeline
from steelyard.serving.pulse import Pulse
from steelyard.workspace.answering import version_for
from steelyard.workspace.parts import Parts

if TYPE_CHECKING:
    from steelyard.config import Settings
    from steelyard.schema.releases import Release
    from steelyard.workspace.paths import State

KEPT_VERSIONS = 3
"""Loaded versions of a component that are kept: the one in force, the one before it, and one on trial. One that answers from documents
is loaded once for all generations of them."""

WARM_UP = "warm up"


class Running:
    """One workspace answering in this process: one encoder, one library and one index, shared by all requests.

    `current` gives the pipeline in force; see `Current`. Nothing is loaded before `current.begin()`.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        # By component, candidate and version, and by generation where a candidate from elsewhere is not `OnDocuments`.
        self._loaded: OrderedDict[tuple[str, str, int, int | None], LoadedPart] = OrderedDict()
        self._guard = Lock()
        state = parts.state
        self._pulse = Pulse((state.registry, state.corpus))
        self.current = Current(self._pulse.read, lambda: in_force(parts), self.load)

    @classmethod
    def of(cls, settings: Settings, state: State) -> Running:
        """A workspace's own parts, made for answering: each call of the encoder takes one thread, as many calls run side by side."""
        one_thread = (
            replace(settings, models=replace(settings.models, threads=1)) if not settings.models.threads else settings
        )
        return cls(Parts(state.root.parent, one_thread, state))

    def load(self, wanted: InForce) -> Pipeline:
        """The pipeline of these versions on this generation, every part of it warm; parts that are loaded already are taken as they are.

        Raises:
            ModelError: a file is missing, or is not what was registered.
            StoreError: the index does not hold the generation.
        """
        toolbox = self.parts.toolbox
        if not isinstance(toolbox.encoder, RememberingEncoder):
            # What was embedded to fit the versions is read, so that a worker that has just begun need not embed it again.
            toolbox.__dict__["encoder"] = RememberingEncoder(toolbox.encoder, written=toolbox.cached_encoder)
        if toolbox.settings.corpus.store == "memory":
            # It knows what was ingested when it was filled, and nothing that another process did since.
            toolbox.__dict__.pop("store", None)
            with self._guard:
                self._loaded.clear()
        made = self._made(wanted)
        for part in made.parts.values():
            if CANDIDATES.part(part.record.candidate).needs != "generator":  # its calls are paid for
                # What the first call reads is read now, so that no request waits for it.
                part.candidate.predict(Request(text=WARM_UP), Scope())
        return made

    def at(self, line: Pipeline, generation: int) -> Pipeline:
        """The same versions on another generation, for a question about the past; who may see what is asked of the rules of now.

        Raises:
            NotFoundError: there is no such generation, or it is not kept any more.
            ModelError, StoreError: as `load`.
        """
        if generation == line.in_force.generation:
            return line
        self.parts.toolbox.library.generation(generation)
        return self._made(replace(line.in_force, generation=generation, pinned=True))

    def _made(self, wanted: InForce) -> Pipeline:
        toolbox = self.parts.toolbox
        search = toolbox.search(toolbox.encoder, wanted.generation) if wanted.generation else None
        loaded = {
            name: self._part(name, candidate, version, wanted, search) for name, candidate, version in wanted.versions
        }
        return Pipeline(
            wanted,
            loaded,
            search=search,
            placed=toolbox.library.placed,
            cpu_hour_usd=self.parts.settings.economics.cpu_hour_usd,
        )

    def embed_ahead(self, messages: Sequence[str]) -> None:
        """Embed messages that wait together, as far as that saves time; the answers, and what each cost, are the same."""
        encoder = self.parts.toolbox.encoder
        if isinstance(encoder, RememberingEncoder):
            encoder.ahead(messages)

    def embedded(self, message: str) -> bool:
        """Whether the answer to a message made use of its vector."""
        encoder = self.parts.toolbox.encoder
        return isinstance(encoder, RememberingEncoder) and encoder.was_asked(message)

    def close(self) -> None:
        """Close the files that are open."""
        self._pulse.close()
        self.parts.toolbox.close()

    def _part(self, component: str, candidate: str, version: int, wanted: InForce, search: Search | None) -> LoadedPart:
        on = wanted.generation if CANDIDATES.part(candidate).needs_documents else None
        found = self._known(component, candidate, version, None) or self._known(component, candidate, version, on)
        if found is None:
            record = self.parts.registry.get(component, candidate, version)
            made = self.parts.training.load(record, on)
            found = LoadedPart(record=record, task=self.parts.examples.component(component).task, candidate=made)
            self._keep((component, candidate, version, None if isinstance(made, OnDocuments) else on), found)
        if search is None or not isinstance(found.candidate, OnDocuments):
            return found
        return replace(found, candidate=found.candidate.on(search))

    def _known(self, component: str, candidate: str, version: int, on: int | None) -> LoadedPart | None:
        key = (component, candidate, version, on)
        with self._guard:
            found = self._loaded.get(key)
            if found is not None:
                self._loaded.move_to_end(key)
        return found

    def _keep(self, key: tuple[str, str, int, int | None], part: LoadedPart) -> None:
        with self._guard:
            self._loaded[key] = part
            own = [one for one in self._loaded if one[0] == key[0]]
            for one in own[:-KEPT_VERSIONS]:
                del self._loaded[one]


def in_force(parts: Parts) -> InForce:
    """What should answer now: the release, else what is recommended, else a plain candidate; a component without a version is left out.

    Raises:
        UserError: no component has a version that could answer, and there are no documents to search either.
    """
    while True:
        release = parts.releases.in_force()
        found = _in_force(parts, release)
        # Each component's version is read by itself: what another process releases meanwhile must not stand under the number before it.
        if parts.releases.in_force() == release:
            return found


def _in_force(parts: Parts, release: Release | None) -> InForce:
    versions = []
    for name, settings in parts.settings.components.items():
        try:
            record = version_for(parts, name, settings.task, None).record
        except UserError:
            continue
        versions.append((name, record.candidate, record.version))
    pinned = release is not None and release.pinned
    generation = release.generation if release is not None and pinned else parts.toolbox.generation
    if not versions and not generation:
        raise UserError(
            "there is nothing to serve: nothing is ingested and nothing is trained.",
            remedy="Run `steelyard ingest` and `steelyard weigh` first.",
            code="serving.nothing",
        )
    return InForce(
        release=release.number if release else None, generation=generation, versions=tuple(versions), pinned=pinned
    )
