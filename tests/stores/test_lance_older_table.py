from __future__ import annotations

import shutil
from dataclasses import replace

import lancedb

from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import Heading
from steelyard.schema.scope import Scope
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.lance_table import TABLE

HEADINGS = (Heading(level=2, text='3.2 "Oak"', start=4),)


def staged(*texts: str, lead: str = "", headings: tuple[Heading, ...] = ()) -> Staged:
    made = [replace(passage(text, text), lead=lead, headings=headings) for text in texts]
    return Staged(made, FakeEncoder(16).encode([one.search_text for one in made]))


def test_a_table_from_before_leads_and_headings_is_read_and_takes_passages_that_have_them(tmp_path):
    LanceStore(tmp_path / "index").stage(1, staged("refund", "export"), [])
    table = lancedb.connect(str(tmp_path / "index")).open_table(TABLE)
    table.drop_columns(["lead", "headings"])
    for path in (tmp_path / "index").iterdir():
        if path.is_dir() and path.name != f"{TABLE}.lance":
            shutil.rmtree(path)  # what is kept beside the table is made again from it
    older = LanceStore(tmp_path / "index")
    assert [one.lead for one in older.passages(Scope(), 1)] == ["", ""]
    older.stage(2, staged("lamp", lead="Plan | Price", headings=HEADINGS), [])
    for store in (older, LanceStore(tmp_path / "index")):
        assert {one.text: one.lead for one in store.passages(Scope(), 2)} == {
            "refund": "",
            "export": "",
            "lamp": "Plan | Price",
        }
        assert {one.text: one.headings for one in store.passages(Scope(), 2)} == {
            "refund": (),
            "export": (),
            "lamp": HEADINGS,
        }
        assert [hit.passage.text for hit in store.lexical("price of a plan", Scope(), 3, 2)] == ["lamp"]
