"""A small history as the shared ones are laid out, for the benchmarks that replay those."""

from __future__ import annotations

import gzip
import json

from planted_worlds import TOWNS

DAYS = ("2026-06-01", "2026-07-01", "2026-08-01")


def a_history(folder):
    """Pages of offices with one fact each, that changes once in every second of them, as the shared histories are laid out."""
    folder.mkdir(parents=True)
    changes, probes = [], []
    for place, town in enumerate(TOWNS * 2):
        name = f"{town}{place}"
        values = [place + 10, place + 10, place + 500 if place % 2 else place + 10]
        for step, day in enumerate(DAYS):
            if step == 0 or values[step] != values[step - 1]:
                text = f"# {name}\n\nThe annual fee of the {name} branch is {values[step]} crowns.\n"
                changes.append({"date": day, "op": "modify", "path": f"{name}.md", "text": text})
        question = f"Which release cycle of {name} was released most recently?"
        spans = [(0, 2), (2, None)] if place % 2 else [(0, None)]
        probes += [
            {
                "id": f"{name}-{begin}",
                "fact_id": name,
                "question": question,
                "answers": [str(values[begin])],
                "valid_from": DAYS[begin],
                "valid_to": DAYS[end] if end else None,
                "source_path": f"{name}.md",
            }
            for begin, end in spans
        ]
    for name, rows in (("changes", sorted(changes, key=lambda row: row["date"])), ("probes", probes)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
