"""What retention gives up is gone from every file and says so; what it keeps answers as before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steelyard.corpus.removal import is_unfinished
from steelyard.corpus.retention import Policy, compact, kept
from steelyard.schema.errors import NotFoundError
from steelyard.schema.scope import Scope
from steelyard.stores import STORES

LATER = datetime.now(UTC) + timedelta(days=365)
LAST_TWO = Policy(generations=2, days=0)


def five(bench) -> None:
    """Generations 1 to 5: a page that changes each time, one that stays, one that goes with generation 3."""
    bench.write("stays.md", "The steadyword.")
    bench.write("goes.md", "The leavingword.")
    for number in range(1, 6):
        bench.write("changes.md", f"The changingword{number}.")
        if number == 3:
            (bench.docs / "goes.md").unlink()
        bench.ingest()


def test_the_policy_keeps_the_newest_the_one_in_force_what_answered_lately_and_what_is_pinned(bench):
    five(bench)
    assert kept(bench.library, LAST_TWO, now=LATER) == [4, 5]
    assert kept(bench.library, Policy(generations=0, days=0), now=LATER) == [5]
    assert kept(bench.library, Policy(generations=1, days=0), pinned=[2, 99], now=LATER) == [2, 5]
    assert kept(bench.library, Policy(generations=1, days=400), now=LATER) == [1, 2, 3, 4, 5]
    # Whoever searched a moment ago may still be reading.
    assert kept(bench.library, Policy(generations=1, days=0)) == [1, 2, 3, 4, 5]
    bench.library.switch(2)
    assert kept(bench.library, Policy(generations=1, days=0), now=LATER) == [2, 5]


def test_given_up_generations_leave_the_library_and_the_index(bench):
    five(bench)
    done = compact(bench.library, bench.index, LAST_TWO, now=LATER)
    assert (done.kept, done.dropped, done.versions) == ((4, 5), (1, 2, 3), 4)  # changes 1 to 3, and goes
    assert [generation.number for generation in bench.library.generations()] == [4, 5]
    assert [version.text for version in bench.library.history("docs/changes.md")] == [
        "The changingword4.",
        "The changingword5.",
    ]
    assert bench.library.history("docs/goes.md") == []
    bench.check()
    assert not is_unfinished(bench.library)
    again = compact(bench.library, bench.index, LAST_TWO, now=LATER)
    assert (again.dropped, again.versions, again.passages) == ((), 0, 0)
    bench.write("changes.md", "The changingword6.")
    assert bench.ingest().generation == 6
    bench.check()


def test_a_dry_run_removes_nothing(bench):
    five(bench)
    done = compact(bench.library, bench.index, LAST_TWO, now=LATER, dry_run=True)
    assert (done.dropped, done.versions) == ((1, 2, 3), 4)
    assert len(bench.library.generations()) == 5
    bench.check()


def test_what_is_cited_keeps_its_text(bench):
    five(bench)
    [old] = [one for one in bench.library.versions(1) if one.document == "docs/goes.md"]
    compact(bench.library, bench.index, LAST_TWO, cited={(old.document, old.version)}, now=LATER)
    assert bench.library.version(old.document, old.version).text == "The leavingword."
    with pytest.raises(NotFoundError):
        bench.library.version("docs/changes.md", "0" * 64)


def test_what_is_no_longer_kept_says_so_and_names_the_first_date(bench):
    five(bench)
    first, fourth = bench.library.switches()[0][0], bench.library.switches()[3][0]
    compact(bench.library, bench.index, LAST_TWO, now=LATER)
    for asked in (lambda: bench.library.generation(2), lambda: bench.library.switch(1)):
        with pytest.raises(NotFoundError, match=f"no longer kept.*\n?.*first kept date is {fourth.date()}") as caught:
            asked()
        assert caught.value.code == "corpus.no_longer_kept"
    with pytest.raises(NotFoundError, match="no longer kept"):
        bench.library.generation_at(first + timedelta(microseconds=1))
    assert bench.library.generation_at(fourth).number == 4


def test_a_date_between_kept_generations_is_not_answered_from_another(bench):
    five(bench)
    bench.library.switch(1)
    third = bench.library.switches()[2][0]
    compact(bench.library, bench.index, Policy(generations=1, days=0), now=LATER)
    assert [generation.number for generation in bench.library.generations()] == [1, 5]
    with pytest.raises(NotFoundError, match="no longer kept"):
        bench.library.generation_at(third)


@pytest.mark.parametrize("kind", ["memory", "lance"])
def test_answers_of_kept_generations_do_not_change(bench, kind, tmp_path):
    store = STORES.load(kind)(*([tmp_path / "lance"] if kind == "lance" else []))
    store.close = lambda: None
    bench.index.close()
    bench.index = store
    five(bench)

    def answers(number: int) -> object:
        return (
            store.lexical("changingword4 changingword5 steadyword", Scope(), 9, number),
            store.dense(bench.encoder.encode(["steadyword"])[0], Scope(), 9, number),
            store.passages(Scope(), number),
        )

    before = {number: answers(number) for number in (4, 5)}
    compact(bench.library, store, LAST_TWO, now=LATER)
    assert {number: answers(number) for number in (4, 5)} == before
    assert store.count(2) == 1  # only what generation 4 holds too


def test_no_file_holds_what_was_given_up(bench, tmp_path):
    bench.index.close()
    bench.index = STORES.load("lance")(tmp_path / ".steelyard" / "index")
    bench.index.close = lambda: None
    five(bench)
    bench.index.optimize()
    compact(bench.library, bench.index, LAST_TWO, now=LATER)
    bench.library.close()
    held = b"".join(file.read_bytes() for file in (tmp_path / ".steelyard").rglob("*") if file.is_file())
    assert b"changingword5" in held
    for word in (b"changingword1", b"changingword3", b"leavingword"):
        assert word not in held


def test_vectors_of_what_was_given_up_are_forgotten_and_others_stay(bench):
    five(bench)
    compact(bench.library, bench.index, LAST_TWO, now=LATER)
    bench.encoder.encoded.clear()
    bench.write("again.md", "The steadyword.")
    bench.write("changes.md", "The changingword1.")
    report = bench.ingest()
    assert [text for text in bench.encoder.encoded if "changingword1" in text]
    assert report.embedded == 2  # the same words under another title, and the forgotten page
