from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.dataset.places import places_of
from steelyard.models.reply_decoding import write_reply
from steelyard.models.reply_words import END, Wording, pieces_of, states_number

REPLIES = (
    "Hi {name}, order {order} is late. Sorry!",
    "Hello {name}, your order {order} is on its way.\n\n1. Wait two days.\n2. Write to {agent}.",
    "Hi {name}, your order is late. Wait 14 days!",
    "Hello {agent}, order {order} is on its way. Wait two days. It's 14 days!",
)
WORDING = Wording.of(REPLIES)
KNOWN = ("name", "order", "agent")
names = st.lists(st.sampled_from([*KNOWN, "plan", "city", "a_b_2"]), unique=True, max_size=6)


class RandomWeights:
    """Logits drawn from the words said so far: the worst that weights can be, the same for the same beginning."""

    def __init__(self, seed, spread, end=0.0):
        self._seed, self._spread, self._end = seed, spread, end
        self._said = [()]

    def step(self, last, parents):
        self._said = [(*self._said[parent], one) for one, parent in zip(last, parents, strict=True)]
        rows = [np.random.default_rng([self._seed, *said]).normal(size=len(WORDING)) for said in self._said]
        logits = (np.stack(rows) * self._spread).astype(np.float32)
        logits[:, END] += self._end
        return logits


@given(st.text(alphabet="aB1 \n{}.,_'é", max_size=60))
def test_pieces_joined_are_the_reply(text):
    assert "".join(f"{{{piece}}}" if slot else piece for piece, slot in pieces_of(text)) == text


def test_a_reply_of_known_words_survives_its_ids():
    reply = "Hi {name}, order {order} is late."
    assert WORDING.text(WORDING.ids(reply)) == reply
    assert WORDING.text([WORDING.slot_id("plan"), WORDING.slot_id("name")], ["plan"]) == "{plan}{name}"


@settings(max_examples=400, deadline=None)
@given(
    slots=names,
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.1, 3.0, 30.0]),
    end=st.sampled_from([-50.0, 0.0, 50.0]),
    beams=st.integers(1, 4),
)
def test_every_slot_is_placed_exactly_once_whatever_the_weights_say(slots, seed, spread, end, beams):
    found = write_reply(RandomWeights(seed, spread, end), WORDING, slots, WORDING.writable(REPLIES[0]), beams)
    text = WORDING.text(found.ids, [name for name in slots if name not in KNOWN])
    assert sorted(places_of(text)) == sorted(slots)
    assert END not in found.ids
    assert len(found.ids) <= 1.2 * WORDING.longest + 2 * len(slots) + 8
    assert found.forced or found.ids[-1] in WORDING.closing
    # The numbers of other replies are never said; those that count lines are.
    assert not {"two", "14"} & set(text.replace(".", " ").replace("!", " ").split())


def test_no_word_comes_twice_in_a_row_and_no_four_words_come_again():
    class Stuck(RandomWeights):
        def step(self, last, parents):
            logits = super().step(last, parents) * 0.01
            logits[:, [WORDING.ids(f"Hi {word}")[1] for word in ("is", "late", "on", "its")]] += 9.0
            logits[:, END] = -99.0
            return logits

    found = write_reply(Stuck(1, 1.0), WORDING, ["name"], WORDING.writable(""), 2)
    words = found.ids
    assert all(one != other for one, other in pairwise(words))
    fours = [words[at : at + 4] for at in range(len(words) - 3) if WORDING.slot_id("name") not in words[at : at + 4]]
    assert len(set(fours)) == len(fours)


def test_the_likeliest_reply_is_found_and_wins_over_greedy():
    hi, hello = WORDING.ids("Hi")[0], WORDING.ids("Hello")[0]
    stop = WORDING.ids("late.")[-1]

    class Trap(RandomWeights):
        """`Hi` looks better at first, but all that follows it is bad."""

        def step(self, last, parents):
            self._said = [(*self._said[parent], one) for one, parent in zip(last, parents, strict=True)]
            rows = np.full((len(last), len(WORDING)), -20.0, dtype=np.float32)
            for row, said in zip(rows, self._said, strict=True):
                if len(said) == 1:
                    row[hi], row[hello] = 1.0, 0.9
                elif said[-1] == hi:
                    row[:] = 0.0
                else:
                    row[END if said[-1] == stop else stop] = 20.0
            return rows

    assert write_reply(Trap(0, 1.0), WORDING, [], WORDING.writable(""), 1).ids[0] == hi
    assert write_reply(Trap(0, 1.0), WORDING, [], WORDING.writable(""), 4).ids == (hello, stop)


@pytest.mark.parametrize(
    ("word", "expected"), [(" 14", True), (" Two", True), ("\n2", False), (" late", False), ("A1", True)]
)
def test_numbers_are_facts_unless_they_count_lines(word, expected):
    assert states_number(word) is expected


def test_a_brace_of_its_own_is_never_in_the_vocabulary():
    wording = Wording.of(["Use {{name}} here.", "Use {{name}} there."])
    assert not any("{" in word or "}" in word for word in wording.words)
    assert Wording.from_json(wording.to_json()) == wording
