"""Fits candidates and registers what comes out; unchanged inputs are not fitted again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Candidate, Tools
from steelyard.dataset.history import DatasetHistory
from steelyard.economics.energy import measured_effort, usd_of
from steelyard.evaluation.run import now, run_items
from steelyard.evaluation.scoring import FIGURES, Truth, primary_metric, score
from steelyard.evaluation.serving_form import UnderName, compare_forms
from steelyard.models.metered_generator import spending_on
from steelyard.registry.artefacts import artefact_hash, file_hashes, verify_artefact
from steelyard.registry.ledger import Ledger
from steelyard.registry.versions import Registry
from steelyard.schema.errors import MissingExtraError, ModelError, NotFoundError, nearest
from steelyard.schema.items import Item, Split, Task
from steelyard.schema.ledger import Effort, LedgerEntry
from steelyard.schema.progress import Report
from steelyard.schema.releases import Parity
from steelyard.schema.runs import VersionRecord
from steelyard.workspace.examples import Examples
from steelyard.workspace.fingerprint import code_fingerprint, code_version, fingerprint
from steelyard.workspace.keeping import keep
from steelyard.workspace.one_thread import one_blas_thread
from steelyard.workspace.saving import save_whole
from steelyard.workspace.toolbox import Toolbox
from steelyard.workspace.tuning import require_unpaid, tuned_with
from steelyard.workspace.unchanged import Stamps

VALIDATION_ITEMS = 300
"""Rows a fresh version is scored on for the registry, all of which it has seen; enough to tell a broken fit, and quick."""

PARITY_ITEMS = 100
"""Validation rows on which a fit is compared with what was saved of it; one that differs is seen, and no candidate waits long."""

PAID_PARITY_ITEMS = 3
"""The same for a candidate whose every prediction may cost a call: its saved form is a few numbers, so a slip shows at once."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What one `train` did: the versions now newest, and those that were already there from the same inputs."""

    versions: tuple[VersionRecord, ...]
    skipped: tuple[VersionRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """The result with the keys of `train --json`."""
        return {
            "versions": [one.to_json() for one in self.versions],
            "skipped": [one.to_json() for one in self.skipped],
        }


class Training:
    """Candidates of a workspace: which there are, fitting them, loading them."""

    def __init__(self, examples: Examples, toolbox: Toolbox, registry: Registry) -> None:
        self._examples = examples
        self._toolbox = toolbox
        self._registry = registry
        self._stamps = Stamps(examples, toolbox)
        self._ledger = Ledger(toolbox.state.registry)

    def names(self, component: str) -> list[str]:
        """The candidates of a component that are built unless others are asked for, in the table's order.

        Those that are built on request join where the settings name them; those that tune the encoder, where `tune_encoder` says so.

        Raises:
            NotFoundError: the settings name a candidate that its task does not have; the nearest is named.
        """
        settings, able = self._examples.component(component), self._able(component)
        for name in settings.candidates:
            if name not in able:
                raise self._unknown(component, name, able)
        if settings.candidates:
            return [name for name in able if name in settings.candidates]
        tunes = self._toolbox.settings.models.tune_encoder
        parts = {name: CANDIDATES.part(name) for name in able}
        return [name for name, part in parts.items() if not part.on_request or (tunes and part.tunes_encoder)]

    def check_candidate(self, component: str, candidate: str) -> None:
        """Nothing, when the component has such a candidate.

        Raises:
            NotFoundError: it has none; the nearest of its own is named.
        """
        able = self.names(component)
        # What is built on request is left out for its time alone: whoever names it, asks for it.
        asked = candidate in self._able(component) and CANDIDATES.part(candidate).on_request
        if candidate not in able and not asked:
            raise self._unknown(component, candidate, able)

    def _able(self, component: str) -> list[str]:
        task = self._examples.component(component).task
        return [name for name, part in CANDIDATES if part.task == task and not self._toolbox.lacks(part)]

    def _unknown(self, component: str, candidate: str, able: Sequence[str]) -> NotFoundError:
        near = nearest(candidate, able)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(able)}."
        message, code = f"component '{component}' has no candidate '{candidate}'.", "workspace.unknown_candidate"
        if candidate in CANDIDATES.names() and (lacks := self._toolbox.lacks(CANDIDATES.part(candidate))) is not None:
            message, hint = f"'{candidate}' cannot be built here.", f"It needs {lacks}."
        return NotFoundError(message, remedy=hint, code=code)

    def train(
        self, component: str, candidate: str, report: Report, budget_s: float | None = None
    ) -> tuple[VersionRecord, bool]:
        """The newest version of a candidate from today's inputs, and whether it had to be fitted.

        `budget_s` is how long it may train weights; None: as the settings say, and a version that had a budget of its own counts.

        Raises:
            DataError, UserError: the component's rows cannot be used.
        """
        own_budget = budget_s is not None and CANDIDATES.part(candidate).trains
        same = None if own_budget else self._unchanged(component, candidate)
        if same is not None:
            return same, False
        split = self._examples.split(component)
        inputs = self.inputs(component, candidate, split)
        if own_budget:
            inputs = f"{budget_s:g}s-{inputs}"
        known = self._newest(component, candidate, inputs)
        if known is not None and self._is_whole(known):
            self._stamps.remember(component, candidate, known.version)
            return known, False
        folder = self._toolbox.state.model(component, candidate, inputs)
        work = folder.with_name(folder.name + ".work")
        own = self._toolbox.settings.models.tuning_s if budget_s is None else budget_s
        tools = self._tools(component, candidate, cached=True, report=report, stage=f"fit {component}/{candidate}")
        tools = replace(tools, work=work, budget_s=own)
        # What a version learned from can be shown as long as the version is there.
        keep(self._examples, DatasetHistory(self._toolbox.state.datasets), component)
        economics = self._toolbox.settings.economics
        purpose = f"train {component}/{candidate}"
        paid = self._paid(purpose)
        with measured_effort(economics.cpu_watts) as meter, spending_on(purpose):
            fitted = self._fit(self._make(candidate, tools), split)
        effort = meter.effort
        save_whole(fitted, folder)
        files = file_hashes(folder)
        served = self._make(candidate, tools).load(folder)
        record = VersionRecord(
            component=component,
            candidate=candidate,
            version=0,
            dataset=split.dataset,
            inputs=inputs,
            artefact=artefact_hash(files),
            folder=folder.relative_to(self._toolbox.state.root).as_posix(),
            code_version=code_version(),
            seed=tools.seed,
            seconds=effort.seconds,
            metrics=self._validate(component, served, split, tools),
            created=now(),
            files=files,
            parity=self._parity(fitted, served, split, purpose),
            cost_usd=usd_of(effort, economics.cpu_hour_usd) + self._paid(purpose) - paid,
        )
        added = self._registry.add(record)
        self._stamps.remember(component, candidate, added.version)
        self._book(added, split, effort)
        shutil.rmtree(work, ignore_errors=True)  # checkpoints, of use until here
        return added, True

    def _paid(self, purpose: str) -> float:
        """USD that calls to a generator cost so far for a purpose."""
        return self._toolbox.calls.spent(purpose).usd

    def _book(self, record: VersionRecord, split: Split, effort: Effort) -> None:
        """Write into the ledger what a version took."""
        self._ledger.add(
            LedgerEntry(
                component=record.component,
                candidate=record.candidate,
                version=record.version,
                kind="train",
                rows=len(split.train) + len(split.validation),
                effort=effort,
                usd=record.cost_usd,
                created=record.created,
            )
        )

    def _unchanged(self, component: str, candidate: str) -> VersionRecord | None:
        """The version that was fitted from the files and settings as they are now, without reading a row."""
        version = self._stamps.version(component, candidate)
        if version is None:
            return None
        try:
            record = self._registry.get(component, candidate, version)
        except NotFoundError:
            return None
        return record if self._is_whole(record) else None

    @staticmethod
    def _parity(fitted: Candidate, served: Candidate, split: Split, purpose: str) -> dict[str, Any]:
        """Whether the form that was saved and serves says what the form that was fitted says, on validation rows."""
        rows = split.validation[: PAID_PARITY_ITEMS if _asks(fitted.name) else PARITY_ITEMS]
        names = {"reference_name": "the candidate as fitted", "served_name": "the candidate as loaded"}
        with spending_on(purpose):
            return compare_forms(fitted, served, rows, **names).to_json()

    def _newest(self, component: str, candidate: str, inputs: str) -> VersionRecord | None:
        """The newest version of these inputs; without a budget of their own, those with one count as well."""
        found = [one for one in self._registry.versions(component) if one.candidate == candidate]
        return next((one for one in reversed(found) if one.inputs.endswith(inputs)), None)

    def _is_whole(self, record: VersionRecord) -> bool:
        """Whether a version's files are there and as registered: what was pruned or damaged is fitted again."""
        root = self._toolbox.state.root
        try:
            verify_artefact(root, record)
        except ModelError:
            return False
        return (root / record.folder).is_dir()

    def known(self, component: str, candidate: str, split: Split) -> VersionRecord | None:
        """The version that training on `split` would find instead of fitting."""
        found = self._newest(component, candidate, self.inputs(component, candidate, split))
        return found if found is not None and self._is_whole(found) else None

    def rehearse(self, component: str, candidate: str, split: Split, **stand_ins: Any) -> Candidate:
        """A candidate fitted, saved and loaded, with other tools in the place of its own, by their name in `Tools`; nothing is kept."""
        tools, served = (replace(self._tools(component, candidate, cached=kept), **stand_ins) for kept in (True, False))
        fitted = self._fit(self._make(candidate, tools), split)
        if CANDIDATES.part(candidate).trains:
            return fitted  # what stands in for its tuning made no weights
        with tempfile.TemporaryDirectory() as folder:
            fitted.save(Path(folder))
            return self._make(candidate, served).load(Path(folder))

    def load(self, record: VersionRecord, generation: int | None = None, **stand_ins: Any) -> Candidate:
        """The candidate of a registered version, with the encoder that serves: what is measured is what is served.

        `stand_ins` take the place of its tools, by their name in `Tools`.

        Raises:
            ModelError: a file is missing, or is not what was registered.
        """
        verify_artefact(self._toolbox.state.root, record)
        tools = self._tools(record.component, record.candidate, cached=False, generation=generation)
        tools = replace(tools, **stand_ins)
        return self._make(record.candidate, tools).load(self._toolbox.state.root / record.folder)

    def precision_parity(self, record: VersionRecord, items: Sequence[Item]) -> Parity | None:
        """How a version that is served in int8 agrees with itself on fp32 vectors, row by row; None where it is served in fp32.

        None as well for a candidate with a generator: its prompts would be paid for, and the encoder only ranks what they show.
        The conversion to ONNX has its own gate: an encoder that disagrees with torch is never written.
        """
        served, exact = self._toolbox.encoder, self._toolbox.exact_encoder
        if exact is None or _asks(record.candidate):
            return None
        tools = self._tools(record.component, record.candidate, cached=False)
        search = self._toolbox.search(exact) if tools.search is not None else None
        reference = replace(tools, encoder=UnderName(exact, served.name), search=search)
        return compare_forms(
            self._make(record.candidate, reference).load(self._toolbox.state.root / record.folder),
            self.load(record),
            items,
            reference_name=f"the same version with {exact.name}",
            served_name=f"{record.candidate} with {served.name}",
        )

    def trial(
        self, component: str, candidate: str, train: Sequence[Item], held: Sequence[Item], scored: Sequence[Item]
    ) -> list[float]:
        """The deciding score of each row of `scored` after a fit on other rows; nothing is kept.

        Raises:
            MissingExtraError: the libraries that fit are not installed.
            UserError: each fit would be a paid job at a provider.
        """
        require_unpaid(candidate)
        tools = self._tools(component, candidate, cached=True)
        parts = Split(dataset="", train=tuple(train), validation=tuple(held), holdout=())
        fitted = self._fit(self._make(candidate, tools), parts)
        primary = primary_metric(self._examples.component(component).task, scored)
        truth = Truth(stored_text=self._toolbox.stored_text, out_of_scope_label=tools.out_of_scope_label)
        results = run_items(fitted, scored, lambda item, output: score(item, output, truth), primary=primary)
        return [result.scores.get(primary, 0.0) for result in results]

    def refit(self, component: str, candidate: str, folder: Path, changed: Sequence[Item]) -> None:
        """Fit on `changed` train rows, save to `folder` and load again: what one edited label costs."""
        require_unpaid(candidate)
        split = self._examples.split(component)
        budget_s = self._toolbox.settings.models.tuning_s
        tools = replace(self._tools(component, candidate, cached=True), budget_s=budget_s)
        with one_blas_thread():
            self._make(candidate, tools).fit(changed, split.validation).save(folder)
        self._make(candidate, tools).load(folder)

    def inputs(self, component: str, candidate: str, split: Split) -> str:
        """The hash of everything a fit depends on."""
        needs_documents = CANDIDATES.part(candidate).needs_documents
        rows = [[item.id for item in part] for part in (split.train, split.validation)]
        return fingerprint(
            candidate=candidate,
            dataset=split.dataset,
            rows=rows,
            code=code_fingerprint(),
            encoder=self._toolbox.encoder_settings,
            corpus=self._toolbox.corpus_fingerprint if needs_documents else None,
            seed=self._toolbox.settings.measure.seed,
            label=self._examples.component(component).out_of_scope_label,
            tuning_s=self._toolbox.settings.models.tuning_s if CANDIDATES.part(candidate).trains else None,
            **self._asked_with(component, candidate),
        )

    def _asked_with(self, component: str, candidate: str) -> dict[str, Any]:
        """What else the fit of a candidate with a generator depends on; prompts are part of the code."""
        generator = self._toolbox.generator if _asks(candidate) else None
        tuned = tuned_with(self._toolbox.settings, candidate)
        if generator is None:
            return tuned
        guide, unsupported = self._examples.style_guide(component), self._examples.component(component).unsupported
        return {"generator": generator.name, "guide": guide, "unsupported": unsupported, **tuned}

    def _tools(
        self,
        component: str,
        candidate: str,
        *,
        cached: bool,
        generation: int | None = None,
        report: Report | None = None,
        stage: str = "",
    ) -> Tools:
        encoder = self._toolbox.cached_encoder if cached else self._toolbox.encoder
        needs_documents = CANDIDATES.part(candidate).needs_documents
        tools = Tools(
            encoder=encoder,
            search=self._toolbox.search(encoder, generation) if needs_documents else None,
            seed=self._toolbox.settings.measure.seed,
            out_of_scope_label=self._examples.component(component).out_of_scope_label,
            generator=self._toolbox.generator if _asks(candidate) else None,
            style_guide=self._examples.style_guide(component),
            unsupported=self._examples.component(component).unsupported,
            base_model=self._toolbox.base_model if _asks(candidate) else None,
            tuner=self._toolbox.tuner(component, candidate, self._examples.file_of(component)),
        )
        return tools if report is None else replace(tools, progress=partial(report, stage))

    @staticmethod
    def _fit(candidate: Candidate, split: Split) -> Candidate:
        try:
            with one_blas_thread():
                return candidate.fit(split.train, split.validation)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("steelyard"):
                raise
            raise MissingExtraError(
                f"fitting '{candidate.name}' needs the library '{error.name}', which is not installed.",
                remedy=f"Install it with: pip install 'steelyard[{_extras(candidate.name)}]'.",
                code="workspace.missing_extra",
            ) from error

    @staticmethod
    def _make(candidate: str, tools: Tools) -> Candidate:
        made: Candidate = CANDIDATES.load(candidate)(tools)
        return made

    def _validate(self, component: str, fitted: Candidate, split: Split, tools: Tools) -> dict[str, float]:
        # A final fit has seen these rows too: the figures tell a broken fit, never how good one is. The holdout is not touched here.
        rows = split.validation[:VALIDATION_ITEMS]
        # What one with a generator says of rows that it was calibrated on would be paid for, and show nothing new.
        if not rows or _asks(fitted.name):
            return {}
        task: Task = self._examples.component(component).task
        truth = Truth(stored_text=self._toolbox.stored_text, out_of_scope_label=tools.out_of_scope_label)
        results = run_items(
            fitted, rows, lambda item, output: score(item, output, truth), primary=primary_metric(task, rows)
        )
        names = dict.fromkeys(name for result in results for name in result.scores if name not in FIGURES)
        found = {}
        for name in names:
            values = [result.scores[name] for result in results if name in result.scores]
            found[f"seen_{name}"] = round(sum(values) / len(values), 4)
        return found


def _extras(candidate: str) -> str:
    return ",".join(dict.fromkeys(["train", CANDIDATES.part(candidate).extra or "train"]))


def _asks(candidate: str) -> bool:
    """Whether a candidate asks a generator."""
    return CANDIDATES.part(candidate).needs == "generator"
