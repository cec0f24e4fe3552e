"""Regenerates the generated pages of the docs, and the generated blocks inside written ones.

`python scripts/make_docs.py` writes what changed; with `--check` it writes nothing, names what is out of date and exits 1.
A page is one line in `PAGES`: its path, and the function that takes its text (empty when there is none yet) and gives the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import docs_commands
import docs_figures
import docs_http_api
import docs_settings

ROOT = Path(__file__).parents[1]

PAGES: Mapping[str, Callable[[str], str]] = {
    "README.md": docs_figures.fill,
    "docs/benchmarks.md": docs_figures.fill,
    "docs/decisions/own-lexical-index.md": docs_figures.fill,
    "docs/how-to/canary.md": docs_figures.fill,
    "docs/how-to/public-data-workspace.md": docs_figures.fill,
    "docs/reference/commands.md": docs_commands.page,
    "docs/reference/http-api.md": docs_http_api.page,
    "docs/reference/settings.md": docs_settings.page,
    "docs/tutorial/first-decision.md": docs_figures.fill,
}


def stale(root: Path = ROOT) -> dict[str, str]:
    """The new text of every page whose text on disk differs, by path."""
    found = {}
    for name, make in PAGES.items():
        path = root / name
        now = path.read_text(encoding="utf-8") if path.is_file() else ""
        new = make(now)
        if new != now:
            found[name] = new
    return found


def main() -> int:
    """Write or check; the exit code."""
    pages = stale()
    check = "--check" in sys.argv[1:]
    for name, text in pages.items():
        print(f"{'out of date' if check else 'written'}: {name}")
        if not check:
            path = ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and pages else 0


if __name__ == "__main__":
    sys.exit(main())
