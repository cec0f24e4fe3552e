"""The fast part of the access tests, as functions of a fresh folder: what has to notice a broken check."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from access_door_checks import DOOR_CHECKS
from access_reference import Said, may
from access_stored_checks import lance_follows, reads

from corpus import test_control, test_sidecar
from corpus.corpus_bench import Bench
from steelyard.components.enforcement import EnforcedStore
from steelyard.corpus.access import effective
from steelyard.corpus.control import Control
from steelyard.corpus.directory import Closures, Membership
from steelyard.corpus.enforcing import Enforcing, catch_up, narrowed
from steelyard.corpus.file_rules import FileRules
from steelyard.corpus.sources import SourceRule
from steelyard.schema.control import DocumentRule
from steelyard.schema.scope import NOBODY, Access, Group, Scope, principal
from steelyard.stores import conformance
from steelyard.stores.memory import MemoryStore

Check = Callable[[Path], None]
VECTOR = conformance.unit(1.0)
WORD = "refund"


def scopes_and_rules(folder: Path) -> None:
    """Names, scopes, rules: the smallest parts."""
    names = ["user:ada", " user:ada", "user:", "", " ", "okta:", ":eng", "okta:a:b", "workspace:staff", "workspace:a:b"]
    found = [principal(name) for name in names]
    assert found == ["user:ada", "user:ada", None, None, None, None, None, "okta:a:b", "staff", "workspace:a:b"]
    assert Scope(user="ada", groups=frozenset({"", "user:eve", "workspace:staff"})).principals == (
        "everyone",
        "staff",
        "user:ada",
    )
    assert Scope(user="").principals == Scope().principals == ("everyone",)
    rule = Access(allow=("staff", "user:bo"), deny=("interns",))
    asked = [(None, ()), ("bo", ()), ("eve", ("staff",)), ("bo", ("interns",)), (None, ("interns",))]
    seen = [rule.permits(Scope(user=user, groups=frozenset(groups))) for user, groups in asked]
    assert seen == [False, True, True, False, False]
    assert not NOBODY.permits(Scope(user="ada", groups=frozenset({"staff"})))


def rules_in_files(folder: Path) -> None:
    """Sources, fronts and withdrawn documents, without an ingest."""
    control = Control(folder / "control.sqlite")
    with contextlib.closing(control):
        files = FileRules(
            sources=(SourceRule(path="a", allow=("x",), deny=("d",)), SourceRule(path="a/b", allow=("y",)))
        )
        assert files.rule("q/1.md", "q", None, None) is None
        assert effective(Access(allow=("a", ""), deny=("b",)), None, None) == Access(allow=("a",), deny=("b",))
        plain, own = files.rule("a/1.md", "a", None, None), files.rule("a/b/2.md", "a/b", ("z",), ("user:e", ""))
        denies, empty = files.rule("a/3.md", "a", None, ("w",)), files.rule("a/4.md", "a", (), None)
        assert plain is not None
        assert [rule and rule.access for rule in (plain, own, denies, empty)] == [
            Access(allow=("x",), deny=("d",)),
            Access(allow=("z",), deny=("user:e",)),
            Access(allow=("x",), deny=("d", "w")),
            Access(allow=(), deny=("d",)),
        ]
        assert [step.kind for step in plain.steps] == ["source"]
        rules = {"a/1.md": plain, "a/b/2.md": own, "a/3.md": denies, "a/4.md": empty, "gone/5.md": plain}
        control.put_rules(rules)
        assert files.withdrawn(control, (), folder) == {}
        later = FileRules(
            sources=(SourceRule(path="a", allow=("v",)), SourceRule(path="a/b", allow=("y",), deny=("n",)))
        )
        found = later.withdrawn(control, {"a/3.md"}, folder)
        assert {document: rule.access for document, rule in found.items()} == {
            "a/1.md": Access(allow=("v",)),
            "a/b/2.md": Access(allow=("z",), deny=("n", "user:e")),
            "a/4.md": Access(allow=()),
        }
        whole = FileRules(sources=(SourceRule(path=".", allow=("all",)),))
        assert set(whole.withdrawn(control, (), folder)) == set(rules)
        one = FileRules(sources=(SourceRule(path="a/1.md", allow=("only",)), SourceRule(path="gon", allow=("no",))))
        assert set(one.withdrawn(control, (), folder)) == {"a/1.md"}


class OwnEpoch:
    """An index that only remembers what it was told."""

    def __init__(self) -> None:
        self.epoch = 0
        self.told: list[tuple[dict[str, Access], int]] = []

    def restrict(self, access: dict[str, Access], epoch: int, withheld: object = ()) -> None:
        self.told.append((dict(access), epoch))
        self.epoch = epoch


def ingest_order(folder: Path) -> None:
    """What is edited is narrowed until its new text answers; rows staged while rules moved are told again."""
    staff, guild = Access(allow=("staff", "both")), Access(allow=("guild", "both"), deny=("out",))
    both = ("both",)
    world = Access(allow=("everyone",))
    assert narrowed(staff, guild) == Access(allow=both, deny=("out",))
    assert narrowed(world, staff) == narrowed(staff, world) == Access(allow=("both", "staff"))
    assert narrowed(world, world) == world
    control = Control(folder / "control.sqlite")
    with contextlib.closing(control):
        index = OwnEpoch()
        control.put_rules({name: DocumentRule(access=staff) for name in ("a", "b", "left")})
        catch_up(index, control)
        catch_up(index, control)
        assert len(index.told) == 1
        new = {name: DocumentRule(access=guild) for name in ("a", "b", "new")}
        enforcing = Enforcing(control, new)
        epoch = enforcing.close(["a", "gone", "left", "new"])
        assert [control.access(name) for name in ("a", "b", "new")] == [narrowed(staff, guild), guild, guild]
        enforcing.settle(epoch, ["a", "new"])
        enforcing.settle(0, [])
        assert control.epoch() == epoch
        control.say("b", "user:eve", "deny", by="test")
        moved = control.epoch()
        enforcing.settle(epoch, ["a", "new"])
        assert set(control.since(moved).access) == {"a", "new"}
        enforcing.open(index)
        assert [control.access(name) for name in ("a", "new")] == [guild, guild]
        assert index.told[-1][1] == control.epoch()
        assert enforcing.changed == {"a", "b", "new"}


def closures(folder: Path) -> None:
    """Groups in groups: cycles, names of persons and of everyone."""
    lines = [("a", "user:x"), ("b", "a"), ("a", "b"), ("everyone", "a"), ("user:y", "a"), ("c", "everyone"), ("d", "c")]
    made = Closures(1, [*lines, ("e", "user:y")])
    assert made.epoch == 1
    for _ in range(2):
        assert made.resolve(Scope(user="x")).principals == ("a", "b", "everyone", "user:x")
        assert made.resolve(Scope(user="x")).groups == frozenset({"a", "b", "everyone"})
        assert made.resolve(Scope(groups=frozenset({"c"}))).principals == ("c", "d", "everyone")
        assert made.resolve(Scope(user="z")).principals == ("everyone", "user:z")


FRONTS = {
    "docs/a.md": (["everyone"], []),
    "docs/b.md": (["staff"], []),
    "docs/c.md": (["user:ada", "okta:eng"], []),
    "docs/d.md": (["everyone"], ["google:eng"]),
    "docs/e.md": ([], []),
}
ASKERS = [
    (None, frozenset()),
    ("ada", frozenset()),
    ("bo", frozenset({"google:eng"})),
    ("cy", frozenset({"staff"})),
    (None, frozenset({"okta:eng"})),
]
HELD = {1: ["a", "b", "c", "d", "e"], 2: ["a", "c", "d", "e", "b2"]}


def _ways(store: EnforcedStore, scope: Scope, at: int) -> Iterator[tuple[str, list[str]]]:
    every = sorted({name for names in HELD.values() for name in names})
    yield "dense", sorted(conformance.ids(store.dense(VECTOR, scope, 99, at)))
    yield "lexical", sorted(conformance.ids(store.lexical(WORD, scope, 99, at)))
    pool = store.pool(WORD, VECTOR, scope, 99, at)
    yield "pool by words", sorted(pool.lexical)
    yield "pool by meaning", sorted(pool.dense)
    yield "named", [one.id for one in store.named(every, scope, at)]
    yield "similarities", sorted(store.similarities(VECTOR, every, scope, at))
    yield "passages", [one.id for one in store.passages(scope, at)]


def _compare(stores: list[EnforcedStore], said: Said) -> None:
    for store in stores:
        for asker in ASKERS:
            for at, names in HELD.items():
                expected = sorted(name for name in names if may(asker, f"docs/{name[0]}.md", name.ljust(64, "0"), said))
                for way, found in _ways(store, Scope(user=asker[0], groups=asker[1]), at):
                    assert found == expected, (way, asker, at)


def enforced(folder: Path) -> None:
    """Every search of an open store after every kind of change that another process commits."""
    control, other = Control(folder / "control.sqlite"), Control(folder / "control.sqlite")
    with contextlib.closing(control), contextlib.closing(other):
        said = Said(source_allow={"docs": []}, source_deny={"docs": []}, front=dict(FRONTS))
        control.put_rules(
            {name: DocumentRule(access=Access(allow=tuple(a), deny=tuple(d))) for name, (a, d) in FRONTS.items()}
        )
        store = MemoryStore()
        rows = {
            name: replace(
                conformance.passage(name, f"{WORD} {name}"), document=f"docs/{name[0]}.md", version=name.ljust(64, "0")
            )
            for name in [*HELD[1], "b2"]
        }
        rows = {name: replace(one, access=control.access(one.document)) for name, one in rows.items()}
        store.stage(1, conformance.staged([rows[name] for name in HELD[1]]), [])
        store.stage(2, conformance.staged([rows["b2"]]), ["b"])
        stores = [EnforcedStore(store, control)]
        stores[0].restrict({}, 3)
        assert (store.epoch, stores[0].epoch) == (3, 3)
        _compare(stores, said)
        for pattern, name, effect in (("docs/b.md", "user:ada", "allow"), ("docs/**", "user:bo", "deny")):
            other.say(pattern, name, effect, by="test")
            said.operator.append((effect, pattern.replace("**", "*"), name, ""))
            _compare(stores, said)
        said.groups = {"staff": ["okta:eng"], "okta:eng": ["user:ada", "staff"]}
        lines = [Membership(Group.named(group), one) for group, members in said.groups.items() for one in members]
        other.put_directory("groups.toml", lines)
        other.put_directory("another", [Membership(Group.named("x"), "user:y")])
        _compare(stores, said)
        said.groups = {"staff": ["user:bo"]}
        other.put_directory("groups.toml", [Membership(Group.named("staff"), "user:bo")])
        other.take_back("docs/**", by="test")
        said.operator.pop()
        _compare(stores, said)
        other.erase(versions=[("docs/b.md", "b2".ljust(64, "0")), ("", "d".ljust(64, "0"))], by="test")
        said.erased_versions = {("docs/b.md", "b2".ljust(64, "0")), ("docs/d.md", "d".ljust(64, "0"))}
        _compare(stores, said)
        other.erase(documents=["docs/a.md"], by="test")
        said.erased = {"docs/a.md"}
        _compare(stores, said)


def words_of_operators(folder: Path) -> None:
    """What is said, taken back one by one, and what it leaves alone."""
    control = Control(folder / "control.sqlite")
    with contextlib.closing(control):
        assert control.since(0).epoch == control.epoch() == 0
        assert control.resolve(Scope(user="x")).principals == ("everyone", "user:x")
        control.put_rules({name: DocumentRule(access=Access(allow=("staff",))) for name in ("a", "b")})
        staff = Scope(groups=frozenset({"staff"}))
        asked = [("a", staff), ("a", Scope()), ("none", staff)]
        assert [control.permits(document, "1", asker) for document, asker in asked] == [True, False, False]
        for pattern, name in (("a", "x"), ("a", "y"), ("b", "x")):
            assert control.say(pattern, name, "allow", by="test") == [pattern]
        assert control.say("a", "x", "allow", by="test") == []
        assert control.take_back("a", "x", by="test") == 1
        assert [control.access(name).allow for name in ("a", "b")] == [("staff", "y"), ("staff", "x")]
        assert control.take_back("a", by="test") == 1
        assert [control.access(name).allow for name in ("a", "b")] == [("staff",), ("staff", "x")]
        assert control.access("a").deny == ()
        control.say("b", "z", "deny", by="test")
        assert control.access("b") == Access(allow=("staff", "x"), deny=("z",))
        before = control.put_rules(
            {"a": DocumentRule(access=NOBODY), "b": DocumentRule(access=Access(allow=("staff",)))}
        )
        assert before == {"a": Access(allow=("staff",))}
        control.put_directory("one", [Membership(Group.named("g"), "user:x")])
        control.put_directory("two", [Membership(Group.named("g"), "user:y")])
        assert [line[1:] for line in control.groups()] == [("user:x", "one"), ("user:y", "two")]
        control.put_directory("one", [])
        assert [line[1:] for line in control.groups()] == [("user:y", "two")]
        control.erase(documents=["a"], versions=[("b", "1")], by="test", why="asked")
        assert control.history()[-1].detail == {"documents": ["a"], "versions": [["b", "1"]]}
        pairs = [("a", "9"), ("b", "1"), ("b", "2"), ("c", "1")]
        assert [control.is_erased(*one) for one in pairs] == [True, True, False, False]
        control.say("*", "late", "allow", by="test")
        assert [control.access(name).allow for name in ("a", "b")] == [(), ("late", "staff", "x")]


def _with_control(test: Callable[[Control], None]) -> Check:
    def run(folder: Path) -> None:
        control = Control(folder / "control.sqlite")
        with contextlib.closing(control):
            test(control)

    run.__name__ = test.__name__
    return run


def _with_bench(test: Callable[[Bench], None]) -> Check:
    def run(folder: Path) -> None:
        bench = Bench(folder)
        with contextlib.closing(bench):
            test(bench)

    run.__name__ = test.__name__
    return run


def _conforming(check: Callable[[conformance.Make], None]) -> Check:
    def run(folder: Path) -> None:
        check(MemoryStore)

    run.__name__ = check.__name__
    return run


CONTROL = [
    test_control.test_a_store_is_told_what_changed_since_its_epoch_and_all_when_it_is_ahead,
    test_control.test_every_change_moves_the_epoch_and_nothing_else_does,
    test_control.test_operators_add_and_deny_beats_allow_whoever_said_it,
    test_control.test_an_erased_document_stays_closed_whatever_files_and_operators_say,
    test_control.test_groups_are_those_of_their_source,
    test_control.test_a_membership_that_is_revoked_is_gone_at_the_next_question,
    test_control.test_what_operators_said_holds_for_documents_to_come_and_stays_when_the_files_change,
    test_control.test_a_document_without_a_rule_is_seen_by_nobody,
]
STORE = [
    conformance.check_access_is_that_of_now_in_every_generation,
    conformance.check_nobody_sees_what_is_withheld,
    conformance.check_generations_are_isolated,
    conformance.check_staging_again_replaces_and_discard_undoes,
]
SIDECAR = [
    test_sidecar.test_what_was_erased_is_not_taken_in_again_and_named,
    test_sidecar.test_the_more_specific_rule_wins_denies_add_and_the_document_speaks_last,
    test_sidecar.test_a_rules_file_that_changes_is_an_access_change_without_parsing_or_a_generation,
]

CHECKS: dict[str, list[Check]] = {
    "schema.scope": [scopes_and_rules],
    "corpus.access": [rules_in_files],
    "corpus.file_rules": [rules_in_files, _with_bench(SIDECAR[1])],
    "corpus.enforcing": [ingest_order],
    "corpus.directory": [closures],
    "corpus.control": [*map(_with_control, CONTROL), words_of_operators, enforced],
    "components.enforcement": [enforced],
    "stores": [*map(_conforming, STORE), enforced],
    "stores.lance": [lance_follows],
    "corpus.library": [reads],
    "corpus.ingest": [_with_bench(SIDECAR[0]), _with_bench(SIDECAR[2])],
    **DOOR_CHECKS,
}
"""The checks by the part of the package that they look at first."""
