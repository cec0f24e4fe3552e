import numpy as np
import pytest

from steelyard.components.naming import Asking, Named, naming, newest_of
from steelyard.components.quotes import spans_of
from steelyard.components.reader import FEATURES, Reader
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage

RELEASES = """releases:
- cycle: "4.10"
  released: 2026-02-03
  eol: 2028-02-03
  latest: "4.10.2"
  latestReleaseDate: 2026-06-09
- cycle: "4.9"
  released: 2024-11-12
  eol: 2026-11-12
  latest: "4.9.7"
  latestReleaseDate: 2025-12-01
- cycle: "4.1"
  released: 2023-05-09
  eol: 2025-05-09
  latest: "4.1.19"
  latestReleaseDate: 2025-04-30"""

PLANS = "Plan | Price a month | Logins\nSolo | 12 USD | 1\nStudio | 34 USD | 5"


def answer(question, text, name="a"):
    hit = Hit(passage=passage(name, text, Access(allow=("everyone",))), score=1.0)
    return Reader(FakeEncoder(128)).read(question, [hit]).best.text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("When does version 4.1 reach end of life?", "eol: 2025-05-09"),
        ("What is the end-of-life date of 4.10?", "eol: 2028-02-03"),
        ("What is the latest release in the 4.9 cycle?", 'latest: "4.9.7"'),
        ("On what date was the latest release of 4.9 published?", "latestReleaseDate: 2025-12-01"),
        ("When was 4.1 released?", "released: 2023-05-09"),
        ("Which cycle was released most recently?", '- cycle: "4.10"'),
    ],
)
def test_the_entry_and_the_key_that_are_asked_for_are_quoted(question, said):
    assert answer(question, RELEASES) == said


def test_a_version_is_not_the_one_that_begins_like_it():
    asking = Asking.of("Is 4.1 still kept up?")
    assert asking.says(Named(names=frozenset({"4.1"}))) == 1.0
    assert asking.says(Named(names=frozenset({"4.10"}))) == 0.0


def test_a_version_is_the_same_with_and_without_its_last_zeros():
    table = (
        "Lamp | Stable | Node\n31.0.0 | 2024-06-11 | v20.14\n30.0.0 | 2024-04-16 | v20.11\n3.0.0 | 2018-09-18 | v10.2"
    )
    assert answer("When was Lamp 3 stable?", table) == "3.0.0 | 2018-09-18 | v10.2"
    assert answer("When was Lamp v30.0 stable?", table) == "30.0.0 | 2024-04-16 | v20.11"
    assert Asking.of("Is 4.10 still kept up?").says(Named(names=frozenset({"4.1"}))) == 0.0


def test_a_key_of_initials_is_asked_for_in_full():
    eol = next(span for span in spans_of(RELEASES) if span.key == "eol")
    given = Asking.of("When is the end of life?").features(naming(RELEASES, eol), "")
    found = dict(zip(FEATURES[-8:-1], given, strict=True))
    assert (found["key"], found["unkeyed"]) == (1.0, 0.0)


def test_a_row_is_named_by_its_first_cell_and_its_keys_are_the_columns():
    studio = naming(PLANS, spans_of(PLANS)[2])
    assert studio.names == {"studio"}
    assert [key for key, _ in studio.keys] == ["price a month", "logins"]


def test_what_the_question_says_itself_is_an_echo():
    cycle = next(span for span in spans_of(RELEASES) if span.key == "cycle")
    asking = Asking.of("What is the latest release of the 4.10 cycle?")
    assert asking.features(naming(RELEASES, cycle), "")[5] == 1.0


def test_nothing_is_newest_where_an_entry_is_named_or_the_question_does_not_ask():
    entries = [naming(RELEASES, span) for span in spans_of(RELEASES)]
    assert newest_of(Asking.of("Which is the newest?"), entries) == "2026-02-03"
    assert newest_of(Asking.of("Which is the latest of 4.1?"), entries) == ""
    assert newest_of(Asking.of("Which is it?"), entries) == ""


def test_prose_has_no_names_and_no_keys():
    text = "The fee is 5 USD. It is due in May."
    for span in spans_of(text):
        assert not np.any(Asking.of("How much is the fee?").features(naming(text, span), ""))
