"""One file per document format; the table of formats."""

from __future__ import annotations

import os
from functools import lru_cache

from steelyard.catalog import Catalog, Part

PARSERS = Catalog(
    "parser",
    {
        "markdown": Part(
            "steelyard.corpus.parsing.markdown:parse", "Markdown (CommonMark with tables), YAML front matter"
        ),
        "html": Part("steelyard.corpus.parsing.html:parse", "HTML; navigation, scripts and hidden text left out"),
        "txt": Part("steelyard.corpus.parsing.txt:parse", "plain text, YAML front matter"),
        "rst": Part("steelyard.corpus.parsing.rst:parse", "reStructuredText, YAML front matter"),
        "pdf": Part(
            "steelyard.corpus.parsing.pdf:parse", "PDF with a text layer; pages, outline or font-size headings"
        ),
        "docx": Part("steelyard.corpus.parsing.docx:parse", "Word documents; heading styles, lists, tables"),
    },
)
"""A parser is `parse(content: bytes, limits: Limits) -> Parsed`, deterministic, raising `ParseError` with a reason for the user."""

SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "txt",
    ".text": "txt",
    ".rst": "rst",
    ".pdf": "pdf",
    ".docx": "docx",
}

MEDIA_TYPES = {
    "markdown": "text/markdown",
    "html": "text/html",
    "txt": "text/plain",
    "rst": "text/x-rst",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

PARSER_VERSION = 2
"""Goes up when a parser reads more or better; failures of older versions are then tried again."""


@lru_cache(maxsize=1 << 17)
def format_of(name: str) -> str | None:
    """The format of a file by its suffix, upper or lower case; None when no parser reads it.

    >>> format_of("docs/Guide.MD")
    'markdown'
    """
    return SUFFIXES.get(os.path.splitext(name)[1].lower())
