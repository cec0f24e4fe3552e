"""Likely label errors of a component, and the file in which the team decides on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

from steelyard.components.cross_fitting import cross_probabilities
from steelyard.dataset.duplicates import normalised
from steelyard.dataset.label_errors import Suspect, suspects
from steelyard.dataset.personal import masked
from steelyard.dataset.split import cluster_rows
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.items import Item
from steelyard.schema.progress import Report
from steelyard.workspace.paths import write_whole

FOLDER = "review"
COLUMNS = ("file", "row", "text", "label", "suggested", "times_likelier", "decision")
KEEP = "keep"
TEMPLATE = 20  # near-duplicates beyond are one sentence with other words filled in: kept together, their label could not be learned

Known = tuple[str, str]
"""A text, what looks personal masked, as `normalised`; and the label that it has."""


class LabelReview:
    """`review/COMPONENT-labels.csv`: one line for each likely label error, with a column for what the team decides.

    The examples themselves are never changed. `keep` in the column `decision` says that the label is right: the row is not named
    again. What was decided stays when the file is written anew.
    """

    def __init__(self, folder: Path, component: str) -> None:
        self.path = folder / FOLDER / f"{component}-labels.csv"
        self.shown = f"{FOLDER}/{component}-labels.csv"

    def kept(self) -> frozenset[Known]:
        """The rows whose label was said to be right."""
        return frozenset(known for known, decision in self._decisions().items() if decision.lower() == KEEP)

    def write(self, file: str, items: Sequence[Item], found: Sequence[Suspect]) -> None:
        """Write the suspects, most likely first, below what was decided to keep; no file when there is neither."""
        decisions = self._decisions()
        lines = [list(line.values()) for line in self._lines() if line["decision"].lower() == KEEP]
        for one in found:
            item = items[one.at]
            decision = decisions.get(known_as(item), "")
            ratio = f"{one.ratio:.0f}"
            lines.append([file, str(item.row), masked(item.text), one.label, one.suggested, ratio, decision])
        if not lines:
            self.path.unlink(missing_ok=True)
            return
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
        write_whole(self.path, out.getvalue())

    def _decisions(self) -> dict[Known, str]:
        return {(normalised(line["text"]), line["label"]): line["decision"] for line in self._lines()}

    def _lines(self) -> list[dict[str, str]]:
        """The lines of the file, with every column; what a spreadsheet broke beyond reading is left out."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as text:
                rows = list(csv.DictReader(text))
        except (FileNotFoundError, UnicodeDecodeError, csv.Error):
            return []
        return [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in rows]


def likely_errors(
    items: Sequence[Item], encoder: CachedEncoder, kept: Collection[Known], name: str, report: Report
) -> list[Suspect]:
    """Rows whose label is likely wrong, most likely first, without those said to be right; see `dataset/label_errors.py`.

    Raises:
        MissingExtraError, ModuleNotFoundError: the libraries that convert the encoder or fit are not installed.
    """
    labels = [item.label or "" for item in items]
    if len(set(labels)) < 2:
        return []
    texts = [item.text for item in items]
    stage = f"embed {name}"
    vectors = encoder.encode_with_progress(texts, lambda done, total: report(stage, done, total))
    stage_of_fits = f"audit labels of {name}"
    probabilities, names = cross_probabilities(
        vectors, labels, _repeated(items), progress=lambda done, total: report(stage_of_fits, done, total)
    )
    found = suspects(probabilities, labels, names)
    return [one for one in found if known_as(items[one.at]) not in kept]


def _repeated(items: Sequence[Item]) -> list[int]:
    """A number for each row, the same for rows that repeat each other: near-duplicates, and equal texts of a template."""
    numbers = [0] * len(items)
    for members in cluster_rows(items):
        first: dict[str, int] = {}
        for at in members:
            text = normalised(items[at].text) if len(members) > TEMPLATE else ""
            numbers[at] = first.setdefault(text, at)
    return numbers


def known_as(item: Item) -> Known:
    """What names a row in a review file, whatever line it stands on."""
    return normalised(masked(item.text)), item.label or ""
