"""What a workspace does about its own operation: watch it, hear what people say of answers, try versions beside production."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from steelyard.schema.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from steelyard.schema.datasets import DatasetVersion
    from steelyard.schema.feedback import Feedback, FeedbackState
    from steelyard.schema.releases import Promotion
    from steelyard.schema.trials import CanaryReport, ShadowReport, Trial, TrialKind
    from steelyard.schema.watching import Watched
    from steelyard.workspace.parts import Parts


class WatchVerbs:
    """The verbs of watching; part of `Workspace`."""

    def watched(self, now: datetime | None = None) -> Watched:
        """Everything that is watched, with the alerts, at `now` (aware; default: the present moment).

        Raises:
            StoreError: a store of the state folder is damaged.
        """
        from steelyard.workspace.watching_over import WatchingOver

        return WatchingOver(self._parts(), self._last_decision(), now).look()

    def feedback(self, state: FeedbackState | None = None) -> list[Feedback]:
        """What people said of answers (in one state), oldest first."""
        return self._parts().feedback.all(state)

    def accept_feedback(
        self,
        number: int,
        *,
        component: str | None = None,
        label: str | None = None,
        answer: str | None = None,
        text: str | None = None,
    ) -> tuple[Feedback, DatasetVersion]:
        """Make a labelled row of what was said, for training only; see `reviewing.accept`.

        Raises:
            NotFoundError: there is no such feedback or component.
            UserError: it was reviewed already, or what a row needs is not known.
            DataError: the component's file has errors.
        """
        from steelyard.workspace.reviewing import accept

        return accept(self._parts(), number, component=component, label=label, answer=answer, text=text)

    def reject_feedback(self, number: int) -> Feedback:
        """Put what was said aside.

        Raises:
            NotFoundError: there is no such feedback.
            UserError: it was reviewed already.
        """
        from steelyard.workspace.reviewing import reject

        return reject(self._parts(), number)

    def start_trial(
        self, kind: TrialKind, targets: Sequence[str], *, share: float, split_by: str = "caller", why: str = ""
    ) -> Trial:
        """Try versions beside production: a canary answers a share, a shadow is only asked the same.

        Raises:
            UserError: a wrong share, nothing new to try, or a trial of this kind runs.
            NotFoundError: no such component, candidate, version or alias.
        """
        from steelyard.workspace.trying import start

        return start(self._parts(), kind, targets, share=share, split_by=split_by, why=why)

    def stop_trial(self, kind: TrialKind, why: str = "") -> Trial:
        """End the trial of a kind; production answers everybody.

        Raises:
            UserError: none runs.
        """
        from steelyard.workspace.trying import stop

        return stop(self._parts(), kind, why)

    def canary(self) -> CanaryReport:
        """The newest canary beside production, judged until now.

        Raises:
            NotFoundError: there was none.
        """
        from steelyard.workspace.trying import canary_report

        return canary_report(self._parts())

    def shadow(self) -> ShadowReport:
        """The newest shadow beside production.

        Raises:
            NotFoundError: there was none.
        """
        from steelyard.workspace.trying import shadow_report

        return shadow_report(self._parts())

    def promote_canary(self, *, why: str = "", report: Report = silent) -> Promotion:
        """Release what the running canary tries, when every gate passes; the canary ends with it, else it goes on.

        Raises:
            UserError: no canary runs.
        """
        from steelyard.workspace.releasing import release
        from steelyard.workspace.trying import promoted, require_running

        parts = self._parts()
        trial = require_running(parts, "canary")
        told = why or f"canary {trial.number} was not worse"
        done = release(parts, trial.names, why=told, force=False, pin_corpus=False, dry_run=False, report=report)
        if done.release is not None and not done.refused:
            promoted(parts, trial, done.release)
        return done

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""

    @abstractmethod
    def _last_decision(self) -> dict[str, Any] | None:
        """What `weigh` wrote last."""
