"""Where a workspace keeps what it derives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class State:
    """The `.steelyard` folder: everything derived. The registry is the part that cannot be rebuilt."""

    root: Path

    @property
    def registry(self) -> Path:
        """Versions, releases, aliases and their history, holdout uses (SQLite)."""
        return self.root / "registry.sqlite"

    @property
    def requests(self) -> Path:
        """Which versions answered each request (SQLite)."""
        return self.root / "requests.sqlite"

    @property
    def corpus(self) -> Path:
        """Document versions and generations (SQLite)."""
        return self.root / "corpus.sqlite"

    @property
    def control(self) -> Path:
        """Who may see what, and what was erased (SQLite); beside the library."""
        return self.root / "control.sqlite"

    @property
    def vectors(self) -> Path:
        """Vectors of labelled rows by content hash (SQLite); passages have their own beside the library."""
        return self.root / "row-vectors.sqlite"

    @property
    def index(self) -> Path:
        """The passage index."""
        return self.root / "index"

    @property
    def runs(self) -> Path:
        """Run records, one JSON file each."""
        return self.root / "runs"

    @property
    def calls(self) -> Path:
        """Calls to generators, what they cost, and their answers (SQLite); what was spent cannot be rebuilt."""
        return self.root / "calls.sqlite"

    @property
    def tuning(self) -> Path:
        """Fine-tuning jobs at a provider (SQLite); they were paid for, so it cannot be rebuilt."""
        return self.root / "tuning.sqlite"

    @property
    def quality(self) -> Path:
        """Retrieval quality by generation (JSON)."""
        return self.root / "quality.json"

    @property
    def datasets(self) -> Path:
        """Versions of the labelled data (SQLite); cannot be rebuilt."""
        return self.root / "datasets.sqlite"

    @property
    def private(self) -> Path:
        """What nobody else may read, beside this folder because none of it is derived: keys, the secret of sessions."""
        return self.root.with_name(".steelyard-private")

    @property
    def keys(self) -> Path:
        """API keys as hashes, with their history (SQLite); cannot be rebuilt."""
        return self.private / "keys.sqlite"

    @property
    def session_secret(self) -> Path:
        """What signs the page's sessions; deleted, everybody signs in again."""
        return self.private / "session.key"

    @property
    def limits(self) -> Path:
        """How much each caller asked of late, shared by the worker processes; may go at any time."""
        return self.root / "limits"

    @property
    def backups(self) -> Path:
        """Which backups were made of this workspace (JSON)."""
        return self.root / "backups.json"

    @property
    def audit(self) -> Path:
        """The sealed record of every answer (SQLite); cannot be rebuilt."""
        return self.root / "audit.sqlite"

    @property
    def operations(self) -> Path:
        """Calls of the last days, and their sums by hour (SQLite); deleting it loses the history of the traffic."""
        return self.root / "operations.sqlite"

    @property
    def trials(self) -> Path:
        """Canaries and shadows, and what was seen of them (SQLite)."""
        return self.root / "trials.sqlite"

    @property
    def feedback(self) -> Path:
        """What people said of answers (SQLite); cannot be rebuilt."""
        return self.root / "feedback.sqlite"

    @property
    def watched(self) -> Path:
        """The decision's arithmetic on measured inputs, as last computed (JSON)."""
        return self.root / "decision-now.json"

    @property
    def curves(self) -> Path:
        """Learning curves with their trials, by component."""
        return self.root / "curves"

    @property
    def checks(self) -> Path:
        """What `check` found last, by component."""
        return self.root / "checks"

    def model(self, component: str, candidate: str, inputs: str) -> Path:
        """The folder of one fitted candidate, named by what it was fitted from."""
        return self.root / "models" / component / candidate / inputs[:16]


def write_whole(path: Path, text: str) -> None:
    """Replace `path` with `text` at once: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def known_backups(state: State) -> list[dict[str, str]]:
    """The backups that were made of a workspace: file, created, head; oldest first."""
    try:
        found = json.loads(state.backups.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
