"""The control plane: one truth about access and erasure, with a history, an epoch and groups in groups."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.corpus.control import Control
from steelyard.corpus.directory import Closures, Membership
from steelyard.schema.control import DocumentRule
from steelyard.schema.errors import UserError
from steelyard.schema.scope import NOBODY, Access, Group, Scope

EVERYONE = Access(allow=("everyone",))
STAFF = Access(allow=("staff",))


@pytest.fixture
def control(tmp_path):
    made = Control(tmp_path / "control.sqlite")
    yield made
    made.close()


def rules(**access: Access) -> dict[str, DocumentRule]:
    return {f"docs/{name}.md": DocumentRule(access=one) for name, one in access.items()}


def test_a_document_without_a_rule_is_seen_by_nobody(control) -> None:
    assert control.access("docs/a.md") == NOBODY
    assert control.epoch() == 0


def test_every_change_moves_the_epoch_and_nothing_else_does(control) -> None:
    seen = [control.epoch()]
    for act in (
        lambda: control.put_rules(rules(a=EVERYONE, b=STAFF)),
        lambda: control.say("docs/a.md", "user:eve", "deny", by="ada"),
        lambda: control.take_back("docs/a.md", by="ada"),
        lambda: control.put_directory("groups.toml", [Membership(Group.named("staff"), "user:bo")]),
        lambda: control.erase(documents=["docs/a.md"], by="ada"),
    ):
        act()
        seen.append(control.epoch())
    assert seen == sorted(set(seen))
    assert control.put_rules(rules(b=STAFF)) == {}
    assert not control.put_directory("groups.toml", [Membership(Group.named("staff"), "user:bo")])
    assert control.epoch() == seen[-1]


def test_a_store_is_told_what_changed_since_its_epoch_and_all_when_it_is_ahead(control) -> None:
    control.put_rules(rules(a=EVERYONE, b=STAFF))
    before = control.epoch()
    control.say("docs/b.md", "user:eve", "allow", by="ada")
    delta = control.since(before)
    assert delta.access == {"docs/b.md": Access(allow=("staff", "user:eve"))}
    assert delta.epoch == control.epoch()
    assert control.since(control.epoch()).access == {}
    assert set(control.since(control.epoch() + 1).access) == {"docs/a.md", "docs/b.md"}


def test_epochs_rise_also_after_an_older_copy_of_the_file_was_put_back(tmp_path) -> None:
    first = Control(tmp_path / "a" / "control.sqlite")
    first.put_rules(rules(a=EVERYONE))
    with sqlite3.connect(tmp_path / "copy.sqlite") as copy:
        first._connection.backup(copy)
    copy.close()
    first.say("docs/a.md", "everyone", "deny", by="ada")
    ahead = first.epoch()
    first.close()
    restored = Control(tmp_path / "copy.sqlite")
    assert restored.epoch() < ahead
    restored.put_rules(rules(b=STAFF))
    assert restored.epoch() > ahead


def test_operators_add_and_deny_beats_allow_whoever_said_it(control) -> None:
    control.put_rules(rules(a=Access(allow=("staff",), deny=("interns",)), b=STAFF))
    assert control.say("docs/a.md", "interns", "allow", by="ada", why="asked for") == ["docs/a.md"]
    assert not control.access("docs/a.md").permits(Scope(groups=frozenset({"interns"})))
    assert control.say("docs/*.md", "user:bo", "allow", by="ada") == ["docs/a.md", "docs/b.md"]
    assert control.access("docs/b.md").permits(Scope(user="bo"))
    assert control.say("docs/**", "user:bo", "deny", by="ada") == ["docs/a.md", "docs/b.md"]
    assert not control.access("docs/b.md").permits(Scope(user="bo"))
    assert control.take_back("docs/**", "user:bo", by="ada") == 1
    assert control.access("docs/b.md").permits(Scope(user="bo"))
    assert control.take_back("docs/**", by="ada") == 0


def test_what_operators_said_holds_for_documents_to_come_and_stays_when_the_files_change(control) -> None:
    control.say("docs/**", "user:eve", "deny", by="ada")
    control.put_rules(rules(new=EVERYONE))
    assert not control.access("docs/new.md").permits(Scope(user="eve"))
    control.put_rules(rules(new=Access(allow=("everyone", "user:eve"))))
    assert not control.access("docs/new.md").permits(Scope(user="eve"))


@pytest.mark.parametrize("name", ["", "user:", "okta:", ":eng", "  "])
def test_nobodys_name_is_refused(control, name) -> None:
    with pytest.raises(UserError) as caught:
        control.say("docs/a.md", name, "allow", by="ada")
    assert caught.value.code == "access.bad_name"


def test_the_history_says_who_did_what_when_and_why_and_cannot_be_altered(control) -> None:
    control.put_rules(rules(a=EVERYONE))
    control.say("docs/a.md", "user:eve", "deny", by="ada", why="left the project")
    control.take_back("docs/a.md", by="bo", why="came back")
    told = [(one.kind, one.subject, one.by, one.why) for one in control.history()]
    assert told == [
        ("rules", "", "ingest", ""),
        ("deny", "docs/a.md", "ada", "left the project"),
        ("reset", "docs/a.md", "bo", "came back"),
    ]
    for attack in ("DELETE FROM change", "UPDATE change SET by = 'nobody'"):
        with pytest.raises(sqlite3.IntegrityError, match="history"):
            control._connection.execute(attack)


def test_an_erased_document_stays_closed_whatever_files_and_operators_say(control) -> None:
    control.put_rules(rules(a=EVERYONE, twin=EVERYONE))
    control.erase(documents=["docs/a.md"], versions=[("docs/a.md", "1" * 64)], by="ada", why="asked for")
    control.say("docs/**", "everyone", "allow", by="eve")
    control.put_rules(rules(a=Access(allow=("everyone", "staff"))))
    assert control.access("docs/a.md") == NOBODY
    assert control.is_erased("docs/a.md", "2" * 64)
    assert not control.is_erased("docs/twin.md", "1" * 64)
    assert not control.permits("docs/a.md", "1" * 64, Scope())
    assert control.permits("docs/twin.md", "1" * 64, Scope())
    assert control.since(0).withheld == {("docs/a.md", "1" * 64)}
    control.erase(versions=[("", "1" * 64)], by="ada")
    assert control.is_erased("docs/twin.md", "1" * 64)
    assert not control.permits("docs/twin.md", "1" * 64, Scope())


def test_groups_are_those_of_their_source(control) -> None:
    control.put_directory(
        "groups.toml",
        [
            Membership(Group.named("okta:eng"), "user:ada"),
            Membership(Group.named("google:eng"), "user:bo"),
            Membership(Group.named("staff"), "okta:eng"),
        ],
    )
    assert control.resolve(Scope(user="ada")).groups >= {"okta:eng", "staff"}
    assert "staff" not in control.resolve(Scope(user="bo")).groups
    assert control.resolve(Scope(groups=frozenset({"workspace:staff"}))).principals == ("everyone", "staff")


def test_a_membership_that_is_revoked_is_gone_at_the_next_question(control) -> None:
    staff = [Membership(Group.named("staff"), "user:ada")]
    control.put_directory("groups.toml", staff)
    assert "staff" in control.resolve(Scope(user="ada")).groups
    other = Control(control.path)
    other.put_directory("groups.toml", [])
    other.close()
    assert "staff" not in control.resolve(Scope(user="ada")).groups


names = st.sampled_from(["a", "b", "okta:a", "okta:b", "c", "d"])
pairs = st.lists(st.tuples(names, st.one_of(names, st.sampled_from(["user:x", "user:y"]))), max_size=14)


@given(pairs, st.sampled_from(["x", "y", None]), st.frozensets(names, max_size=2))
@settings(deadline=None)
def test_the_closure_is_what_repeated_joining_gives_cycles_included(lines, user, groups) -> None:
    found = Closures(1, lines).resolve(Scope(user=user, groups=groups))
    expected = set(groups) | ({f"user:{user}"} if user else set())
    for _ in range(20):
        expected |= {group for group, member in lines if member in expected}
    assert set(found.principals) == expected | {"everyone"}


def test_everyone_in_a_group_would_be_the_whole_world_and_counts_for_nothing() -> None:
    assert Closures(1, [("staff", "everyone")]).resolve(Scope(user="eve")).principals == ("everyone", "user:eve")


def test_many_threads_read_while_rules_change(control) -> None:
    control.put_rules(rules(a=EVERYONE))
    wrong: list[object] = []

    def look() -> None:
        for _ in range(50):
            delta = control.since(0)
            if set(delta.access) - {"docs/a.md"} or delta.epoch == 0:
                wrong.append(delta)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        control.say("docs/a.md", f"user:u{number}", "deny", by="ada")
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(control.access("docs/a.md").deny) == 20
