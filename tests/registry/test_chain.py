"""The hash chain: whatever somebody does to its records around the guards is found, and where."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.registry.chain import Chain

CHAIN = Chain("book")
COLUMNS = ("at", "who", "what", "why", "evidence", "previous", "hash")


def begun(count: int = 0) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(CHAIN.sql())
    for number in range(1, count + 1):
        add(connection, number)
    return connection


def add(connection: sqlite3.Connection, number: int) -> None:
    at = f"2026-11-0{number % 9 + 1}T00:00:00+00:00"
    CHAIN.append(connection, at=at, who="ada", what="moved", why=f"reason {number}", evidence={"number": number})


def unguarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.executescript("DROP TRIGGER book_no_update; DROP TRIGGER book_no_delete;")
    return connection


def broken(connection: sqlite3.Connection) -> list[str]:
    return [line for line in CHAIN.verify(connection).broken if not line.startswith("the guard")]


def test_a_whole_chain_says_so_and_names_its_head() -> None:
    connection = begun(5)
    found = CHAIN.verify(connection)
    assert (found.whole, found.entries) == (True, 5)
    assert found.head == list(CHAIN.entries(connection))[-1].hash
    assert CHAIN.verify(begun()).whole


@pytest.mark.parametrize("statement", ["UPDATE book SET why = ''", "DELETE FROM book WHERE number = 2"])
def test_records_cannot_be_changed_or_deleted(statement: str) -> None:
    connection = begun(3)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.sampled_from(COLUMNS), st.text(min_size=1, max_size=5))
def test_any_edit_is_found_with_its_record(number: int, column: str, more: str) -> None:
    connection = unguarded(begun(8))
    connection.execute(f"UPDATE book SET {column} = {column} || ? WHERE number = ?", (more, number))
    assert any(line.startswith(f"record {number}:") for line in broken(connection))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8))
def test_any_cut_is_found_at_the_beginning_in_the_middle_and_at_the_end(first: int, last: int) -> None:
    connection = unguarded(begun(8))
    first, last = min(first, last), max(first, last)
    connection.execute("DELETE FROM book WHERE number BETWEEN ? AND ?", (first, last))
    assert any(line.startswith(f"record {first}:") for line in broken(connection))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=2, max_size=2, unique=True))
def test_two_records_that_changed_places_are_found(pair: list[int]) -> None:
    connection = unguarded(begun(8))
    one, other = pair
    connection.execute("UPDATE book SET number = -1 WHERE number = ?", (one,))
    connection.execute("UPDATE book SET number = ? WHERE number = ?", (one, other))
    connection.execute("UPDATE book SET number = ? WHERE number = -1", (other,))
    assert broken(connection)


def test_a_record_slipped_in_at_the_end_is_found() -> None:
    connection = begun(3)
    last = list(CHAIN.entries(connection))[-1]
    row = (4, last.at, "eve", "moved", "because", "{}", last.hash, "f" * 64)
    connection.execute("INSERT INTO book VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    assert broken(connection) == [
        "record 4: its content is not what was sealed",
        "record 5: cut off, the chain had 3 records and has 4",
    ]


def test_a_removed_guard_is_found() -> None:
    connection = begun(2)
    connection.execute("DROP TRIGGER book_no_update")
    assert CHAIN.verify(connection).broken == ("the guard book_no_update was removed",)


def test_a_chain_written_anew_with_its_head_is_found_by_a_hash_kept_elsewhere() -> None:
    kept = CHAIN.verify(begun(4)).head
    forged = begun(3)
    CHAIN.append(forged, at="2026-11-05T00:00:00+00:00", who="eve", what="moved", why="", evidence={})
    assert CHAIN.verify(forged).whole
    assert not CHAIN.verify(forged, kept).whole
    longer = begun(6)
    assert CHAIN.verify(longer, kept).whole  # the hash of an earlier record still stands in a chain that went on


def test_the_export_has_one_json_object_a_line_with_its_hash() -> None:
    connection = begun(3)
    rows = [json.loads(line) for line in CHAIN.lines(connection)]
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    assert set(rows[0]) == {"number", "at", "who", "what", "why", "evidence", "previous", "hash"}


def test_a_record_is_there_when_its_transaction_is(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "book.sqlite", isolation_level=None)
    connection.executescript(CHAIN.sql())
    connection.execute("BEGIN")
    add(connection, 1)
    connection.execute("ROLLBACK")
    assert CHAIN.verify(connection).entries == 0
    connection.close()


def test_a_name_is_never_sql() -> None:
    with pytest.raises(ValueError, match="no name"):
        Chain("book; DROP TABLE book")
