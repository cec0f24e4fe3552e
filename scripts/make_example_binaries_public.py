"""Make the PDF and DOCX files of the example's public documents from their Markdown sources.

Run from the repository root: python scripts/make_example_binaries_public.py
The output is deterministic, so running it again without a changed source changes no file.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from pathlib import Path

from docx import Document
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, A5
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

DATA = Path(__file__).resolve().parent.parent / "src" / "steelyard" / "example" / "data"

TARGETS = {
    "fee-schedule": "base/docs/pdf/fee-schedule.pdf",
    "fee-schedule-2025-04-14": "added/public/fee-schedule-2025-04-14.pdf",
    "fee-schedule-2025-06-30": "added/public/fee-schedule-2025-06-30.pdf",
    "fee-schedule-2026-02-02": "added/public/fee-schedule-2026-02-02.pdf",
    "terms-extract": "base/docs/pdf/terms-extract.pdf",
    "terms-extract-2025-05-05": "added/public/terms-extract-2025-05-05.pdf",
    "terms-extract-2026-09-01": "added/public/terms-extract-2026-09-01.pdf",
    "wren-quick-guide": "base/docs/pdf/wren-quick-guide.pdf",
    "wren-2-quick-guide-2025-10-06": "added/public/wren-2-quick-guide-2025-10-06.pdf",
    "wren-2-quick-guide-2026-07-13": "added/public/wren-2-quick-guide-2026-07-13.pdf",
    "data-processing-summary": "base/docs/forms/data-processing-summary.docx",
    "data-processing-summary-2026-01-19": "added/public/data-processing-summary-2026-01-19.docx",
    "studio-opening-checklist": "base/docs/forms/studio-opening-checklist.docx",
}

Block = tuple[str, object]


def parse(text: str) -> list[Block]:
    """Split the small Markdown subset of the sources into blocks."""
    blocks: list[Block] = []
    for chunk in re.split(r"\n\s*\n", text.strip()):
        lines = chunk.splitlines()
        heading = re.match(r"(#+) (.*)", lines[0])
        if heading:
            blocks.append((f"h{len(heading[1])}", heading[2]))
        elif lines[0].startswith("|"):
            rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
            headed = any(rows[0])
            blocks.append(("table", ([rows[0], *rows[2:]] if headed else rows[2:], headed)))
        elif lines[0].startswith("- "):
            blocks.append(("bullets", [line[2:] for line in lines]))
        elif re.match(r"\d+\. ", lines[0]):
            blocks.append(("numbers", [line.split(". ", 1)[1] for line in lines]))
        else:
            blocks.append(("p", " ".join(lines)))
    return blocks


class Pages(BaseDocTemplate):
    """A document whose headings go into the PDF outline."""

    def afterFlowable(self, flowable: object) -> None:  # noqa: N802
        level = getattr(flowable, "outline_level", None)
        if level is not None:
            key = f"h{self.seq.nextf('heading')}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key, level=level)


def write_pdf(blocks: list[Block], target: Path) -> None:
    styles = getSampleStyleSheet()
    body = ParagraphStyle("body", parent=styles["BodyText"], fontSize=10, leading=14)
    item = ParagraphStyle("item", parent=body, leftIndent=14, bulletIndent=2)
    title = str(blocks[0][1])
    page = A5 if "guide" in target.name else A4
    margin = (14 if page == A5 else 24) * mm

    def footer(canvas: Canvas, doc: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(margin, 9 * mm, title)
        canvas.drawRightString(page[0] - margin, 9 * mm, str(doc.page))

    doc = Pages(str(target), pagesize=page, title=title, author="Larkfield", invariant=1)
    frame = Frame(margin, 14 * mm, page[0] - 2 * margin, page[1] - 28 * mm)
    doc.addPageTemplates([PageTemplate(frames=[frame], onPage=footer)])

    story: list[object] = []
    for kind, content in blocks:
        if kind.startswith("h"):
            level = int(kind[1]) - 1
            paragraph = Paragraph(str(content), styles["Title" if level == 0 else "Heading2"])
            paragraph.outline_level = level
            paragraph.keepWithNext = 1
            story.append(paragraph)
        elif kind == "p":
            story.append(Paragraph(str(content), body))
        elif kind == "table":
            rows, headed = content
            cells = [
                [Paragraph(f"<b>{cell}</b>" if headed and not at else cell, body) for cell in row]
                for at, row in enumerate(rows)
            ]
            table = Table(cells, hAlign="LEFT", repeatRows=int(headed))
            table.setStyle(
                TableStyle([("GRID", (0, 0), (-1, -1), 0.4, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
            )
            story += [table, Spacer(1, 3 * mm)]
        else:
            for number, line in enumerate(content, 1):
                story.append(Paragraph(line, item, bulletText=f"{number}." if kind == "numbers" else "\u2022"))
    doc.build(story)


def write_docx(blocks: list[Block], target: Path) -> None:
    document = Document()
    moment = datetime.datetime(2024, 11, 4)
    properties = document.core_properties
    properties.author, properties.title = "Larkfield", str(blocks[0][1])
    properties.created = properties.modified = moment
    for kind, content in blocks:
        if kind.startswith("h"):
            document.add_heading(str(content), level=int(kind[1]))
        elif kind == "p":
            document.add_paragraph(str(content))
        elif kind == "table":
            rows, _ = content
            table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
            for row in rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        else:
            style = "List Number" if kind == "numbers" else "List Bullet"
            for line in content:
                document.add_paragraph(line, style=style)
    raw = io.BytesIO()
    document.save(raw)
    # Written again with fixed times, so that the same source gives the same bytes.
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=moment.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))


def main() -> None:
    for name, where in TARGETS.items():
        blocks = parse((DATA / "sources" / f"{name}.md").read_text(encoding="utf-8"))
        target = DATA / where
        target.parent.mkdir(parents=True, exist_ok=True)
        (write_pdf if target.suffix == ".pdf" else write_docx)(blocks, target)
        print(target.relative_to(DATA))


if __name__ == "__main__":
    main()
