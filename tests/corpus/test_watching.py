"""Every change of the sources is heard, once a burst, and nothing outside them is listened to."""

from __future__ import annotations

import shutil
import time

import pytest

from steelyard.corpus.sources import SourceRule
from steelyard.corpus.watching import Watching

LONG = 10.0
"""Seconds within which a change must be heard, also on a busy machine; it usually takes 0.1."""
SHORT = 0.8
"""Seconds in which nothing must be heard."""


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("One.")
    return folder


@pytest.fixture(params=[None, 0.1], ids=["reports", "polling"])
def watching(request, docs):
    rules = [SourceRule(path="docs")]
    with Watching(rules, docs.parent, [docs.parent / "access.toml"], poll_s=request.param) as made:
        yield made


def test_every_kind_of_change_is_heard(watching, docs):
    changes = (
        lambda: (docs / "a.md").write_text("Two."),
        lambda: (docs / "sub" / "new.md").write_text("New."),
        lambda: (docs / "a.md").rename(docs / "b.md"),
        lambda: (docs / "b.md").unlink(),
        lambda: (docs.parent / "access.toml").write_text("[[rules]]"),
        lambda: shutil.rmtree(docs / "sub"),
    )
    for change in changes:
        change()
        assert watching.wait(LONG)
        while watching.wait(0.3) and not watching.polling:
            pass


def test_a_folder_that_is_made_later_is_listened_to(watching, docs):
    (docs / "deep" / "deeper").mkdir(parents=True)
    (docs / "deep" / "deeper" / "x.md").write_text("X.")
    assert watching.wait(LONG)
    time.sleep(0.6)
    watching.wait(0)
    (docs / "deep" / "deeper" / "x.md").write_text("Y.")
    assert watching.wait(LONG)


def test_a_source_that_is_swapped_for_another_folder_is_listened_to(watching, docs):
    shutil.copytree(docs, docs.parent / "other")
    docs.rename(docs.parent / "old")
    (docs.parent / "other").rename(docs)
    assert watching.wait(LONG)
    time.sleep(0.6)
    watching.wait(0)
    (docs / "a.md").write_text("Three.")
    assert watching.wait(LONG)


def test_a_burst_is_told_once_and_what_is_no_document_not_at_all(docs):
    (docs / "loop").symlink_to(docs)
    (docs / "everything").symlink_to("/")
    (docs / ".git").mkdir()
    with Watching([SourceRule(path="docs")], docs.parent) as watching:
        for number in range(200):
            (docs / "sub" / f"{number}.md").write_text("x")
        assert watching.wait(LONG)
        assert not watching.wait(SHORT)
        (docs / ".git" / "index.md").write_text("x")
        (docs / "server.log").write_text("x")
        assert not watching.wait(SHORT)


def test_a_source_that_does_not_exist_yet_is_heard_when_it_comes(tmp_path):
    with Watching([SourceRule(path="docs")], tmp_path) as watching:
        assert not watching.wait(0.3)
        (tmp_path / "docs").mkdir()
        assert watching.wait(LONG)
        time.sleep(0.6)
        watching.wait(0)
        (tmp_path / "docs" / "a.md").write_text("x")
        assert watching.wait(LONG)


def test_a_system_without_reports_is_looked_at_in_intervals(docs, monkeypatch):
    import watchfiles

    def no_reports(*arguments, **named):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", no_reports)
    monkeypatch.setattr("steelyard.corpus.watching.POLL_S", 0.1)
    with Watching([SourceRule(path="docs")], docs.parent) as watching:
        assert watching.wait(LONG)
        assert watching.polling
