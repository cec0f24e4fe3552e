"""A workspace: one short method per verb."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.config import FILE_NAME, Settings, load_settings
from steelyard.schema.progress import Report, silent
from steelyard.workspace.paths import State, write_whole

if TYPE_CHECKING:
    from threading import Event

    from steelyard.registry.chain import Entry, Verified
    from steelyard.registry.retention import Removable
    from steelyard.schema.ageing import Backtest
    from steelyard.schema.corpus import IngestReport
    from steelyard.schema.findings import Finding
    from steelyard.schema.quality import GenerationQuality
    from steelyard.schema.releases import Promotion, Release, RequestTrace
    from steelyard.schema.runs import VersionRecord
    from steelyard.schema.upkeep import CompactReport, EraseReport, GenerationState
    from steelyard.schema.weighing import WeighReport
    from steelyard.workspace.answering import Asked, Routed
    from steelyard.workspace.backtesting import BacktestPlan
    from steelyard.workspace.datasets import Datasets
    from steelyard.workspace.following import Followed
    from steelyard.workspace.granting import Granting
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.training import Trained

JSON_FILE = "decision.json"


class Workspace:
    """The folder a user owns: steelyard.toml, sources and examples; what is derived lives in `.steelyard`.

    Opening reads the settings and nothing else.

    Raises:
        ConfigError: there is no steelyard.toml, or it is wrong.
    """

    def __init__(self, folder: Path | str = ".") -> None:
        self.folder = Path(folder)
        self.settings: Settings = load_settings(self.folder)
        self.state = State(self.folder / ".steelyard")

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        docs: Sequence[Path] = (),
        examples: Path | None = None,
        questions: Path | None = None,
        replies: Path | None = None,
        allow: str = "everyone",
        facts: Path | None = None,
    ) -> Workspace:
        """Write a steelyard.toml around existing files, or from a facts file of `decide`, and open it.

        Raises:
            UserError: a named file does not exist, or the folder already has a steelyard.toml.
            FactsError: the facts file is wrong.
        """
        from steelyard.workspace.creating import write_settings

        write_settings(
            folder, docs=docs, examples=examples, questions=questions, replies=replies, allow=allow, facts=facts
        )
        return cls(folder)

    @classmethod
    def demo(cls, folder: Path, report: Report = silent) -> tuple[Workspace, WeighReport]:
        """Lay out the example workspace and run check, ingest, train and weigh on it.

        Raises:
            UserError: the folder is not empty and does not hold the example.
        """
        from steelyard.example.layout import lay_out

        lay_out(folder)
        workspace = cls(folder)
        workspace.check(report)
        workspace.ingest(report)
        workspace.train(None, report)
        return workspace, workspace.weigh(report=report)

    def check(self, report: Report = silent) -> list[Finding]:
        """Every problem of the labelled data and the sources, errors first."""
        from steelyard.workspace.checking import check_workspace

        return check_workspace(self._parts(), report)

    @cached_property
    def datasets(self) -> Datasets:
        """Versions of the labelled data: commit, list, show, compare, describe."""
        from steelyard.workspace.datasets import Datasets

        return Datasets(self._parts())

    def ingest(self, report: Report = silent, *, engine: str = "local") -> IngestReport:
        """Read the sources into the next generation; only what changed is parsed and embedded.

        Once it answers, its retrieval quality on the gold questions is measured and kept.

        Raises:
            UserError: no sources are configured, or one does not exist.
        """
        del engine  # one engine so far; the command accepts the name so that scripts need no change later
        parts = self._parts()
        done = parts.toolbox.ingest(report)
        if done.added or done.updated or done.deleted:
            from steelyard.workspace.quality import keep_quality

            keep_quality(parts, report)
        return done

    def watch(
        self, tell: Callable[[Followed], None], stop: Event, report: Report = silent, *, poll_s: float | None = None
    ) -> None:
        """Follow the sources until `stop` is set: each burst of changes becomes a generation, what fails is told and tried again.

        Raises:
            UserError: no sources are configured.
        """
        from steelyard.workspace.following import follow

        follow(self.folder, tell, stop, report, poll_s=poll_s)

    def train(self, target: str | None = None, report: Report = silent) -> Trained:
        """Fit and register candidates: all, those of one component, or one (`COMPONENT/CANDIDATE`)."""
        return self._parts().train(target, report)

    def weigh(
        self,
        components: Sequence[str] = (),
        *,
        budget_s: float | None = None,
        seed: int | None = None,
        report: Report = silent,
    ) -> WeighReport:
        """Measure, price and decide; writes report.html, decision.md and decision.json (of some components: under their names).

        Raises:
            DataError: a data file has errors.
            NotFoundError: an unknown component.
        """
        from steelyard.decision.report import render_json, render_record, render_report
        from steelyard.workspace.assembling import weigh_workspace

        weighed = weigh_workspace(self._parts(), components, budget_s=budget_s, seed=seed, report=report)
        for kind, text in (
            ("report", render_report(weighed)),
            ("record", render_record(weighed)),
            ("json", render_json(weighed)),
        ):
            write_whole(self.folder / weighed.files[kind], text)
        report("write the report", 3, 3)
        return weighed

    def backtest(self, plan: BacktestPlan | None = None, report: Report = silent) -> Backtest:
        """Replay the documents' own past with the dated questions: how each candidate would have aged, and what it would have cost.

        Raises:
            UserError: there is no past, no dated question, or nothing in the span asked for.
        """
        from steelyard.workspace.backtesting import BacktestPlan as Plan
        from steelyard.workspace.backtesting import run_backtest

        return run_backtest(self._parts(), plan or Plan(), report)

    def ask(
        self,
        question: str,
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        as_of: datetime | None = None,
        generation: int | None = None,
        candidate: str | None = None,
        component: str | None = None,
    ) -> Asked:
        """Answer one question for one asker, with citations, or decline.

        Raises:
            NotFoundError: no such candidate, component or generation.
            UserError: nothing was trained or ingested yet.
        """
        from steelyard.schema.scope import Scope
        from steelyard.workspace.answering import ask

        scope = Scope(user=user, groups=frozenset(groups))
        when = as_of.replace(tzinfo=UTC) if as_of is not None and as_of.tzinfo is None else as_of
        return ask(
            self._parts(), question, scope, as_of=when, generation=generation, candidate=candidate, component=component
        )

    def route(self, text: str, *, candidate: str | None = None, component: str | None = None) -> Routed:
        """Classify one message.

        Raises:
            NotFoundError: no such candidate or component.
            UserError: nothing was trained yet.
        """
        from steelyard.workspace.answering import route

        return route(self._parts(), text, candidate=candidate, component=component)

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
        parts = self._parts()
        trace = parts.requests.get(request)
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

    def status(self) -> dict[str, Any]:
        """The state of the workspace: corpus, components, the last decision, and what is out of date."""
        from steelyard.workspace.checking import workspace_status

        return workspace_status(self._parts(), self._last_decision())

    def _last_decision(self) -> dict[str, Any] | None:
        """What `weigh` wrote last; None when it never did, or somebody wrote something else over it."""
        try:
            last = json.loads((self.folder / JSON_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return last if isinstance(last, dict) and {"created", "components"} <= set(last) else None

    def _parts(self) -> Parts:
        from steelyard.workspace.parts import Parts

        return Parts(self.folder, self.settings, self.state)


__all__ = ["FILE_NAME", "Workspace"]
