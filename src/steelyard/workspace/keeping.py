"""Keeps the rows that a component learns from, as a version."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence

from steelyard.dataset.history import DatasetHistory
from steelyard.dataset.split import NAMES
from steelyard.schema.datasets import DatasetVersion
from steelyard.schema.items import Item
from steelyard.workspace.examples import Examples


def keep(examples: Examples, history: DatasetHistory, component: str, *, note: str = "") -> tuple[DatasetVersion, bool]:
    """Commit a component's rows as they are now; the version, and whether it is a new one.

    Raises:
        DataError, UserError: the file has errors or is missing.
    """
    file = examples.file_of(component)
    digest = hashlib.sha256((examples.folder / file).read_bytes()).hexdigest()
    rows: Sequence[Item] = examples.dated(component)
    measure = examples.measure
    return history.commit(
        component,
        rows,
        examples.current(rows),
        shares={name: getattr(measure, name) for name in NAMES},
        seed=measure.seed,
        files={file: digest},
        who=who(),
        note=note,
    )


def who() -> str:
    """The user of the operating system, "unknown" where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
