"""A generator whose calls are metered once, kept by content, and stopped at a cap: the only kind that candidates get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from steelyard.models.call_ledger import Call, CallLedger, Outcome
from steelyard.models.generation import Generator, Schema
from steelyard.models.metering import record
from steelyard.schema.errors import GeneratorError, SpendCapError
from steelyard.schema.generation import Completion, Message, TokenPrice, TokenUse
from steelyard.schema.outputs import Usage

ENOUGH_CALLS = 20
"""Calls after which prompt lengths are estimated from the tokens that the server counted."""

KEPT_FAILURE = "generator.invalid_json"
"""The one failure that is kept like an answer: it cost what an answer costs, and at the same settings it comes again."""

_Prompt = tuple[bytes, Sequence[Message]]
"""A prompt under its key."""

_purpose: ContextVar[str] = ContextVar("steelyard_generator_purpose", default="")


@contextmanager
def spending_on(purpose: str) -> Iterator[None]:
    """Enter the calls of the block into the ledger under `purpose`, e.g. `weigh answer/rag-generator`."""
    token = _purpose.set(purpose)
    try:
        yield
    finally:
        _purpose.reset(token)


class MeteredGenerator:
    """A generator behind the ledger of its calls.

    A call whose generator, messages and parameters were seen before gives the kept answer: it costs nothing and waits for nothing, and its
    `seconds`, `usd` and tokens are those of the paid call, so that a repeated measurement measures the same. Before each call, and each
    batch of `batch` calls, the month's money is added up; at `cap_usd` the work stops. So the cap is overshot by the calls in flight at
    most, and what they answered is kept. Safe for several threads.
    """

    def __init__(
        self,
        inner: Generator,
        ledger: CallLedger,
        price: TokenPrice,
        *,
        cap_usd: float | None = None,
        batch: int = 8,
        reuse: bool = True,
    ) -> None:
        self.inner = inner
        self.ledger = ledger
        self.price = price
        self.cap_usd = cap_usd
        self.batch = batch
        self._reuse = reuse

    @property
    def name(self) -> str:
        """The inner generator's name: the answers are the same."""
        return self.inner.name

    @property
    def context_tokens(self) -> int:
        """See `Generator.context_tokens`."""
        return self.inner.context_tokens

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> Completion:
        """See `Generator.complete`.

        Raises:
            SpendCapError: the cap is reached.
        """
        key = self._key(messages, max_tokens, temperature, schema)
        kept = self._kept([key]).get(key)
        if kept is not None:
            return _counted(kept)
        asked = {"max_tokens": max_tokens, "temperature": temperature, "schema": schema}
        return _counted(self._pay(key, messages, _purpose.get(), asked))

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """See `Generator.complete_many`; equal prompts are paid once. `progress` gets (answered, all), kept answers included.

        Raises:
            SpendCapError: the cap is reached; what was answered until then is kept, so a later call goes on from there.
        """
        keys = [self._key(one, max_tokens, temperature, schema) for one in prompts]
        found = self._kept(list(dict.fromkeys(keys)))
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in found}
        asked: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "schema": schema}
        pay = self._pay_batches if getattr(self.inner, "answers_in_batches", False) else self._pay_each
        fresh: dict[bytes, Completion] = {}
        for key, answer in pay(list(missing.items()), _purpose.get(), asked):
            fresh[key] = answer
            if progress is not None:
                progress(len(found) + len(fresh), len(found) + len(missing))
        first_use = set(fresh)
        answers = []
        for key in keys:
            answer = found[key] if key in found else fresh[key]
            # The second of two equal prompts reuses what the first one paid for.
            answers.append(_counted(answer if key in first_use or key in found else replace(answer, reused=True)))
            first_use.discard(key)
        return answers

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        """See `Generator.stream`; a kept answer comes in one piece. A stream that is left early is entered as cut, its tokens estimated.

        Raises:
            SpendCapError: the cap is reached.
        """
        key = self._key(messages, max_tokens, temperature, None)
        kept = self._kept([key]).get(key)
        if kept is not None:
            if kept.text:
                yield kept.text
            yield _counted(kept)
            return
        self._check_cap()
        purpose, begin, said = _purpose.get(), perf_counter(), 0
        try:
            for piece in self.inner.stream(messages, max_tokens=max_tokens, temperature=temperature):
                if isinstance(piece, Completion):
                    yield _counted(self._enter(key, messages, purpose, piece))
                    return
                said += len(piece)
                yield piece
        except GeneratorError as error:
            self._enter_failure(key, messages, purpose, error.use, perf_counter() - begin, "cut" if said else "failed")
            raise
        except GeneratorExit:
            used = TokenUse(
                input=self.count_tokens(messages), output=self.inner.count_tokens([_said("x" * said)]) if said else 0
            )
            self._enter_failure(key, messages, purpose, used, perf_counter() - begin, "cut")
            raise

    def known(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0, schema: Schema | None = None
    ) -> Completion | None:
        """The answer that is kept for such a call, None where it would have to be paid."""
        key = self._key(messages, max_tokens, temperature, schema)
        return self._kept([key]).get(key)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact where the inner generator counts; else from the characters, at the rate of the calls so far once there are enough."""
        if not getattr(self.inner, "counts_exactly", False):
            rate = self.ledger.tokens_per_character(self.name, ENOUGH_CALLS)
            if rate is not None:
                return round(rate * _characters(messages))
        return self.inner.count_tokens(messages)

    def _kept(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        return self.ledger.kept(keys) if self._reuse else {}

    def _key(self, messages: Sequence[Message], max_tokens: int, temperature: float, schema: Schema | None) -> bytes:
        content = {
            "generator": self.name,
            "messages": [one.to_json() for one in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "schema": None if schema is None else dict(schema),
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).digest()

    def _check_cap(self) -> None:
        check_cap(self.ledger, self.cap_usd, "steelyard.toml [models.generator] cap_usd")

    def _pay(self, key: bytes, messages: Sequence[Message], purpose: str, asked: Mapping[str, Any]) -> Completion:
        self._check_cap()
        begin = perf_counter()
        try:
            found = self.inner.complete(messages, **asked)
        except GeneratorError as error:
            seconds = perf_counter() - begin
            if error.code == KEPT_FAILURE:
                return self._enter_unusable(key, messages, purpose, error, seconds)
            self._enter_failure(key, messages, purpose, error.use, seconds, "failed")
            raise
        return self._enter(key, messages, purpose, found)

    def _enter_unusable(
        self, key: bytes, messages: Sequence[Message], purpose: str, error: GeneratorError, seconds: float
    ) -> Completion:
        """Enter and keep that there is no usable answer: asking again would be paid again and end alike."""
        use = error.use or TokenUse()
        said = Completion(
            text="",
            use=use,
            seconds=seconds,
            usd=self.price.usd(use),
            finish="length",
            notes=(KEPT_FAILURE, error.message, error.where, error.remedy),
        )
        self.ledger.add(self._call(key, messages, purpose, "", use, seconds, "failed"), said)
        return said

    def _pay_each(
        self, waiting: Sequence[_Prompt], purpose: str, asked: Mapping[str, Any]
    ) -> Iterator[tuple[bytes, Completion]]:
        """The answers one by one, `batch` calls in flight; each is entered as soon as it is there, whatever becomes of the others."""
        with ThreadPoolExecutor(self.batch, "steelyard-generator") as pool:
            try:
                futures = [(key, pool.submit(self._pay, key, prompt, purpose, asked)) for key, prompt in waiting]
                for key, future in futures:
                    yield key, future.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _pay_batches(
        self, waiting: Sequence[_Prompt], purpose: str, asked: Mapping[str, Any]
    ) -> Iterator[tuple[bytes, Completion]]:
        """The answers batch by batch, each batch entered as soon as it is there."""
        for start in range(0, len(waiting), self.batch):
            self._check_cap()
            part = waiting[start : start + self.batch]
            try:
                answers = self.inner.complete_many([prompt for _, prompt in part], **asked)
            except GeneratorError:
                # Which one it was is not said: alone, each has its own answer or error.
                yield from ((key, self._pay(key, prompt, purpose, asked)) for key, prompt in part)
                continue
            for (key, prompt), answer in zip(part, answers, strict=True):
                yield key, self._enter(key, prompt, purpose, answer)

    def _enter(self, key: bytes, messages: Sequence[Message], purpose: str, found: Completion) -> Completion:
        priced = replace(found, usd=self.price.usd(found.use))
        self.ledger.add(
            self._call(key, messages, purpose, priced.model, priced.use, priced.seconds, "answered"), priced
        )
        return priced

    def _enter_failure(
        self,
        key: bytes,
        messages: Sequence[Message],
        purpose: str,
        use: TokenUse | None,
        seconds: float,
        outcome: Outcome,
    ) -> None:
        # A call of which the server told no tokens was not charged, as far as anyone knows.
        self.ledger.add(self._call(key, messages, purpose, "", use or TokenUse(), seconds, outcome), None)

    def _call(
        self,
        key: bytes,
        messages: Sequence[Message],
        purpose: str,
        model: str,
        use: TokenUse,
        seconds: float,
        outcome: Outcome,
    ) -> Call:
        return Call(
            key=key,
            generator=self.name,
            model=model,
            purpose=purpose,
            characters=_characters(messages),
            use=use,
            seconds=seconds,
            usd=self.price.usd(use),
            outcome=outcome,
        )


def check_cap(ledger: CallLedger, cap_usd: float | None, place: str) -> None:
    """Nothing, while the calls of this month cost less than the cap.

    Raises:
        SpendCapError: they do not.
    """
    if cap_usd is None or (spent := ledger.month_usd_lately()) < cap_usd:
        return
    raise SpendCapError(
        f"the calls of {datetime.now(UTC):%B %Y} cost {spent:.2f} USD; the cap is {cap_usd:.2f} USD.",
        where=place,
        remedy="Raise it, or go on next month: what was answered is kept and costs nothing again.",
        code="generator.cap_reached",
    )


def _counted(answer: Completion) -> Completion:
    """The answer, counted in the open meters of this thread; what a kept answer once took counts as if it had been waited for.

    Raises:
        GeneratorError: what is kept is that there was no usable answer.
    """
    if answer.notes[:1] == (KEPT_FAILURE,):
        _, message, where, remedy = answer.notes
        raise GeneratorError(message, where=where, remedy=remedy, code=KEPT_FAILURE, use=answer.use)
    use = answer.use
    usage = Usage(tokens_in=use.input, tokens_cached=use.cached, tokens_out=use.output, seconds=answer.seconds)
    record(usage, waited=not answer.reused)
    return answer


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(one.content) for one in messages)


def _said(text: str) -> Message:
    return Message(role="assistant", content=text)
