from __future__ import annotations

import io
import zipfile

import pytest
from docx import Document
from parsed import headings, kinds, parse
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

from steelyard.corpus.parsing.limits import Limits, ParseError


def pdf(pages: list[list[tuple[float, str]]], *, outline: str = "", encrypt: str | None = None) -> bytes:
    stream = io.BytesIO()
    sheet = canvas.Canvas(stream, pagesize=A4, encrypt=encrypt)
    for number, lines in enumerate(pages):
        top = 780.0
        if outline and number == 0:
            sheet.bookmarkPage("here")
            sheet.addOutlineEntry(outline, "here", 0)
        for size, text in lines:
            sheet.setFont("Helvetica", size)
            sheet.drawString(72, top, text)
            top -= size * 1.3 if text else size * 2
        sheet.showPage()
    sheet.save()
    return stream.getvalue()


def test_pdf_has_pages_paragraphs_and_headings_by_size():
    body = [
        (11, "We refund within fourteen days; the money goes back to"),
        (11, "the card it came from."),
        (11, ""),
        (11, "Second part."),
    ]
    parsed = parse("pdf", pdf([[(20, "Refunds"), *body], [(15, "Exceptions"), (11, "None so far.")]]))
    assert headings(parsed) == [(1, "Refunds"), (2, "Exceptions")]
    assert [text for _, text in kinds(parsed)] == [
        "Refunds",
        "We refund within fourteen days; the money goes back to the card it came from.",
        "Second part.",
        "Exceptions",
        "None so far.",
    ]
    assert [parsed.text[start : start + 7] for start in parsed.page_starts] == ["Refunds", "Excepti"]


def test_pdf_headings_come_from_the_outline_where_there_is_one():
    parsed = parse(
        "pdf",
        pdf(
            [[(11, "Scope of the deal"), (11, "It is wide."), (20, "Loud but no heading")]], outline="Scope of the deal"
        ),
    )
    assert headings(parsed) == [(1, "Scope of the deal")]


def test_pdf_running_heads_are_left_out():
    pages = [
        [(9, "ACME manual"), (11, f"Words of page {word}."), (9, f"Page {n}")]
        for n, word in enumerate(("one", "two", "three", "four"))
    ]
    assert parse("pdf", pdf(pages)).text == "\n\n".join(
        f"Words of page {word}." for word in ("one", "two", "three", "four")
    )


def test_pdf_of_two_pages_loses_the_line_that_counts_them_and_no_other():
    pages = [[(11, "Same words."), (11, f"Only {word}."), (9, f"Fees {n}")] for n, word in enumerate(("one", "two"), 1)]
    assert parse("pdf", pdf(pages)).text.split() == ["Same", "words.", "Only", "one.", "Same", "words.", "Only", "two."]


def test_pdf_that_cannot_be_read_says_why():
    with pytest.raises(ParseError, match="encrypted"):
        parse("pdf", pdf([[(11, "x")]], encrypt="secret"))
    with pytest.raises(ParseError, match="broken"):
        parse("pdf", b"%PDF-1.4 nothing")
    with pytest.raises(ParseError, match="no text"):
        parse("pdf", pdf([[]]))
    with pytest.raises(ParseError, match="too many pages"):
        parse("pdf", pdf([[(11, "x")]] * 3), Limits(pages=2))


def word() -> bytes:
    document = Document()
    document.add_heading("Handbook", 0)
    document.add_paragraph("Welcome.")
    document.add_heading("Hours", 2)
    document.add_paragraph("Mon", style="List Bullet")
    document.add_paragraph("Tue", style="List Bullet")
    table = document.add_table(2, 3)
    for cell, text in zip(table._cells, ("Day", "From", "To", "Mon", "9", "5"), strict=True):
        cell.text = text
    table.cell(1, 1).merge(table.cell(1, 2))
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_docx_has_headings_lists_and_tables_in_order():
    parsed = parse("docx", word())
    assert headings(parsed) == [(1, "Handbook"), (2, "Hours")]
    assert kinds(parsed)[1:] == [
        ("paragraph", "Welcome."),
        ("heading", "Hours"),
        ("list", "- Mon\n- Tue"),
        ("table", "Day | From | To\nMon | 9 5"),
    ]


def test_docx_that_cannot_be_read_says_why():
    with pytest.raises(ParseError, match="not a Word document"):
        parse("docx", b"PK nothing")
    with pytest.raises(ParseError, match="encrypted, or in the old"):
        parse("docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"0" * 100)
    with pytest.raises(ParseError, match="unpacks to too much"):
        parse("docx", bomb(64), Limits(unpacked_bytes=2**20))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("word/document.xml", "<nothing")
    with pytest.raises(ParseError, match="broken"):
        parse("docx", stream.getvalue())


def bomb(mebibytes: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (mebibytes * 2**20))
    return stream.getvalue()
