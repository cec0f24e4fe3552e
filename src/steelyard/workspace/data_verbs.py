"""What a workspace does with its labelled data and the fits on it: versions, learning curves, the ledger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.schema.progress import Report, silent
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.schema.curves import LearningCurve
    from steelyard.schema.ledger import LedgerEntry
    from steelyard.schema.retraining import Retraining
    from steelyard.workspace.datasets import Datasets
    from steelyard.workspace.parts import Parts


class DataVerbs:
    """The verbs of labelled data; part of `Workspace`."""

    folder: Path

    @cached_property
    def datasets(self) -> Datasets:
        """Versions of the labelled data: commit, list, show, compare, describe."""
        from steelyard.workspace.datasets import Datasets

        return Datasets(self._parts())

    def curve(self, target: str, labels: Sequence[int] = (), report: Report = silent) -> tuple[LearningCurve, Path]:
        """The learning curve of a component's candidate with forecasts for `labels` more rows, and its picture, written as SVG.

        Raises:
            NotFoundError: an unknown component or candidate.
            DataError, UserError: the rows cannot be used, or are too few.
        """
        from steelyard.decision.learning_chart import learning_chart
        from steelyard.workspace.curves import Curves

        made = Curves(self._parts()).curve(target, labels, report)
        path = self.folder / f"curve-{made.component}-{made.candidate}.svg"
        # The report's page brings its own ground; a picture alone needs one.
        write_whole(path, learning_chart(made).replace('style="', 'style="background:#fff;', 1) + "\n")
        return made, path

    def ledger(self, target: str | None = None) -> list[LedgerEntry]:
        """What every fit took: of all, of one component, or of one of its candidates (`COMPONENT/CANDIDATE`).

        Raises:
            NotFoundError: an unknown component or candidate.
        """
        return self._parts().ledger(target)

    def retraining(self, component: str | None = None, report: Report = silent) -> list[Retraining]:
        """Whether to train again, for one component or for all that were trained, with the reasons.

        Raises:
            NotFoundError: no such component.
            DataError, UserError: the rows cannot be used.
        """
        from steelyard.workspace.retraining import Retrainings

        parts = self._parts()
        if component is not None:
            parts.examples.component(component)
        names = list(parts.settings.components) if component is None else [component]
        found = [Retrainings(parts).decide(name, report) for name in names]
        return [one for one in found if one is not None]

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""
