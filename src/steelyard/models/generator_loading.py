"""Makes the generator that the settings name, behind the ledger of its calls, and says whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.config import GeneratorSettings
from steelyard.models import GENERATORS
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generation import Generator
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.models.openai_replies import is_same_model, unknown_model
from steelyard.schema.errors import SteelyardError
from steelyard.schema.generation import TokenPrice


def load_generator(settings: GeneratorSettings, folder: Path) -> Generator | None:
    """The generator alone, without ledger and cap; None where the settings name none. `folder` is what a relative `path` starts from.

    Nothing is loaded or asked yet.

    Raises:
        MissingExtraError: its libraries are not installed.
    """
    if settings.kind == "none":
        return None
    if settings.path is not None:
        settings = replace(settings, path=str(folder / settings.path))
    if settings.tokenizer is not None:
        settings = replace(settings, tokenizer=str(folder / settings.tokenizer))
    made: Generator = GENERATORS.load(settings.kind)(settings)
    return made


def metered_generator(
    settings: GeneratorSettings, folder: Path, ledger: CallLedger, price: TokenPrice
) -> MeteredGenerator | None:
    """The generator whose calls are metered into `ledger`, kept and capped; None where the settings name none.

    Raises:
        MissingExtraError: its libraries are not installed.
    """
    inner = load_generator(settings, folder)
    if inner is None:
        return None
    return MeteredGenerator(inner, ledger, price, cap_usd=settings.cap_usd, batch=settings.concurrency)


@dataclass(frozen=True, kw_only=True)
class GeneratorState:
    """Whether a generator can be called now. `problem` is None when it can."""

    name: str
    problem: SteelyardError | None = None

    def to_json(self) -> dict[str, Any]:
        """The state as JSON: name, `ready`, and the problem with its code and remedy."""
        problem = None if self.problem is None else self.problem.to_json()
        return {"name": self.name, "ready": self.problem is None, "problem": problem}


def generator_state(settings: GeneratorSettings, folder: Path) -> GeneratorState | None:
    """Whether the settings' generator can be called: its key is set, its server answers and has the model, its files are there.

    Asks a server for its list of models (five seconds at most) and for nothing else, so it costs nothing; None without a generator.
    """
    if settings.kind == "none":
        return None
    name = f"{settings.kind}:{settings.model or settings.path}"
    try:
        made = load_generator(settings, folder)
        if made is None:
            return None
        if settings.kind == "openai":
            _require_served(made, settings)
        return GeneratorState(name=made.name)
    except SteelyardError as error:
        return GeneratorState(name=name, problem=error)


def _require_served(made: Any, settings: GeneratorSettings) -> None:
    served = made.served_models()
    made.close()
    model = settings.model or ""
    if served and not any(one == model or is_same_model(model, one) for one in served):
        raise unknown_model(model, "it is not in the server's list", made.place, served)
