from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steelyard.schema.scope import EVERYONE, USER_PREFIX, Access, Scope

GROUPS = ["staff", "guild", "finance", "ops", EVERYONE]
USERS = ["ada", "bo", "staff"]

groups = st.frozensets(st.sampled_from(GROUPS))
scopes = st.builds(Scope, user=st.none() | st.sampled_from(USERS), groups=groups)
rules = st.lists(st.sampled_from([*GROUPS, *(USER_PREFIX + user for user in USERS)]), max_size=4).map(tuple)
accesses = st.builds(Access, allow=rules, deny=rules)


def test_everyone_is_implied_and_names_are_sorted() -> None:
    assert Scope().principals == ("everyone",)
    assert Scope(user="ada", groups=frozenset({"staff", "guild"})).principals == (
        "everyone",
        "guild",
        "staff",
        "user:ada",
    )


def test_nobody_may_see_what_has_no_rule() -> None:
    assert not Access().permits(Scope(user="ada", groups=frozenset(GROUPS)))


def test_a_rule_can_name_one_person() -> None:
    rule = Access(allow=("user:ada",))
    assert rule.permits(Scope(user="ada"))
    assert not rule.permits(Scope(user="bo"))
    assert not rule.permits(Scope(groups=frozenset({"ada"})))


def test_a_group_cannot_pass_for_a_person() -> None:
    assert not Access(allow=("user:ada",)).permits(Scope(user="mallory", groups=frozenset({"user:ada"})))


def test_a_person_cannot_pass_for_a_group() -> None:
    assert not Access(allow=("staff",)).permits(Scope(user="staff"))


def test_an_empty_user_is_no_user() -> None:
    assert Scope(user="").principals == ("everyone",)


@given(scopes, accesses)
def test_deny_beats_allow(scope: Scope, access: Access) -> None:
    if set(scope.principals) & set(access.deny):
        assert not access.permits(scope)


@given(scopes, accesses)
def test_seeing_needs_an_allow_that_names_the_asker(scope: Scope, access: Access) -> None:
    if access.permits(scope):
        assert set(scope.principals) & set(access.allow)
        assert not set(scope.principals) & set(access.deny)


@given(scopes, accesses, rules)
def test_more_deny_never_shows_more(scope: Scope, access: Access, more: tuple[str, ...]) -> None:
    stricter = Access(allow=access.allow, deny=access.deny + more)
    assert access.permits(scope) or not stricter.permits(scope)


@given(scopes, rules, groups)
def test_without_deny_more_groups_never_show_less(scope: Scope, allow: tuple[str, ...], more: frozenset[str]) -> None:
    wider = Scope(user=scope.user, groups=scope.groups | more)
    access = Access(allow=allow)
    assert access.permits(wider) or not access.permits(scope)


@given(scopes, accesses)
def test_everyone_allowed_and_nobody_denied_is_open(scope: Scope, access: Access) -> None:
    assert Access(allow=(*access.allow, EVERYONE)).permits(scope)
    assert not Access(allow=access.allow, deny=(EVERYONE,)).permits(scope)
