"""What a workspace does to its corpus once it is there: generations, access, erasure, quality."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.schema.progress import Report, silent

if TYPE_CHECKING:
    from steelyard.schema.quality import GenerationQuality
    from steelyard.schema.upkeep import CompactReport, DoctorReport, EraseReport, GenerationState
    from steelyard.workspace.granting import Granting
    from steelyard.workspace.parts import Parts


class CorpusVerbs:
    """The verbs of corpus upkeep; part of `Workspace`."""

    def generations(self) -> list[GenerationState]:
        """The kept generations of the corpus, oldest first."""
        from steelyard.workspace.upkeep import generations

        return generations(self._parts())

    def use_generation(self, number: int) -> GenerationState:
        """Let a kept generation of the corpus answer from now on, under the access rules of now.

        Raises:
            NotFoundError: there is no such generation, or it is no longer kept.
            UserError: it was embedded with another encoder.
        """
        from steelyard.workspace.upkeep import use_generation

        return use_generation(self._parts(), number)

    def compact(self, report: Report = silent, *, dry_run: bool = False) -> CompactReport:
        """Give up the generations that the settings do not keep, and remove what only they held.

        Raises:
            NotFoundError: nothing is ingested yet.
            UserError: an ingest is running.
        """
        from steelyard.workspace.upkeep import compact_corpus

        return compact_corpus(self._parts(), report, dry_run=dry_run)

    def erase(
        self, names: Sequence[str], *, why: str = "", dry_run: bool = False, report: Report = silent
    ) -> EraseReport:
        """Erase documents (by name, pattern or content hash) from everything below the state folder; they do not come back.

        Raises:
            NotFoundError: a name fits no document.
            UserError: an ingest is running.
        """
        from steelyard.workspace.erasing import erase

        return erase(self._parts(), names, why, report, dry_run=dry_run)

    def access(self) -> Granting:
        """Who may see which document: to show, to explain, and to change by an operator's word.

        Raises:
            UserError: nothing was ingested yet.
        """
        from steelyard.workspace.granting import Granting

        return Granting(self._parts())

    def doctor(self, report: Report = silent, *, repair: bool = False) -> DoctorReport:
        """Check everything below the state folder against its sources; with `repair` make again what can be made.

        Raises:
            UserError: `repair` while an ingest is running.
        """
        from steelyard.workspace.doctoring import examine

        return examine(self._parts(), report, repair=repair)

    def lift_erasure(self, names: Sequence[str], *, why: str = "") -> list[str]:
        """Let erased documents be taken in again by the next ingest; what was lifted.

        Raises:
            NotFoundError: nothing of such a name was erased.
        """
        from steelyard.workspace.erasing import lift_erasure

        return lift_erasure(self._parts(), names, why)

    def quality(self, *, last: int = 12, report: Report = silent) -> list[GenerationQuality]:
        """Retrieval quality of the last generations on the gold questions, measured where it was not yet, and kept.

        Raises:
            UserError: nothing is ingested, or no answer component has questions.
            DataError: a file of questions has errors.
        """
        from steelyard.workspace.quality import measure_quality

        return measure_quality(self._parts(), last, report)

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""
