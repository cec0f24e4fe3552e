"""The bake-off of a workspace: train, run on the holdout, measure refresh, decide, measure whole systems."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from steelyard.candidates import CANDIDATES
from steelyard.config import ComponentSettings, Settings
from steelyard.dataset.checks import check_split
from steelyard.evaluation.bakeoff import Listed, Unmeasured, decide_component
from steelyard.evaluation.costing import updates_per_year
from steelyard.evaluation.language_judge import JUDGED, Agreement, LanguageJudge
from steelyard.evaluation.refresh import index_refresh_seconds, refit_seconds
from steelyard.evaluation.run import now, peak_mb, run_items
from steelyard.evaluation.scoring import LEAKS, Truth, primary_metric, score
from steelyard.evaluation.unmeasured import count_tokens, unmeasured_candidates
from steelyard.metrics.writing import ReplyFormat
from steelyard.models.metered_generator import spending_on
from steelyard.registry.versions import Registry
from steelyard.schema.errors import CannotBuildError, NotFoundError, SpendCapError
from steelyard.schema.items import Item, Split, Task
from steelyard.schema.progress import Report
from steelyard.schema.runs import RunRecord, VersionRecord
from steelyard.schema.scope import EVERYONE
from steelyard.schema.weighing import ComponentResult
from steelyard.workspace.aged import kept_backtest, measured_updates
from steelyard.workspace.examples import Examples
from steelyard.workspace.fingerprint import PARTS_OF_A_MEASUREMENT, code_fingerprint, fingerprint
from steelyard.workspace.paths import write_whole
from steelyard.workspace.toolbox import Toolbox
from steelyard.workspace.training import Training
from steelyard.workspace.trusting import trusted_judge

LEFT_OUT = "left out by `candidates` under its component; the cost is computed without errors"
NEEDS_WEIGHTS = (
    "needs a local model under [models.generator], whose weights it tunes; the cost is computed without errors"
)
AT_A_PROVIDER = (
    "a provider tunes it for money: name it in `candidates` under its component, and set cap_usd under [models.tuning]"
)
ON_REQUEST = (
    "it trains weights for minutes: name it in `candidates` under its component; the cost is computed without errors"
)


@dataclass
class Clock:
    """The time a bake-off may take; None means as long as it needs."""

    budget_s: float | None
    begun: float = field(default_factory=monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.budget_s is not None and monotonic() - self.begun > self.budget_s

    def tuning_s(self, usual_s: float) -> float | None:
        """How long a fit that tunes weights may take, where less is left than the usual; None: the usual."""
        if self.budget_s is None:
            return None
        left = self.budget_s - (monotonic() - self.begun)
        return None if left >= usual_s else float(max(1, round(left)))


class Weighing:
    """Measures the candidates of each component on its sealed holdout, once per version."""

    def __init__(self, examples: Examples, toolbox: Toolbox, registry: Registry, training: Training) -> None:
        self._examples = examples
        self._toolbox = toolbox
        self._registry = registry
        self._training = training
        self.skipped: list[str] = []
        self.judges: dict[str, tuple[LanguageJudge, Agreement]] = {}
        self.versions: dict[tuple[str, str], VersionRecord] = {}

    def weigh(self, component: str, clock: Clock, seed: int, report: Report) -> ComponentResult:
        """One component: every candidate trained, run and decided.

        Raises:
            DataError: the component's rows cannot be used.
            NotFoundError: nothing could be measured inside the budget.
        """
        split = self._examples.split(component)
        names = self._training.names(component)
        self._judge(component)  # a judge that is refused is refused before anything is built
        runs: list[RunRecord] = []
        late: list[str] = []
        stopped: dict[str, str] = {}
        for done, name in enumerate(names, start=1):
            # The first candidate is always built: a bake-off without any result helps nobody. So is one that tunes and retrieves:
            # published results disagree on that cell, so it is never left open.
            fourth = _is_hybrid(name) and not any(run.approach == "hybrid" for run in runs)
            if clock.is_over and runs and not fourth:
                late.append(name)
                continue
            try:
                runs.append(self._measure(component, name, split, report, clock))
            except (CannotBuildError, SpendCapError) as error:
                # What was answered is kept; what was measured is decided on all the same, and what was not says why.
                stopped[name] = f"{error.message} {error.remedy}"
            report(f"weigh {component}", done, len(names))
        if not runs:
            raise NotFoundError(
                f"component '{component}' has no candidate that can be built here.",
                remedy="Check [components] candidates, and [[sources]] for an answer component.",
                code="workspace.no_candidates",
            )
        listed = {name: listed_candidate(name) for name in names}
        unmeasured = [
            Unmeasured(listed=listed[name], why="the time budget was spent; raise --budget-s") for name in late
        ]
        settings = self._examples.component(component)
        unmeasured += _left_out(component, settings.task, names)
        unmeasured += _on_request(component, settings, names)
        unmeasured += self._with_generator(settings.task, split, names, stopped)
        found = decide_component(
            component,
            settings.task,
            split,
            runs,
            listed,
            self._toolbox.settings,
            updates_per_year=updates_per_year(
                settings.task,
                self._toolbox.settings.traffic,
                settings.updates_per_year,
                measured_updates(self._toolbox, component),
            ),
            unmeasured=unmeasured,
            holdout_uses=self._registry.holdout_uses(component, split.dataset),
            leaks_into_training=sum(finding.code == "dataset.leak" for finding in check_split(split)),
            seed=seed,
        )
        return replace(found, ageing=kept_backtest(self._toolbox, component))

    def _with_generator(
        self, task: Task, split: Split, names: Sequence[str], stopped: Mapping[str, str]
    ) -> list[Unmeasured]:
        """The candidates with a generator that were not measured, with what they would cost and why they were not."""
        passages = self._toolbox.passage_texts() if task == "answer" else []
        counts = count_tokens(split, passages, len(passages), self._toolbox.encoder.count_tokens)
        taken = [name for name in names if name not in stopped]
        found = unmeasured_candidates(task, counts, len(split.train), self._toolbox.settings.economics, taken)
        if self._toolbox.settings.models.generator.kind == "none":
            return found
        local = self._toolbox.base_model is not None
        return [
            replace(one, why=stopped.get(one.listed.name) or _why_not_asked(one.listed.name, local)) for one in found
        ]

    def _measure(self, component: str, name: str, split: Split, report: Report, clock: Clock) -> RunRecord:
        tuning_s = clock.tuning_s(self._toolbox.settings.models.tuning_s)
        record, fitted = self._training.train(component, name, report, tuning_s)
        self.versions[(component, name)] = record
        return self.run_of(record, split, report, fitted=fitted)

    def run_of(self, record: VersionRecord, split: Split, report: Report, *, fitted: bool = False) -> RunRecord:
        """The run of a version on the holdout of `split`: the one that is kept, else measured now and kept.

        Raises:
            ModelError: the version's files are gone or changed.
        """
        component, name = record.component, record.candidate
        key = fingerprint(
            inputs=record.inputs,
            holdout=[item.id for item in split.holdout],
            evaluation=evaluation_fingerprint(),
            truth=self._examples.truth_fingerprint(component),
            judge=None if (judge := self._judge(component)) is None else judge.name,
        )[:24]
        path = self._toolbox.state.runs / f"{key}.json"
        if path.is_file():
            what = "run" if fitted else "fit and run"
            self.skipped.append(f"{component}/{name}: {what} of version {record.version}")
            return RunRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
        run = self._run(key, record, split, report)
        # Counted before it is kept: a crash in between may count one look too many, never one too few.
        self._registry.note_holdout_use(split.dataset, record, len(split.holdout))
        write_whole(path, json.dumps(run.to_json(), ensure_ascii=False, default=str))
        return run

    def _run(self, key: str, record: VersionRecord, split: Split, report: Report) -> RunRecord:
        component = self._examples.component(record.component)
        candidate = self._training.load(record)
        truth = self._truth(record.component, split)
        metric = primary_metric(component.task, split.holdout)
        stage = f"measure {record.component}/{record.candidate}"
        with spending_on(f"weigh {record.component}/{record.candidate}"):
            results = run_items(
                candidate,
                split.holdout,
                lambda item, output: score(item, output, truth),
                primary=metric,
                progress=lambda done, total: report(stage, done, total),
                at_once=self._at_once(record.candidate),
            )
        judge = self._judge(record.component)
        if judge is not None:
            with spending_on(f"judge {record.component}"):
                metric, results = JUDGED, judge.judged(results, split.holdout)
        part = CANDIDATES.part(record.candidate)
        return RunRecord(
            key=key,
            component=record.component,
            task=component.task,
            candidate=record.candidate,
            approach=part.approach,  # type: ignore[arg-type]
            version=record.version,
            metric=metric,
            items=results,
            build_s=record.seconds,
            refresh_s=self._refresh(record, split),
            peak_mb=peak_mb(),
            leaks=int(sum(result.scores.get(LEAKS, 0.0) for result in results)),
            created=now(),
            made_with=getattr(candidate, "made_with", {}),
        )

    def _judge(self, component: str) -> LanguageJudge | None:
        """The language model that decides, where the settings say so.

        Raises:
            UserError: it agrees too little with people.
        """
        if self._examples.component(component).headline != "judge":
            return None
        if component not in self.judges:
            self.judges[component] = trusted_judge(self._examples, self._toolbox, component)
        return self.judges[component][0]

    def _at_once(self, candidate: str) -> int:
        """How many predictions are made at a time: several where each waits for a server."""
        settings = self._toolbox.settings.models.generator
        waits = CANDIDATES.part(candidate).needs == "generator" and settings.kind == "openai"
        return settings.concurrency if waits else 1

    def _refresh(self, record: VersionRecord, split: Split) -> float | None:
        part = CANDIDATES.part(record.candidate)
        if part.needs == "generator" and not part.needs_documents:
            # Fitting again would ask everything again, and pay for it; weights take as long again as they took.
            return record.seconds if part.trains else None
        if part.needs_documents:
            stages = self._toolbox.refresh_stages()
            passage = self._toolbox.any_passage()
            return None if stages is None or passage is None else index_refresh_seconds(stages, passage, EVERYONE)
        edited = _with_one_edit(split.train)
        with tempfile.TemporaryDirectory() as folder:
            return refit_seconds(
                lambda: self._training.refit(record.component, record.candidate, Path(folder) / "refit", edited)
            )

    def _truth(self, component: str, split: Split) -> Truth:
        settings = self._examples.component(component)
        truth = Truth(
            stored_text=self._toolbox.stored_text,
            access_of=self._toolbox.access_of,
            resolve=self._toolbox.resolve,
            out_of_scope_label=settings.out_of_scope_label,
        )
        if settings.task == "answer":
            return replace(truth, dated=self._examples.dated(component), at=datetime.now(UTC))
        if settings.task == "write":
            reply_format = ReplyFormat(settings.format, self._examples.folder) if settings.format else None
            return replace(truth, style=self._style(component, split), reply_format=reply_format)
        return truth

    def _style(self, component: str, split: Split) -> Callable[[str], float] | None:
        from steelyard.metrics.style import StyleDiscriminator

        approved = [item.output for item in split.train if item.output]
        if not approved:
            return None
        # Rewrites of replies outside the train rows are left out: the discriminator must not have seen the holdout.
        trained_on = {item.id for item in split.train}
        neutral = [text for name, text in self._examples.neutral(component) if name in trained_on]
        judge = StyleDiscriminator(self._toolbox.settings.measure.seed).fit(approved, neutral or None)
        return lambda template: judge.score([template])[0]


def listed_candidate(name: str) -> Listed:
    """What the table of candidates says of `name`; a baseline is simpler than a single approach, that than two together."""
    part = CANDIDATES.part(name)
    plain = "baseline" in part.role
    return Listed(
        name=name,
        approach=part.approach,  # type: ignore[arg-type]
        role=part.role,
        baseline=part.baseline,
        simplicity=0 if plain else 2 if part.approach == "hybrid" or part.tunes_encoder else 1,
        tunes_encoder=part.tunes_encoder,
        reads_documents=part.needs_documents,
    )


def _why_not_asked(name: str, local: bool) -> str:
    """Why a candidate with a generator was not measured although there is one; `local`: its weights are here."""
    if CANDIDATES.part(name).hosted:
        return AT_A_PROVIDER
    if CANDIDATES.part(name).trains:
        return ON_REQUEST if local else NEEDS_WEIGHTS
    return LEFT_OUT


def _is_hybrid(name: str) -> bool:
    return CANDIDATES.part(name).approach == "hybrid"


def _left_out(component: str, task: Task, names: Sequence[str]) -> list[Unmeasured]:
    """The embedded hybrids of a task that the settings leave out, when they leave out all: the open cell is said, never hidden."""
    hybrids = [
        name for name, part in CANDIDATES if part.task == task and part.needs != "generator" and _is_hybrid(name)
    ]
    if any(name in names for name in hybrids):
        return []
    why = f"left out by `candidates` under [components.{component}], so no hybrid was measured"
    return [Unmeasured(listed=listed_candidate(name), why=why) for name in hybrids]


def _on_request(component: str, settings: ComponentSettings, names: Sequence[str]) -> list[Unmeasured]:
    """Candidates that nobody asked for: what they would bring is not known, and how to know it is said."""
    if settings.candidates:
        return []
    found = []
    for name, part in CANDIDATES:
        if part.task == settings.task and part.on_request and name not in names and part.needs != "generator":
            setting = "set `tune_encoder = true` under [models], or " if part.tunes_encoder else ""
            what = (
                "it tunes the encoder, which takes minutes" if part.tunes_encoder else "it trains weights for minutes"
            )
            why = f"{what}: {setting}name it in `candidates` under [components.{component}]"
            found.append(Unmeasured(listed=listed_candidate(name), why=why))
    return found


def evaluation_fingerprint() -> str:
    """Hash of the code that scores, so that a changed metric is measured again."""
    return code_fingerprint(*PARTS_OF_A_MEASUREMENT)


def _with_one_edit(train: Sequence[Item]) -> tuple[Item, ...]:
    first = train[0]
    return (replace(first, text=first.text + " (edited)"), *train[1:])


def inputs_of(settings: Settings, updates: Mapping[str, float], seed: int) -> dict[str, Any]:
    """The settings that the report's numbers follow from, flat and named for a reader."""
    wanted = settings.requirements
    names = [name for name in ("citations", "audit", "scoping", "erasure", "residency") if getattr(wanted, name)]
    if wanted.p95_ms is not None:
        names.append(f"p95 at most {wanted.p95_ms:g} ms")
    money = settings.economics
    return {
        "queries_per_month": settings.traffic.queries_per_month,
        "growth_per_month": settings.traffic.growth_per_month,
        **{f"updates_per_year_{name}": round(value, 1) for name, value in updates.items()},
        "horizon_months": money.horizon_months,
        "hour_usd": money.hour_usd,
        "label_usd": money.label_usd,
        "wrong_answer_usd": money.wrong_answer_usd,
        "handoff_usd": money.handoff_usd,
        "cpu_hour_usd": money.cpu_hour_usd,
        "requirements": ", ".join(names) or "none",
        "seed": seed,
    }
