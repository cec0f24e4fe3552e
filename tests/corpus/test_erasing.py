"""What was erased is answered by nobody from then on, is in no file, and does not come back by itself."""

from __future__ import annotations

import hashlib

import pytest

from steelyard.corpus.erasing import close, find_targets, is_due, lift, remove, texts_of
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.stores import STORES


@pytest.fixture
def control(bench):
    return bench.library.control


def erase(bench, control, *names: str) -> int:
    close(control, find_targets(bench.library, names), by="ada", why="asked")
    return remove(bench.library, bench.index, control)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_documents_patterns_and_hashes_are_found(bench):
    for name in ("a.md", "hr/b.md", "hr/c.md"):
        bench.write(name, f"Text of {name}.")
    bench.ingest()
    library = bench.library
    assert find_targets(library, ["docs/a.md"]).documents == ("docs/a.md",)
    assert find_targets(library, ["docs/hr/**"]).documents == ("docs/hr/b.md", "docs/hr/c.md")
    by_hash = find_targets(library, [sha("Text of a.md.")])
    assert (by_hash.documents, by_hash.versions) == ((), (sha("Text of a.md."),))
    assert texts_of(library, by_hash) == ["Text of a.md."]
    with pytest.raises(NotFoundError, match="Did you mean 'docs/a"):
        find_targets(library, ["docs/aa.md"])
    with pytest.raises(UserError):
        find_targets(library, [])


def test_every_version_of_a_document_goes_from_every_generation(bench, control):
    for text in ("One.", "Two.", "Three."):
        bench.write("a.md", text)
        bench.write("b.md", f"Also {text}")
        bench.ingest()
    assert erase(bench, control, "docs/a.md") == 3
    for number in (1, 2, 3):
        assert [version.document for version in bench.library.versions(number)] == ["docs/b.md"]
        assert (bench.library.generation(number).documents, bench.library.generation(number).passages) == (1, 1)
    assert bench.library.history("docs/a.md") == []
    bench.check()
    assert not is_due(bench.library, control)


def test_of_two_equal_documents_the_other_keeps_its_text_unless_the_bytes_are_named(bench, control):
    bench.write("a.md", "Same.")
    bench.write("b.md", "Same.")
    bench.ingest()
    targets = find_targets(bench.library, ["docs/a.md"])
    assert (targets.versions, targets.shared) == ((), {sha("Same."): ("docs/b.md",)})
    erase(bench, control, "docs/a.md")
    assert [version.document for version in bench.library.versions(1)] == ["docs/b.md"]
    bench.check()
    erase(bench, control, sha("Same."))
    assert list(bench.library.versions(1)) == []
    bench.check()


def test_what_was_removed_half_way_is_removed_by_the_next_call(bench, control):
    bench.write("a.md", "One.")
    bench.write("b.md", "Two.")
    bench.ingest()
    close(control, find_targets(bench.library, ["docs/a.md"]), by="ada", why="")
    assert is_due(bench.library, control)
    purge, bench.index.purge = bench.index.purge, lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        remove(bench.library, bench.index, control)
    bench.index.purge = purge
    assert is_due(bench.library, control)
    remove(bench.library, bench.index, control)
    assert not is_due(bench.library, control)
    bench.check()


def test_lifting_lets_the_document_and_its_bytes_in_again(bench, control):
    bench.write("a.md", "One.")
    bench.ingest()
    erase(bench, control, "docs/a.md")
    assert {(one.document, one.version) for one in control.erasures()} == {("docs/a.md", ""), ("", sha("One."))}
    with pytest.raises(NotFoundError, match="Erased are"):
        lift(control, ["docs/b.md"], bench.root, by="ada", why="")
    lift(control, ["docs/a.md"], bench.root, by="ada", why="consent given")
    assert control.erasures() == []
    assert [(change.kind, change.why) for change in control.history()][-1] == ("lift", "consent given")


FORMS = {"utf-8": "utf-8", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be"}


def test_no_file_below_the_state_folder_holds_the_sentinels(bench, control, tmp_path):
    bench.index.close()
    store = STORES.load("lance")(tmp_path / ".steelyard" / "index")
    store.close = lambda: None
    bench.index = store
    sentinels = ["Zyxomma Quidnuncery", "größeÜberschwang", "平仮名の見張り"]
    for number, word in enumerate(sentinels):
        bench.write(f"{number}.md", f"# {word} heading\n\nA secret: {word} stands here.\n\n" + "Filler. " * 200)
        bench.write("stays.md", f"The staying text {number}.")
        bench.ingest()
    bench.index.optimize()
    bench.write("1.md", "# Changed\n\nNow without.")
    bench.ingest()

    def holding() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for file in (tmp_path / ".steelyard").rglob("*"):
            data = file.read_bytes() if file.is_file() else b""
            for word in sentinels:
                for form in FORMS:
                    if word.encode(form) in data:
                        found.setdefault(file.name.partition(".")[0], set()).add(word)
        return found

    assert set(sentinels) <= set().union(*holding().values())
    erase(bench, control, "docs/0.md", "docs/1.md", "docs/2.md")
    bench.library.close()
    assert holding() == {}
    # Pages of the index may be compressed: also what its reader gives.
    import lancedb

    table = lancedb.connect(str(tmp_path / ".steelyard" / "index")).open_table("passages")
    assert len(table.list_versions()) == 1
    assert {row["document"] for row in table.to_arrow().to_pylist()} == {"docs/stays.md"}
