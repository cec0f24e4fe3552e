from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from weigh_report import SCRIPT, hostile_report, open_report, weigh_report

from steelyard.decision import charts, sentences, wording
from steelyard.decision.report import render_json, render_record, render_report
from steelyard.schema.decision import Excluded, Reason
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import WeighReport

VOID = {"meta", "br", "img", "path", "input", "link"}


class Page(HTMLParser):
    """Collects what the tests ask of a page: attributes by tag, ids, text, and whether the tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(weigh_report())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def record() -> str:
    return render_record(weigh_report())


def test_the_page_is_whole_in_one_file_and_runs_nothing(html: str, page: Page) -> None:
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "iframe", "img", "object", "embed", "form"})
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} would run {name}"
            if name in ("href", "src", "xlink:href", "action"):
                assert (value or "").startswith("#"), f"{tag} leads outside: {value}"
    assert "@import" not in html
    assert "url(" not in html
    assert len(html.encode()) < 1_500_000


def test_what_came_from_documents_stays_text(html: str, page: Page) -> None:
    assert SCRIPT not in html
    assert SCRIPT in page.text.replace(" ", " ")
    assert "<b>nothing</b>" not in html


def test_names_that_are_markup_change_neither_the_page_nor_the_record() -> None:
    html, record = render_report(hostile_report()), render_record(hostile_report())
    assert "img" not in {tag for tag, _ in Page(html).tags}
    assert not any(name.startswith("on") for _, attributes in Page(html).tags for name in attributes)
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(record)
    assert "<img" not in rendered
    assert [line for line in record.splitlines() if line.startswith("# ")] == [record.splitlines()[0]]


def test_every_id_is_there_once_and_every_anchor_leads_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, attributes in page.tags if (value := attributes.get("href"))}
    labels = {value for _, attributes in page.tags if (value := attributes.get("aria-labelledby"))}
    assert targets | labels <= set(ids)


def test_pictures_are_said_in_words_for_who_cannot_see_them(page: Page) -> None:
    for tag, attributes in page.tags:
        if attributes.get("role") in ("img", "region"):
            assert attributes.get("aria-label"), f"{tag} has no label"
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true"  # the element around it carries the words
    curves = [
        a["aria-label"] for _, a in page.tags if a.get("role") == "img" and "cost the same" in (a["aria-label"] or "")
    ]
    assert curves
    assert "queries a month" in (curves[0] or "")


def test_what_scrolls_can_be_reached_with_the_keyboard(page: Page) -> None:
    scrolling = [attributes for _, attributes in page.tags if attributes.get("class") == "scroll"]
    assert scrolling
    assert all(attributes.get("tabindex") == "0" for attributes in scrolling)


def test_every_candidate_is_named_in_both_with_why_it_is_out(page: Page, record: str) -> None:
    for component in weigh_report().components:
        for one in component.candidates:
            assert one.name in page.text
            assert one.name in record
            for reason in (one.why_not, one.not_measured):
                if reason:
                    assert reason in page.text
                    assert wording.cell(reason) in record


def test_the_first_screen_says_what_to_run_and_why(html: str) -> None:
    first = Page(html[html.index("<header>") : html.index("</header>") + len("</header>")]).text
    report = weigh_report()
    assert sentences.headline(report) in first
    for component in report.components:
        reason = sentences.main_reason(component)
        assert component.decision.candidate is not None
        assert reason is not None
        assert component.decision.candidate in first
        assert reason.because in first


def test_numbers_on_the_page_are_those_of_the_json(page: Page) -> None:
    for component in json.loads(render_json(weigh_report()))["components"].values():
        for one in component["candidates"]:
            if one["quality"]:
                quality = one["quality"]
                assert (
                    f"{100 * quality['mean']:.1f} % {100 * quality['low']:.1f} to {100 * quality['high']:.1f}"
                    in page.text
                )
            if one["usd"]["total"] is not None:
                assert f"${one['usd']['total']:,.0f}" in page.text
            if one["measured"]:
                for amount in one["usd"]["lines"].values():
                    assert not amount or wording.usd(amount) in page.text


def test_numbers_in_the_record_are_those_of_the_json(record: str) -> None:
    plain = record.replace("\u00a0", " ")
    for component in json.loads(render_json(weigh_report()))["components"].values():
        for one in component["candidates"]:
            if one["quality"]:
                quality = one["quality"]
                assert (
                    f"{100 * quality['mean']:.1f} % ({100 * quality['low']:.1f} to {100 * quality['high']:.1f})"
                    in plain
                )


def test_tables_of_the_record_have_as_many_cells_in_every_row() -> None:
    for report in (weigh_report(), open_report(), hostile_report()):
        lines = render_record(report).splitlines()
        tables = 0
        for above, line in pairwise(lines):
            if re.fullmatch(r"\|[-:| ]+\|", line):
                tables += 1
                assert cells(above) == cells(line)
            elif above.startswith("|") and line.startswith("|"):
                assert cells(above) == cells(line)
        html = MarkdownIt("gfm-like", {"linkify": False}).render(render_record(report))
        assert html.count("<table>") == tables > 2


def cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_the_record_has_the_sections_a_lead_signs(record: str) -> None:
    sections = [line[3:] for line in record.splitlines() if line.startswith("## ")]
    assert sections == ["Context", "Decision", "Alternatives considered", "Consequences", "Revisit when", "Inputs"]
    assert "**Status:** proposed" in record
    assert "Accepted by:" in record
    assert "\n\n\n" not in record
    assert not re.search(r"None|\bnan\b|Undefined|\{\{", record)


def test_an_open_decision_says_so_and_what_to_do_next() -> None:
    page, record = Page(render_report(open_report())).text, render_record(open_report())
    for text in (page, record):
        assert "Not enough evidence yet for answer." in text
        assert "Label about 180 more questions" in text
    assert "Nothing changes yet" in record
    assert "not decided" in record


def test_an_open_decision_names_what_to_run_until_then() -> None:
    part = weigh_report().components[1]
    part = replace(part, decision=replace(part.decision, recommendation="not_enough_evidence"))
    report = replace(weigh_report(), components=(part,))
    assert "until then rag-hybrid" in Page(render_report(report)).text
    assert "| answer | not decided, until then rag-hybrid | not enough evidence |" in render_record(report)
    assert sentences.component_title(part) == "answer: not enough evidence, until then rag-hybrid"


def test_the_json_has_no_number_that_json_does_not_know() -> None:
    report = weigh_report()
    part = replace(report.components[0], smallest_detectable_difference=float("inf"), evpi_usd=float("nan"))
    found = json.loads(render_json(replace(report, components=(part,))))["components"]["intent"]
    assert found["smallest_detectable_difference"] is None
    assert found["evpi_usd"] is None


def test_missing_inputs_do_not_break_the_report() -> None:
    bare: WeighReport = replace(weigh_report(), inputs={}, provenance={}, systems=(), system_comparisons=())
    assert "Fine-tune for intent" in render_report(bare)
    assert "Fine-tune for intent" in render_record(bare)


def test_a_candidate_without_a_scored_row_breaks_nothing() -> None:
    part = weigh_report().components[0]
    nothing = Interval(mean=math.nan, low=math.nan, high=math.nan, n=0)
    unscored = replace(part.candidates[1], quality=nothing, metrics={"accuracy": nothing})
    report = replace(weigh_report(), components=(replace(part, candidates=(part.candidates[0], unscored), curve=None),))
    assert "nan %" not in Page(render_report(report)).text
    assert "nan %" not in render_record(report)
    assert json.loads(render_json(report))["components"]["intent"]["candidates"][1]["quality"]["mean"] is None


def test_the_same_records_give_the_same_page() -> None:
    assert render_report(weigh_report()) == render_report(weigh_report())


def test_colours_of_text_reach_the_contrast_for_small_text() -> None:
    for colour in (*charts.APPROACH_COLOURS.values(), charts.MUTED, charts.INK):
        assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(charts.MUTED, "#f4f1e8") >= 4.5


def contrast(first: str, second: str) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines 2.1."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_of_the_style_sheet_are_those_of_the_charts(html: str) -> None:
    for approach, colour in charts.APPROACH_COLOURS.items():
        assert f"--{approach}:{colour}" in html


def test_intervals_stand_where_their_numbers_are() -> None:
    axis = charts.quality_axis(
        [Interval(mean=0.9, low=0.86, high=0.95, n=9), Interval(mean=0.82, low=0.77, high=0.88, n=9)]
    )
    assert (axis.low, axis.high) == (0.7, 1.0)
    assert axis.at(0.85) == 50.0
    assert axis.span(Interval(mean=0.8, low=0.7, high=0.85, n=9)) == (0.0, 50.0)


def test_a_floor_far_below_does_not_squeeze_the_scale() -> None:
    best, floor = Interval(mean=0.9, low=0.86, high=0.95, n=9), Interval(mean=0.1, low=0.05, high=0.15, n=9)
    axis = charts.quality_axis([best, floor])
    assert axis.low == 0.8
    assert not axis.holds(floor.mean)


def test_cost_bars_add_up_to_the_totals() -> None:
    for component in weigh_report().components:
        for bar in charts.cost_bars(component.candidates):
            assert sum(segment.usd for segment in bar.segments) == pytest.approx(bar.usd)


def test_every_cost_line_has_a_group() -> None:
    from steelyard.economics.cost_model import LINES

    grouped = [line for lines in charts.LINE_GROUPS.values() for line in lines]
    assert sorted(grouped) == sorted(LINES)


def test_a_comparison_is_turned_with_all_its_signs() -> None:
    one = Comparison(
        first="a",
        second="b",
        difference=Interval(mean=-0.1, low=-0.3, high=0.05, n=9),
        p_value=0.2,
        alpha=0.05,
        verdict="worse",
        smallest_detectable=0.2,
    )
    turned = sentences.turned(one, "b")
    assert (turned.first, turned.second, turned.verdict) == ("b", "a", "better")
    assert (turned.difference.mean, turned.difference.low, turned.difference.high) == (0.1, -0.05, 0.3)
    assert sentences.turned(turned, "b") is turned


def test_the_curve_sentence_says_who_is_cheaper_where() -> None:
    component = weigh_report().components[0]
    assert component.curve is not None
    assert component.curve.break_even == pytest.approx(3_661, abs=1)
    said = sentences.curve_sentence(component)
    assert "knn is the cheaper below, linear above. Today's 120,000 are above." in said
    never = replace(component, curve=replace(component.curve, break_even=None))
    assert "no break-even" in sentences.curve_sentence(never)


def test_candidates_that_are_out_for_one_cause_are_named_in_one_reason() -> None:
    part = weigh_report().components[1]
    cause = "It cannot cite where an answer stands."
    excluded = tuple(
        Excluded(name=name, approach="fine_tune", criterion="provenance", because=cause) for name in ("one", "two")
    )
    each = tuple(
        Reason(
            criterion="provenance",
            argues_for=f"against {one.name}",
            weight=1.0,
            because=f"{one.name}: {cause}",
            kind="hard",
        )
        for one in excluded
    )
    part = replace(part, decision=replace(part.decision, reasons=(*each, *part.decision.reasons), excluded=excluded))
    shown = sentences.reasons_of(part)
    assert [one.because for one in shown] == [
        f"one and two: {cause}",
        *(one.because for one in part.decision.reasons[2:]),
    ]
    assert sentences.reasons_of(weigh_report().components[0]) == list(weigh_report().components[0].decision.reasons)


def test_flips_say_direction_and_what_holds_now() -> None:
    flips = weigh_report().components[0].decision.flips
    assert sentences.flip_sentence(flips[0]) == "queries a month at 9,400 or below (now 120,000): retrieval, with knn"
    assert (
        sentences.flip_sentence(weigh_report().components[1].decision.flips[0])
        == "citations required becomes no (now yes): either"
    )


@pytest.mark.parametrize("module", [wording, charts])
def test_the_examples_in_the_docstrings_run(module) -> None:
    import doctest

    assert doctest.testmod(module).failed == 0
