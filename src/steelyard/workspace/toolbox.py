"""The heavy parts of a workspace, each made when first used: encoder, library, index, search."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from steelyard.candidates import CANDIDATES
from steelyard.catalog import Part
from steelyard.components.enforcement import EnforcedStore
from steelyard.components.retriever import Retriever
from steelyard.config import Settings
from steelyard.corpus.erasing import is_due, remove
from steelyard.corpus.history import change_times, repository
from steelyard.corpus.kept import Burst, Kept
from steelyard.corpus.library import Library
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.rebuild import rebuild
from steelyard.corpus.removal import is_unfinished
from steelyard.models.call_ledger import CallLedger
from steelyard.models.encoder import usable_threads
from steelyard.models.endpoint_encoder import EndpointEncoder
from steelyard.models.generation import Generator
from steelyard.models.generator_loading import metered_generator
from steelyard.models.interface import Encoder
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import IngestReport, Passage
from steelyard.schema.errors import NotFoundError, StoreError, UserError
from steelyard.schema.progress import Report
from steelyard.schema.scope import EVERYONE, Access, Scope
from steelyard.stores import STORES
from steelyard.stores.interface import Staged, Store
from steelyard.workspace.generating import embedding_price, price_of
from steelyard.workspace.ingesting import ingest_sources
from steelyard.workspace.paths import State
from steelyard.workspace.tuning import WorkspaceTuner, tuning_api

YEAR_DAYS = 365.25


class Toolbox:
    """Encoder, library and index of one workspace."""

    def __init__(self, folder: Path, settings: Settings, state: State) -> None:
        self.folder = folder
        self.settings = settings
        self.state = state

    @property
    def encoder_settings(self) -> dict[str, Any]:
        """What decides which vectors come out, without loading the encoder."""
        models = self.settings.models
        if models.encoder == "openai":
            endpoint = models.embeddings
            return {"encoder": f"openai:{endpoint.model}:{endpoint.dim}", "at": endpoint.base_url}
        return {"encoder": models.encoder, "precision": models.precision}

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that serves.

        Raises:
            MissingExtraError: it was never converted here and the training libraries are missing.
        """
        models = self.settings.models
        if models.encoder == "openai":
            return EndpointEncoder(models.embeddings, self.calls, embedding_price(models.embeddings))
        return load_encoder(models.encoder, precision=models.precision, threads=models.threads or None)

    @cached_property
    def exact_encoder(self) -> Encoder | None:
        """The encoder that serves, in fp32; None when that is what serves."""
        if getattr(self.encoder, "precision", "fp32") == "fp32":
            return None
        models = self.settings.models
        return load_encoder(models.encoder, precision="fp32", threads=models.threads or None)

    @cached_property
    def cached_encoder(self) -> CachedEncoder:
        """The encoder behind a cache of vectors by content: for labelled rows and passages, not for strangers' questions."""
        self.state.root.mkdir(parents=True, exist_ok=True)
        return CachedEncoder(self.encoder, self.state.vectors)

    @property
    def asking_encoder(self) -> tuple[int, Encoder]:
        """How many questions may be embedded at the same time, and the encoder that serves, made for that: one thread a question."""
        models = self.settings.models
        threads = models.threads or usable_threads()
        if models.encoder == "openai":
            return 1, self.cached_encoder
        if threads == 1:
            return 1, self.encoder
        return threads, load_encoder(models.encoder, precision=models.precision, threads=1)

    def lacks(self, part: Part) -> str | None:
        """What a candidate works with and the settings do not name: documents, a generator, weights to tune; None: nothing."""
        if part.needs_documents and not self.has_documents:
            return "documents: add [[sources]]"
        if part.hosted and tuning_api(self.settings) is None:
            return 'a provider that tunes: set generator = { kind = "openai", ... } under [models], or [models.tuning]'
        # Weights that are elsewhere cannot be tuned here.
        if part.needs == "generator" and part.trains and not part.hosted and self.base_model is None:
            return 'a local model: set generator = { kind = "transformers", path = "..." } under [models]'
        if part.needs == "generator" and not part.trains and self.settings.models.generator.kind == "none":
            return "a generator: set [models] generator"
        return None

    @property
    def base_model(self) -> Path | None:
        """The folder of the local language model that adapters are tuned on, where the settings name one."""
        settings = self.settings.models.generator
        return self.folder / settings.path if settings.kind == "transformers" and settings.path else None

    @cached_property
    def calls(self) -> CallLedger:
        """The ledger of generator calls."""
        return CallLedger(self.state.calls)

    @cached_property
    def generator(self) -> Generator | None:
        """The settings' generator, metered, kept and capped; None where they name none. Nothing is loaded or asked yet.

        Raises:
            MissingExtraError: its libraries are not installed.
        """
        settings = self.settings.models.generator
        return metered_generator(settings, self.folder, self.calls, price_of(settings))

    def tuner(self, component: str, candidate: str, file: str) -> WorkspaceTuner | None:
        """Tuning at a provider on rows that stand in `file`; None for candidates not tuned there, and where the settings name none."""
        if not CANDIDATES.part(candidate).hosted or tuning_api(self.settings) is None:
            return None
        purpose = f"{component}/{candidate}"
        return WorkspaceTuner(self.folder, self.settings, self.state, self.calls, self.generator, purpose, file)

    @cached_property
    def library(self) -> Library:
        """The version store."""
        self.state.root.mkdir(parents=True, exist_ok=True)
        return Library(self.state.corpus)

    @cached_property
    def store(self) -> EnforcedStore:
        """The index, under the access rules of now; filled again from the library where it forgot (in memory) or its folder is gone."""
        kind = self.settings.corpus.store
        lost = kind == "memory" or not self.state.index.is_dir()
        made: Store = STORES.load(kind)() if kind == "memory" else STORES.load(kind)(self.state.index)
        if lost and self.generation:
            rebuild(self.library, made, self.encoder)
        elif self.generation:
            self._require_whole(made)
        return EnforcedStore(made, self.library.control)

    def _require_whole(self, index: Store) -> None:
        """Nothing, when the index holds as many passages as the generation in force.

        Raises:
            StoreError: it does not: rows are missing, and answers from it would be wrong without a word.
        """
        held, wanted = index.count(self.generation), self.library.generation(self.generation).passages
        if held != wanted and not is_unfinished(self.library):
            raise StoreError(
                f"the index holds {held} of {wanted} passages of generation {self.generation}.",
                where="index",
                remedy="Run `steelyard doctor --repair`: it makes the index again from the library.",
                code="stores.incomplete",
            )

    @property
    def has_documents(self) -> bool:
        """Whether sources are configured."""
        return bool(self.settings.sources)

    @property
    def generation(self) -> int:
        """The generation in force; 0 before the first ingest."""
        return self.library.in_force() if self.state.corpus.is_file() else 0

    @property
    def corpus_fingerprint(self) -> str:
        """What names the corpus that answers now."""
        if not self.generation:
            return "none"
        made = self.library.generation(self.generation)
        access = self.library.control.digest()[:16]
        return f"{made.number}:{made.encoder}:{made.splitting}:{made.passages}:{made.created_at.isoformat()}:{access}"

    def search(self, encoder: Encoder, generation: int | None = None) -> Retriever | None:
        """Search in a generation (the one in force by default), under the access rules of now; None before the first ingest."""
        number = self.generation if generation is None else generation
        if not number or not self.has_documents:
            return None
        made = self.library.generation(number)
        if made.encoder != self.encoder.name:
            raise UserError(
                f"generation {number} was embedded with {made.encoder}, the settings now name {self.encoder.name}.",
                remedy="Run `steelyard ingest` to embed the documents again, or take the setting back.",
                code="workspace.encoder_changed",
            )
        return Retriever(self.store, encoder, number, prefer_newer=self.settings.corpus.prefer_newer)

    def warm_up(self, candidate: str, generation: int | None = None) -> None:
        """Load what the first call of a candidate would load, so that its time is what a served request takes."""
        if CANDIDATES.part(candidate).needs_documents:
            search = self.search(self.encoder, generation)
            if search is not None:
                search.fused("warm up", Scope(), 1, 0.5)
        else:
            self.encoder.encode(["warm up"])

    def require_documents(self) -> None:
        """Nothing, where sources are configured.

        Raises:
            UserError: none is.
        """
        if not self.has_documents:
            raise UserError(
                "there are no sources.",
                where="steelyard.toml",
                remedy='Add [[sources]] with path = "docs" and allow = ["everyone"].',
                code="workspace.no_sources",
            )

    def ingest(
        self,
        report: Report,
        *,
        tidy: bool = True,
        parsers: ParsePool | None = None,
        kept: Kept | None = None,
        burst: Burst | None = None,
    ) -> IngestReport:
        """The next generation from the sources as they are now; `tidy` compacts the index after a change; the rest: `corpus.ingest`.

        Raises:
            UserError: no sources are configured, or another ingest is running.
        """
        self.require_documents()
        if self.generation and is_due(self.library, self.library.control):
            remove(self.library, self.store, self.library.control)
        return ingest_sources(
            self.folder,
            self.settings,
            self.library,
            self.store,
            self.encoder,
            report,
            tidy=tidy,
            parsers=parsers,
            kept=kept,
            burst=burst,
        )

    def take_encoder(self, other: Toolbox) -> None:
        """Use the encoder that another toolbox has loaded, if it has."""
        if "encoder" in other.__dict__:
            self.__dict__["encoder"] = other.encoder

    def close(self) -> None:
        """Close the library and the ledger of calls, if they were opened."""
        if "calls" in self.__dict__:
            self.calls.close()
        if "library" in self.__dict__:
            self.library.close()

    def resolve(self, scope: Scope) -> Scope:
        """The asker with every group that the directory gives now."""
        return self.library.control.resolve(scope)

    def stored_text(self, document: str, version: str) -> str | None:
        """The text of a stored version, None when there is none."""
        try:
            return self.library.version(document, version).text
        except NotFoundError:
            return None

    def access_of(self, document: str, version: str) -> Access | None:
        """Who may see a version now, None when it was never stored."""
        return None if self.stored_text(document, version) is None else self.library.access_now(document)

    def passages(self) -> list[Passage]:
        """All passages in force, whoever may see them; for counting and measuring, never for answering."""
        return list(self.library.passages(self.generation)) if self.generation else []

    def passage_texts(self) -> list[str]:
        """The texts of all passages in force."""
        return [passage.text for passage in self.passages()]

    def any_passage(self) -> Passage | None:
        """Some passage that everyone may see, for measuring how soon an edit is answered from."""
        anonymous = Scope()
        return next((passage for passage in self.passages() if passage.access.permits(anonymous)), None)

    def refresh_stages(self) -> Refresh | None:
        """Puts one edited passage into a generation of its own; None before the first ingest."""
        return Refresh(self) if self.generation else None

    def updates_per_year(self) -> float | None:
        """On how many days a year the documents changed, by the sources' git history; None without a year of one.

        The first commit is the beginning, not a change. Several commits of a day are one update: an index or a model would be
        brought up to date once.
        """
        days: set[date] = set()
        for source in self.settings.sources:
            repo = repository(self.folder / source.path)
            if repo is not None:
                days |= {moment.date() for moment in change_times(repo)}
        if not days or (max(days) - min(days)).days < YEAR_DAYS:
            return None
        return (len(days) - 1) / ((max(days) - min(days)).days / YEAR_DAYS)


class Refresh:
    """An edited passage in a generation of its own, beside those that answer."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        newest = toolbox.library.newest()
        self._generation = (newest.number if newest else 0) + 1

    def put(self, passage: Passage) -> None:
        """Embed and index the passage."""
        vectors = self._toolbox.encoder.encode([passage.search_text])
        self._toolbox.store.stage(self._generation, Staged(passages=[passage], vectors=vectors), [])

    def finds(self, question: str, scope: Scope) -> list[str]:
        """Ids of the best passages for a question in that generation."""
        search = Retriever(self._toolbox.store, self._toolbox.encoder, self._generation)
        return [hit.passage.id for hit in search.fused(question, scope, 5, 0.5)]

    def undo(self) -> None:
        """Drop that generation."""
        self._toolbox.store.discard(self._generation)


__all__ = ["EVERYONE", "Refresh", "Toolbox"]
