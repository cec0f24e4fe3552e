"""Tuning at a provider for the rows of one component: whose model, at what price, under which cap."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.candidates import CANDIDATES
from steelyard.config import GeneratorSettings, Settings
from steelyard.economics.prices import load_prices
from steelyard.models.call_ledger import Call, CallLedger
from steelyard.models.generation import Generator
from steelyard.models.generator_loading import metered_generator
from steelyard.models.hosted_tuning import HostedTuning
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.models.tuning_api import TuningApi
from steelyard.models.tuning_jobs import TuningJobs
from steelyard.schema.errors import UserError
from steelyard.schema.generation import Message, TokenUse
from steelyard.schema.prices import ModelPrice
from steelyard.schema.tuning import ChatPair, TuningJob
from steelyard.workspace.generating import price_of
from steelyard.workspace.paths import State

CHARACTERS_PER_TOKEN = 4.0
TURN_TOKENS = 4
"""What a token and the frame of a message come to in English text, where no generator counts them."""

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class WorkspaceTuner:
    """Tuning at the provider that the settings name, for one component and candidate (`purpose`); see `candidates.interface.Tuner`."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        state: State,
        calls: CallLedger,
        generator: Generator | None,
        purpose: str,
        file: str,
    ) -> None:
        self._folder, self._settings, self._state = folder, settings, state
        self._calls, self._generator, self._purpose, self._file = calls, generator, purpose, file
        self._speaking: dict[str, MeteredGenerator] = {}

    def tune(
        self, train: Sequence[ChatPair], held: Sequence[ChatPair], seed: int, progress: Callable[[int, int], None]
    ) -> TuningJob:
        """See `HostedTuning.tune`."""
        return self.hosted().tune(train, held, seed, progress)

    def speaking(self, model: str) -> Generator:
        """See `metered`."""
        return self.metered(model)

    def metered(self, model: str) -> MeteredGenerator:
        """A tuned model for asking, with the settings' cap and the prices of tuned models."""
        if model not in self._speaking:
            settings = tuned_generator(self._settings, model)
            made = metered_generator(settings, self._folder, self._calls, price_of(settings))
            assert made is not None  # its kind is `openai`
            self._speaking[model] = made
        return self._speaking[model]

    def hosted(self) -> HostedTuning:
        """The tuning with its price, caps and dates."""
        own, api = self._settings.models.tuning, tuning_api(self._settings)
        assert api is not None  # made only where there is a provider
        price = tuned_price(api.model)
        table = None if price is None or price.training is None else float(price.training)
        cap = self._settings.models.generator.cap_usd
        return HostedTuning(
            api,
            own,
            TuningJobs(self._state.tuning),
            count=self._generator.count_tokens if self._generator is not None else count_characters,
            usd_per_million=table if own.training_usd is None else own.training_usd,
            spend=self._spend,
            left_usd=None if cap is None else max(0.0, cap - self._calls.month_usd()),
            file=self._file,
            purpose=self._purpose,
            private=self._settings.requirements.residency,
            ends=None if price is None else price.end_of_life,
        )

    def _spend(self, job: TuningJob) -> None:
        """Enter what a job cost among the calls, so that one sum and one cap hold for both."""
        call = Call(
            key=bytes.fromhex(job.key),
            generator=f"tuning:{job.base}@{job.place}",
            model=job.tuned or job.base,
            purpose=f"train {job.purpose}",
            characters=0,
            use=TokenUse(input=job.trained_tokens),
            seconds=0.0,
            usd=job.usd,
            outcome="answered",
        )
        self._calls.add(call, None)


def require_unpaid(candidate: str) -> None:
    """Nothing, unless every fit of a candidate is a paid job: then it is fitted by `train` alone.

    Raises:
        UserError: it is tuned at a provider.
    """
    if CANDIDATES.part(candidate).hosted:
        raise UserError(
            f"every fit of '{candidate}' is a paid job at a provider.",
            where=candidate,
            remedy="Name another candidate; this one is fitted by `steelyard train` alone.",
            code="tuning.paid",
        )


def tuned_with(settings: Settings, candidate: str) -> dict[str, Any]:
    """What the fit of a candidate at a provider depends on besides its rows; {} for every other."""
    own, api = settings.models.tuning, tuning_api(settings)
    if not CANDIDATES.part(candidate).hosted or api is None:
        return {}
    return {"tuning": [api.base_url, api.model, own.epochs]}


def tuning_api(settings: Settings) -> TuningApi | None:
    """The provider that the settings name for tuning; None without one. Nothing is asked yet."""
    own, generator = settings.models.tuning, settings.models.generator
    hosted = generator.kind == "openai"
    base_url = own.base_url or (generator.base_url if hosted else None)
    model = own.model or (generator.model if hosted else None)
    key_env = own.key_env or (generator.key_env if hosted else None)
    return None if base_url is None or model is None else TuningApi(base_url, model, key_env)


def tuned_generator(settings: Settings, model: str) -> GeneratorSettings:
    """The settings of a generator that is a tuned model at the provider."""
    own, generator = settings.models.tuning, settings.models.generator
    api = tuning_api(settings)
    price = None if api is None else tuned_price(api.model)
    same = generator.kind == "openai" and own.base_url is None
    return replace(
        generator,
        kind="openai",
        base_url=None if api is None else api.base_url,
        model=model,
        answers_as=None,
        path=None,
        key_env=own.key_env or (generator.key_env if same or own.key_env is None else None),
        price_of=None if price is None else price.name,
        # Prices of one's own are those of the untuned model.
        input_usd=generator.input_usd if price is None else None,
        cached_usd=generator.cached_usd if price is None else None,
        output_usd=generator.output_usd if price is None else None,
    )


def tuned_price(model: str) -> ModelPrice | None:
    """The price table's line for tuning `model` and asking what comes of it: `ft:` and the name, dated or not; None without one."""
    table = load_prices()
    plain = _DATED.sub("", model)
    for name in (f"ft:{model}", f"ft:{plain}", model, plain):
        found = table.models.get(name)
        if found is not None and found.training is not None:
            return found
    return None


def count_characters(messages: Sequence[Message]) -> int:
    """Tokens of a conversation, estimated from its characters."""
    return sum(TURN_TOKENS + round(len(one.content) / CHARACTERS_PER_TOKEN) for one in messages)
