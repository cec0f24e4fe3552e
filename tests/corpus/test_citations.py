from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import pytest
from test_passages import version

from shared_data import rows, shared_data
from steelyard.components.quotes import Quote, spans_of
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.parsing import txt
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.passages import SplitSettings, heading_path, page_of, split
from steelyard.corpus.sources import SourceRule
from steelyard.example.layout import lay_out
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import DocumentVersion, Hit
from steelyard.schema.errors import StoreError
from steelyard.stores.memory import MemoryStore


def above(made: DocumentVersion, start: int, end: int) -> tuple[str, ...]:
    """The heading path by walking all headings: each closes those of its level and below."""
    open_: list[tuple[int, str]] = []
    inside = [heading.level for heading in made.headings if start <= heading.start < end]
    for heading in made.headings:
        if heading.start >= start:
            break
        open_ = [(level, text) for level, text in open_ if level < heading.level] + [(heading.level, heading.text)]
    return tuple(text for level, text in open_ if not inside or level < min(inside))


def cited(passages):
    for passage in passages:
        hit = Hit(passage=passage, score=1.0)
        for span in spans_of(passage.text):
            yield Quote(hit=hit, hit_rank=0, span=span).citation()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    root = tmp_path_factory.mktemp("example")
    lay_out(root)
    made = Library(root / "state" / "corpus.sqlite")
    rules = [SourceRule(path="docs", allow=("everyone",)), SourceRule(path="docs-internal", allow=("staff",))]
    ingest(rules, made, MemoryStore(), FakeEncoder(16), root=root, settings=IngestSettings(workers=2))
    yield made
    made.close()


def test_every_citation_from_the_example_resolves_with_the_page_and_heading_of_its_own_characters(library):
    count = pages = deeper = 0
    for citation in cited(library.passages(library.in_force())):
        placed = library.placed(citation)
        found = library.version(placed.document, placed.version)
        assert found.text[placed.start : placed.end] == placed.quote == citation.quote
        assert placed.heading == above(found, placed.start, placed.end)
        starts = found.page_starts
        assert placed.page == (max(1, bisect_right(starts, placed.start)) if starts else None)
        assert placed.supports == (0, len(placed.quote))
        count += 1
        pages += placed.page is not None
        deeper += placed.heading != citation.heading
    # Small sections share a passage: the citation names the one that was quoted.
    assert count > 1000
    assert pages > 0
    assert deeper > 0


def test_every_heading_of_the_example_can_be_quoted_where_it_stands(library):
    count = 0
    for passage in library.passages(library.in_force()):
        first = spans_of(passage.text)[0]
        for heading in passage.headings:
            quote = Quote(hit=Hit(passage=passage, score=1.0), hit_rank=0, span=first, heading=heading)
            own, below = map(library.placed, quote.citations())
            found = library.version(own.document, own.version)
            assert found.text[own.start : own.end] == own.quote == heading.text
            assert own.heading == above(found, own.start, own.end)
            assert passage.text.startswith(below.quote, below.start - passage.start)
            count += 1
    assert count > 500


def test_a_citation_of_other_words_is_refused(library):
    [first, *_] = cited(library.passages(library.in_force()))
    for wrong in (
        replace(first, quote=first.quote + "!"),
        replace(first, start=first.start + 1),
        replace(first, end=10**9),
        replace(first, version="0" * 64),
    ):
        with pytest.raises(StoreError, match="not in the stored version"):
            library.placed(wrong)


def test_every_citation_from_the_postgresql_manual_resolves_with_its_heading():
    count = 0
    for row in rows(shared_data("postgresql15_docs") / "docs.jsonl.gz")[::8]:
        made = version(txt.parse(row["text"].encode(), Limits()), row["id"])
        for citation in cited(split(made, SplitSettings(overlap=100))):
            assert made.text[citation.start : citation.end] == citation.quote
            assert heading_path(made.headings, citation.start, citation.end) == above(
                made, citation.start, citation.end
            )
            assert page_of(made, citation.start) is citation.page is None
            count += 1
    assert count > 5000
