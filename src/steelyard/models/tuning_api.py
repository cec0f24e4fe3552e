"""A provider's files-and-jobs API for fine-tuning, through the `openai` client: one method a request, one error a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from importlib import import_module
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from steelyard.models.backing_off import LONGEST_WAIT_S, asked_wait_s, pause_s
from steelyard.models.openai_replies import PASSING, reason, refusal, told
from steelyard.schema.errors import GeneratorError, MissingExtraError, SteelyardError, StoppedError, UserError

T = TypeVar("T")

RETRIES = 5
TIMEOUT_S = 120.0
"""Longest wait for one request: a training file is megabytes."""

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
LISTED_JOBS = 200
"""Newest jobs that are looked through for one that was started and not noted."""

END_KEYS = ("shutdown_date", "end_of_life", "deprecation_date", "retirement_date", "shutdown_at")
"""Names under which providers say when a model is switched off."""

METADATA = "steelyard"


class TuningApi:
    """The requests of fine-tuning. Passing failures are tried again; starting a job is not, where nobody knows if it was started.

    Raises (every method):
        StoppedError: no key, a refused key, no credit, nobody answers.
        GeneratorError: it failed after all retries.
        UserError: the provider refuses what was asked.
    """

    def __init__(self, base_url: str, model: str, key_env: str | None) -> None:
        self.base_url, self.model, self._key_env = base_url.rstrip("/"), model, key_env
        self.place = urlsplit(base_url).netloc
        self._opened: Any = None

    def upload(self, name: str, content: bytes) -> str:
        """Send a file of rows; its id."""
        found = self._tried(lambda client: client.files.create(file=(name, content), purpose="fine-tune"))
        return str(found.id)

    def create(self, training: str, validation: str | None, key: str, epochs: int, seed: int) -> Mapping[str, Any]:
        """Start a job under `key`; one that was started although the answer was lost is found and returned."""
        more = {} if validation is None else {"validation_file": validation}
        form = {
            "model": self.model,
            "training_file": training,
            "suffix": f"steelyard-{key[:8]}",
            "seed": seed,
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}},
            "metadata": {METADATA: key},
            **more,
        }
        attempt = 0
        while True:
            try:
                return _plain(self._client.with_options(max_retries=0).fine_tuning.jobs.create(**form))
            except Exception as error:
                wait = self._wait(error, attempt)
                attempt += 1
                sleep(wait)
                # Only a refusal for the rate says that nothing was started.
                if getattr(error, "status_code", None) != 429 and (lost := self.find(key, training)) is not None:
                    return lost

    def find(self, key: str, training: str | None = None) -> Mapping[str, Any] | None:
        """The newest job that was started under `key` (or with that training file) and did not end in vain; None without."""

        def look(client: Any) -> Mapping[str, Any] | None:
            for at, one in enumerate(client.fine_tuning.jobs.list(limit=50)):
                if at >= LISTED_JOBS:
                    return None
                job = _plain(one)
                ours = (job.get("metadata") or {}).get(METADATA) == key
                ours = ours or (training is not None and job.get("training_file") == training)
                if ours and job.get("status") not in ("failed", "cancelled"):
                    return job
            return None

        return self._tried(look)

    def job(self, name: str) -> Mapping[str, Any]:
        """A job as it is now."""
        return self._tried(lambda client: _plain(client.fine_tuning.jobs.retrieve(name)))

    def cancel(self, name: str) -> Mapping[str, Any]:
        """End a job; what it did until then may be billed."""
        return self._tried(lambda client: _plain(client.fine_tuning.jobs.cancel(name)))

    def messages(self, name: str) -> list[str]:
        """What the provider says about a job, newest first: why it failed, which rows it refused."""
        found = self._tried(lambda client: client.fine_tuning.jobs.list_events(name, limit=50))
        return [str(_plain(one).get("message", "")) for one in found.data]

    def ends(self, model: str) -> date | None:
        """The day a model is switched off, where the provider says one."""
        found = self._tried(lambda client: _plain(client.models.retrieve(model)))
        return next((day for key in END_KEYS if (day := _day(found.get(key))) is not None), None)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self) -> Any:
        try:
            import openai

            http: Any = import_module(openai.DefaultHttpxClient.__base__.__module__.partition(".")[0])
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"hosted tuning needs the library '{error.name}', which is not installed.",
                remedy="Install it with: pip install 'steelyard[generate]'.",
                code="models.missing_extra",
            ) from error
        key = os.environ.get(self._key_env, "").strip() if self._key_env else "none"
        if not key:
            raise StoppedError(
                f"the environment variable {self._key_env} is not set; it should hold the provider's key.",
                where="[models.tuning]",
                remedy=f"Set {self._key_env}, then run the command again.",
                code="generator.no_key",
            )
        local = urlsplit(self.base_url).hostname in LOCAL_HOSTS
        client = http.Client(timeout=TIMEOUT_S, trust_env=not local, follow_redirects=False)
        return openai.OpenAI(api_key=key, base_url=self.base_url, max_retries=0, timeout=TIMEOUT_S, http_client=client)

    def _tried(self, ask: Callable[[Any], T]) -> T:
        client, attempt = self._client, 0
        while True:
            try:
                return ask(client)
            except Exception as error:
                sleep(self._wait(error, attempt))
                attempt += 1

    def _wait(self, error: Exception, attempt: int) -> float:
        """Seconds until the next try; raises what the failure stands for where there is none."""
        import openai

        if isinstance(error, openai.APIStatusError):
            if error.status_code not in PASSING or attempt >= RETRIES:
                raise self._refused(error) from None
            asked = asked_wait_s(error.response.headers)
            if asked is not None and asked > LONGEST_WAIT_S:
                raise self._refused(error) from None
            return pause_s(attempt) if asked is None else asked
        if isinstance(error, openai.APIConnectionError):
            if attempt >= RETRIES:
                raise StoppedError(
                    "nobody answers there.",
                    where=self.place,
                    remedy="Check base_url and the network, then run the command again: a job that runs is taken up.",
                    code="generator.unreachable",
                ) from None
            return pause_s(attempt)
        if isinstance(error, openai.OpenAIError):
            raise GeneratorError(
                f"the answer makes no sense: {type(error).__name__}.",
                where=self.place,
                remedy="Check that the provider has the fine-tuning API.",
                code="generator.malformed",
            ) from None
        raise error

    def _refused(self, error: Any) -> SteelyardError:
        try:
            body: Any = error.response.json()
        except ValueError:
            body = error.response.text
        words = told(body)
        if error.status_code in (400, 409, 422):
            return UserError(
                f"the provider refuses: {words}",
                where=self.place,
                remedy="Check model and epochs under [models.tuning]; not every model can be tuned.",
                code="tuning.refused",
            )
        return refusal(
            error.status_code,
            words,
            reason(body),
            model=self.model,
            place=self.place,
            served=(),
            key_env=self._key_env,
        )


def _plain(record: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record.model_dump(mode="json", warnings=False)
    return found


def _day(value: Any) -> date | None:
    """A day from what providers write: an ISO date or time, or seconds since 1970."""
    try:
        if isinstance(value, int | float) and value > 0:
            return datetime.fromtimestamp(value, UTC).date()
        return date.fromisoformat(str(value)[:10]) if value else None
    except (ValueError, OverflowError, OSError):
        return None
