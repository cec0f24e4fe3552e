"""Builds a workspace from three open data sets: banking77 (intents), the PostgreSQL 15 manual (documents, questions), bitext (replies).

`python scripts/make_public_workspace.py DIR [--small]`. The recipe and what it gives: docs/how-to/public-data-workspace.md.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

REPLIES_PER_INTENT = 20
"""27 intents make 540 replies: enough for every intent to stand in the holdout, and quick."""

SMALL = {"intent_rows": 12, "documents": 60, "replies": 6}
"""Rows a label, pages, and replies an intent of a trial run."""

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")

SLOTS: Mapping[str, re.Pattern[str]] = {
    "phone": re.compile(r"(support |service |^)phone number", re.IGNORECASE),
    "hours": re.compile(r"(support|service|team) (hours|availability)", re.IGNORECASE),
    "email": re.compile(r"(support|service) email", re.IGNORECASE),
    "website": re.compile(r"^(company )?website( name| url|$)", re.IGNORECASE),
    "company": re.compile(r"^company( name)?$", re.IGNORECASE),
    "number": re.compile(r"^(order|purchase|bill|invoice|tracking) (number|id)|^[0-9]+$", re.IGNORECASE),
}
"""What differs from vendor to vendor or from customer to customer is a slot; a button's label (`{{Cancel Order}}`) is text."""

WRITTEN_NUMBER = re.compile(r"\b[0-9]{6,}\b")
"""An order number that the reply repeats from the message."""

VENDORS = (
    {
        "phone": "+1 555 0134",
        "hours": "weekdays from 8 to 18",
        "email": "help@alder.example",
        "website": "alder.example",
        "company": "Alder",
    },
    {
        "phone": "+1 555 0177",
        "hours": "every day from 7 to 23",
        "email": "care@brindle.example",
        "website": "brindle.example",
        "company": "Brindle",
    },
    {
        "phone": "+44 1632 960 021",
        "hours": "Monday to Saturday",
        "email": "hello@corvid.example",
        "website": "corvid.example",
        "company": "Corvid",
    },
)
"""Made-up values: reserved numbers and domains, three vendors, so that a slot cannot be learned by heart."""

SETTINGS = """# Three open data sets in one workspace; see docs/how-to/public-data-workspace.md in Steelyard's repository.

[workspace]
name = "public-data"

[[sources]]
path = "manual"                  # the PostgreSQL 15 manual, a text file a page
allow = ["everyone"]

[components.intent]
task = "classify"
examples = "intents.csv"         # banking77: train and test rows together; Steelyard cuts its own sealed holdout

[components.answer]
task = "answer"
questions = "questions.jsonl"    # default values of server parameters, each with its page

[components.reply]
task = "write"
examples = "replies.jsonl"       # one support voice, with slots

[requirements]
citations = true

[traffic]
queries_per_month = 120_000
updates_per_year = 4             # the manual changes with each minor release

[economics]
horizon_months = 24
"""

LICENCES = """# Where these files come from

- `intents.csv`: Banking77, github.com/PolyAI-LDN/task-specific-datasets, CC BY 4.0.
- `manual/`, `questions.jsonl`: the PostgreSQL 15 manual, PostgreSQL Licence; questions derived from its configuration chapters.
- `replies.jsonl`: Bitext customer support, github.com/bitext/customer-support-llm-chatbot-training-dataset, CDLA-Sharing 1.0;
  placeholders turned into slots with made-up values. Keep this licence with any copy.
"""


def main() -> int:
    """Build the workspace; exit code 2 when the data is not there or the folder is not empty."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELYARD_SHARED", "../shared")) / "data")
    parser.add_argument("--small", action="store_true", help="a trial run: about a twelfth of the rows")
    given = parser.parse_args()
    missing = [
        name for name in ("banking77", "postgresql15_docs", "bitext_support") if not (given.data / name).is_dir()
    ]
    if missing:
        print(f"not there: {', '.join(missing)} under {given.data}; name the folder with --data", file=sys.stderr)
        return 2
    if given.folder.exists() and any(given.folder.iterdir()):
        print(f"{given.folder} is not empty; name a new folder", file=sys.stderr)
        return 2
    made = build(given.folder, given.data, small=given.small)
    print(", ".join(f"{count:,} {what}" for what, count in made.items()) + f" in {given.folder}")
    return 0


def build(folder: Path, data: Path, *, small: bool = False) -> dict[str, int]:
    """Write the workspace into `folder`; how many rows of each kind it got. The same data gives the same files."""
    manual = folder / "manual"
    manual.mkdir(parents=True)
    intents = list(intent_rows(data / "banking77", SMALL["intent_rows"] if small else None))
    with (folder / "intents.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("id", "text", "label"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(intents)
    questions = [question_row(row) for row in read(data / "postgresql15_docs" / "questions.jsonl.gz")]
    asked = {row["source"] for row in questions}
    pages = {f"manual/{row['id']}.txt": row["text"] for row in read(data / "postgresql15_docs" / "docs.jsonl.gz")}
    kept = [name for name in pages if not small or name in asked]
    if small:
        kept += [name for name in pages if name not in asked][: max(0, SMALL["documents"] - len(kept))]
    for name in kept:
        (folder / name).write_text(pages[name], encoding="utf-8")
    replies = list(reply_rows(data / "bitext_support", SMALL["replies"] if small else REPLIES_PER_INTENT))
    write_lines(folder / "questions.jsonl", questions)
    write_lines(folder / "replies.jsonl", replies)
    (folder / "steelyard.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "LICENCES.md").write_text(LICENCES, encoding="utf-8")
    return {"messages": len(intents), "documents": len(kept), "questions": len(questions), "replies": len(replies)}


def intent_rows(folder: Path, per_label: int | None) -> Iterator[dict[str, str]]:
    """Banking77's rows, train before test; of each label the first `per_label`."""
    seen: Counter[str] = Counter()
    for part in ("train", "test"):
        for row in read(folder / f"{part}.jsonl.gz"):
            seen[row["intent"]] += 1
            if per_label is None or seen[row["intent"]] <= per_label:
                yield {"id": row["id"], "text": " ".join(row["text"].split()), "label": row["intent"]}


def question_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question with its answers, and the page that holds them as its source."""
    source = f"manual/{row['doc_id']}.txt"
    return {"id": row["id"], "question": row["question"], "answers": row["answers"], "source": source}


def reply_rows(folder: Path, per_intent: int) -> Iterator[dict[str, Any]]:
    """Of each intent `per_intent` replies, chosen by a hash of the row's name, each text once."""
    by_intent: dict[str, list[dict[str, Any]]] = defaultdict(list)
    texts: set[str] = set()
    for row in sorted(read(folder / "bitext_support.jsonl.gz"), key=lambda row: digest(row["id"])):
        if row["response"] not in texts and len(by_intent[row["intent"]]) < per_intent:
            texts.add(row["response"])
            by_intent[row["intent"]].append(reply_row(row))
    for intent in sorted(by_intent):
        yield from by_intent[intent]


def reply_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`{{Website Name}}` becomes the slot `{website}` with a made-up value; a placeholder that names a button becomes its label."""
    vendor = VENDORS[int(digest(row["id"])[:8], 16) % len(VENDORS)]
    numbers = WRITTEN_NUMBER.findall(row["response"]) + WRITTEN_NUMBER.findall(row["instruction"])
    values = {**vendor, "number": numbers[0] if numbers else str(int(digest(row["id"])[8:16], 16))}
    used: set[str] = set()

    def place(found: re.Match[str]) -> str:
        name = found[1].strip()
        slot = next((slot for slot, pattern in SLOTS.items() if pattern.search(name)), None)
        if slot is None:
            return name.removesuffix(" Anonymized")
        used.add(slot)
        return f"{{{slot}}}"

    def number(found: re.Match[str]) -> str:
        if found[0] != values["number"]:
            return found[0]
        used.add("number")
        return "{number}"

    output = WRITTEN_NUMBER.sub(number, PLACEHOLDER.sub(place, row["response"].replace("\r\n", "\n"))).strip()
    slots = {slot: values[slot] for slot in SLOTS if slot in used}
    return {"id": row["id"], "intent": row["intent"], "input": row["instruction"], "slots": slots, "output": output}


def digest(text: str) -> str:
    """SHA-256 in hex: an order that does not depend on the file's."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a compressed JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON Lines, a row a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
