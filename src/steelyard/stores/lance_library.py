"""Loads LanceDB when an index is first opened, without the part of it that speaks to catalogs elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

REMOTE = "lance_namespace_urllib3_client"
"""The REST client of remote catalogs. LanceDB imports its record types; what its package builds besides (a class for every route, checked
by pydantic) takes 0.8 of 2.0 s of a start, and nothing here uses it."""


def connect(folder: Path) -> Any:
    """The database in `folder`."""
    if "lancedb" not in sys.modules and REMOTE not in sys.modules:
        _defer(REMOTE)
    import lancedb

    return lancedb.connect(str(folder))


def _defer(package: str) -> None:
    """Let a package's modules be imported without running the package itself, which runs when something in it is asked for."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None:
        return
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def whole(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        vars(module).pop("__getattr__", None)
        loader.exec_module(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = whole
    sys.modules[package] = module
