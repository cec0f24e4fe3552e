"""A workspace: one short method per verb."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.config import FILE_NAME, Settings, load_settings
from steelyard.schema.progress import Report, silent
from steelyard.workspace.corpus_verbs import CorpusVerbs
from steelyard.workspace.custody_verbs import CustodyVerbs
from steelyard.workspace.data_verbs import DataVerbs
from steelyard.workspace.paths import State, write_whole
from steelyard.workspace.release_verbs import ReleaseVerbs
from steelyard.workspace.tuning_verbs import TuningVerbs
from steelyard.workspace.watch_verbs import WatchVerbs

if TYPE_CHECKING:
    from threading import Event

    from steelyard.evaluation.language_judge import Agreement
    from steelyard.schema.ageing import Backtest
    from steelyard.schema.corpus import IngestReport
    from steelyard.schema.findings import Finding
    from steelyard.schema.spending import Foresight
    from steelyard.schema.weighing import WeighReport
    from steelyard.workspace.answering import Asked, Routed
    from steelyard.workspace.backtesting import BacktestPlan
    from steelyard.workspace.following import Followed
    from steelyard.workspace.moving import MovableDecision
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.probing import Derived
    from steelyard.workspace.running import Running
    from steelyard.workspace.training import Trained

JSON_FILE = "decision.json"


class Workspace(CorpusVerbs, CustodyVerbs, DataVerbs, ReleaseVerbs, TuningVerbs, WatchVerbs):
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

    def train(self, target: str | None = None, report: Report = silent, *, budget_s: float | None = None) -> Trained:
        """Fit and register candidates: all, those of one component, or one (`COMPONENT/CANDIDATE`).

        `budget_s` is how long each may train weights; None: as the settings say.
        """
        return self._parts().train(target, report, budget_s)

    def foresee_training(
        self, target: str | None = None, report: Report = silent, *, sampling: bool = False
    ) -> Foresight:
        """What `train` would spend on a generator, before anything is spent; `sampling` makes a few calls of it to know better."""
        from steelyard.workspace.foreseeing import foresee_training

        return foresee_training(self._parts(), target, report, sampling=sampling)

    def foresee_weighing(
        self, components: Sequence[str] = (), report: Report = silent, *, sampling: bool = False
    ) -> Foresight:
        """What `weigh` would spend on a generator, training included, before anything is spent; `sampling`: see `foresee_training`."""
        from steelyard.workspace.foreseeing import foresee_weighing

        return foresee_weighing(self._parts(), components, report, sampling=sampling)

    def judge(self, component: str, report: Report = silent) -> Agreement:
        """How a language model's judgement of outputs agrees with that of people; see `judged` under the component.

        Raises:
            NotFoundError: an unknown component.
            UserError: no generator is set, or nobody judged any outputs.
            DataError: a judged row cannot be used.
        """
        from steelyard.workspace.trusting import judge_of

        parts = self._parts()
        report("judge", 0, 1)
        found = judge_of(parts.examples, parts.toolbox, component)[1]
        report("judge", 1, 1)
        return found

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

    def probes(self, histories: Mapping[str, Path], limit: int, file: Path, report: Report = silent) -> Derived:
        """Derive dated questions from the documents' own past and write them to `file` for review.

        Raises:
            UserError: a source keeps no past, nothing was found, or the file holds reviewed rows.
        """
        from steelyard.workspace.probing import write_probes

        return write_probes(self._parts(), histories, limit, file, report)

    def accept_probes(self, file: Path) -> int:
        """Mark every row of a file of probes as reviewed; how many there are.

        Raises:
            UserError, DataError: there is no file, or it is wrong.
        """
        from steelyard.workspace.probing import accept_probes

        return accept_probes(file)

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

    def running(self) -> Running:
        """The release in force, ready to answer many requests side by side; close it when done."""
        from steelyard.workspace.running import Running

        return Running.of(self.settings, self.state)

    def status(self) -> dict[str, Any]:
        """The state of the workspace: corpus, components, the last decision, what is out of date, and what is watched."""
        from steelyard.workspace.checking import workspace_status

        return {**workspace_status(self._parts(), self._last_decision()), "watched": self.watched().to_json()}

    def decision(self) -> MovableDecision:
        """The last decision, which may be taken again under other numbers without measuring anything.

        Raises:
            NotFoundError: nothing was weighed yet, or another version wrote what is there.
        """
        from steelyard.workspace.moving import movable_decision

        return movable_decision(self._parts())

    def last_decision(self) -> dict[str, Any]:
        """What `weigh` wrote last, as in decision.json.

        Raises:
            NotFoundError: nothing was weighed yet.
        """
        from steelyard.schema.errors import NotFoundError

        found = self._last_decision()
        if found is None:
            raise NotFoundError(
                "nothing was decided yet.", remedy="Run `steelyard weigh` first.", code="workspace.no_decision"
            )
        return found

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
