"""One `weigh`: every component, then whole systems, then the record of it all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.candidates.system import System
from steelyard.dataset.content import content_key
from steelyard.evaluation.costing import check_prices, updates_per_year
from steelyard.evaluation.run import now
from steelyard.evaluation.systems import CaseResult, compare_systems, parts_of, run_cases, system_result
from steelyard.models.metered_generator import spending_on
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.errors import SpendCapError
from steelyard.schema.items import Item
from steelyard.schema.progress import Report
from steelyard.schema.search import Searched
from steelyard.schema.weighing import ComponentResult, SystemResult, WeighReport
from steelyard.version import __version__
from steelyard.workspace.aged import measured_updates
from steelyard.workspace.fingerprint import fingerprint
from steelyard.workspace.paths import write_whole
from steelyard.workspace.searching import search_configurations
from steelyard.workspace.weighing import Clock, Weighing, evaluation_fingerprint, inputs_of

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

SYSTEMS = ("pure_rag", "pure_fine_tune", "hybrid")
FILES: Mapping[str, str] = {"report": "report.html", "record": "decision.md", "json": "decision.json"}


def weigh_workspace(
    parts: Parts, names: Sequence[str], *, budget_s: float | None, seed: int | None, report: Report
) -> WeighReport:
    """Weigh the named components (all by default), and whole systems when all were weighed.

    Raises:
        DataError: a data file has errors.
        FactsError: traffic or economics are outside what the cost model takes.
        NotFoundError: an unknown component.
        UserError: the settings name no component.
    """
    wanted = _wanted(parts, names)
    check_prices(parts.settings)
    if parts.toolbox.has_documents and not parts.toolbox.generation:
        parts.toolbox.ingest(report)
    chosen_seed = parts.settings.measure.seed if seed is None else seed
    weighing = Weighing(parts.examples, parts.toolbox, parts.registry, parts.training)
    clock = Clock(budget_s)
    components = [_with_curve(parts, weighing.weigh(name, clock, chosen_seed, report)) for name in wanted]
    for component in components:
        if component.decision.candidate is not None:
            record = weighing.versions.get((component.name, component.decision.candidate))
            if record is not None:
                parts.registry.point(component.name, RECOMMENDED, record)
    systems = _Systems(parts, weighing, components, chosen_seed)
    measured, comparisons, note = (
        systems.measure(report) if len(wanted) == len(parts.settings.components) else ((), (), _PARTIAL)
    )
    return WeighReport(
        workspace=parts.settings.workspace.name,
        created=now(),
        inputs=inputs_of(parts.settings, updates_of(parts, wanted), chosen_seed),
        provenance=_provenance(parts, components)
        | {f"judge of {name}": agreement.sentence for name, (_, agreement) in weighing.judges.items()},
        components=tuple(components),
        systems=measured,
        system_comparisons=comparisons,
        systems_note=note,
        skipped=tuple(weighing.skipped + systems.skipped),
        files=files_for(wanted, list(parts.settings.components)),
    )


def files_for(weighed: Sequence[str], components: Sequence[str]) -> dict[str, str]:
    """The names of the three files. A weigh of some components gets its own, so that the record of the whole stays.

    >>> files_for(["intent"], ["intent", "answer"])["report"]
    'report-intent.html'
    """
    if set(weighed) == set(components):
        return dict(FILES)
    suffix = "-".join(weighed)
    return {kind: f"{Path(name).stem}-{suffix}{Path(name).suffix}" for kind, name in FILES.items()}


_PARTIAL = "Whole systems were not measured, because only some components were weighed."


def _with_curve(parts: Parts, component: ComponentResult) -> ComponentResult:
    """The component with its learning curve, where one was measured on the same rows."""
    from steelyard.workspace.curves import Curves

    curve = Curves(parts).known(component.name)
    return replace(component, learning=curve) if curve is not None and curve.dataset == component.dataset else component


class _Systems:
    """Whole systems on the end-to-end cases; results are kept and taken again while nothing they depend on changed."""

    def __init__(self, parts: Parts, weighing: Weighing, components: Sequence[ComponentResult], seed: int) -> None:
        self._parts = parts
        self._weighing = weighing
        self._components = components
        self._seed = seed
        self.skipped: list[str] = []

    def measure(self, report: Report) -> tuple[tuple[SystemResult, ...], tuple[Any, ...], str | None]:
        """The systems that can be put together, their comparisons, and why there are none when there are none."""
        cases = self._parts.examples.cases()
        if not cases:
            return (), (), "Not measured: name a file of end-to-end cases under [system] cases (40 or more)."
        tasks = [one.task for one in self._parts.settings.components.values()]
        if len(set(tasks)) < len(tasks):
            # Which of two routers a message passes first is not written anywhere, so nothing is guessed.
            return (
                (),
                (),
                "Not measured: several components have the same task, and nothing says which one a case needs.",
            )
        results: dict[str, Sequence[CaseResult]] = {}
        made: list[SystemResult] = []
        for done, name in enumerate(SYSTEMS, start=1):
            candidates = parts_of(name, self._components)
            if candidates is not None:
                try:
                    results[name] = self._cases(name, candidates, cases)
                except SpendCapError as error:
                    return tuple(made), (), f"Not all were measured: {error.message} {error.remedy}"
                made.append(system_result(name, candidates, results[name], self._components, seed=self._seed))
            report("measure whole systems", done, len(SYSTEMS))
        note = None if made else "Not measured: no system could be put together from the measured candidates."
        return tuple(made), compare_systems(results, self._seed), note

    def _cases(self, name: str, candidates: Mapping[str, str], cases: Sequence[Item]) -> Sequence[CaseResult]:
        versions = {
            component: self._weighing.versions[(component, candidate)] for component, candidate in candidates.items()
        }
        key = fingerprint(
            versions={component: record.inputs for component, record in versions.items()},
            cases=[(case.id, content_key(case)) for case in cases],
            corpus=self._parts.toolbox.corpus_fingerprint,
            evaluation=evaluation_fingerprint(),
        )[:24]
        path = self._parts.state.runs / f"system-{key}.json"
        if path.is_file():
            self.skipped.append(f"{name.replace('_', ' ')}: run of {len(cases)} cases")
            return [CaseResult(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        by_task = {self._parts.examples.component(component).task: record for component, record in versions.items()}
        loaded = {task: self._parts.training.load(record) for task, record in by_task.items()}
        system = System(router=loaded.get("classify"), answerer=loaded.get("answer"), writer=loaded.get("write"))
        routers = [one for one in self._parts.settings.components.values() if one.task == "classify"]
        outside = {"out_of_scope_label": routers[0].out_of_scope_label} if routers else {}
        toolbox = self._parts.toolbox
        with spending_on(f"weigh {name.replace('_', ' ')} system"):
            rows = run_cases(system, cases, access_of=toolbox.access_of, resolve=toolbox.resolve, **outside)
        write_whole(
            path, json.dumps([{**row.__dict__, "scores": dict(row.scores)} for row in rows], ensure_ascii=False)
        )
        return rows


def _wanted(parts: Parts, names: Sequence[str]) -> list[str]:
    from steelyard.schema.errors import UserError

    if not parts.settings.components:
        raise UserError(
            "there is nothing to weigh: no component is configured.",
            where="steelyard.toml",
            remedy="Add [components.NAME] with a task and its examples; `steelyard init --help` shows how.",
            code="workspace.no_components",
        )
    for name in names:
        parts.examples.component(name)
    return [name for name in parts.settings.components if not names or name in names]


def _search(parts: Parts, names: Sequence[str], budget_s: float | None, report: Report) -> dict[str, Searched | None]:
    """The configuration search of each answer component, where there is a budget for it."""
    answering = [name for name in names if parts.settings.components[name].task == "answer"]
    if budget_s is None or not parts.toolbox.has_documents:
        return {}
    return {name: search_configurations(parts, name, budget_s / len(answering), report) for name in answering}


def updates_of(parts: Parts, names: Sequence[str]) -> dict[str, float]:
    """The changes a year that each of these components must follow."""
    settings = parts.settings
    return {
        name: updates_per_year(
            settings.components[name].task,
            settings.traffic,
            settings.components[name].updates_per_year,
            measured_updates(parts.toolbox, name),
        )
        for name in names
    }


def _provenance(parts: Parts, components: Sequence[ComponentResult]) -> dict[str, str]:
    found = {
        "steelyard": __version__,
        "code": evaluation_fingerprint(),
        "encoder": parts.toolbox.encoder.name,
        "corpus": f"generation {parts.toolbox.generation}" if parts.toolbox.generation else "no documents",
    }
    for component in components:
        found[f"dataset of {component.name}"] = component.dataset[:16]
    return found
