"""What the example promises: enough of everything, dated, with answers that stand where they are said to stand."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, time
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import pytest

from steelyard.corpus.parsing import PARSERS, format_of
from steelyard.corpus.parsing.limits import Limits
from steelyard.dataset.duplicates import near_duplicates
from steelyard.dataset.places import places_of
from steelyard.example.history import commits
from steelyard.example.layout import DATA, questions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HISTORY = list(commits(DATA))
OUTSIDE = "out_of_scope"


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not written yet")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def tickets() -> list[dict[str, str]]:
    path = DATA / "tickets.csv"
    if not path.is_file():
        pytest.skip("tickets.csv is not written yet")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def asked() -> list[dict[str, Any]]:
    return [json.loads(line) for line in questions()]


def day(text: str | None, otherwise: datetime) -> datetime:
    return datetime.combine(datetime.fromisoformat(text).date(), time(0), tzinfo=UTC) if text else otherwise


FIRST, LAST = HISTORY[0].when, HISTORY[-1].when
AFTER = datetime(9999, 1, 1, tzinfo=UTC)


@cache
def text_of(content: bytes, name: str) -> str:
    format_name = format_of(name)
    assert format_name is not None, name
    return one_line(PARSERS.load(format_name)(content, Limits()).text)


def one_line(text: str) -> str:
    return " ".join(re.sub(r"[‐‑]", "-", text.replace("\u00a0", " ")).split()).casefold()


def test_there_are_enough_documents_in_every_format() -> None:
    formats = Counter(PurePosixPath(name).suffix for name in HISTORY[-1].files)
    assert sum(formats.values()) >= 50
    assert set(formats) >= {".md", ".html", ".txt", ".rst", ".pdf", ".docx"}
    assert min(formats.values()) >= 3


def test_there_are_long_pages_tables_code_and_front_matter() -> None:
    texts = {name: content.decode("utf-8", "replace") for name, content in HISTORY[-1].files.items()}
    markdown = [text for name, text in texts.items() if name.endswith(".md")]
    assert sum(len(text) > 6_000 for text in texts.values()) >= 5
    assert sum(bool(re.search(r"^\|[-:| ]+\|$", text, re.M)) for text in markdown) >= 5
    assert sum("```" in text for text in markdown) >= 3
    assert sum(text.startswith("---\n") for text in markdown) >= 5


def test_there_are_three_audiences() -> None:
    guild = [name for name in HISTORY[-1].files if name.startswith("docs/guild/")]
    staff = [name for name in HISTORY[-1].files if name.startswith("docs-internal/")]
    everyone = [name for name in HISTORY[-1].files if name.startswith("docs/") and name not in guild]
    assert min(len(guild), len(staff), len(everyone)) >= 10


def test_facts_change_pages_come_and_go_over_two_years() -> None:
    assert (LAST - FIRST).days >= 700
    assert len({(one.when.year, one.when.month) for one in HISTORY}) >= 22
    first, last = set(HISTORY[0].files), set(HISTORY[-1].files)
    assert last - first
    assert first - last
    changed = {
        name
        for before, after in pairwise(HISTORY)
        for name in before.files
        if name in after.files and after.files[name] != before.files[name]
    }
    assert len(changed) >= 30
    assert all(one.when <= other.when for one, other in pairwise(HISTORY))


@pytest.mark.slow
def test_every_document_of_every_day_can_be_read() -> None:
    for commit in HISTORY:
        for name, content in commit.files.items():
            assert text_of(content, name), f"{name} on {commit.when:%Y-%m-%d}"


def test_there_are_enough_messages_over_enough_intents() -> None:
    labels = Counter(row["label"] for row in tickets())
    assert sum(labels.values()) >= 600
    assert len(labels) >= 15
    assert labels[OUTSIDE] >= 40
    assert min(labels.values()) >= 20


def test_messages_hardly_repeat_each_other() -> None:
    texts = [row["text"] for row in tickets()]
    assert len(near_duplicates(texts)) < 0.02 * len(texts)


def test_messages_are_written_as_people_write() -> None:
    texts = [row["text"] for row in tickets()]
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[len(lengths) // 10] <= 8
    assert lengths[-len(lengths) // 10] >= 20
    assert sum(text == text.lower() for text in texts) >= 0.1 * len(texts)
    openings = Counter(" ".join(text.lower().split()[:3]) for text in texts)
    assert openings.most_common(1)[0][1] < 0.05 * len(texts)


@pytest.mark.slow
def test_a_bag_of_words_does_not_reach_the_ceiling() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    found = tickets()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=500)
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    accuracy = cross_val_score(model, [row["text"] for row in found], [row["label"] for row in found], cv=folds).mean()
    assert 0.5 < accuracy < 0.88  # plain enough to learn, hard enough to leave room above words alone


def test_there_are_enough_questions_and_a_quarter_has_no_answer_for_the_asker() -> None:
    now = [row for row in asked() if day(row["valid_to"], AFTER) > LAST]
    assert len(now) >= 180
    refused = [row for row in now if not row["answerable"] or row.get("hidden")]
    assert len(refused) >= 0.25 * len(now)
    assert sum(bool(row.get("hidden")) for row in now) >= 8
    assert {tuple(row["groups"]) for row in now} >= {(), ("guild",), ("staff",)}


def test_at_least_fifty_answers_change_over_the_history() -> None:
    answers: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for row in asked():
        answers[row["question"]].add(tuple(row["answers"]))
    assert sum(len(found) > 1 for found in answers.values()) >= 50


def test_ids_are_unique_and_times_do_not_overlap() -> None:
    found = asked()
    assert len({row["id"] for row in found}) == len(found)
    spans: dict[tuple[str, tuple[str, ...]], list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in found:
        begin, end = day(row["valid_from"], FIRST), day(row["valid_to"], AFTER)
        assert begin < end, row["id"]
        spans[row["question"], tuple(row["groups"])].append((begin, end))
    for key, times in spans.items():
        times.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(times)), key


def test_answerable_rows_name_answers_and_a_source_and_others_no_answer() -> None:
    for row in asked():
        assert bool(row["answers"]) == row["answerable"], row["id"]
        assert row["source"] or not row["answerable"], row["id"]


def stands(row: dict[str, Any], files: dict[str, bytes]) -> bool:
    content = files.get(row["source"])
    if content is None:
        return False
    text = text_of(content, row["source"])
    return any(one_line(answer) in text for answer in row["answers"])


def test_answers_of_today_stand_in_their_source_word_by_word() -> None:
    now = [row for row in asked() if row["answerable"] and day(row["valid_to"], AFTER) > LAST]
    missing = [row["id"] for row in now if not stands(row, dict(HISTORY[-1].files))]
    assert missing == []


def test_dated_answers_stood_in_the_documents_from_their_first_day_to_their_last() -> None:
    missing = []
    for row in asked():
        begin, end = day(row["valid_from"], FIRST), day(row["valid_to"], AFTER)
        # Of several commits on one day the last one counts: facts hold by the day.
        states = [
            one for one, after in pairwise([*HISTORY, None]) if after is None or one.when.date() < after.when.date()
        ]
        valid = [one for one in states if begin <= one.when < end]
        first = valid[:1] if row["valid_from"] else []
        missing += [
            f"{row['id']} on {one.when:%Y-%m-%d}"
            for one in ([*first, *valid[-1:]] if row["answerable"] else [])
            # Where the page had another name then, or was a part of another page, any of that day's will do.
            for names in [[row["source"]] if row["source"] in one.files else one.files]
            if not any(stands({**row, "source": name}, dict(one.files)) for name in names)
        ]
    assert missing == []


def test_there_are_enough_replies_with_slots_in_every_intent() -> None:
    found = rows("replies.jsonl")
    assert len(found) >= 260
    assert len({row["id"] for row in found}) == len(found)
    assert len({row["output"] for row in found}) == len(found)
    assert min(Counter(row["intent"] for row in found).values()) >= 8
    for row in found:
        assert set(places_of(row["output"])) == set(row["slots"]), row["id"]
        assert row["output"].strip() == row["output"], row["id"]


def test_replies_hardly_repeat_each_other() -> None:
    found = rows("replies.jsonl")
    for field in ("input", "output"):
        assert len(near_duplicates([row[field] for row in found])) < 0.02 * len(found), field


def test_intents_of_replies_cases_and_messages_are_the_same() -> None:
    labels = {row["label"] for row in tickets()}
    assert {row["intent"] for row in rows("replies.jsonl")} <= labels
    assert {row["intent"] for row in rows("cases.jsonl")} <= labels


def test_neutral_rewrites_belong_to_replies_and_keep_their_slots() -> None:
    approved = {row["id"]: row for row in rows("replies.jsonl")}
    neutral = rows("neutral.jsonl")
    assert len(neutral) >= 100
    for row in neutral:
        assert set(places_of(row["output"])) <= set(approved[row["id"]]["slots"]), row["id"]
        assert row["output"] != approved[row["id"]]["output"]


def test_cases_need_every_part_and_their_answers_stand_in_the_source() -> None:
    found = rows("cases.jsonl")
    assert len(found) >= 60
    assert len({row["id"] for row in found}) == len(found)
    assert sum(not row["answerable"] for row in found) >= 0.15 * len(found)
    for row in found:
        assert row["message"]
        assert row["slots"]
        assert not row["answerable"] or stands(row, dict(HISTORY[-1].files)), row["id"]


def test_no_case_is_a_message_that_was_trained_on() -> None:
    cases = [row["message"] for row in rows("cases.jsonl")]
    others = [row["text"] for row in tickets()] + [row["input"] for row in rows("replies.jsonl")]
    pairs = near_duplicates([*cases, *others])
    assert [pair for pair in pairs if pair.first < len(cases)] == []


def test_there_is_a_voice_guide() -> None:
    path = DATA / "style-guide.md"
    if not path.is_file():
        pytest.skip("style-guide.md is not written yet")
    assert len(path.read_text(encoding="utf-8")) > 1_000


def test_nothing_names_a_real_address_or_person() -> None:
    for name, content in HISTORY[-1].files.items():
        text = text_of(content, name)
        for host in re.findall(r"[\w.+-]+@([\w.-]+\.[a-z]{2,})", text):
            assert host.rstrip(".").endswith((".example", "example.com", "example.org", "example.net")), (
                f"{name}: {host}"
            )
