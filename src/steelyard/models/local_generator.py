"""A language model in a local folder as a generator, through transformers: CPU or CUDA, batched; nothing is downloaded."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from steelyard.config import GeneratorSettings
from steelyard.models.generation import Schema
from steelyard.models.json_answers import complete_valid, with_instructions
from steelyard.schema.errors import GeneratorError, MissingExtraError, ModelError, StoppedError
from steelyard.schema.generation import Completion, Message, TokenUse

if TYPE_CHECKING:
    from steelyard.models.causal_base import CausalBase

HASHED_BYTES = 1 << 30
"""A weight file up to this size is hashed whole; of a larger one SAMPLES blocks are, and its size."""

SAMPLES = 256
BLOCK = 1 << 20

NO_WINDOW = 8192
"""Tokens taken for a model whose configuration names no longest input."""


@dataclass(frozen=True)
class _Loaded:
    """A model in memory, shared with the adapters that are tuned on it, and its tokenizer."""

    base: CausalBase
    tokenizer: Any
    device: str


class LocalGenerator:
    """A causal language model from a folder with `config.json`, a tokenizer and safetensors files.

    The weights are loaded at the first call, from that folder alone. Prompts go through the model's chat template, or as plain lines where
    it has none. Calls of several threads take turns; `complete_many` answers `concurrency` prompts at once, of similar length together.
    In fp32 on a CPU an answer does not depend on the other prompts of its batch; in bf16 on a GPU rounding may change a word.
    """

    answers_in_batches = True
    """One call for a whole batch is faster than several calls."""

    counts_exactly = True
    """`count_tokens` uses the model's own tokenizer."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._folder = Path(settings.path or "")
        self._turn, self._loading = threading.Lock(), threading.Lock()
        self._held: _Loaded | None = None
        self._require_files()

    def _require_files(self) -> None:
        if not (self._folder / "config.json").is_file():
            raise StoppedError(
                "there is no model in that folder (no config.json).",
                where=str(self._folder),
                remedy="Name the folder of a Hugging Face model as path under [models.generator]; nothing is downloaded.",
                code="generator.no_model",
            )
        if not any(self._folder.glob("*.safetensors")):
            raise StoppedError(
                "the model has no safetensors files.",
                where=str(self._folder),
                remedy="Save it again with safe_serialization=True; files that hold code (.bin, .pt) are not loaded.",
                code="generator.no_safetensors",
            )

    @cached_property
    def name(self) -> str:
        """`transformers:FOLDER@HASH`, the hash over configuration, tokenizer, template and weights."""
        return f"transformers:{self._folder.resolve().name}@{_fingerprint(self._folder)[:12]}"

    @property
    def place(self) -> str:
        """The folder, for errors."""
        return str(self._folder)

    @cached_property
    def context_tokens(self) -> int:
        """The settings' number, else the longest input of the model's configuration."""
        import json

        if self._settings.context_tokens:
            return self._settings.context_tokens
        config = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config", config)
        found = config.get("max_position_embeddings") or config.get("n_positions")
        return found if isinstance(found, int) and found > 0 else NO_WINDOW

    @property
    def _loaded(self) -> _Loaded:
        with self._loading:
            if self._held is None:
                self._held = self._load()
            return self._held

    def _load(self) -> _Loaded:
        try:
            import torch
            import transformers  # noqa: F401 - asked for, so that its absence is told here
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"a generator of kind 'transformers' needs the library '{error.name}', which is not installed.",
                remedy="Install it with: pip install 'steelyard[train]'.",
                code="models.missing_extra",
            ) from error
        device = self._settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise StoppedError(
                "there is no CUDA device here.",
                where="steelyard.toml [models.generator] device",
                remedy='Write device = "auto".',
                code="generator.no_device",
            )
        from steelyard.models.causal_base import shared_base
        from steelyard.models.causal_files import base_key, read_tokenizer

        try:
            base = shared_base(self._folder, base_key(self._folder), device)
            # Its own: how it pads is set here.
            tokenizer = read_tokenizer(self._folder)
        except (ModelError, KeyError) as error:
            told = error.message if isinstance(error, ModelError) else str(error)
            raise StoppedError(
                f"the model cannot be loaded: {' '.join(told.split())[:300]}",
                where=self.place,
                remedy="Check that the folder holds a causal language model with its tokenizer.",
                code="generator.bad_model",
            ) from error
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return _Loaded(base, tokenizer, device)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> Completion:
        """See `Generator.complete`. The tokens of the prompt all count as `input`."""
        return self.complete_many([messages], max_tokens=max_tokens, temperature=temperature, schema=schema)[0]

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> list[Completion]:
        """See `Generator.complete_many`. The seconds of a batch are shared out evenly among its answers."""
        if schema is None:
            return self._answers(prompts, max_tokens, temperature)
        # All first tries in batches; only what is not valid is asked again, alone.
        told = [with_instructions(one, schema) for one in prompts]
        first = self._answers(told, max_tokens, temperature)

        def valid(prompt: Sequence[Message], tried: Completion) -> Completion:
            ready = [tried]

            def ask(messages: Sequence[Message]) -> Completion:
                return ready.pop() if ready else self._answers([messages], max_tokens, temperature)[0]

            return complete_valid(ask, prompt, schema, self.place)

        return [valid(prompt, tried) for prompt, tried in zip(told, first, strict=True)]

    def _answers(self, prompts: Sequence[Sequence[Message]], max_tokens: int, temperature: float) -> list[Completion]:
        with self._turn:
            rows = [self._tokens(one) for one in prompts]
            for row in rows:
                self._require_room(len(row), max_tokens)
            order = sorted(range(len(rows)), key=lambda one: (-len(rows[one]), one))
            found: dict[int, Completion] = {}
            for start in range(0, len(order), self._settings.concurrency):
                part = order[start : start + self._settings.concurrency]
                answers = self._batch([rows[one] for one in part], max_tokens, temperature)
                found.update(zip(part, answers, strict=True))
        return [found[one] for one in range(len(rows))]

    def _batch(self, rows: Sequence[Sequence[int]], max_tokens: int, temperature: float) -> list[Completion]:
        import torch

        loaded, begin = self._loaded, perf_counter()
        batch = loaded.tokenizer.pad({"input_ids": [list(row) for row in rows]}, return_tensors="pt").to(loaded.device)
        with torch.inference_mode(), loaded.base.bare() as model:
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                **self._decoding(max_tokens, temperature),
            )
        width = batch["input_ids"].shape[1]
        seconds = (perf_counter() - begin) / len(rows)
        return [
            self._completion(len(row), answer[width:].tolist(), seconds) for row, answer in zip(rows, out, strict=True)
        ]

    def _decoding(self, max_tokens: int, temperature: float) -> dict[str, Any]:
        tokenizer = self._loaded.tokenizer
        fixed = {"max_new_tokens": max_tokens, "pad_token_id": tokenizer.pad_token_id}
        if temperature > 0:
            return {**fixed, "do_sample": True, "temperature": temperature}
        # Sampling settings in the model's own files would be warned about.
        return {**fixed, "do_sample": False, "temperature": None, "top_p": None, "top_k": None}

    def _completion(self, prompt: int, answer: Sequence[int], seconds: float) -> Completion:
        ends = self._ends()
        stop = next((place for place, token in enumerate(answer) if token in ends), None)
        said = answer if stop is None else answer[:stop]
        text = self._loaded.tokenizer.decode(said, skip_special_tokens=True)
        return Completion(
            text=text,
            # The token that ends an answer is generated like the others.
            use=TokenUse(input=prompt, output=len(said) + (stop is not None)),
            seconds=seconds,
            model=self.name,
            finish="length" if stop is None else "stop",
        )

    def _ends(self) -> set[int]:
        ends = self._loaded.base.generation_config.eos_token_id
        own = {self._loaded.tokenizer.eos_token_id}
        return own | (set(ends) if isinstance(ends, list) else {ends})

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        """See `Generator.stream`. A reader that leaves early ends the generation."""
        import torch
        import transformers

        with self._turn:
            row, loaded, begin = self._tokens(messages), self._loaded, perf_counter()
            self._require_room(len(row), max_tokens)
            pieces = transformers.TextIteratorStreamer(loaded.tokenizer, skip_prompt=True, skip_special_tokens=True)
            left, said, broken = threading.Event(), _Collected(), []
            asked = {
                **self._decoding(max_tokens, temperature),
                "input_ids": torch.tensor([row], device=loaded.device),
                "attention_mask": torch.ones((1, len(row)), dtype=torch.long, device=loaded.device),
                "streamer": pieces,
                "stopping_criteria": [lambda ids, _scores: said.see(ids, len(row), left.is_set())],
            }

            def work() -> None:
                try:
                    with torch.inference_mode(), loaded.base.bare() as model:
                        said.tokens = model.generate(**asked)[0, len(row) :].tolist()
                except Exception as error:
                    broken.append(error)
                    pieces.end()

            thread = threading.Thread(target=work, name="steelyard-generator", daemon=True)
            thread.start()
            given = ""
            try:
                for piece in pieces:
                    if piece:
                        given += piece
                        yield piece
            finally:
                left.set()
                thread.join()
            if broken:
                raise GeneratorError(
                    f"the model stopped: {broken[0]}.",
                    where=self.place,
                    remedy="Free memory, or lower max_tokens.",
                    code="generator.failed",
                ) from broken[0]
            yield replace(self._completion(len(row), said.tokens, perf_counter() - begin), text=given)

    def as_sent(self, messages: Sequence[Message], schema: Schema | None) -> Sequence[Message]:
        """The conversation as the model gets it: with the schema in it."""
        return messages if schema is None else with_instructions(messages, schema)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt with its template, by the model's own tokenizer."""
        return len(self._tokens(messages))

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        tokenizer = self._loaded.tokenizer
        rows = [one.to_json() for one in messages]
        if tokenizer.chat_template is None:
            text = "\n\n".join(one["content"] for one in rows) + "\n\n"
            return list(tokenizer(text)["input_ids"])
        text = tokenizer.apply_chat_template(rows, add_generation_prompt=True, tokenize=False)
        # The template has written every special token there should be.
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _require_room(self, tokens: int, max_tokens: int) -> None:
        if tokens + max_tokens > self.context_tokens:
            raise GeneratorError(
                f"the prompt has {tokens} tokens and the answer may have {max_tokens}; the model can read {self.context_tokens}.",
                where=self.place,
                remedy="Give it fewer passages or examples, or a shorter answer.",
                code="generator.too_long",
            )


class _Collected:
    """The tokens of a running generation."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def see(self, ids: Any, prompt: int, stop: bool) -> Any:
        """Note the tokens so far; whether to stop each row."""
        import torch

        self.tokens = ids[0, prompt:].tolist()
        return torch.full((ids.shape[0],), stop, dtype=torch.bool, device=ids.device)


def _fingerprint(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".json", ".jinja", ".model", ".safetensors"):
            whole.update(f"{path.name}:{path.stat().st_size}:".encode())
            whole.update(_file_hash(path))
    return whole.hexdigest()


def _file_hash(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= HASHED_BYTES:
            return hashlib.file_digest(file, "sha256").digest()
        found = hashlib.sha256()
        for sample in range(SAMPLES):
            file.seek((size - BLOCK) * sample // (SAMPLES - 1))
            found.update(file.read(BLOCK))
        return found.digest()
