"""A replay that reuses what it can finds what one finds that reuses nothing."""

from __future__ import annotations

from planted_worlds import World, replay_of

FOLLOWING = ("rag-bm25", "rag-hybrid", "rag-tuned")


def moved(step: int, place: int) -> int:
    return int(step >= 2 and place % 3 == 0)


def answers(replayed):
    return {
        name: {at: (made.answers, made.work.labels, made.work.trained) for at, made in by_moment.items()}
        for kind in (replayed.following, replayed.trained)
        for name, by_moment in kind.items()
    }


def test_reusing_work_and_asking_in_threads_changes_no_answer(tmp_path):
    world = World(steps=4, moved=moved, muddled=True)
    quick, asked = replay_of(world, tmp_path / "quick", FOLLOWING, threads=3, alike={"rag-tuned": "rag-hybrid"})
    plain, _ = replay_of(world, tmp_path / "plain", FOLLOWING, plain=True)
    assert answers(quick) == answers(plain)
    assert len(asked) == 22
    # The world stands still between some steps: the same labels are not learned twice.
    first, second = quick.moments[0], quick.moments[1]
    assert quick.trained["closed-book"][first] is quick.trained["closed-book"][second]
    assert plain.trained["closed-book"][first] is not plain.trained["closed-book"][second]


def test_a_world_s_seconds_are_those_of_an_answer_that_remembers_nothing(tmp_path):
    world = World(steps=2, moved=moved)
    found, _ = replay_of(world, tmp_path, ("rag-bm25",))
    seconds = [made.seconds for made in found.following["rag-bm25"].values()]
    assert seconds[0] == seconds[1] > 0


def test_no_candidate_ever_says_what_becomes_true_only_later(tmp_path):
    """A fee that moves in month 2 is planted; its new value is nowhere in the answers of the months before, and is there after."""
    world = World(steps=4, moved=moved)
    found, facts = replay_of(world, tmp_path, ("rag-bm25", "rag-hybrid"))
    planted = {fact.name: fact.rows[1].answers[0] for fact in facts if len(fact.rows) == 2}
    assert len(planted) == 8
    for by_moment in (*found.following.values(), *found.trained.values()):
        said = [" ".join(one.text for one in by_moment[at].answers) for at in found.moments]
        assert not any(value in text for value in planted.values() for text in said[:2])
        assert all(value in said[2] for value in planted.values())
