"""The verbs of a workspace for tuned language models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steelyard.schema.tuning import TuningJob
    from steelyard.workspace.parts import Parts


class TuningVerbs:
    """Jobs at a provider, and adapters for other servers; see `workspace.tuning_control`."""

    if TYPE_CHECKING:

        def _parts(self) -> Parts: ...

    def tuning_jobs(self, *, look: bool = False) -> list[TuningJob]:
        """The fine-tuning jobs that were started at a provider, oldest first; `look` asks it how they are.

        Raises:
            StoppedError, GeneratorError: the provider does not answer.
        """
        from steelyard.workspace.tuning_control import tuning_jobs

        return tuning_jobs(self._parts(), look=look)

    def cancel_tuning(self, job: str) -> TuningJob:
        """End a running job.

        Raises:
            NotFoundError: no such job was started here.
            UserError: it is over.
        """
        from steelyard.workspace.tuning_control import cancel_job

        return cancel_job(self._parts(), job)

    def export_adapter(self, name: str, target: Path, *, merge: bool = False) -> Path:
        """Write the adapter of `COMPONENT/CANDIDATE[@VERSION]` for other servers, or merged with its base.

        Raises:
            NotFoundError: there is no such version.
            UserError: it has no adapter, or `target` holds files.
        """
        from steelyard.workspace.releasing import named_version
        from steelyard.workspace.tuning_control import export_adapter

        parts = self._parts()
        return export_adapter(parts, named_version(parts, name), target, merge=merge)
