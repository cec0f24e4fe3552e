"""The report shows what candidates with a generator asked, what it took, and that prompts are text and nothing else."""

from dataclasses import replace

from weigh_report import weigh_report

from steelyard.candidates.prompting import load_prompt
from steelyard.decision.report import render_json, render_report


def test_prompts_tokens_and_the_cost_of_a_query_stand_in_the_report() -> None:
    report = weigh_report()
    component = report.components[0]
    first = next(one for one in component.candidates if one.quality is not None)
    prompt = load_prompt("classify")
    made = {"prompt": prompt.label, "text": prompt.text + "<script>", "generator": "openai:m@host"}
    asking = replace(first, made_with=made, tokens_in=1200.0, tokens_cached=700.0, usd_generator=0.0042)
    others = tuple(asking if one is first else one for one in component.candidates)
    changed = replace(report, components=(replace(component, candidates=others), *report.components[1:]))
    page = render_report(changed)
    assert page.count(f"Prompt <code>{prompt.label}</code>") == 1
    assert "You sort incoming messages." in page
    assert "<script>" not in page
    assert "<code>openai:m@host</code>" in page
    assert "$0.0042" in page
    assert "700" in page
    assert "You sort incoming messages." not in render_json(changed)  # its name and version are enough there
    assert prompt.label in render_json(changed)
    assert "Prompt <code>" not in render_report(report)
