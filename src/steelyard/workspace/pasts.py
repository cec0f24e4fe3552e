"""Where the sources of a workspace keep their past."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steelyard.config import Settings
from steelyard.corpus.past import Past, read_past
from steelyard.schema.errors import UserError


def pasts_of(folder: Path, settings: Settings, named: Mapping[str, Path]) -> dict[str, Past]:
    """The past of every source by its path; `named` says where it is kept for sources that are not in git themselves.

    Raises:
        UserError: there are no sources, `named` names none of them, or a source keeps no past.
        DataError: a change log is wrong.
    """
    sources = {one.path for one in settings.sources}
    unknown = sorted(set(named) - sources)
    if not sources or unknown:
        raise UserError(
            f"there is no source '{unknown[0]}'." if unknown else "the settings name no sources.",
            remedy=f"Sources: {', '.join(sorted(sources)) or 'none; add [[sources]] to steelyard.toml'}.",
            code="backtest.no_source",
        )
    return {path: read_past(named.get(path, folder / path)) for path in sorted(sources)}
