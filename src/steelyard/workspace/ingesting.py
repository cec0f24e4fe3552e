"""From settings to an ingest: source rules, limits, and progress in the workspace's terms."""

from __future__ import annotations

from pathlib import Path

from steelyard.config import Settings
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.interface import Progress
from steelyard.corpus.kept import Burst, Kept
from steelyard.corpus.library import Library
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.passages import SplitSettings
from steelyard.corpus.sources import SourceRule
from steelyard.models.interface import Encoder
from steelyard.schema.corpus import IngestReport
from steelyard.schema.progress import Report
from steelyard.stores.interface import Store

STAGES = {"read": "read documents", "parse": "parse documents", "embed": "embed passages"}


def parse_limits(workspace: Settings) -> Limits:
    """What one file of this workspace may cost."""
    corpus = workspace.corpus
    return Limits(file_bytes=int(corpus.max_file_mb * 2**20), seconds=corpus.parse_seconds)


def ingest_settings(workspace: Settings) -> IngestSettings:
    """How this workspace's documents are read and cut."""
    corpus = workspace.corpus
    splitting = SplitSettings(size=corpus.passage_chars, overlap=corpus.overlap_chars)
    return IngestSettings(splitting=splitting, limits=parse_limits(workspace))


def source_rules(workspace: Settings) -> list[SourceRule]:
    """The workspace's sources, each with who may see its documents."""
    return [SourceRule(path=one.path, allow=one.allow, deny=one.deny) for one in workspace.sources]


def ingest_sources(
    folder: Path,
    workspace: Settings,
    library: Library,
    store: Store,
    encoder: Encoder,
    report: Report,
    *,
    tidy: bool = True,
    parsers: ParsePool | None = None,
    kept: Kept | None = None,
    burst: Burst | None = None,
) -> IngestReport:
    """The next generation of a workspace's corpus; see `corpus.ingest.ingest`. `tidy` compacts the index when something changed."""
    settings, rules = ingest_settings(workspace), source_rules(workspace)

    def told(progress: Progress) -> None:
        report(STAGES.get(progress.stage, progress.stage), progress.done, progress.total)

    done = ingest(
        rules,
        library,
        store,
        encoder,
        root=folder,
        settings=settings,
        progress=told,
        parsers=parsers,
        kept=kept,
        burst=burst,
    )
    if tidy and (done.added or done.updated or done.deleted):
        store.optimize()
    return done
