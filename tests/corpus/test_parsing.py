from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed import check_structure, headings, kinds, parse

from steelyard.corpus.parsing import format_of
from steelyard.corpus.parsing.limits import Limits, ParseError


def test_formats_go_by_suffix():
    names = ("a.MD", "a.htm", "a.rst", "a.txt", "a.pdf", "a.docx", "a.exe", "a")
    assert [format_of(name) for name in names] == ["markdown", "html", "rst", "txt", "pdf", "docx", None, None]


MARKDOWN = """---
title: The plan
owner: Ana
allow:
  - guild
  - staff
effective: 2024-09-01
---
# Plans { #plans }

The **Studio** plan costs `12` dollars,
see [prices](prices.md) or [status](https://status.example).<br>Now.

1. First
   - nested *item*

   second paragraph
2. Then

| Plan | Price |
|------|-------|
| A    | 1     |

```python
x = 1

y = 2
```

> Quoted words.

<div>Raw <b>HTML</b></div>
"""


def test_markdown_gives_words_without_marks():
    parsed = parse("markdown", MARKDOWN)
    assert (parsed.title, parsed.allow, parsed.deny) == ("The plan", ("guild", "staff"), None)
    assert headings(parsed) == [(1, "Plans")]
    assert kinds(parsed) == [
        ("front_matter", "title: The plan\nowner: Ana\neffective: 2024-09-01"),
        ("heading", "Plans"),
        ("paragraph", "The Studio plan costs 12 dollars, see prices or status (https://status.example).\nNow."),
        ("list", "1. First\n   - nested item\n   second paragraph\n2. Then"),
        ("table", "Plan | Price\nA | 1"),
        ("code", "x = 1\n\ny = 2"),
        ("paragraph", "Quoted words."),
        ("paragraph", "Raw HTML"),
    ]


@pytest.mark.parametrize(
    ("front", "allow", "deny"),
    [
        ("title: x", None, None),
        ("allow: guild", ("guild",), None),
        ("allow: guild, staff", ("guild", "staff"), None),
        ("allow: [guild, 'a b']\ndeny: user:ada", ("guild", "a b"), ("user:ada",)),
        ("allow:", (), None),
        ("allow: null", (), None),
        ("allow: []", (), None),
        ("Allow: [Guild]", ("Guild",), None),
    ],
)
def test_front_matter_access(front, allow, deny):
    parsed = parse("markdown", f"---\n{front}\n---\nText.")
    assert (parsed.allow, parsed.deny) == (allow, deny)
    assert "llow" not in parsed.text
    assert parsed.text.endswith("Text.")


@pytest.mark.parametrize(
    "text",
    [
        "---\nallow: {a: b}\n---\nx",
        "---\nallow: true\n---\nx",
        "---\nallow: [a, [b]]\n---\nx",
        "---\nallow: [a\n---\nx",
        "---\ntitle: a: b\nallow: guild\n---\nx",
        "---\nallow: guild\n\nnever closed",
    ],
)
def test_an_access_rule_that_cannot_be_read_fails_the_file_rather_than_open_it(text):
    with pytest.raises(ParseError, match="front matter"):
        parse("markdown", text)


def test_what_is_no_front_matter_stays_text():
    assert parse("markdown", "---\n\nJust a rule above.").text == "Just a rule above."
    assert parse("txt", "---\nnot: [yaml\n---\nx").text.startswith("---")


def test_front_matter_with_aliases_is_not_expanded():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join('*' + chr(97 + n) for _ in range(9))}]\n" for n in range(20)
    )
    assert parse("markdown", f"---\n{bomb}---\nx").text.endswith("x")


HTML = """<!DOCTYPE html><html><head><title>The page</title><meta charset="utf-8">
<meta name="allow" content="guild, staff"><meta name="deny" content="user:ada"><meta name="owner" content="Joost">
<meta name="viewport" content="x"><style>p{}</style></head>
<body><nav>Menu</nav><header><h1>Log</h1></header>
<p>See <b>who</b>  did
what<br>when. <a href="/x">in</a> <a href="https://out.example/a">out</a></p>
<script>alert(1)</script><p style="display: none">secret</p><div hidden>gone</div>
<ul><li>one<ul><li>deep</li></ul></li><li><p>two</p></li></ul><ol start=1><li>a<li>b</ol>
<table><caption>Sums</caption><tr><th>K<th>V</tr><tr><td>a <ul><li>x</ul></td><td>1</td></tr></table>
<table><tr><td><h2>In a grid</h2><p>Laid out.</p></td></tr></table>
<pre>  a
   b</pre><dl><dt>Term</dt><dd>Meaning.</dd></dl><footer>(c)</footer></body></html>"""


def test_html_gives_what_a_reader_sees():
    parsed = parse("html", HTML)
    assert (parsed.title, parsed.allow, parsed.deny) == ("The page", ("guild", "staff"), ("user:ada",))
    assert headings(parsed) == [(1, "Log"), (2, "In a grid")]
    assert kinds(parsed) == [
        ("front_matter", "owner: Joost"),
        ("heading", "Log"),
        ("paragraph", "See who did what\nwhen. in out (https://out.example/a)"),
        ("list", "- one\n  - deep\n- two"),
        ("list", "1. a\n2. b"),
        ("table", "Sums\nK | V\na x | 1"),
        ("heading", "In a grid"),
        ("paragraph", "Laid out."),
        ("code", "  a\n   b"),
        ("paragraph", "Term"),
        ("paragraph", "Meaning."),
    ]


def test_html_reads_main_alone_when_there_is_one():
    assert parse("html", "<body><p>around</p><main><p>the text</p></main></body>").text == "the text"


def test_html_takes_its_encoding_from_the_page():
    assert parse("html", b'<meta charset="iso-8859-1"><p>' + "Straße".encode("latin-1")).text == "Straße"


def test_html_nested_five_thousand_deep_is_read():
    assert parse("html", "<div>" * 5_000 + "deep").text == "deep"


RST = """
=====
Title
=====

Intro with :ref:`the prices <prices>`, ``code`` and `out <https://out.example>`_.

.. _anchor:

Section
-------

.. note:: Mind *this*.
   And that.

.. toctree::

   hidden

.. code-block:: python
   :linenos:

   x = 1

Literal follows::

   y = 2

#. first
   goes on
#. second

=====  ======
Plan   Price
=====  ======
A      1 to
       2
=====  ======

+---+-----+
| a | b   |
+===+=====+
| 1 | two |
+---+-----+

Deeper
~~~~~~

Text.

.. a comment
   that goes on

Other
-----

End.
"""


def test_rst_gives_sections_tables_and_what_directives_say():
    parsed = parse("rst", RST)
    assert headings(parsed) == [(1, "Title"), (2, "Section"), (3, "Deeper"), (2, "Other")]
    assert [kind for kind in kinds(parsed) if kind[0] != "heading"] == [
        ("paragraph", "Intro with the prices, code and out (https://out.example)."),
        ("paragraph", "Mind this."),
        ("paragraph", "And that."),
        ("code", "x = 1"),
        ("paragraph", "Literal follows:"),
        ("code", "y = 2"),
        ("list", "1. first goes on\n2. second"),
        ("table", "Plan | Price\nA | 1 to 2"),
        ("table", "a | b\n1 | two"),
        ("paragraph", "Text."),
        ("paragraph", "End."),
    ]


def test_txt_shows_headings_by_layout():
    parsed = parse(
        "txt",
        "BULK IMPORT\n\nFor guild accounts only, from another system you may have used\nbefore.\n\n"
        "What you can bring\n\n- a\n- b\n\nAn end.",
    )
    assert headings(parsed) == [(1, "BULK IMPORT"), (2, "What you can bring")]
    assert kinds(parsed)[1] == ("paragraph", "For guild accounts only, from another system you may have used before.")
    assert kinds(parsed)[3] == ("list", "- a\n- b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_in_common_encodings(encoding):
    assert parse("txt", "Straße kostet 5 € — immer.\r\nJa.".encode(encoding)).text == "Straße kostet 5 € — immer.\nJa."


@pytest.mark.parametrize("name", ["markdown", "html", "txt", "rst"])
def test_too_much_text_fails_whole(name):
    with pytest.raises(ParseError, match="too long"):
        parse(name, "word " * 100, Limits(characters=100))


@pytest.mark.parametrize("name", ["markdown", "html", "txt", "rst", "pdf", "docx"])
@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_reason(name, raw):
    try:
        parsed = parse(name, raw)
    except ParseError:
        return
    check_structure(parsed)


@pytest.mark.parametrize("name", ["markdown", "html", "txt", "rst"])
@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("ab.:-=*`<>/|#_ \n\t[](){}&;1\u00ad\u200b界"), max_size=200))
def test_structure_holds_for_any_text(name, text):
    try:
        check_structure(parse(name, text))
    except ParseError:
        assert "---" in text  # nothing but front matter can be wrong with text
