"""The sources as they are now beside the newest generation: what comes, goes and stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.corpus.file_rules import FileRules
from steelyard.corpus.sources import Listing, SourceFile
from steelyard.corpus.staging import Content, Member
from steelyard.schema.control import DocumentRule


@dataclass
class Plan:
    """What comes, goes, stays and fails; the counts are those of `IngestReport`. `rules` are the access rules of all that was read.

    `held` is how many documents the newest generation has, `members` those of them that were looked at.
    """

    added: list[Member] = field(default_factory=list)
    retired: list[Member] = field(default_factory=list)
    failing: list[tuple[str, str]] = field(default_factory=list)
    new: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    renamed: int = 0
    access_changed: int = 0
    parsed: int = 0
    rules: dict[str, DocumentRule] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    held: int = 0

    @property
    def changes(self) -> bool:
        """Whether a generation has to be made."""
        return bool(self.added or self.retired)


def compare(
    plan: Plan,
    dated: Mapping[str, SourceFile],
    contents: Mapping[str, Content],
    members: Mapping[str, Member],
    listing: Listing,
    files: FileRules,
) -> None:
    """Fill the plan's changes: every listed document against its member, then the members that are listed no more."""
    for document, file in dated.items():
        before = members.get(document)
        # What failed keeps its last good content; the rule of its source holds for it all the same.
        content = contents.get(document) or (before.content if before else None)
        if content is None:
            continue
        rule = files.rule(document, file.source, content.allow, content.deny)
        assert rule is not None  # the listing was made of these sources
        plan.rules[document] = rule
        same = before is not None and before.content.id == content.id
        if before is not None and same and before.source == file.source:
            plan.unchanged += 1
            continue
        valid_from = before.valid_from if before is not None and same else file.valid_from
        after = Member(
            document=document, content=content, source=file.source, access=rule.access, valid_from=valid_from
        )
        plan.added.append(after)
        if before is None:
            plan.new += 1
        else:
            plan.updated += 1
            plan.retired.append(before)
    kept = {document for document, _ in listing.failed}
    folders = tuple(document.removeprefix("./") for document in kept if document.endswith("/"))
    gone = [
        member
        for document, member in members.items()
        if document not in dated and document not in kept and not document.startswith(folders)
    ]
    plan.unchanged += len(members) - len(gone) - sum(1 for document in members if document in dated)
    plan.deleted = len(gone)
    plan.retired.extend(gone)
    lost = [member.content.version for member in gone]
    for member in plan.added:
        if member.document not in members and member.content.version in lost:
            lost.remove(member.content.version)
            plan.renamed += 1
