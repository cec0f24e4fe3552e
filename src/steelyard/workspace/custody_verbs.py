"""What a workspace keeps for those who answer for it: keys, the audit of answers, backups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.schema.progress import Report, silent
from steelyard.workspace.paths import State, write_whole

if TYPE_CHECKING:
    from steelyard.registry.chain import Entry, Verified
    from steelyard.registry.keys import Keys
    from steelyard.schema.backups import Backup
    from steelyard.workspace.answer_replay import Replay
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.running import Running


class CustodyVerbs:
    """The verbs of keys, audit and backup; part of `Workspace`."""

    state: State

    def keys(self) -> Keys:
        """The API keys that may call this workspace's server; made, listed, rotated and revoked here."""
        from steelyard.registry.keys import Keys

        return Keys(self.state.keys)

    def verify_audit(self, heads: Mapping[str, str] | None = None) -> dict[str, Verified]:
        """Check every sealed history: answers, registry, keys, access; `heads` are hashes of them that were kept elsewhere.

        Raises:
            UserError: a head names no history.
        """
        from steelyard.workspace.evidence import verify_all

        return verify_all(self._parts(), heads or {})

    def verify_audit_file(self, file: Path) -> dict[str, tuple[Verified, int]]:
        """Check an export or an archive: by history what was found, and the number of its first record.

        Raises:
            UserError: there is no such file.
        """
        from steelyard.workspace.evidence import verify_file

        return verify_file(file)

    def answers(self, count: int, *, key_id: str | None = None) -> list[Entry]:
        """The newest records of answers, newest first; of one caller, or all."""
        from steelyard.registry.answers_audit import AnswersAudit

        return AnswersAudit(self.state.audit).newest(count, key_id=key_id)

    def replay(self, trace: str, question: str | None = None, *, again: bool = True) -> Replay:
        """The record of an answer, and whether the same versions and generation still give the same passages.

        Raises:
            NotFoundError: there is no such answer.
            UserError: `question` is not what was asked.
        """
        from steelyard.workspace.answer_replay import replay

        running = self.running()
        try:
            return replay(running, trace, question, again=again)
        finally:
            running.close()

    def export_audit(self, file: Path) -> int:
        """Write every sealed history to `file` as JSON Lines; returns the number of records."""
        from steelyard.workspace.evidence import export_lines

        lines = list(export_lines(self._parts()))
        write_whole(file, "".join(f"{line}\n" for line in lines))
        return len(lines)

    def cut_audit(
        self, older_than: timedelta, *, why: str = "", archive: Path | None = None, dry_run: bool = True
    ) -> Entry | int:
        """Delete the records of answers that are older, provably: the record of the cut, or how many there would be.

        Raises:
            UserError: the archive exists.
            StoreError: the chain is not whole.
        """
        from steelyard.workspace.evidence import cut_answers

        return cut_answers(self._parts(), older_than, why=why, archive=archive, dry_run=dry_run)

    def backup(self, file: Path, report: Report = silent, *, documents: bool = False) -> Backup:
        """Write everything that cannot be made again into one new file, while serving and ingesting go on.

        Raises:
            UserError: the file exists, or its folder does not.
            StoreError: something is damaged.
        """
        from steelyard.workspace.backup import make_backup

        return make_backup(self._parts(), file, report, documents=documents)

    @abstractmethod
    def running(self) -> Running:
        """The release in force, ready to answer."""

    @abstractmethod
    def _parts(self) -> Parts:
        """The parts of the open workspace."""
