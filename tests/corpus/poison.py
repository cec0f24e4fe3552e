"""Files made to hurt whoever reads them, generated when asked for: name to file name, content and what must become of it.

`READ` says that the file is harmless in truth and must be read; else a pattern of the reason it must be refused with.
"""

from __future__ import annotations

import io
import itertools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

READ = ""
MEGA = 2**20


@dataclass(frozen=True)
class Poison:
    """One file: its name, a function that makes it, and the reason to expect (a pattern; READ: it must be read)."""

    file: str
    make: Callable[[], bytes]
    reason: str


def docx(document: bytes, **parts: bytes) -> bytes:
    """A Word file around the XML of its main part; `parts` are more members by name."""
    content_types = (
        b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Default Extension="xml" ContentType="application/xml"/>'
        b'<Override PartName="/word/document.xml" ContentType='
        b'"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    relations = (
        b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b'<Relationship Id="rId1" Target="word/document.xml" Type='
        b'"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("[Content_Types].xml", content_types)
        archive.writestr("_rels/.rels", relations)
        archive.writestr("word/document.xml", document)
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def body(inner: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<w:document {WORD}><w:body>{inner}</w:body></w:document>'.encode()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def zeros_bomb() -> bytes:
    """300 MiB of zeros in one member: 300 kB as it lies there."""
    return docx(body(paragraph("x")), **{"word/media/image1.png": b"\0" * (300 * MEGA)})


def lying_bomb() -> bytes:
    """The archive's directory says 100 bytes; the main part unpacks to 300 MiB."""
    huge = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk = b"<w:p><w:r><w:t>" + b"A" * (MEGA - 15)
    packed = b"".join([huge.compress(chunk if part == 0 else b"A" * MEGA) for part in range(300)]) + huge.flush()
    whole = docx(body(paragraph("x")))
    # The members again, by hand: the main part with a false size.
    out = io.BytesIO()
    directory = []
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for info in archive.infolist():
            raw = archive.read(info)
            false = info.filename == "word/document.xml"
            data = packed if false else raw
            size, method = (100, 8) if false else (len(raw), 0)
            name = info.filename.encode()
            at = out.tell()
            out.write(struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, method, 0, 0, info.CRC, len(data), size, len(name), 0))
            out.write(name + data)
            directory.append((info.CRC, len(data), size, name, at, method))
    start = out.tell()
    for crc, packed_size, size, name, at, method in directory:
        out.write(
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\1\2", 20, 20, 0, method, 0, 0, crc, packed_size, size, len(name), 0, 0, 0, 0, 0, at,
            )
        )  # fmt: skip
        out.write(name)
    out.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(directory), len(directory), out.tell() - start, start, 0))
    return out.getvalue()


def overlapping_bomb() -> bytes:
    """Many directory entries that point to one member: 20,000 parts of 30 kB each from 40 kB."""
    inner = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = inner.compress(b"\0" * 30_000) + inner.flush()
    out = io.BytesIO()
    out.write(struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), 30_000, 1, 0) + b"a" + data)
    start = out.tell()
    count = 20_000
    for number in range(count):
        name = f"word/{number}.xml".encode()
        out.write(
            struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(data), 30_000, len(name), 0, 0, 0, 0, 0, 0)
            + name
        )
    out.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, out.tell() - start, start, 0))
    return out.getvalue()


def nested_archive() -> bytes:
    """An archive in an archive in an archive, 16 deep: nobody has reason to open the inner ones."""
    inner = b"\0" * MEGA
    for _ in range(16):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip", inner)
        inner = out.getvalue()
    return docx(body(paragraph("The outer words.")), **{"word/embeddings/inner.zip": inner})


def entities(declared: str, used: str) -> bytes:
    return docx(body(paragraph(used), f"<!DOCTYPE x [{declared}]>"))


def billion_laughs() -> bytes:
    lines = ['<!ENTITY a0 "ha">'] + [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11)]
    return entities("".join(lines), "&a10;")


def quadratic_entities() -> bytes:
    return entities(f'<!ENTITY a "{"A" * 50_000}">', "&a;" * 50_000)


def outside_entity() -> bytes:
    return entities('<!ENTITY secret SYSTEM "file:///etc/passwd">', "before &secret; after")


def pdf(objects: list[bytes], *, root: int = 1) -> bytes:
    """A PDF of these numbered objects, from 1."""
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, start))
    return out.getvalue()


FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def stream(content: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), extra, content)


def many_pages(count: int = 10_000) -> bytes:
    pages = b" ".join(b"%d 0 R" % (number + 5) for number in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, pages),
        FONT,
        stream(b"BT /F1 12 Tf 72 720 Td (A page.) Tj ET"),
    ]
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
    return pdf([*objects, *[page] * count])


def page_loop() -> bytes:
    """A page tree whose only branch is its own parent, and which says that it has pages."""
    return pdf([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 5 /Kids [2 0 R 2 0 R 2 0 R] >>"])


def page_tree_doubling() -> bytes:
    """30 levels of page tree, each naming the one below twice: 2^30 pages from 30 objects."""
    levels = 30
    kids = [
        b"<< /Type /Pages /Count %d /Kids [%d 0 R %d 0 R] >>" % (2 ** (levels - n), n + 3, n + 3) for n in range(levels)
    ]
    page = b"<< /Type /Page /MediaBox [0 0 612 792] >>"
    return pdf([b"<< /Type /Catalog /Pages 2 0 R >>", *kids, page])


def form_recursion() -> bytes:
    """A page that draws a form that draws itself."""
    form = stream(
        b"BT /F1 12 Tf 72 700 Td (Again.) Tj ET /X Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X 5 0 R >> /Font << /F1 3 0 R >> >>",
    )
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            FONT,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R"
            b" /Resources << /XObject << /X 5 0 R >> /Font << /F1 3 0 R >> >> >>",
            form,
            stream(b"BT /F1 12 Tf 72 720 Td (Words before it.) Tj ET /X Do"),
        ]
    )


def stream_bomb() -> bytes:
    """A page whose content is 64 MiB of text operators, packed twice: 1 kB."""
    line = zlib.compress(b"BT /F1 1 Tf (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx) Tj ET\n" * MEGA, 9)
    packed = zlib.compress(line, 9)
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            FONT,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            stream(packed, b"/Filter [/FlateDecode /FlateDecode]"),
        ]
    )


def outline_loop() -> bytes:
    """An outline whose entries are each other's next."""
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            FONT,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            stream(b"BT /F1 12 Tf 72 720 Td (One page.) Tj ET"),
            b"<< /Type /Outlines /First 7 0 R /Last 8 0 R /Count 2 >>",
            b"<< /Title (One) /Parent 6 0 R /Next 8 0 R /First 7 0 R /Dest [4 0 R /Fit] >>",
            b"<< /Title (Two) /Parent 6 0 R /Next 7 0 R /First 7 0 R /Dest [4 0 R /Fit] >>",
        ]
    )


def nested_objects() -> bytes:
    """An array in an array, 200,000 deep."""
    return pdf([b"<< /Type /Catalog /Pages 2 0 R /X " + b"[" * 200_000 + b"]" * 200_000 + b" >>", b"null"])


def front(yaml: str) -> bytes:
    return f"---\n{yaml}\n---\nThe words below.\n".encode()


def yaml_aliases() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghi"
    lines += [f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]" for one, two in itertools.pairwise(names)]
    return "\n".join(lines)


def words(count: int) -> str:
    draw = random.Random(7)
    return " ".join("".join(draw.choices("abcdefgh", k=6)) for _ in range(count))


LONG = r"too long|longer than"
BOUNDED = (
    r"too long|longer than|too deeply|nested|took too long|too much memory|too many|broke on the file|cannot be read"
)

POISON = (
    Poison("zeros.docx", zeros_bomb, "unpacks to too much"),
    Poison("lying.docx", lying_bomb, "damaged"),
    Poison("overlapping.docx", overlapping_bomb, "unpacks to too much"),
    Poison("nested-archive.docx", nested_archive, READ),
    Poison("laughs.docx", billion_laughs, "entit"),
    Poison("quadratic.docx", quadratic_entities, "entit"),
    Poison("outside.docx", outside_entity, "entities"),
    Poison("deep.docx", lambda: docx(body("<w:p>" * 100_000 + "</w:p>" * 100_000)), "broken"),
    Poison(
        "tables.docx", lambda: docx(body("<w:tbl><w:tr><w:tc>" * 3_000 + "</w:tc></w:tr></w:tbl>" * 3_000)), "broken"
    ),
    Poison("cut.docx", lambda: docx(body(paragraph("x")))[:300], "not a Word document"),
    Poison("pages.pdf", many_pages, "too many pages"),
    Poison("page-loop.pdf", page_loop, "broken|no text"),
    Poison("page-doubling.pdf", page_tree_doubling, "too many pages|broken|no text"),
    Poison("form-recursion.pdf", form_recursion, READ),
    Poison("stream-bomb.pdf", stream_bomb, BOUNDED + "|no text"),
    Poison("outline-loop.pdf", outline_loop, READ),
    Poison("nested-objects.pdf", nested_objects, "broken|no text|broke on the file"),
    Poison("cut.pdf", lambda: many_pages(3)[:200], "broken"),
    Poison("deep.html", lambda: b"<div>" * 1_000_000 + b"word", "nested too deeply"),
    Poison("deep-lists.html", lambda: b"<ul><li>" * 100_000 + b"word", "nested too deeply"),
    Poison("deep-tables.html", lambda: b"<table><tr><td>" * 100_000 + b"word", "nested too deeply"),
    Poison("deep-inline.html", lambda: b"<b><i><a href='https://a.example'>" * 100_000 + b"word", "nested too deeply"),
    Poison("attributes.html", lambda: b"<p " + b" ".join(b"a%d='x'" % n for n in range(200_000)) + b">word", BOUNDED),
    Poison("unclosed.html", lambda: b"<" * 2_000_000, READ),
    Poison("comment.html", lambda: b"<p>word</p><!--" + b"-" * 3_000_000, READ),
    Poison("entities.html", lambda: b"<p>word " + b"&lt;&#x41;&notanentity;" * 200_000, READ),
    Poison("quotes.md", lambda: b">" * 100_000 + b" word", "nested too deeply"),
    Poison("quotes-lines.md", lambda: b"\n".join(b">" * n + b" word" for n in range(1, 1500)), "nested too deeply"),
    Poison("lists.md", lambda: b"\n".join(b" " * (2 * n) + b"- word" for n in range(1500)), "nested too deeply"),
    Poison("emphasis.md", lambda: b"*a **a " * 10_000, READ),
    Poison("stars.md", lambda: b"*" * 50_000 + b"a", READ),
    Poison("underscores.md", lambda: b"a_" * 30_000, READ),
    Poison("brackets.md", lambda: b"[" * 5_000 + b"word", READ),
    Poison("links.md", lambda: b"[a](" * 10_000, READ),
    Poison("images.md", lambda: b"![a" * 5_000, READ),
    Poison("references.md", lambda: b"".join(b"[%d]: /x\n" % n for n in range(5_000)) + b"[a][b]" * 5_000, READ),
    Poison("ticks.md", lambda: b"".join(b"`" * n + b"a" for n in range(1, 1400)), READ),
    Poison("autolinks.md", lambda: b"<a:" * 200_000, READ),
    Poison("html-in.md", lambda: b"<div>\n" * 100_000 + b"word", "nested too deeply"),
    Poison("table.md", lambda: b"|a" * 2_000 + b"\n" + b"|-" * 2_000 + b"\n" + b"|x\n" * 500, READ),
    Poison("directives.rst", lambda: b"\n".join(b"   " * n + b".. note:: word" for n in range(1000)), READ),
    Poison("includes.rst", lambda: b".. include:: includes.rst\n\n.. |a| replace:: |a|\n\n|a| word\n", READ),
    Poison("roles.rst", lambda: b":a" * 400_000 + b"`", READ),
    Poison("backticks.rst", lambda: b"`a <" * 200_000, READ),
    Poison("stars.rst", lambda: b"*a " * 300_000, READ),
    Poison("simple-table.rst", lambda: b"== ==\n" + b"a  b\n" * 20_000 + b"== ==\n", READ),
    Poison("aliases.md", lambda: front(yaml_aliases()), READ),
    Poison("aliases-in-rule.md", lambda: front(yaml_aliases() + "\nallow: *i"), "not a list of group names"),
    Poison("deep-yaml.md", lambda: front("a: " + "[" * 5_000), READ),
    Poison("deep-yaml-rule.md", lambda: front("allow: " + "[" * 5_000), "front matter"),
    Poison("long-front.md", lambda: front("a: |\n" + "  word word\n" * 200_000), "front matter is too long"),
    Poison("utf16.txt", lambda: "Opening hours are nine to five. ".encode("utf-16-le") * 20, READ),
    Poison("utf16-big.txt", lambda: "Opening hours are nine to five. ".encode("utf-16-be") * 20, READ),
    Poison("utf32.txt", lambda: "Opening hours".encode("utf-32-le") * 20, "NUL"),
    Poison("mixed.txt", lambda: "Straße ".encode() * 50 + "Straße ".encode("latin-1") * 50, READ),
    Poison("binary.txt", lambda: random.Random(7).randbytes(300_000), "not text"),
    Poison("program.md", lambda: b"\x7fELF" + random.Random(8).randbytes(100_000), "not text"),
    Poison("picture.html", lambda: b"\x89PNG\r\n\x1a\n" + random.Random(9).randbytes(100_000), "not text"),
    Poison("nul.txt", lambda: b"word\0word", "NUL"),
    Poison("controls.txt", lambda: b"\x1b[31mred\x1b[0m \x07 word \x9b31m", READ),
    Poison("line-50mb.txt", lambda: b"word " * (10 * MEGA), LONG),
    Poison("line-5mb.txt", lambda: words(700_000).encode(), READ),
    Poison("line-5mb.md", lambda: words(700_000).encode(), LONG),
    Poison("line-no-space.txt", lambda: b"a" * 5_000_000, READ),
    Poison("lines.txt", lambda: b"\n" * 40_000_000, LONG),
    Poison("blank-lines.txt", lambda: b"\n" * 9_000_000 + b"word", READ),
    Poison("short-paragraphs.txt", lambda: b"a.\n\n" * 300_000, "too many parts"),
    Poison("item.txt", lambda: b"- a\n" + b"  word word\n" * 500_000, READ),
    Poison("csv.txt", lambda: b"".join(b"%d,  name%d,  7\n" % (n, n) for n in range(100_000)), READ),
    Poison("columns.md", lambda: b"|a|b|\n|-|-|\n" + b"|1|2|\n" * 10_000, READ),
    Poison("tabs.txt", lambda: b"\t" * 1_000_000 + b"word", READ),
    Poison("empty.md", lambda: b"", READ),
    Poison("empty.docx", lambda: b"", "not a Word document"),
    Poison("empty.pdf", lambda: b"", "broken"),
    Poison("blank.html", lambda: b" \n ", READ),
)
