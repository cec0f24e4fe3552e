"""Fine-tuning at a provider: rows checked here, cost shown and capped, one job for the same data, taken up again after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from time import monotonic, sleep
from typing import Any

from steelyard.config import TuningSettings
from steelyard.models.tuning_api import TuningApi
from steelyard.models.tuning_jobs import TuningJobs
from steelyard.models.tuning_rows import check_rows, refused_rows, tuning_file
from steelyard.schema.errors import GeneratorError, StoppedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair, TuningEstimate, TuningJob

LONGEST_POLL_S = 60.0
POLL_GROWTH = 1.5

LOST = frozenset({"failed", "cancelled"})
"""States of a job that came to nothing: the same rows may have another."""

QUEUE_MINUTES = 5.0
TOKENS_PER_MINUTE = 60_000
"""What providers' jobs were seen to take: some minutes to be checked and queued, then about a thousand trained tokens a second. A guess."""

Count = Callable[[Sequence[Message]], int]


class HostedTuning:
    """Tunes a provider's model on the rows of one component.

    `usd_per_million` None: nobody knows what it costs, and nothing is started. `spend` is told of a finished job once, with its trained
    tokens and USD. `left_usd` is what the month's cap leaves, None without one.
    """

    def __init__(
        self,
        api: TuningApi,
        settings: TuningSettings,
        jobs: TuningJobs,
        *,
        count: Count,
        usd_per_million: float | None,
        spend: Callable[[TuningJob], None],
        left_usd: float | None = None,
        file: str | None = None,
        purpose: str = "",
        private: bool = False,
        ends: date | None = None,
    ) -> None:
        self.api, self._settings, self._jobs = api, settings, jobs
        self._count, self._price, self._spend, self._left_usd = count, usd_per_million, spend, left_usd
        self._file, self._purpose, self._private, self._ends = file, purpose, private, ends

    def estimate(self, train: Sequence[ChatPair]) -> TuningEstimate:
        """What a job on these rows would take; nothing is asked or sent.

        Raises:
            UserError: there is no price for tuning the model.
        """
        tokens = sum(self._tokens(pair) for pair in train)
        trained = tokens * self._settings.epochs
        return TuningEstimate(
            model=self.api.model,
            rows=len(train),
            tokens=tokens,
            epochs=self._settings.epochs,
            trained_tokens=trained,
            usd=trained * self._require_price() / 1e6,
            minutes=QUEUE_MINUTES + trained / TOKENS_PER_MINUTE,
            basis=f"{self._require_price():g} USD per million trained tokens; the minutes are guessed",
        )

    def tune(
        self, train: Sequence[ChatPair], held: Sequence[ChatPair], seed: int, progress: Callable[[int, int], None]
    ) -> TuningJob:
        """The succeeded job of these rows: found, taken up or started now; waits until it is over.

        The same rows, model, epochs and seed never have two jobs, whichever process asks, also after the workspace's state was lost: jobs
        carry their key at the provider. A job that failed or was cancelled is started anew, but for refused rows.

        Raises:
            DataError: rows that the provider would refuse, all of them; or that it refused.
            UserError: it costs more than `cap_usd`, has no price, or `residency` forbids it.
            StoppedError, GeneratorError: the provider does not answer, or the job failed.
        """
        self._require_leave()
        check_rows(train, file=self._file, longest=self._settings.longest_tokens, count=self._tokens)
        files = tuning_file(train), tuning_file(held) if held else None
        key = self._key(files, seed)
        known = self._jobs.get(key)
        if known is not None and known.status == "succeeded" and known.tuned:
            return known
        if known is None or known.job is None or known.status in LOST:
            self._require_cap(train)  # before anybody is asked anything
        with closing(self.api):
            with self._jobs.starting():
                job = self._taken_up(key) or self._started(key, files, train, seed)
            return self._finished(self._awaited(job, progress), train)

    def cancel(self, job: TuningJob) -> TuningJob:
        """End a job at the provider and note it.

        Raises:
            UserError: it is over, or never began.
        """
        if job.job is None or job.is_over:
            raise UserError(
                f"the job is {job.status}: there is nothing to cancel.",
                where=job.job or job.key,
                remedy="List the jobs with: steelyard tuning jobs.",
                code="tuning.not_running",
            )
        with closing(self.api):
            return self._jobs.keep(_seen(job, self.api.cancel(job.job)))

    def look(self, job: TuningJob) -> TuningJob:
        """A job as it is at the provider now, noted."""
        if job.job is None or (job.is_over and job.status != "succeeded"):
            return job
        with closing(self.api):
            now = job if job.is_over else _seen(job, self.api.job(job.job))
            if now.tuned:
                now = replace(now, ends=self._end_of(now.tuned))
        return self._jobs.keep(now)

    def _taken_up(self, key: str) -> TuningJob | None:
        """The job of this key that is not over in vain, from what is kept, else from the provider's list."""
        known = self._jobs.get(key)
        if known is not None and known.job is not None:
            if known.status in LOST:
                return None
            return known
        found = self.api.find(key, None if known is None else known.training_file)
        if found is None:
            return None
        job = known or TuningJob(
            key=key, base=self.api.model, place=self.api.place, created=_now(), purpose=self._purpose
        )
        return self._jobs.keep(_seen(job, found))

    def _started(self, key: str, files: tuple[bytes, bytes | None], train: Sequence[ChatPair], seed: int) -> TuningJob:
        estimate = self._require_cap(train)
        job = TuningJob(
            key=key,
            base=self.api.model,
            place=self.api.place,
            rows=len(train),
            created=_now(),
            purpose=self._purpose,
            estimate=estimate.to_json(),
        )
        name = f"steelyard-{key[:12]}"
        training = self.api.upload(f"{name}-train.jsonl", files[0])
        validation = None if files[1] is None else self.api.upload(f"{name}-validation.jsonl", files[1])
        # Noted before it is started: a crash in between finds the job by its file.
        job = self._jobs.keep(replace(job, training_file=training, validation_file=validation))
        return self._jobs.keep(_seen(job, self.api.create(training, validation, key, self._settings.epochs, seed)))

    def _awaited(self, job: TuningJob, progress: Callable[[int, int], None]) -> TuningJob:
        """The job when it is over; looks less and less often. Progress is the share of the estimated minutes."""
        begun, pause = monotonic(), self._settings.poll_s
        expected = max(1, round(60 * float(job.estimate.get("minutes", QUEUE_MINUTES))))
        while not job.is_over:
            waited = monotonic() - begun
            if waited > self._settings.wait_hours * 3600:
                raise StoppedError(
                    f"the job is still {job.status} after {self._settings.wait_hours:g} h.",
                    where=f"{job.place} {job.job}",
                    remedy="Run the same command again to wait on, or end it with: steelyard tuning cancel JOB.",
                    code="tuning.still_running",
                )
            progress(min(int(waited), expected - 1), expected)
            sleep(pause)
            pause = min(LONGEST_POLL_S, pause * POLL_GROWTH)
            job = self._jobs.keep(_seen(job, self.api.job(str(job.job))))
        progress(expected, expected)
        return job

    def _finished(self, job: TuningJob, train: Sequence[ChatPair]) -> TuningJob:
        if job.status == "succeeded" and job.tuned:
            usd = job.trained_tokens * self._require_price() / 1e6
            new = job.finished is None
            job = self._jobs.keep(replace(job, usd=usd, finished=job.finished or _now(), ends=self._end_of(job.tuned)))
            if new:
                self._spend(job)
            return job
        words = "; ".join(dict.fromkeys(one for one in (job.error, *self.api.messages(str(job.job))) if one))
        refused = refused_rows(train, words, self._file) if job.status == "failed" else None
        if refused is not None:
            raise refused
        raise GeneratorError(
            f"the job was {job.status}." if job.status == "cancelled" else f"the job {job.status}: {words[:500]}",
            where=f"{job.place} {job.job}",
            remedy="Run the same command again to start a new one.",
            code=f"tuning.{job.status}",
        )

    def _end_of(self, tuned: str) -> str | None:
        """The earliest of the days on which the model or its base is switched off, by the provider and by the price table."""
        try:
            days = [self.api.ends(tuned), self.api.ends(self.api.model), self._ends]
        except (GeneratorError, StoppedError, UserError):
            days = [self._ends]  # a date is no reason to lose a model that was paid for
        found = min((day for day in days if day is not None), default=None)
        return None if found is None else found.isoformat()

    def _require_leave(self) -> None:
        if self._private:
            raise UserError(
                "hosted tuning sends labelled rows to a provider, and [requirements] residency forbids that.",
                where="steelyard.toml",
                remedy="Tune a local model (lora-...), or take the requirement out.",
                code="tuning.residency",
            )

    def _require_cap(self, train: Sequence[ChatPair]) -> TuningEstimate:
        estimate = self.estimate(train)
        told = f"{estimate.rows:,} rows, {estimate.trained_tokens:,} trained tokens, about {estimate.usd:.2f} USD"
        if estimate.usd > self._settings.cap_usd:
            raise StoppedError(
                f"tuning {estimate.model} would take {told}; cap_usd is {self._settings.cap_usd:g}. Nothing was sent.",
                where="steelyard.toml [models.tuning]",
                remedy=f"Set cap_usd to {_round_up(estimate.usd)} or more to allow it, and to send these rows to {self.api.place}.",
                code="tuning.beyond_cap",
            )
        if self._left_usd is not None and estimate.usd > self._left_usd:
            raise StoppedError(
                f"tuning {estimate.model} would take {told}; of this month's cap {self._left_usd:.2f} USD are left. Nothing was sent.",
                where="steelyard.toml [models.generator]",
                remedy="Raise cap_usd there, or wait for the next month.",
                code="tuning.beyond_cap",
            )
        return estimate

    def _require_price(self) -> float:
        if self._price is None:
            raise UserError(
                f"nobody knows what tuning '{self.api.model}' costs.",
                where="steelyard.toml [models.tuning]",
                remedy="Write training_usd there: USD per million trained tokens.",
                code="tuning.no_price",
            )
        return self._price

    def _tokens(self, pair: ChatPair) -> int:
        return self._count([*pair.messages, Message(role="assistant", content=pair.completion)])

    def _key(self, files: tuple[bytes, bytes | None], seed: int) -> str:
        parts = [self.api.base_url, self.api.model, self._settings.epochs, seed]
        digest = hashlib.sha256(json.dumps(parts).encode())
        for content in files:
            digest.update(hashlib.sha256(content or b"").digest())
        return digest.hexdigest()[:32]


def _seen(job: TuningJob, record: Mapping[str, Any]) -> TuningJob:
    """The job with what the provider says of it."""
    error = record.get("error") or {}
    return replace(
        job,
        job=str(record["id"]),
        status=str(record.get("status")),
        training_file=record.get("training_file") or job.training_file,
        tuned=record.get("fine_tuned_model") or job.tuned,
        trained_tokens=int(record.get("trained_tokens") or job.trained_tokens),
        error=str(error.get("message") or "") if isinstance(error, Mapping) else str(error),
    )


def _round_up(usd: float) -> str:
    """A cap that surely does: two digits after the point, rounded up."""
    return f"{int(usd * 100 + 1) / 100:.2f}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
