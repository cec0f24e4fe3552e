"""The parts of an open workspace, put together once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from steelyard.config import Settings
from steelyard.registry.feedback import FeedbackLog
from steelyard.registry.ledger import Ledger
from steelyard.registry.operations import Operations
from steelyard.registry.releases import Releases
from steelyard.registry.requests import RequestLog
from steelyard.registry.trials import Trials
from steelyard.registry.versions import Registry
from steelyard.schema.errors import NotFoundError
from steelyard.schema.ledger import LedgerEntry
from steelyard.schema.progress import Report
from steelyard.schema.runs import VersionRecord
from steelyard.schema.trials import Trial
from steelyard.serving.judging import CanaryJudge
from steelyard.workspace.examples import Examples
from steelyard.workspace.paths import State
from steelyard.workspace.toolbox import Toolbox
from steelyard.workspace.training import Trained, Training


class Parts:
    """Examples, toolbox, registry and training of one workspace."""

    def __init__(self, folder: Path, settings: Settings, state: State) -> None:
        self.folder = folder
        self.settings = settings
        self.state = state
        self.examples = Examples(folder, settings)
        self.toolbox = Toolbox(folder, settings, state)
        self.registry = Registry(state.registry)
        self.releases = Releases(self.registry)
        self.requests = RequestLog(state.requests)
        self.operations = Operations(state.operations)
        self.feedback = FeedbackLog(state.feedback)
        self.trials = Trials(state.trials)

    @cached_property
    def training(self) -> Training:
        """Fitting and loading of candidates."""
        return Training(self.examples, self.toolbox, self.registry)

    @cached_property
    def judge(self) -> CanaryJudge:
        """What stops a canary that is worse; a stop is written into the history."""

        def told(trial: Trial, reason: str) -> None:
            with self.registry.database.connect() as connection:
                self.registry.note(connection, "canary.stopped", reason, trial.to_json())

        return CanaryJudge(self.trials, self.operations, self.feedback, self.settings.canary, told)

    def component_for(self, task: str, name: str | None) -> str:
        """The component of a task: the named one, or the only one.

        Raises:
            NotFoundError: there is none, or several and none was named.
        """
        if name is not None:
            found = self.examples.component(name).task
            if found != task:
                raise NotFoundError(
                    f"component '{name}' has task '{found}', not '{task}'.",
                    remedy=self._able(task),
                    code="workspace.which_component",
                )
            return name
        able = [one for one, settings in self.settings.components.items() if settings.task == task]
        if len(able) == 1:
            return able[0]
        count = "are several components" if able else "is no component"
        raise NotFoundError(
            f"there {count} with task '{task}'.", remedy=self._able(task), code="workspace.which_component"
        )

    def _able(self, task: str) -> str:
        able = [one for one, settings in self.settings.components.items() if settings.task == task]
        if able:
            return f"Name one with --component: {', '.join(able)}."
        return f'Add [components.NAME] with task = "{task}" to steelyard.toml.'

    def train(self, target: str | None, report: Report, budget_s: float | None = None) -> Trained:
        """Fit all candidates, those of one component, or one.

        Raises:
            NotFoundError: an unknown component or candidate; the nearest is named.
        """
        made: list[VersionRecord] = []
        known: list[VersionRecord] = []
        pairs = self.targets(target)
        for done, (component, candidate) in enumerate(pairs, start=1):
            record, fitted = self.training.train(component, candidate, report, budget_s)
            (made if fitted else known).append(record)
            report("train", done, len(pairs))
        return Trained(versions=tuple(made), skipped=tuple(known))

    def ledger(self, target: str | None) -> list[LedgerEntry]:
        """What the fits took: all, those of one component, or of one candidate.

        Raises:
            NotFoundError: an unknown component or candidate; the nearest is named.
        """
        ledger = Ledger(self.state.registry)
        if target is None:
            return ledger.entries()
        component, _, candidate = target.partition("/")
        self.targets(target)
        return ledger.entries(component, candidate or None)

    def targets(self, target: str | None) -> list[tuple[str, str]]:
        """Component and candidate of everything that a target names: all, those of one component, or one.

        Raises:
            NotFoundError: an unknown component or candidate; the nearest is named.
        """
        if target is None:
            return [(name, one) for name in self.settings.components for one in self.training.names(name)]
        component, _, candidate = target.partition("/")
        self.examples.component(component)
        if candidate:
            self.training.check_candidate(component, candidate)
            return [(component, candidate)]
        return [(component, one) for one in self.training.names(component)]
