"""Reads steelyard.toml into the settings tree; what is wrong is named with its place and the nearest right word."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from steelyard.config.model_settings import ModelSettings
from steelyard.config.tree import ComponentSettings, ServeSettings, Settings
from steelyard.schema.callers import ROLES
from steelyard.schema.errors import ConfigError, nearest

FILE_NAME = "steelyard.toml"

PUBLIC_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures of tokens that can be checked without being able to make them."""


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
    if isinstance(models, dict) and isinstance(models.get("encoder"), dict):
        # `encoder = { kind = "openai", ... }`, as the generator is written.
        inner = dict(models["encoder"])
        raw = {**raw, "models": {**raw["models"], "encoder": inner.pop("kind", "openai"), "embeddings": inner}}
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
    watch, canary = settings.watch, settings.canary
    alpha, agreement = settings.gates.alpha, settings.gates.agreement
    rules = (
        (abs(shares - 1) > 1e-9, "measure", f"the shares add up to {shares:g}", "Make them add up to 1", "shares"),
        (measure.train == 0, "measure", "train is 0: nothing is learned", "Give a share above 0", "shares"),
        (measure.holdout == 0, "measure", "holdout is 0: nothing is measured", "Give a share above 0", "shares"),
        (economics.horizon_months < 1, "economics", "horizon_months is 0", "Give at least 1 month", "horizon"),
        (labour > 1, "economics", f"embedded_share is {labour:g}", "Give a share from 0 to 1", "share"),
        (growth <= -1, "traffic", f"growth_per_month is {growth:g}", "Give a number above -1", "growth"),
        (not 0 < settings.gates.alpha < 0.5, "gates", f"alpha is {alpha:g}", "Give a share from 0.001 to 0.4", "share"),
        (settings.gates.agreement > 1, "gates", f"agreement is {agreement:g}", "Give a share from 0 to 1", "share"),
        (watch.hours < 1, "watch", "hours is 0: nothing is watched", "Give at least 1", "hours"),
        (not 0 < canary.alpha < 0.5, "canary", f"alpha is {canary.alpha:g}", "Give a share from 0.001 to 0.4", "share"),
        (canary.latency_tolerance < 1, "canary", "latency_tolerance is below 1", "Give 1 or more", "tolerance"),
        (overlap >= size, "corpus", f"{size} characters cannot overlap by {overlap}", "Overlap by less", "overlap"),
    )
    for wrong, section, message, remedy, code in rules:
        if wrong:
            raise ConfigError(f"{message}.", where=_place(section), remedy=f"{remedy}.", code=f"config.bad_{code}")
    _check_models(settings.models)
    for name, component in settings.components.items():
        _check_component(name, component)
    _check_serve(settings.serve)


def _check_serve(serve: ServeSettings) -> None:
    if serve.anonymous is not None and serve.anonymous not in serve.scopes:
        raise ConfigError(
            f"there is no scope '{serve.anonymous}'.",
            where=_place("serve"),
            remedy=f"Add [serve.scopes.{serve.anonymous}] with its groups, or leave `anonymous` out: then nobody gets in unnamed.",
            code="config.unknown_scope",
        )
    if serve.burst < 1:
        raise ConfigError("burst is 0.", where=_place("serve"), remedy="Give at least 1.", code="config.bad_burst")
    jwt = serve.jwt
    if jwt is None:
        return
    for name in jwt.algorithms:
        if name not in PUBLIC_ALGORITHMS:
            raise ConfigError(
                f"tokens signed with '{name}' are never taken.",
                where=_place("serve.jwt"),
                remedy=f"Name signatures with a public key: {', '.join(PUBLIC_ALGORITHMS)}.",
                code="config.bad_algorithm",
            )
    scheme, _, rest = jwt.jwks.partition("://")
    if (
        rest
        and scheme != "https"
        and not (scheme == "http" and re.match(r"(127\.0\.0\.1|localhost|\[::1\])(:|/)", rest))
    ):
        raise ConfigError(
            f"keys from {jwt.jwks} could be changed on their way.",
            where=_place("serve.jwt"),
            remedy="Give an https URL, or a file inside the workspace.",
            code="config.bad_jwks",
        )
    for name, role in jwt.roles.items():
        if role not in ROLES:
            raise ConfigError(
                f"'{name}' stands for '{role}', which is no role.",
                where=_place("serve.jwt.roles"),
                remedy=f"One of: {', '.join(ROLES)}.",
                code="config.bad_role",
            )


def _check_models(models: ModelSettings) -> None:
    kind = models.generator.kind
    wanted = {"openai": ("base_url", "model"), "transformers": ("path",)}.get(kind, ())
    _check_endpoint("models.generator", models.generator, wanted, f'kind = "{kind}"', "max_tokens")
    wanted = ("base_url", "model") if models.encoder == "openai" else ()
    _check_endpoint("models.embeddings", models.embeddings, wanted, 'encoder = "openai"', "batch")


def _check_endpoint(section: str, endpoint: Any, wanted: tuple[str, ...], needed_by: str, size: str) -> None:
    example = {"base_url": "http://127.0.0.1:11434/v1", "model": "MODEL", "path": "FOLDER"}
    for key in wanted:
        if not getattr(endpoint, key):
            raise ConfigError(
                f"'{key}' is missing, which {needed_by} needs.",
                where=_place(section),
                remedy=f'Add {key} = "{example[key]}" there.',
                code="config.missing_key",
            )
    for key in (size, "timeout_s", "concurrency"):
        if not getattr(endpoint, key):
            raise ConfigError(
                f"{key} is 0.", where=_place(section), remedy="Give a number above 0.", code="config.bad_endpoint"
            )
    if endpoint.base_url and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", endpoint.base_url):
        # Also what holds a name and a password: the place of a secret is the environment.
        raise ConfigError(
            "base_url is no plain http or https address.",
            where=_place(section),
            remedy='Write it like "https://HOST/v1"; a key belongs in the environment variable that key_env names.',
            code="config.bad_endpoint",
        )


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
