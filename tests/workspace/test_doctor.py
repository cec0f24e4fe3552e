"""`doctor` names every damaged file, makes again what can be made, and says what cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.schema.errors import SteelyardError
from steelyard.workspace import Workspace
from workspace.kept_corpus import STATE, copied, files
from workspace.tiny import steelyard

QUESTION = "How long may I keep a drill?"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return copied(tmp_path / "kept")


def truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def flipped(path: Path) -> None:
    """Bits turned over all over the file, but not in its first bytes."""
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data), 61):
        data[place] ^= 0x5A
    path.write_bytes(bytes(data))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def errors(folder: Path, *, repair: bool = False) -> dict[str, str]:
    """Code and file of every error that is left."""
    done = Workspace(folder).doctor(repair=repair)
    assert done.healthy == (not [one for one in done.findings if one.severity == "error"])
    return {one.code: one.file or "" for one in done.findings if one.severity == "error"}


def test_a_sound_workspace_has_no_findings_and_every_passage_was_compared(kept):
    done = Workspace(kept).doctor()
    assert done.findings == ()
    assert done.passages == Workspace(kept).generations()[-1].passages


DAMAGE: list[tuple[str, Callable[[Path], None]]] = [
    (pattern, damage)
    for pattern in (
        "corpus.sqlite",
        "vectors.sqlite",
        "row-vectors.sqlite",
        "sources.sqlite",
        "index/passages.lance/data/*.lance",
        "index/passages.lance/_versions/*.manifest",
        "index/segments/*.segment",
        "runs/**/*.json",
    )
    for damage in (truncated, flipped, emptied)
]


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "damage"), DAMAGE, ids=lambda one: getattr(one, "__name__", str(one)))
def test_a_damaged_file_is_named_and_made_again(kept, pattern, damage):
    path = files(kept, pattern)[-1]
    damage(path)
    before = errors(kept)
    # An empty cache is a cache, and what the last scan saw of the files is only a hint: both are filled again by use.
    harmless = path.name == "sources.sqlite" or (damage is emptied and path.name.endswith("vectors.sqlite"))
    if not harmless:
        assert before, "nothing was found"
        assert any(path.name == Path(file).name or file in ("index", "corpus.sqlite") for file in before.values()), (
            before
        )
    assert errors(kept, repair=True) == {}
    assert Workspace(kept).doctor().healthy
    answered = Workspace(kept).ask(QUESTION, candidate="rag-bm25")
    assert answered.citations


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped], ids=lambda one: one.__name__)
@pytest.mark.parametrize("pattern", ["registry.sqlite", "control.sqlite", "models/answer/rag-bm25/*/*.json"])
def test_what_cannot_be_made_again_is_named_and_left(kept, pattern, damage):
    path = files(kept, pattern)[-1]
    if path.suffix == ".sqlite":
        # What the write-ahead log still holds would make the damaged file whole again.
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path)
    held = path.read_bytes()
    found = Workspace(kept).doctor(repair=True)
    assert not found.healthy
    said = " ".join(f"{one.file} {one.message} {one.remedy}" for one in found.findings)
    assert path.name in said or "answer/rag-bm25" in said
    assert "backup" in said
    assert path.read_bytes() == held


def test_a_stored_text_that_was_changed_is_read_again_from_its_source(kept):
    database = sqlite3.connect(kept / STATE / "corpus.sqlite")
    database.execute("UPDATE content SET text = replace(text, 'back entrance', 'front entrance')")
    database.commit()
    database.close()
    assert "doctor.text" in errors(kept)
    assert errors(kept, repair=True) == {}
    texts = [one.text for one in Workspace(kept)._parts().toolbox.passages()]
    assert any("back entrance" in text for text in texts)
    assert not any("front entrance" in text for text in texts)


def test_a_text_whose_source_is_gone_is_named_as_lost(kept):
    database = sqlite3.connect(kept / STATE / "corpus.sqlite")
    database.execute("UPDATE content SET text = text || ' ' WHERE text LIKE '%back entrance%'")
    database.commit()
    database.close()
    (kept / "docs" / "notice.md").write_text("Something else.", encoding="utf-8")
    done = Workspace(kept).doctor(repair=True)
    assert any("no source has the same bytes: docs/notice.md" in text for text in done.repaired)
    assert not done.healthy


CHANGES = {
    "doctor.spans": "UPDATE cut SET spans = '[[0,5]]' WHERE content = 1",
    "doctor.state": "UPDATE member SET allow = '[\"everyone\"]', source = 'x' WHERE id = 1",
    "doctor.generation": "UPDATE generation SET passages = passages + 1",
}


@pytest.mark.parametrize(("code", "change"), CHANGES.items())
def test_a_changed_row_of_the_library_is_found(kept, code, change):
    database = sqlite3.connect(kept / STATE / "corpus.sqlite")
    database.execute(change)
    database.commit()
    database.close()
    assert code in errors(kept)


def test_rows_vectors_and_access_of_the_index_are_held_to_the_library(kept):
    import lancedb

    table = lancedb.connect(str(kept / STATE / "index")).open_table("passages")
    name = table.search().select(["id"]).limit(1).to_arrow().column("id").to_pylist()[0]
    for code, change in (
        ("doctor.index_altered", {"values": {"text": "other words"}}),
        ("doctor.index_missing", {"values": {"retired": 1}}),
        ("doctor.access", {"values_sql": {"allow": "make_array('strangers')"}}),
    ):
        before = table.version
        table.update(where=f"id = '{name}'", **change)
        assert code in errors(kept), code
        table.restore(before)
    assert errors(kept) == {}
    rows = table.search().limit(None).to_arrow().to_pylist()
    table.delete(f"id = '{name}'")
    table.add([{**rows[0], "id": name, "vector": [0.5] * len(rows[0]["vector"])}])
    assert "doctor.vector" in errors(kept)
    assert errors(kept, repair=True) == {}


def test_other_vectors_than_the_encoder_gives_are_found_on_a_sample(kept):
    database = sqlite3.connect(kept / STATE / "vectors.sqlite")
    database.execute("DELETE FROM vector")
    database.commit()
    database.close()
    import lancedb
    import pyarrow as pa

    table = lancedb.connect(str(kept / STATE / "index")).open_table("passages")
    rows = table.search().limit(None).to_arrow().to_pylist()
    for row in rows:
        row["vector"] = row["vector"][::-1]
    data = pa.Table.from_pylist(rows, schema=table.schema)
    table.delete("true")
    table.add(data)
    assert "doctor.vector_differs" in errors(kept)


def test_changed_sources_are_a_note_and_no_error(kept):
    (kept / "docs" / "notice.md").write_text("Changed.", encoding="utf-8")
    [found] = Workspace(kept).doctor().findings
    assert (found.code, found.severity) == ("doctor.source_changed", "note")
    assert "docs/notice.md" in found.message


def test_a_damaged_library_or_index_is_named_by_ordinary_commands(kept):
    truncated(kept / STATE / "corpus.sqlite")
    with pytest.raises(SteelyardError) as caught:
        Workspace(kept).ask(QUESTION, candidate="rag-bm25")
    assert (caught.value.code, "doctor" in caught.value.remedy) == ("corpus.database", True)


@pytest.mark.parametrize("pattern", ["index/passages.lance/data/*.lance", "index/passages.lance/_versions/*.manifest"])
def test_a_missing_file_of_the_index_is_named_by_ordinary_commands(kept, pattern):
    for path in files(kept, pattern):
        path.unlink()
    for path in files(kept, "index/segments/*"):
        path.unlink()
    with pytest.raises(SteelyardError) as caught:
        Workspace(kept).ask(QUESTION, candidate="rag-bm25")
    assert caught.value.code in ("stores.damaged", "stores.incomplete")
    assert "doctor --repair" in caught.value.remedy


@pytest.mark.slow
def test_the_command_exits_with_1_until_it_is_repaired(kept):
    truncated(files(kept, "index/segments/*.segment")[0])
    said = steelyard("-w", str(kept), "doctor")
    assert said.returncode == 1
    assert "segment" in said.stdout
    assert steelyard("-w", str(kept), "doctor", "--repair").returncode == 0
    assert steelyard("-w", str(kept), "doctor", "--json").returncode == 0
