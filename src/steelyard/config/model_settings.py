"""Settings of encoder and generator: `[models]` and `[models.generator]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """`[models.generator]`: an OpenAI-compatible endpoint or a local transformers model."""

    kind: Literal["none", "openai", "transformers"] = "none"
    """None, an OpenAI-compatible endpoint, or a local transformers model; `generator = "none"` is short for the first."""
    base_url: str | None = None
    """Address of the endpoint (`openai`), as a rule ending in `/v1`."""
    model: str | None = None
    """Name of the model at the endpoint (`openai`)."""
    answers_as: str | None = None
    """Name that the server gives its model in answers, where that is another than `model`; an answer by any other is an error."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself never stands in a file. None: the server asks for none."""
    path: str | None = None
    """Folder of the model (`transformers`), inside the workspace or absolute: safetensors and a tokenizer. Nothing is downloaded."""
    tokenizer: str | None = None
    """The endpoint's tokenizer (`openai`): a `tokenizer.json` or a folder with one; then `--dry-run` counts tokens exactly."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a local model runs; `auto`: on the GPU where there is one."""
    max_tokens: int = 512
    """Longest answer in tokens."""
    context_tokens: int = 0
    """Most tokens that prompt and answer may have together; 0: what a local model or the server's list says, else 8192."""
    timeout_s: float = 60.0
    """Seconds to wait for an answer, or for the next piece of a streamed one, before the call is tried again."""
    retries: int = 5
    """Tries after the first one that failed for a passing reason: slow, too many requests, a server error."""
    concurrency: int = 8
    """Calls in flight at a time; a local model answers so many in one batch. A spend cap is overshot by no more calls than this."""
    json_schema: Literal["auto", "server", "prompt"] = "auto"
    """Who holds an answer to a JSON schema: the server, or the prompt; it is validated either way. `auto`: the server where it can."""
    price_of: str | None = None
    """The model of the price table whose prices hold; None: the one named like `model`. A local model has none."""
    input_usd: float | None = None
    """USD per million input tokens; None: from the price table, and 0 where it has no such model (`check` says so)."""
    cached_usd: float | None = None
    """USD per million input tokens that the provider reads from its cache; None: as `input_usd`."""
    output_usd: float | None = None
    """USD per million output tokens; None: as `input_usd`."""
    cap_usd: float | None = None
    """USD that all calls of a calendar month (UTC) may cost; the work stops within one batch and keeps what it has. None: no cap."""
    keep_answers_days: float = 180.0
    """Days that an answer is kept after it was paid; `steelyard compact` drops older ones, and what needs them is paid again."""
    keep_answers_mb: int = 512
    """Megabytes of kept answers; `steelyard compact` drops the oldest of more. What calls cost stays known in either case."""


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """`[models.tuning]`: fine-tuning at a provider. It sends labelled rows there and costs money; without `cap_usd` it never starts."""

    base_url: str | None = None
    """Address of the provider; None: that of `[models.generator]`."""
    model: str | None = None
    """The provider's model to tune, by a dated name; None: that of `[models.generator]`."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; None: that of `[models.generator]`."""
    epochs: int = 3
    """Passes over the rows; each is billed."""
    cap_usd: float = 0.0
    """USD that one job may cost by its estimate; setting it is the consent to spend and to send. 0: no job is started."""
    training_usd: float | None = None
    """USD per million trained tokens; None: from the price table, and no job is started where it has none."""
    longest_tokens: int = 16_384
    """Longest row in tokens that the provider takes whole."""
    poll_s: float = 5.0
    """Seconds to the first look at a running job; the pauses grow to a minute."""
    wait_hours: float = 24.0
    """How long a command waits for a job; it goes on at the provider, and the same command takes it up again."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings:
    """`[models.embeddings]`: an OpenAI-compatible embeddings endpoint, where `encoder = "openai"`.

    Every passage, labelled row and question goes there.
    """

    base_url: str | None = None
    """Address of the endpoint, as a rule ending in `/v1`."""
    model: str | None = None
    """Name of the embedding model there."""
    key_env: str | None = None
    """Name of the environment variable that holds the key. None: the server asks for none."""
    dim: int = 0
    """Length of the vectors, for models that offer several; 0: what the model gives."""
    batch: int = 64
    """Texts of one call."""
    timeout_s: float = 60.0
    """Seconds to wait for an answer before the call is tried again."""
    retries: int = 5
    """Tries after the first one that failed for a passing reason."""
    concurrency: int = 4
    """Calls in flight at a time."""
    input_usd: float | None = None
    """USD per million tokens; None: from the price table, and 0 where it has no such model."""
    cap_usd: float | None = None
    """USD that all calls of a calendar month (UTC), the generator's included, may cost; None: no cap."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """`[models]`: the embedded encoder."""

    encoder: str = "minilm"
    """The encoder by its name in the table of encoders; `minilm` is embedded and needs no download. `openai`: `[models.embeddings]`."""
    precision: Literal["auto", "fp32", "int8"] = "auto"
    """Arithmetic of the encoder; `auto`: int8 where its measured agreement with fp32 allows."""
    threads: int = 0
    """Threads of the encoder; 0 means all cores."""
    tuning_s: float = 120.0
    """Seconds that the fit of one candidate may take where weights are tuned; `train --budget-s` sets it for one run."""
    tune_encoder: bool = False
    """Measure the candidates that tune the encoder's own weights too: minutes each. Naming one under `candidates` does so as well."""
    embeddings: EmbeddingSettings = EmbeddingSettings()
    """See `[models.embeddings]`."""
    generator: GeneratorSettings = GeneratorSettings()
    """See `[models.generator]`."""
    tuning: TuningSettings = TuningSettings()
    """See `[models.tuning]`."""
