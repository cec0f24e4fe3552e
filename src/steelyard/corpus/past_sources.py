"""The sources as git held them at a date, in the records that a look at them gives."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from steelyard.corpus import history
from steelyard.corpus.history import Repository
from steelyard.corpus.parsing import format_of
from steelyard.corpus.places import Place, owner, places
from steelyard.corpus.scanning import too_large
from steelyard.corpus.sources import MAX_BYTES, Known, Listing, SourceFile, SourceRule
from steelyard.schema.errors import NotFoundError


def snapshot(
    rules: Sequence[SourceRule], root: Path, date: datetime, *, known: Known | None = None, max_bytes: int = MAX_BYTES
) -> Listing:
    """The documents of the sources as their git history held them at `date`: the same records as `scan` gives.

    `date` must be aware. A source whose history begins later has no documents.

    Raises:
        NotFoundError: a source is not in a git working tree.
    """
    known = known or {}
    files: list[SourceFile] = []
    failed: list[tuple[str, str]] = []
    repositories: dict[str, Repository] = {}
    roots = places(rules, root)
    for own in roots:
        repo = history.repository(own.path)
        if repo is None:
            raise NotFoundError(
                f"the source '{own.rule.path}' has no history: it is not in a git working tree.",
                remedy="Keep the documents in git to replay their past.",
                code="corpus.no_history",
            )
        repositories[own.rule.path] = repo
        commit = history.commit_at(repo, date)
        if commit is not None:
            files.extend(_committed(own, roots, repo, commit, date, known, max_bytes, failed))
    return Listing(
        files=tuple(sorted(files, key=lambda file: file.document)),
        failed=tuple(sorted(failed)),
        as_of=date,
        repositories=repositories,
    )


def _committed(
    own: Place,
    roots: Sequence[Place],
    repo: Repository,
    commit: str,
    date: datetime,
    known: Known,
    max_bytes: int,
    failed: list[tuple[str, str]],
) -> list[SourceFile]:
    """The documents of one source in a commit, with the date each got its content."""
    blobs = []
    for blob in history.files_at(repo, commit):
        document = "/".join(part for part in (own.name, blob.path) if part)
        hidden = any(part.startswith(".") for part in blob.path.split("/"))
        if (
            hidden
            or format_of(document) is None
            or owner(os.path.join(own.real, blob.path).rstrip(os.sep), roots) is not own
        ):
            continue
        if blob.size > max_bytes:
            failed.append((document, too_large(blob.size, max_bytes)))
            continue
        blobs.append((document, blob))
    versions = [
        hashlib.sha256(content).hexdigest() for content in history.contents(repo, [blob.oid for _, blob in blobs])
    ]
    keep = {
        document: known[document][1]
        for (document, _), version in zip(blobs, versions, strict=True)
        if document in known and known[document][0] == version
    }
    dates = history.commit_dates(repo, commit, [blob.path for document, blob in blobs if document not in keep])
    return [
        SourceFile(
            document=document,
            source=own.rule.path,
            format=format_of(document) or "",
            size=blob.size,
            version=version,
            access=own.access,
            valid_from=keep[document] if document in keep else dates.get(blob.path, date),
            blob=blob.oid,
        )
        for (document, blob), version in zip(blobs, versions, strict=True)
    ]
