"""The reference of `steelyard.toml`, from the settings tree and the sentence below each of its fields."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from steelyard.config import model_settings
from steelyard.config import tree as config

SECTIONS: dict[str, type] = {
    "[workspace]": config.WorkspaceSettings,
    "[[sources]]": config.SourceSettings,
    "[components.NAME]": config.ComponentSettings,
    "[system]": config.SystemSettings,
    "[requirements]": config.Requirements,
    "[traffic]": config.TrafficSettings,
    "[economics]": config.EconomicsSettings,
    "[models]": model_settings.ModelSettings,
    "[models.embeddings]": model_settings.EmbeddingSettings,
    "[models.generator]": model_settings.GeneratorSettings,
    "[models.tuning]": model_settings.TuningSettings,
    "[corpus]": config.CorpusSettings,
    "[measure]": config.MeasureSettings,
    "[gates]": config.GateSettings,
    "[releases]": config.ReleaseSettings,
    "[watch]": config.WatchSettings,
    "[canary]": config.CanarySettings,
    "[serve]": config.ServeSettings,
    "[serve.scopes.NAME]": config.ScopeSettings,
    "[serve.jwt]": config.JwtSettings,
}

HEAD = """# Settings

Everything that can be set in `steelyard.toml`, with its default. `steelyard config` shows the values in force. A key that is not
listed here is an error, and so is a value of the wrong type or range; the message names the nearest key and what to write.
Environment variables carry secrets only. This page is generated from `src/steelyard/config/` by `make docs`.
"""


def page(_now: str = "") -> str:
    """The whole page: a table for each section."""
    said = meanings()
    parts = [HEAD]
    for section, kind in SECTIONS.items():
        parts.append(f"\n## `{section}`\n\n{_about(kind)}\n\n| key | type | default | meaning |\n|---|---|---|---|\n")
        hints = get_type_hints(kind)
        for one in fields(kind):
            if is_dataclass(one.default):  # a section of its own
                continue
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            row = (f"`{one.name}`", _type(hints[one.name]), _default(default), said[kind.__name__, one.name])
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n")
    return "".join(parts)


def meanings() -> dict[tuple[str, str], str]:
    """(class, field) to the sentence that stands below the field."""
    return {
        (node.name, name): text
        for module in (config, model_settings)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
        for name, text in _documented(node)
    }


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, " ".join(below.value.value.split())


def _about(kind: type) -> str:
    text = " ".join((inspect.getdoc(kind) or "").split())
    # The docstring opens with the section's name, which is the heading here.
    rest = text.partition("`:")[2].strip() if text.startswith("`[") else text
    return rest[:1].upper() + rest[1:]


def _type(hint: Any) -> str:
    origin, inner = get_origin(hint), [arg for arg in get_args(hint) if arg is not NoneType]
    if origin is Literal:
        return " or ".join(f"`{json.dumps(arg)}`" for arg in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is Mapping:
        return f"table of {_type(inner[1])}s"
    if NoneType in get_args(hint):
        return _type(inner[0])
    if is_dataclass(hint):
        return "table"
    return {str: "text", bool: "true or false", int: "whole number", float: "number"}[hint]


def _default(value: Any) -> str:
    if value is MISSING:
        return "required"
    if value is None:
        return "none"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"
