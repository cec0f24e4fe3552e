"""One frozen settings tree: every setting with its default, unit and reason; unknown keys name the nearest."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from steelyard.schema.errors import ConfigError, nearest

FILE_NAME = "steelyard.toml"


@dataclass(frozen=True, kw_only=True)
class WorkspaceSettings:
    """`[workspace]`: what the workspace is called."""

    name: str = "workspace"

    """How the workspace is called in the report."""


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """`[[sources]]`: a folder or git working tree, and who may see its documents."""

    path: str
    """The folder, inside the workspace or absolute; a git working tree gives the history for free."""
    allow: tuple[str, ...] = ()
    """Groups that may see its documents, or `user:NAME`; `everyone` is the group all are in. Empty: nobody."""
    deny: tuple[str, ...] = ()
    """Groups or `user:NAME` that may not; deny beats allow."""


@dataclass(frozen=True, kw_only=True)
class ComponentSettings:
    """`[components.NAME]`: one part of the system with one task."""

    task: Literal["classify", "answer", "write"]
    """What the component does: label a message, answer a question, write a reply."""
    examples: str | None = None
    """File of labelled messages (`classify`) or approved replies (`write`): CSV or JSON Lines."""
    questions: str | None = None
    """File of questions with their answers (`answer`): CSV or JSON Lines."""
    neutral: str | None = None
    """File of neutral rewrites of approved replies, for the style score."""
    format: str | None = None
    """What a reply must match: the name of a JSON Schema file, or a regular expression."""
    out_of_scope_label: str = "out_of_scope"
    """The label of messages that no other label fits."""
    candidates: tuple[str, ...] = ()
    """Candidates to weigh; empty means all of the task."""
    updates_per_year: float | None = None
    """Changes a year this component must follow; None: see `[traffic]` for answers, once a year for the others."""


@dataclass(frozen=True, kw_only=True)
class SystemSettings:
    """`[system]`: end-to-end cases that need every component."""

    cases: str | None = None
    """File of cases, JSON Lines; None: whole systems are not measured."""


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """`[requirements]`: hard; a candidate that cannot meet one is infeasible, whatever it costs."""

    citations: bool = False
    """Every answer names the place in a document it rests on."""
    audit: bool = False
    """It can be shown afterwards what an answer rested on."""
    scoping: bool = False
    """An answer rests only on documents that the asker may see."""
    erasure: bool = False
    """What a deleted document said must be gone from the answers; written into the record."""
    residency: bool = False
    """Data must stay on the team's own machines; written into the record."""
    p95_ms: float | None = None
    """Highest latency in milliseconds at the 95th percentile; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class TrafficSettings:
    """`[traffic]`: how much is asked, and how often knowledge changes."""

    queries_per_month: float = 50_000
    """Requests in the first month."""
    growth_per_month: float = 0.0
    """Growth from month to month as a share: 0.02 is 2 %; negative shrinks."""
    updates_per_year: float | None = None
    """Knowledge changes a year; None: measured from the documents' history where there is one, else 4."""


@dataclass(frozen=True, kw_only=True)
class EconomicsSettings:
    """`[economics]`: money in USD, time in months and hours."""

    horizon_months: int = 24
    """Months over which everything is added up."""
    hour_usd: float = 95.0
    """A loaded developer hour: median US salary 133,080 x 1.4 over 1,960 h, 2026."""
    wrong_answer_usd: float = 0.50
    """What a wrong answer costs on average: repairs, repeats, lost customers."""
    handoff_usd: float = 2.00
    """What it costs when the system declines and a person answers."""
    label_usd: float = 3.0
    """One labelled or reviewed row."""
    cpu_hour_usd: float = 0.05
    """One virtual core for an hour on a general-purpose cloud machine."""
    rag_setup_hours: float = 160.0
    """Hours to set up retrieval: ingestion, index, evaluation."""
    rag_operations_hours_per_month: float = 16.0
    """Hours a month to operate retrieval."""
    rag_update_hours: float = 0.5
    """Hours of work for one change of knowledge, with retrieval or a prompt."""
    fine_tune_setup_hours: float = 320.0
    """Hours to set up tuning: data, training, evaluation, deployment."""
    fine_tune_operations_hours_per_month: float = 16.0
    """Hours a month to operate a tuned model."""
    fine_tune_update_hours: float = 60.0
    """Hours of work to label, train, evaluate and ship one change."""
    prompt_setup_hours: float = 40.0
    """Hours to write and evaluate a prompt."""
    prompt_operations_hours_per_month: float = 4.0
    """Hours a month to operate a prompt."""
    embedded_share: float = 0.25
    """Share of the labour above that an embedded candidate needs: Steelyard itself builds, evaluates and serves it."""


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """`[models.generator]`: an OpenAI-compatible endpoint or a local transformers model."""

    kind: Literal["none", "openai", "transformers"] = "none"
    """None, an OpenAI-compatible endpoint, or a local transformers model; `generator = "none"` is short for the first."""
    base_url: str | None = None
    """Address of the endpoint (`openai`)."""
    model: str | None = None
    """Name of the model at the endpoint (`openai`)."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself never stands in a file."""
    path: str | None = None
    """Folder of the model (`transformers`)."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """`[models]`: the embedded encoder."""

    encoder: str = "minilm"
    """The encoder by its name in the table of encoders; `minilm` is embedded and needs no download."""
    precision: Literal["auto", "fp32", "int8"] = "auto"
    """Arithmetic of the encoder; `auto`: int8 where its measured agreement with fp32 allows."""
    threads: int = 0
    """Threads of the encoder; 0 means all cores."""
    generator: GeneratorSettings = GeneratorSettings()
    """See `[models.generator]`."""


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """`[corpus]`: how documents become passages, in characters."""

    store: str = "lance"
    """Where passages are kept and searched, by its name in the table of stores."""
    passage_chars: int = 900
    """Longest passage; tables, lists and code stay whole where they fit."""
    overlap_chars: int = 0
    """Characters that a passage shares with the one before."""
    max_file_mb: float = 50.0
    """A larger file is left out and listed, in MiB."""
    parse_seconds: float = 30.0
    """A file that takes longer to read is left out and listed."""


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """`[measure]`: shares of the split, and the seed of every draw."""

    train: float = 0.5
    """Share of the rows to learn from."""
    validation: float = 0.2
    """Share of the rows to choose and calibrate on."""
    holdout: float = 0.3
    """Share of the rows that are sealed and only scored."""
    seed: int = 7
    """Seed of every draw."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole of steelyard.toml."""

    workspace: WorkspaceSettings = WorkspaceSettings()
    sources: tuple[SourceSettings, ...] = ()
    components: Mapping[str, ComponentSettings] = field(default_factory=dict)
    system: SystemSettings = SystemSettings()
    requirements: Requirements = Requirements()
    traffic: TrafficSettings = TrafficSettings()
    economics: EconomicsSettings = EconomicsSettings()
    models: ModelSettings = ModelSettings()
    corpus: CorpusSettings = CorpusSettings()
    measure: MeasureSettings = MeasureSettings()

    def to_json(self) -> dict[str, Any]:
        """Every setting, defaults included."""
        out = asdict(self)
        out["components"] = {name: asdict(component) for name, component in self.components.items()}
        return out


def load_settings(folder: Path) -> Settings:
    """The settings of the workspace at `folder`.

    Raises:
        ConfigError: no steelyard.toml, not TOML, an unknown key (the nearest is named), or a value of the wrong type or range.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise ConfigError(
            f"there is no {FILE_NAME} in {folder}.",
            remedy="Make a workspace with `steelyard init DIR`, or name one with `steelyard -w DIR`.",
            code="config.no_workspace",
        )
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"not readable as TOML: {error}.", where=FILE_NAME, remedy="Correct that line.", code="config.not_toml"
        ) from error
    return parse_settings(raw)


def parse_settings(raw: Mapping[str, Any]) -> Settings:
    """Settings from parsed TOML.

    Raises:
        ConfigError: as `load_settings`.
    """
    models = raw.get("models")
    if isinstance(models, dict) and isinstance(models.get("generator"), str):
        # DESIGN section 3 writes `generator = "none"`; a table is the long form.
        raw = {**raw, "models": {**models, "generator": {"kind": models["generator"]}}}
    settings: Settings = _build(Settings, raw, "")
    _check_ranges(settings)
    return settings


def _build(kind: Any, raw: Any, where: str) -> Any:
    if not isinstance(raw, Mapping):
        raise _wrong(where, raw, "a table")
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    for key in raw:
        if key not in known:
            near = nearest(str(key), sorted(known))
            hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(sorted(known))}."
            raise ConfigError(f"unknown key '{key}'.", where=_place(where), remedy=hint, code="config.unknown_key")
    values = {key: _convert(hints[key], value, f"{where}.{key}" if where else str(key)) for key, value in raw.items()}
    for f in fields(kind):
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values:
            raise ConfigError(
                f"'{f.name}' is missing.",
                where=_place(where),
                remedy=f"Add {f.name} = ... there.",
                code="config.missing_key",
            )
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        return _convert(inner, value, where)
    if origin is Literal:
        if value not in get_args(hint):
            near = nearest(str(value), [str(arg) for arg in get_args(hint)])
            hint_text = f"Did you mean '{near[0]}'? " if near else ""
            raise ConfigError(
                f"{value!r} is not allowed.",
                where=_place(where),
                remedy=f"{hint_text}One of: {', '.join(map(str, get_args(hint)))}.",
                code="config.bad_value",
            )
        return value
    if is_dataclass(hint):
        return _build(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        return tuple(_convert(get_args(hint)[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "a table")
        return {key: _convert(get_args(hint)[1], one, f"{where}.{key}") for key, one in value.items()}
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        # TOML allows integers of any length here; a float does not hold them.
        value = float(value) if abs(value) < 2**1000 else float("inf")
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _wrong(where, value, names[hint])
    if hint is float and not (value == value and abs(value) != float("inf")):
        raise _wrong(where, value, "a finite number")
    if hint in (int, float) and value < 0 and not where.endswith("growth_per_month"):
        raise ConfigError(
            f"{value} is negative.", where=_place(where), remedy="Give a number from 0 up.", code="config.negative"
        )
    return value


def _check_ranges(settings: Settings) -> None:
    measure, corpus, economics = settings.measure, settings.corpus, settings.economics
    shares = measure.train + measure.validation + measure.holdout
    growth, labour = settings.traffic.growth_per_month, economics.embedded_share
    size, overlap = corpus.passage_chars, corpus.overlap_chars
    rules = (
        (abs(shares - 1) > 1e-9, "measure", f"the shares add up to {shares:g}", "Make them add up to 1", "shares"),
        (measure.train == 0, "measure", "train is 0: nothing is learned", "Give a share above 0", "shares"),
        (measure.holdout == 0, "measure", "holdout is 0: nothing is measured", "Give a share above 0", "shares"),
        (economics.horizon_months < 1, "economics", "horizon_months is 0", "Give at least 1 month", "horizon"),
        (labour > 1, "economics", f"embedded_share is {labour:g}", "Give a share from 0 to 1", "share"),
        (growth <= -1, "traffic", f"growth_per_month is {growth:g}", "Give a number above -1", "growth"),
        (overlap >= size, "corpus", f"{size} characters cannot overlap by {overlap}", "Overlap by less", "overlap"),
    )
    for wrong, section, message, remedy, code in rules:
        if wrong:
            raise ConfigError(f"{message}.", where=_place(section), remedy=f"{remedy}.", code=f"config.bad_{code}")
    for name, component in settings.components.items():
        _check_component(name, component)


def _check_component(name: str, component: ComponentSettings) -> None:
    # Names become folders of the state and the part before the slash in COMPONENT/CANDIDATE@VERSION.
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"{name!r} is no name for a component.",
            where=_place("components"),
            remedy="Use letters, digits, '-' and '_'.",
            code="config.bad_name",
        )
    wanted = "questions" if component.task == "answer" else "examples"
    if getattr(component, wanted) is None:
        raise ConfigError(
            f"'{wanted}' is missing.",
            where=_place(f"components.{name}"),
            remedy=f'Name the file: {wanted} = "FILE".',
            code="config.missing_key",
        )


def _place(where: str) -> str:
    return f"{FILE_NAME} [{where}]" if where else FILE_NAME


def _wrong(where: str, value: Any, wanted: str) -> ConfigError:
    return ConfigError(
        f"{value!r} is not {wanted}.", where=_place(where), remedy=f"Write {wanted}.", code="config.wrong_type"
    )
