"""What a workspace does with its versions: releases, aliases, history, what answered a request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.schema.progress import Report, silent
from steelyard.workspace.paths import State, write_whole

if TYPE_CHECKING:
    from steelyard.registry.chain import Entry, Verified
    from steelyard.registry.retention import Removable
    from steelyard.schema.releases import Promotion, Release, RequestTrace
    from steelyard.schema.runs import VersionRecord
    from steelyard.workspace.parts import Parts


class ReleaseVerbs:
    """The verbs of versions and releases; part of `Workspace`."""

    state: State

    def release(
        self,
        targets: Sequence[str] = (),
        *,
        why: str = "",
        force: bool = False,
        pin_corpus: bool = False,
        dry_run: bool = False,
        report: Report = silent,
    ) -> Promotion:
        """Let versions answer in production when every gate passes: the named ones, by default the recommended ones.

        Raises:
            UserError: nothing to release, or `force` without a reason.
            NotFoundError: no such component, candidate, version or alias.
        """
        from steelyard.workspace.releasing import release

        return release(
            self._parts(), targets, why=why, force=force, pin_corpus=pin_corpus, dry_run=dry_run, report=report
        )

    def rollback(self, to: int | None = None, *, why: str = "") -> tuple[Release, Release]:
        """Let an earlier release answer again; returns it and the one that answered until now.

        Raises:
            UserError: there is none to go back to.
            NotFoundError: there is no release `to`.
        """
        from steelyard.registry.releases import Releases
        from steelyard.registry.versions import Registry

        # Not through the parts: a rollback needs one file, and loads nothing that searches or predicts.
        return Releases(Registry(self.state.registry)).roll_back(to, why)

    def versions(self) -> list[VersionRecord]:
        """Every registered candidate version, oldest first."""
        return self._parts().registry.versions()

    def releases(self) -> list[Release]:
        """Every release, that in force first, then the newest."""
        parts = self._parts()
        now = parts.releases.in_force()
        return sorted(parts.releases.all(), key=lambda one: (now is not None and one.number != now.number, -one.number))

    def aliases(self) -> dict[str, str]:
        """Every alias of a version, as `COMPONENT@ALIAS` to `COMPONENT/CANDIDATE@VERSION`."""
        found = self._parts().registry.aliases()
        return {f"{name}@{alias}": f"{name}/{one}@{version}" for (name, alias), (one, version) in found.items()}

    def alias(self, name: str, target: str, *, why: str = "") -> VersionRecord:
        """Give a version a name of the user's own.

        Raises:
            UserError: the name means something else.
            NotFoundError: no such component, candidate or version.
        """
        from steelyard.workspace.releasing import point_alias

        return point_alias(self._parts(), name, target, why)

    def request(self, request: str) -> tuple[RequestTrace, VersionRecord]:
        """Which version answered a request, by the `trace_id` of its answer.

        Raises:
            NotFoundError: there is no such request.
        """
        from steelyard.workspace.answer_trail import find_request

        parts = self._parts()
        trace = find_request(parts, request)
        return trace, parts.registry.get(trace.component, trace.candidate, trace.version)

    def history(self) -> list[Entry]:
        """Who did what with versions, aliases and releases, oldest first."""
        return self._parts().registry.history()

    def export_history(self, file: Path) -> int:
        """Write the history to `file` as JSON Lines; returns the number of records."""
        lines = list(self._parts().registry.history_lines())
        write_whole(file, "".join(f"{line}\n" for line in lines))
        return len(lines)

    def export_mlflow(self, uri: str, report: Report = silent) -> tuple[int, int]:
        """Copy every version into an MLflow store; returns how many were written and how many were there.

        Raises:
            MissingExtraError: MLflow is not installed.
            StoreError: the store cannot be used.
        """
        from steelyard.workspace.safekeeping import export_to_mlflow

        return export_to_mlflow(self._parts(), uri, report)

    def verify_registry(self, head: str | None = None) -> Verified:
        """Check the history, every table against it, and the files of every version that can still answer."""
        from steelyard.workspace.safekeeping import verify_registry

        return verify_registry(self._parts(), head)

    def prune(self, *, delete: bool = False) -> list[Removable]:
        """Fitted files that no kept release and no alias needs; deleted only when told."""
        from steelyard.workspace.safekeeping import prune

        return prune(self._parts(), delete=delete)

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""
