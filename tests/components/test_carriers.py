"""Sentences that carry a value, and replies completed with them."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.carriers import carriers_of, complete
from steelyard.dataset.places import places_of

NAMES = st.sampled_from(["name", "order", "pick_up", "price_2", "answer"])
REPLIES = st.lists(
    st.lists(st.one_of(NAMES.map(lambda name: f"It is {{{name}}}."), st.just("Sure!"))).map(" ".join), max_size=6
)


def test_the_carrier_of_a_slot_is_its_most_used_sentence_of_those_the_shortest():
    said = ["It costs {price}. Bye.", "Price: {price}.", "It costs {price}.", "Dear {name},\nyour {order} of {price}"]
    assert carriers_of(said) == {"price": "It costs {price}.", "name": "Dear {name},"}


def test_a_sentence_that_states_a_number_or_has_a_brace_of_its_own_carries_nothing():
    assert carriers_of(["Within 14 days, {name}.", "In two days, {name}.", "Write {{x}} to {name}."]) == {}


def test_a_value_without_a_carrier_is_named_and_an_answer_stands_alone():
    assert complete("", ["pick_up", "answer"], {}) == "Pick up: {pick_up}. {answer}"


def test_paragraphs_are_kept():
    assert complete("Hello,\n\nsee below.", ["name"], {}) == "Hello,\n\nsee below.\n\nName: {name}."


@given(REPLIES, st.lists(NAMES, unique=True))
def test_a_completed_reply_places_each_missing_slot_once(replies, missing):
    assert sorted(places_of(complete("Sure.", missing, carriers_of(replies)))) == sorted(missing)
