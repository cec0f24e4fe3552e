"""Single requests to an OpenAI-compatible server: tried again where that may help, with what the server cannot take left out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from steelyard.config import GeneratorSettings
from steelyard.models.backing_off import LONGEST_WAIT_S, Gate, asked_wait_s, exhausted_wait_s, pause_s
from steelyard.models.openai_replies import PASSING, malformed, reason, refusal, told
from steelyard.schema.errors import GeneratorError, MissingExtraError, SteelyardError, StoppedError

T = TypeVar("T")

CONNECT_S = 10.0
"""A server that does not take a connection for so long is not there."""

LIST_S = 5.0
"""Longest wait for the list of models: `check` and `status` ask for it."""

SLIPS = frozenset({"generator.malformed", "generator.empty", "generator.cut"})

MALFORMED_TRIES = 3
"""Tries of a call whose answer makes no sense: once may be a slip, three times is how the server is."""

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(kw_only=True)
class Quirks:
    """What was learned about a server from its refusals, for all calls that follow."""

    prompted_schema: bool = False
    new_length_key: bool = False
    own_temperature: bool = False
    no_stream_usage: bool = False

    def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request in the form that the server takes."""
        out = dict(request)
        if self.new_length_key and "max_tokens" in out:
            out["max_completion_tokens"] = out.pop("max_tokens")
        if self.own_temperature:
            out.pop("temperature", None)
        if self.no_stream_usage:
            out.pop("stream_options", None)
        if self.prompted_schema:
            out.pop("response_format", None)
        return out

    def learn(self, request: Mapping[str, Any], words: str) -> str | None:
        """What a refusal with `words` teaches, as a note for the trace; None: nothing that helps."""
        words = words.lower()
        if "max_tokens" in request and "max_completion_tokens" in words:
            self.new_length_key = True
            return "the server wants max_completion_tokens"
        if "temperature" in request and "temperature" in words:
            self.own_temperature = True
            return "the server sets the temperature itself"
        if "stream_options" in request and ("stream_options" in words or "include_usage" in words):
            self.no_stream_usage = True
            return "the server counts no tokens of streams"
        if "response_format" in request and any(one in words for one in ("response_format", "json_schema", "schema")):
            self.prompted_schema = True
            return "the server takes no JSON schema; it stands in the prompt"
        return None


class Calls:
    """Requests over one pool of connections, a limited number at a time. Safe for several threads.

    Raises:
        MissingExtraError: the `openai` library is not installed.
    """

    def __init__(
        self, settings: GeneratorSettings, base: str, key: str, gate: Gate, place: str, quirks: Quirks
    ) -> None:
        try:
            import openai

            # The library's own HTTP library, whichever its version came with.
            httpx: Any = import_module(openai.DefaultHttpxClient.__base__.__module__.partition(".")[0])
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"a generator of kind 'openai' needs the library '{error.name}', which is not installed.",
                remedy="Install it with: pip install 'steelyard[generate]'.",
                code="models.missing_extra",
            ) from error
        self._settings, self.gate, self._quirks, self.place = settings, gate, quirks, place
        self._errors, self._broken = openai, (httpx.TransportError, httpx.StreamError)
        local = urlsplit(base).hostname in LOCAL_HOSTS
        limits = httpx.Limits(max_connections=settings.concurrency + 2, max_keepalive_connections=settings.concurrency)
        timeout = httpx.Timeout(settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s), pool=None)
        # A proxy in the environment is for the outside; a redirect could send prompts to another host.
        http = httpx.Client(limits=limits, timeout=timeout, trust_env=not local, follow_redirects=False)
        self._client = openai.OpenAI(api_key=key, base_url=base, max_retries=0, timeout=timeout, http_client=http)
        self._key = key
        # Whoever lets a generator go without closing it leaves no open connection behind.
        self._closing = weakref.finalize(self, self._client.close)

    def close(self) -> None:
        """Close the connections."""
        self._closing()

    def listed(self, *, strict: bool = False) -> list[Mapping[str, Any]]:
        """The rows of the server's list of models; [] where it has none, and where nobody answers unless `strict`.

        Raises:
            StoppedError: `strict`, and the key is refused or nobody answers.
        """
        try:
            raw = self._client.with_options(timeout=LIST_S).models.with_raw_response.list()
            rows = raw.http_response.json()
        except self._errors.APIStatusError as error:
            if strict and error.status_code in (401, 403):
                raise self._refusal(error) from None
            return []
        except (self._errors.OpenAIError, *self._broken) as error:
            if strict:
                raise self._unreachable(error) from None
            return []
        except ValueError:
            return []
        data = rows.get("data") if isinstance(rows, Mapping) else None
        return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []

    def post(
        self, request: Mapping[str, Any], read: Callable[[Any], T], *, embeddings: bool = False
    ) -> tuple[T, tuple[str, ...]]:
        """What `read` makes of the JSON of a chat completion (or of `embeddings`), and notes on the tries it took.

        Raises:
            GeneratorError: it failed for good.
            StoppedError: no call can succeed.
        """

        def once(form: dict[str, Any]) -> T:
            endpoint = self._client.embeddings if embeddings else self._client.chat.completions
            raw = endpoint.with_raw_response.create(**form)
            self._heed(raw.headers)
            try:
                body = raw.http_response.json()
            except ValueError:
                raise malformed(f"it is not JSON: {told(raw.http_response.text)!r}", self.place) from None
            return read(body)

        return self.tried(request, once, gate=self.gate)

    def tried(
        self, request: Mapping[str, Any], once: Callable[[dict[str, Any]], T], *, gate: AbstractContextManager[None]
    ) -> tuple[T, tuple[str, ...]]:
        """The result of `once` on the request in the server's form, inside `gate`, tried again as the settings say.

        `once` may raise what the libraries raise.

        Raises:
            GeneratorError: it failed for good.
            StoppedError: no call can succeed.
        """
        notes: list[str] = []
        attempt = slips = 0
        while True:
            form = self._quirks.apply(request)
            try:
                with gate:
                    return once(form), tuple(notes)
            except self._errors.APIStatusError as error:
                wait = self._after_refusal(error, form, attempt, notes)
            except (self._errors.OpenAIError, *self._broken) as error:
                if attempt >= self._settings.retries:
                    raise self._unreachable(error) from None
                wait = pause_s(attempt)
                notes.append(f"tried again: {_kind(error)}")
            except GeneratorError as error:
                slips += 1
                if error.code not in SLIPS or slips >= MALFORMED_TRIES:
                    raise
                wait = pause_s(attempt)
                notes.append(f"tried again: {error.message}")
            if wait is not None:
                attempt += 1
                sleep(wait)

    def _after_refusal(self, error: Any, form: Mapping[str, Any], attempt: int, notes: list[str]) -> float | None:
        """Seconds until the next try; None: at once, in another form."""
        status, body = error.status_code, _body(error)
        if status in (400, 422) and (note := self._quirks.learn(form, told(body))) is not None:
            notes.append(note)
            return None
        final = status not in PASSING or reason(body) == "insufficient_quota" or attempt >= self._settings.retries
        asked = asked_wait_s(error.response.headers)
        if asked is not None and asked > LONGEST_WAIT_S and not final:
            raise StoppedError(
                f"the server asks to wait {asked:.0f} s: {self.hidden(told(body))}",
                where=self.place,
                remedy="Run the command again then: what was answered is kept.",
                code="generator.rate_limited",
            ) from None
        if final:
            raise self._refusal(error) from None
        notes.append(f"tried again: {status}" + (f", after {asked:g} s that the server asked for" if asked else ""))
        if asked is None:
            return pause_s(attempt)
        # The whole key is over its limit, not this call alone.
        self.gate.close_for(asked)
        return asked

    def _refusal(self, error: Any) -> SteelyardError:
        body = _body(error)
        served = [str(one.get("id")) for one in self.listed()] if error.status_code == 404 else []
        return refusal(
            error.status_code,
            self.hidden(told(body)),
            reason(body),
            model=self._settings.model or "",
            place=self.place,
            served=served,
            key_env=self._settings.key_env,
        )

    def hidden(self, text: str) -> str:
        """The text without the key: some servers repeat it in their refusals."""
        return text.replace(self._key, "…") if self._key != "none" else text

    def _unreachable(self, error: Exception) -> SteelyardError:
        if "timed out" in _kind(error):
            return GeneratorError(
                f"no answer within {self._settings.timeout_s:g} s, after all retries.",
                where=self.place,
                remedy="Raise timeout_s under [models.generator], or lower concurrency.",
                code="generator.timeout",
            )
        if "broke off" in _kind(error):
            return GeneratorError(
                "the connection broke off before the answer was there, after all retries.",
                where=self.place,
                remedy="Look at the server's log; run the command again when it works.",
                code="generator.broken_off",
            )
        return StoppedError(
            f"nobody answers there: {_kind(error)}.",
            where=self.place,
            remedy="Start the server, or correct base_url under [models.generator].",
            code="generator.unreachable",
        )

    def _heed(self, headers: Mapping[str, str]) -> None:
        wait = exhausted_wait_s(headers)
        if wait:
            self.gate.close_for(min(wait, LONGEST_WAIT_S))

    @contextmanager
    def open_stream(self, form: Mapping[str, Any]) -> Iterator[Iterator[str]]:
        """The lines of a streamed answer while the block runs; raises what the libraries raise."""
        # Lines, not the library's records: making those takes longer than everything else that a piece costs.
        with self._client.chat.completions.with_streaming_response.create(**form) as raw:
            self._heed(raw.headers)
            yield raw.iter_lines()

    @property
    def breaks(self) -> tuple[type[Exception], ...]:
        """What a stream that breaks off raises."""
        return (self._errors.APIError, *self._broken)


def _body(error: Any) -> Any:
    try:
        return error.response.json()
    except ValueError:
        return error.response.text


def _kind(error: Exception) -> str:
    """What went wrong on the line, without addresses."""
    cause = error.__cause__ or error
    name = type(cause).__name__
    if "Timeout" in name and "Connect" not in name:
        return "it timed out"
    if "Connect" in name:
        return "no connection"
    return "the connection broke off"
