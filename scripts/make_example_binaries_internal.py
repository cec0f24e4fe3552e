"""Build the PDF and DOCX documents of the example's staff folder from their Markdown sources.

Run from the repository root: ``python scripts/make_example_binaries_internal.py``.
Only the subset of Markdown that the sources use is understood: front matter, headings of
three levels, paragraphs, bullet and numbered lists, pipe tables, and inline code.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

DATA = Path(__file__).resolve().parents[1] / "src" / "steelyard" / "example" / "data"
SOURCES = DATA / "sources"
BASE = DATA / "base" / "docs-internal"
ADDED = DATA / "added" / "internal"

TARGETS = [
    ("incident-runbook.md", BASE / "incident-runbook.pdf", "2024-10-18"),
    ("incident-runbook-2025-05-12.md", ADDED / "incident-runbook-2025-05-12.pdf", "2025-05-12"),
    ("incident-runbook-2026-03-30.md", ADDED / "incident-runbook-2026-03-30.pdf", "2026-03-30"),
    ("tone-of-voice.md", BASE / "tone-of-voice.pdf", "2024-05-21"),
    ("tone-of-voice-2025-11-10.md", ADDED / "tone-of-voice-2025-11-10.pdf", "2025-11-10"),
    ("reader-replacement.md", BASE / "reader-replacement.docx", "2024-09-04"),
    ("reader-replacement-2025-10-06.md", ADDED / "reader-replacement-2025-10-06.docx", "2025-10-06"),
    ("reader-replacement-2026-09-01.md", ADDED / "reader-replacement-2026-09-01.docx", "2026-09-01"),
    ("discount-rules.md", BASE / "discount-rules.docx", "2024-09-16"),
    ("discount-rules-2025-09-01.md", ADDED / "discount-rules-2025-09-01.docx", "2025-09-01"),
    ("discount-rules-2026-06-01.md", ADDED / "discount-rules-2026-06-01.docx", "2026-06-01"),
]


def parse(text: str) -> tuple[dict[str, str], list[tuple[str, object]]]:
    """Return the front matter and a list of (kind, content) blocks."""
    meta: dict[str, str] = {}
    if text.startswith("---\n"):
        head, text = text[4:].split("\n---\n", 1)
        meta = {k.strip(): v.strip() for k, v in (line.split(":", 1) for line in head.splitlines())}
    blocks: list[tuple[str, object]] = []
    for chunk in re.split(r"\n\s*\n", text.strip()):
        lines = chunk.split("\n")
        heading = re.match(r"(#{1,3}) (.*)", lines[0])
        if heading:
            blocks.append((f"h{len(heading[1])}", heading[2]))
        elif lines[0].startswith("|"):
            rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in lines]
            blocks.append(("table", [rows[0], *rows[2:]]))
        elif lines[0].startswith("- "):
            blocks.append(("ul", [line[2:] for line in lines]))
        elif re.match(r"\d+\. ", lines[0]):
            blocks.append(("ol", [re.sub(r"^\d+\. ", "", line) for line in lines]))
        else:
            blocks.append(("p", " ".join(lines)))
    return meta, blocks


def plain(text: str) -> str:
    return text.replace("`", "").replace("**", "")


def rich(text: str) -> str:
    return re.sub(r"`([^`]+)`", r'<font face="Courier">\1</font>', escape(text))


def write_pdf(source: Path, target: Path) -> None:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.platypus import ListFlowable, ListItem, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    meta, blocks = parse(source.read_text(encoding="utf-8"))
    styles = getSampleStyleSheet()
    for name in ("BodyText", "Heading1", "Heading2", "Heading3"):
        styles[name].spaceAfter = 6
    body = styles["BodyText"]

    class Doc(SimpleDocTemplate):
        def afterFlowable(self, flowable: object) -> None:  # noqa: N802 (reportlab's name)
            level = getattr(flowable, "outline_level", None)
            if level is not None:
                title = flowable.getPlainText()
                key = f"h{self.page}-{title}"
                self.canv.bookmarkPage(key)
                self.canv.addOutlineEntry(title, key, level, closed=False)

    def footer(canvas: object, doc: object) -> None:
        canvas.saveState()
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2 * cm, 1.2 * cm, f"Larkfield, staff only. {meta['title']}, version {meta['version']}")
        canvas.drawRightString(A4[0] - 2 * cm, 1.2 * cm, f"Page {doc.page}")
        canvas.restoreState()

    story: list[object] = []
    for kind, content in blocks:
        if kind in ("h1", "h2", "h3"):
            paragraph = Paragraph(rich(content), styles[f"Heading{kind[1]}"])
            paragraph.outline_level = int(kind[1]) - 1
            story.append(paragraph)
            if kind == "h1":
                story.append(Paragraph(f"Owner: {escape(meta['owner'])}. Version {meta['version']}.", body))
        elif kind == "p":
            story.append(Paragraph(rich(content), body))
        elif kind in ("ul", "ol"):
            items = [ListItem(Paragraph(rich(item), body)) for item in content]
            numbering = "1" if kind == "ol" else "bullet"
            story.append(ListFlowable(items, bulletType=numbering, bulletFontSize=10, leftIndent=16))
            story.append(Spacer(1, 4))
        else:
            width = (A4[0] - 4 * cm) / len(content[0])
            table = Table(
                [[Paragraph(rich(cell), body) for cell in row] for row in content],
                colWidths=[width] * len(content[0]),
                repeatRows=1,
            )
            table.setStyle(
                TableStyle(
                    [
                        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                        ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ]
                )
            )
            story.extend([table, Spacer(1, 8)])
    doc = Doc(
        str(target),
        pagesize=A4,
        leftMargin=2 * cm,
        rightMargin=2 * cm,
        topMargin=2 * cm,
        bottomMargin=2 * cm,
        title=meta["title"],
        author=meta["owner"],
        invariant=1,
    )
    doc.build(story, onFirstPage=footer, onLaterPages=footer)


def write_docx(source: Path, target: Path, day: str) -> None:
    from docx import Document

    meta, blocks = parse(source.read_text(encoding="utf-8"))
    document = Document()
    stamp = datetime.datetime.fromisoformat(day)
    core = document.core_properties
    core.title, core.author, core.last_modified_by = meta["title"], meta["owner"], meta["owner"]
    core.comments, core.created, core.modified = "", stamp, stamp
    for kind, content in blocks:
        if kind == "h1":
            document.add_heading(plain(content), level=0)
            document.add_paragraph(f"Owner: {meta['owner']}. Version {meta['version']}.")
        elif kind in ("h2", "h3"):
            document.add_heading(plain(content), level=int(kind[1]) - 1)
        elif kind == "p":
            document.add_paragraph(plain(content))
        elif kind in ("ul", "ol"):
            for item in content:
                document.add_paragraph(plain(item), style="List Number" if kind == "ol" else "List Bullet")
        else:
            table = document.add_table(rows=0, cols=len(content[0]))
            table.style = "Table Grid"
            for row in content:
                cells = table.add_row().cells
                for cell, value in zip(cells, row, strict=True):
                    cell.text = plain(value)
    buffer = io.BytesIO()
    document.save(buffer)
    # Same input, same bytes: fixed order and fixed times inside the archive.
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            info = zipfile.ZipInfo(name, date_time=(2024, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))


def main() -> None:
    ADDED.mkdir(parents=True, exist_ok=True)
    for name, target, day in TARGETS:
        if target.suffix == ".pdf":
            write_pdf(SOURCES / name, target)
        else:
            write_docx(SOURCES / name, target, day)


if __name__ == "__main__":
    main()
