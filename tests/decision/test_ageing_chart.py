"""The ageing chart shows every step, marks events, and draws one line where two would lie on each other."""

from __future__ import annotations

import re

import pytest

from steelyard.decision.ageing_chart import ageing_chart, ageing_lines, ageing_sentence

DAYS = ("2025-01-01", "2025-02-01", "2025-03-01")


def aged(accuracy, stale=0.0, *, trained=False):
    return {"accuracy": accuracy, "stale": stale, "work": {"trained": trained}}


def a_backtest(events=()):
    steps = []
    for place, day in enumerate(DAYS):
        old = 0.9 if place < 2 else 0.5
        steps.append(
            {
                "date": day,
                "candidates": {
                    "rag-hybrid": aged(0.7 + place / 50),
                    "rag-tuned": aged(0.7 + place / 50),
                    "closed-book (never)": aged(old, 0.9 - old, trained=place == 0),
                    "closed-book (monthly)": aged(0.9, trained=True),
                },
            }
        )
    return {
        "approaches": {
            "rag-hybrid": "rag",
            "rag-tuned": "hybrid",
            "closed-book (never)": "fine_tune",
            "closed-book (monthly)": "fine_tune",
        },
        "begin": DAYS[0],
        "end": DAYS[-1],
        "every": "month",
        "facts": 40,
        "questions_from": "questions.jsonl",
        "steps": steps,
        "events": list(events),
    }


def test_lines_that_lie_on_each_other_are_drawn_once_and_said():
    assert list(ageing_lines(a_backtest())) == ["rag-hybrid", "closed-book (never)"]
    assert "The line of rag-hybrid is that of rag-tuned too." in ageing_sentence(a_backtest())
    apart = a_backtest()
    apart["steps"][1]["candidates"]["rag-tuned"]["accuracy"] = 0.1
    assert list(ageing_lines(apart)) == ["rag-hybrid", "rag-tuned", "closed-book (never)"]


def test_events_are_lettered_in_the_chart_and_explained_below_it():
    events = [
        {"date": DAYS[1], "what": "9 of 40 answers changed"},
        {"date": DAYS[2], "what": "7 of 40 answers changed"},
    ]
    text = ageing_sentence(a_backtest(events))
    assert "a, 2025-02-01, 9 of 40 answers changed; b, 2025-03-01, 7 of 40 answers changed" in text
    drawn = ageing_chart(a_backtest(events), "wide")
    assert [letter for letter in re.findall(r"<text[^>]*>([^<]*)</text>", drawn) if letter in ("a", "b", "c")] == [
        "a",
        "b",
    ]
    # A dotted line for each event in both panels.
    assert len(re.findall(r'stroke-dasharray="1,3"', drawn)) == 4


def test_the_last_step_is_as_wide_as_the_others():
    drawn = ageing_chart(a_backtest(), "wide")
    line = re.findall(r'<path d="([^"]+)" stroke="#\w+" stroke-width="2.2"', drawn)[0]
    places = sorted({float(x) for x in re.findall(r"[ML]([\d.]+),", line)})
    assert len(places) == len(DAYS) + 1
    assert places[-1] - places[-2] == pytest.approx(places[2] - places[1], abs=0.01)
