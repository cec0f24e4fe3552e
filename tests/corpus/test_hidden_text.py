"""What readers of a page do not see is not in its text: hidden text is how instructions are slipped into harmless pages."""

from __future__ import annotations

import io

import pytest
from parsed import parse

SHOWN = [
    "",
    'style="color: white; background: #222"',
    'style="color:#333"',
    'style="font-size: 0.9em"',
    'style="font-size: 10px"',
    'style="opacity: 0.8"',
    'style="width: 0"',
    'style="overflow: hidden; height: 40px"',
    'style="text-indent: -20px"',
    'style="position: absolute; left: 20px"',
    'style="visibility: visible; display: block"',
    'style="color: rebeccapurple"',
    'style="nonsense"',
    'style=":;;:"',
    'class="plain"',
]
HIDDEN = [
    "hidden",
    'aria-hidden="true"',
    'style="display:none"',
    'style="DISPLAY : NONE !important"',
    'style="/* x */ display:/**/none"',
    'style="visibility: hidden"',
    'style="visibility: collapse"',
    'style="content-visibility: hidden"',
    'style="font-size:0"',
    'style="font-size: 0.01em"',
    'style="font-size: 1px"',
    'style="font: 0px/1 serif"',
    'style="opacity:0"',
    'style="opacity: .01"',
    'style="opacity: 0%"',
    'style="width:0;overflow:hidden"',
    'style="max-height:1px; overflow: hidden"',
    'style="text-indent:-9999px"',
    'style="position:absolute; left:-9999px"',
    'style="position: fixed; top: -100em"',
    'style="margin-left: -2000px"',
    'style="transform: translateX(-9999px)"',
    'style="transform: scale(0)"',
    'style="position:absolute; clip: rect(0, 0, 0, 0)"',
    'style="clip-path: inset(50%)"',
    'style="color:white"',
    'style="color:#FFF"',
    'style="color: #fffffe"',
    'style="color:rgb(255,255,255)"',
    'style="color:rgb(100%, 100%, 100%)"',
    'style="color: rgba(0,0,0,0)"',
    'style="color:transparent"',
    'style="color:hsl(0, 0%, 100%)"',
    'style="color:#222; background-color:#222"',
    'class="gone"',
    'id="away"',
    'class="faint"',
]
SHEET = (
    "<style>/* { */ .gone { display: none } #away{position:absolute;left:-9999px} p.faint, b { color: #fff }</style>"
)


@pytest.mark.parametrize("attributes", SHOWN)
def test_what_is_seen_is_read(attributes):
    assert "words" in parse("html", f"<html><head>{SHEET}</head><body><p {attributes}>words</p></body></html>").text


@pytest.mark.parametrize("attributes", HIDDEN)
def test_what_is_hidden_is_left_out_with_all_that_is_inside(attributes):
    page = f"<html><head>{SHEET}</head><body><p>seen</p><p {attributes}>words <i>and <b>more</b></i></p><p>after</p></body></html>"
    assert parse("html", page).text == "seen\n\nafter"


def test_colours_are_compared_with_what_lies_behind():
    page = (
        "<div style='background:#000'><p style='color:white'>light on dark</p><p style='color:#000'>dark on dark</p>"
        "<div style='background-image:url(x.png)'><p style='color:black'>on a picture</p></div></div>"
        "<table bgcolor='#003366'><tr><td><font color='white'>in a cell</font></td></tr></table><p><font color='white'>alone</font></p>"
    )
    assert parse("html", page).text == "light on dark\n\non a picture\n\nin a cell"


def test_comments_scripts_and_handlers_say_nothing():
    page = (
        "<p onclick=\"say('handler')\" title='title'>seen<!-- comment --></p><script>say('script')</script><template>template</template>"
        "<noscript>noscript</noscript><svg><text>svg</text></svg><iframe srcdoc='<p>frame</p>'></iframe><base href='https://evil.example/'>"
        "<object data='x'>object</object><![CDATA[cdata]]><style>p:after { content: 'style' }</style><a href='javascript:alert(1)'>go</a>"
    )
    assert parse("html", page).text == "seen\n\ngo"


def test_rules_for_another_state_or_medium_hide_nothing():
    sheet = (
        "<style>p:hover{display:none} @media print{p{display:none}} p::before{opacity:0} >>>{display:none} p{</style>"
    )
    assert parse("html", f"{sheet}<p>words</p>").text == "words"


def test_markdown_hides_what_its_raw_html_hides():
    text = (
        "Seen <span style='display:none'>secret <b>deep</b> <span>inner</span></span> after.\n\n"
        "<div hidden>block secret</div>\n\n<!-- comment -->\n\n[//]: # (note)\n\nA <b style='color:#fff'>pale</b> <i>word</i>."
    )
    assert parse("markdown", text).text == "Seen after.\n\nA word."


def test_word_hides_what_is_marked_hidden_white_or_tiny():
    from docx import Document
    from docx.shared import Pt, RGBColor

    document = Document()
    paragraph = document.add_paragraph("Seen. ")
    paragraph.add_run("vanished ").font.hidden = True
    paragraph.add_run("white ").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("tiny ").font.size = Pt(1)
    paragraph.add_run("After.").font.hidden = False
    table = document.add_table(1, 1)
    table.cell(0, 0).paragraphs[0].add_run("Header on a dark cell").font.color.rgb = RGBColor(255, 255, 255)
    out = io.BytesIO()
    document.save(out)
    assert parse("docx", out.getvalue()).text == "Seen. After.\n\nHeader on a dark cell"


def test_marks_that_no_reader_sees_are_no_text():
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    text = f"pass\u200bword \u202edesrever\u202c{tags} \u2066x\u2069\u2060 naïve\u00ad \U000e0101"
    assert parse("txt", text).text == "password desrever x naïve"
    persian = "می\u200cخواهم \U0001f469\u200d\U0001f52c"
    assert parse("txt", persian).text == persian
