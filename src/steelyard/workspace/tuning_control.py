"""What was tuned for a workspace: jobs at a provider, the days on which models are switched off, adapters for other servers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.candidates import CANDIDATES
from steelyard.economics.prices import ENDS_SOON_DAYS
from steelyard.models.hosted_tuning import HostedTuning
from steelyard.models.tuning_jobs import TuningJobs
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.tuning import TuningJob
from steelyard.workspace.tuning import WorkspaceTuner, tuned_price, tuning_api

if TYPE_CHECKING:
    from steelyard.schema.runs import VersionRecord
    from steelyard.workspace.parts import Parts


def tuning_jobs(parts: Parts, *, look: bool) -> list[TuningJob]:
    """The jobs that the workspace started, oldest first; with `look` as they are at the provider now.

    Raises:
        StoppedError, GeneratorError: the provider does not answer.
    """
    jobs = TuningJobs(parts.state.tuning).all()
    if not look or not jobs:
        return jobs
    tuning = _tuner(parts)
    return [tuning.look(job) for job in jobs]


def cancel_job(parts: Parts, name: str) -> TuningJob:
    """End a running job at the provider.

    Raises:
        NotFoundError: the workspace started no such job.
        UserError: it is over.
    """
    found = next((one for one in TuningJobs(parts.state.tuning).all() if name in (one.job, one.key)), None)
    if found is None:
        raise NotFoundError(
            f"there is no tuning job '{name}'.",
            remedy="List them with: steelyard tuning jobs.",
            code="tuning.unknown_job",
        )
    return _tuner(parts).cancel(found)


def tuned_models(parts: Parts, today: date | None = None) -> list[dict[str, Any]]:
    """Every tuned model at a provider with the day it is switched off, and the days left; `soon` within half a year.

    Nothing is asked: the day is what the provider said when the job was looked at last, or the price table's where that is earlier.
    """
    today = today or datetime.now(UTC).date()
    found = []
    for job in TuningJobs(parts.state.tuning).all():
        if job.status != "succeeded" or job.tuned is None:
            continue
        listed = tuned_price(job.base)
        days = [day for day in (job.ends_on, None if listed is None else listed.end_of_life) if day is not None]
        ends = min(days, default=None)
        left = None if ends is None else (ends - today).days
        found.append(
            {
                "model": job.tuned,
                "base": job.base,
                "component": job.purpose,
                "usd": job.usd,
                "ends": None if ends is None else ends.isoformat(),
                "days_left": left,
                "soon": left is not None and left <= ENDS_SOON_DAYS,
            }
        )
    return found


def export_adapter(parts: Parts, record: VersionRecord, target: Path, *, merge: bool) -> Path:
    """Write a version's adapter into `target` in PEFT's form, or merged into its base as a model of its own.

    Raises:
        UserError: the version has no adapter, or `target` holds files already.
        ModelError: its files are gone or changed, or the settings name another base.
    """
    if CANDIDATES.part(record.candidate).extra != "lora":
        raise UserError(
            f"{record.component}/{record.candidate} has no adapter.",
            remedy="Name a version of a lora-... candidate.",
            code="tuning.no_adapter",
        )
    if target.exists() and any(target.iterdir()):
        raise UserError(
            "the folder is not empty.", where=str(target), remedy="Name another folder.", code="tuning.not_empty"
        )
    base = parts.toolbox.base_model
    if base is None:
        raise UserError(
            "the settings name no local model.",
            where="steelyard.toml",
            remedy='Set [models] generator = { kind = "transformers", path = "..." }.',
            code="candidate.no_base_model",
        )
    from steelyard.models.adapter import export_peft, load_adapter, merge_adapter

    adapter, _ = load_adapter(parts.state.root / record.folder)
    return merge_adapter(base, adapter, target) if merge else export_peft(adapter, base, target)


def _tuner(parts: Parts) -> HostedTuning:
    if tuning_api(parts.settings) is None:
        raise UserError(
            "the settings name no provider for tuning.",
            where="steelyard.toml",
            remedy="Set base_url and model under [models.tuning].",
            code="candidate.no_provider",
        )
    box = parts.toolbox
    return WorkspaceTuner(parts.folder, parts.settings, parts.state, box.calls, box.generator, "", "").hosted()
