"""Retrieval quality per generation: measured once on the gold questions, kept, and shown as a trend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.dataset.content import content_key
from steelyard.evaluation.gold import gold_questions, measure_generation
from steelyard.schema.corpus import Generation
from steelyard.schema.errors import DataError, UserError
from steelyard.schema.progress import Report
from steelyard.schema.quality import GenerationQuality
from steelyard.workspace.fingerprint import fingerprint
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts


def kept_quality(path: Path) -> list[GenerationQuality]:
    """The records kept so far, by component and generation, oldest first; none where the file is missing or damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [GenerationQuality(**row) for row in rows]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def measure_quality(parts: Parts, last: int, report: Report) -> list[GenerationQuality]:
    """The quality of the `last` generations by component and generation; what was measured on the same questions is not measured again.

    Earlier generations are searched with the access rules of now. A generation of another encoder, or one that is no longer kept,
    cannot be searched: it is shown as it was measured in its time. One at whose date no gold question holds is left out.

    Raises:
        UserError: nothing is ingested, or no answer component has questions.
        DataError: a file of questions has errors.
    """
    in_force = parts.toolbox.generation
    components = [name for name, one in parts.settings.components.items() if one.task == "answer" and one.questions]
    if not in_force or not components:
        raise UserError(
            "there is nothing to measure: no generation, or no questions.",
            remedy="Run `steelyard ingest`; name a file of questions under [components.NAME].",
            code="quality.nothing",
        )
    made = [one for one in parts.toolbox.library.generations() if one.encoder == parts.toolbox.encoder.name]
    wanted = [one for one in made if one.number in {*(made.number for made in made[-last:]), in_force}]
    records = {(one.component, one.generation): one for one in kept_quality(parts.state.quality)}
    for component in components:
        _measure(parts, component, wanted, records, report)
    held = sorted(records.values(), key=lambda one: (one.component, one.generation))
    write_whole(parts.state.quality, json.dumps([one.to_json() for one in held], indent=1))
    # Figures outlive a generation that retention gave up.
    return [one for name in components for one in [one for one in held if one.component == name][-last:]]


def keep_quality(parts: Parts, report: Report) -> None:
    """Measure the newest generation where there is something to measure it with; wrong questions are for `check` to tell."""
    with suppress(UserError, DataError):
        measure_quality(parts, 1, report)


def _measure(
    parts: Parts,
    component: str,
    wanted: Sequence[Generation],
    records: dict[tuple[str, int], GenerationQuality],
    report: Report,
) -> None:
    items = parts.examples.dated(component)
    gold = {one.number: gold_questions(items, one.as_of) for one in wanted}
    names = {number: fingerprint(rows=sorted(map(content_key, questions))) for number, questions in gold.items()}
    due = []
    for one in wanted:
        known = records.get((component, one.number))
        if gold[one.number] and (known is None or known.gold != names[one.number]):
            due.append(one)
    for place, one in enumerate(due):
        search = parts.toolbox.search(parts.toolbox.cached_encoder, one.number)
        if search is None:
            continue

        def told(done: int, total: int, place: int = place) -> None:
            report("measure retrieval", place * total + done, len(due) * total)

        records[component, one.number] = measure_generation(
            component, one, search, gold[one.number], names[one.number], told
        )
