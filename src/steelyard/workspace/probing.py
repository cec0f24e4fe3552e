"""`probes`: dated questions from the documents' own past, written for review; only reviewed ones count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.config import Settings
from steelyard.corpus.probes import derive_probes
from steelyard.evaluation.dated import DatedFact, facts_of_probes
from steelyard.schema.errors import DataError, UserError
from steelyard.schema.findings import Finding
from steelyard.schema.history import Probe
from steelyard.schema.progress import Report
from steelyard.schema.scope import EVERYONE, USER_PREFIX
from steelyard.workspace.pasts import pasts_of
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

PROBES_FILE = "probes.jsonl"
MOST_FINDINGS = 50


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What `probes` wrote: where, how many rows and facts, by kind, how many facts changed, and a few rows to look at."""

    file: Path
    rows: int
    facts: int
    changed: int
    kinds: Mapping[str, int]
    samples: tuple[Probe, ...]

    def to_json(self) -> dict[str, Any]:
        """The result with the keys of `probes --json`."""
        return {
            "file": str(self.file),
            "rows": self.rows,
            "facts": self.facts,
            "changed": self.changed,
            "kinds": dict(self.kinds),
            "samples": [_row(probe, reviewed=False) for probe in self.samples],
        }


def write_probes(parts: Parts, histories: Mapping[str, Path], limit: int, file: Path, report: Report) -> Derived:
    """Derive probes of every source and write them to `file` for review, none of them reviewed.

    Raises:
        UserError: a source keeps no past, nothing was found, or the file holds reviewed rows already.
    """
    if file.is_file() and any(row.get("reviewed") for _, row in _rows(file)):
        raise UserError(
            "the file holds rows that somebody has reviewed; they are not written over.",
            where=str(file),
            remedy="Name another file with --out, or move this one away.",
            code="probes.reviewed",
        )
    found: list[Probe] = []
    for path, past in pasts_of(parts.folder, parts.settings, histories).items():
        probes = derive_probes(past, limit=limit, report=report)
        found += [replace(probe, source=f"{path}/{probe.source}" if path != "." else probe.source) for probe in probes]
    if not found:
        raise UserError(
            "the documents' past holds no fact that could be asked for.",
            remedy="Date questions by hand: valid_from and valid_to in the questions file.",
            code="probes.none",
        )
    lines = [json.dumps(_row(probe, reviewed=False), ensure_ascii=False) for probe in found]
    write_whole(file, "".join(f"{line}\n" for line in lines))
    facts = {probe.fact: probe for probe in found}
    return Derived(
        file=file,
        rows=len(found),
        facts=len(facts),
        changed=sum(probe.values > 1 for probe in facts.values()),
        kinds=dict(Counter(probe.kind for probe in facts.values()).most_common()),
        samples=tuple(found[:: max(1, len(found) // 6)][:6]),
    )


def accept_probes(file: Path) -> int:
    """Mark every row of the file as reviewed; how many there are.

    Raises:
        UserError, DataError: there is no file, or it is wrong.
    """
    rows = [{**row, "reviewed": True} for _, row in _rows(file)]
    write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)


def probe_facts(settings: Settings, file: Path, *, unreviewed: bool) -> list[DatedFact]:
    """The probes of a file as facts, each asked by somebody who may see its source; rows that nobody reviewed only on request.

    Raises:
        UserError: there is no file, or nobody has reviewed a row of it.
        DataError: rows are wrong; all are named.
    """
    rows = _rows(file)
    counted = [(number, row) for number, row in rows if unreviewed or row.get("reviewed") is True]
    if not counted:
        raise UserError(
            f"none of the {len(rows)} probes is reviewed.",
            where=str(file),
            remedy='Read them and set "reviewed": true where they hold (all: `steelyard probes --accept`), or run with --unreviewed.',
            code="probes.unreviewed",
        )
    findings: list[Finding] = []
    probes: list[Probe] = []
    for number, row in counted:
        try:
            probes.append(_probe(row))
        except (KeyError, TypeError, ValueError) as error:
            findings.append(_finding(file, number, f"the row is no probe ({type(error).__name__}: {error})."))
    if findings:
        raise _wrong(file, findings)
    facts = facts_of_probes(probes)
    return [replace(fact, groups=askers(settings, fact.cluster)) for fact in facts]


def askers(settings: Settings, document: str) -> frozenset[str]:
    """Groups of somebody who may see a document by the rule of its source."""
    holding = [one for one in settings.sources if document == one.path or document.startswith(f"{one.path}/")]
    if not holding:
        return frozenset()
    allowed = max(holding, key=lambda one: len(one.path)).allow
    return frozenset(name for name in allowed if name != EVERYONE and not name.startswith(USER_PREFIX))


def _row(probe: Probe, *, reviewed: bool) -> dict[str, Any]:
    return {
        "id": probe.id,
        "question": probe.question,
        "taught": list(probe.taught),
        "answers": list(probe.answers),
        "source": probe.source,
        "valid_from": probe.valid_from.isoformat(),
        "valid_to": probe.valid_to.isoformat() if probe.valid_to else None,
        "group": probe.fact,
        "kind": probe.kind,
        "evidence": probe.evidence,
        "values": probe.values,
        "reviewed": reviewed,
    }


def _probe(row: Mapping[str, Any]) -> Probe:
    return Probe(
        id=str(row["id"]),
        fact=str(row["group"]),
        kind=str(row.get("kind", "")),
        question=str(row["question"]),
        taught=tuple(str(text) for text in row.get("taught", ())),
        answers=tuple(str(answer) for answer in row["answers"]),
        valid_from=_moment(row["valid_from"]),
        valid_to=_moment(row["valid_to"]) if row.get("valid_to") else None,
        source=str(row["source"]),
        evidence=str(row.get("evidence", "")),
        values=int(row.get("values", 1)),
    )


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    if not file.is_file():
        raise UserError(
            "there is no such file.",
            where=str(file),
            remedy="Write one with `steelyard probes`.",
            code="probes.no_file",
        )
    found: list[tuple[int, dict[str, Any]]] = []
    findings: list[Finding] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError as error:
            findings.append(_finding(file, number, f"not JSON: {error}."))
            continue
        if isinstance(row, dict):
            found.append((number, row))
        elif row is not None:
            findings.append(_finding(file, number, "not a JSON object."))
    if findings:
        raise _wrong(file, findings)
    return found


def _finding(file: Path, row: int, message: str) -> Finding:
    return Finding(
        code="probes.row",
        severity="error",
        message=message,
        remedy="Correct or remove the row, or derive the probes again.",
        file=file.name,
        row=row,
    )


def _wrong(file: Path, findings: Sequence[Finding]) -> DataError:
    return DataError(
        f"{len(findings)} rows of the probes are wrong.",
        findings=findings[:MOST_FINDINGS],
        where=str(file),
        remedy="Correct the rows named.",
        code="probes.invalid",
    )
