"""A language model as judge: measured against people first, refused below the stated value, and then it may decide."""

import json

import pytest

from steelyard.schema.errors import DataError, UserError
from steelyard.workspace import Workspace
from workspace.scripted_model import answer_to, asks, simulator
from workspace.tiny import FILES, lay_out, replace_in, rows, steelyard, weigh

ONE = {"answer": ("rag-bm25", "closed-book")}
QUESTIONS = [row for row in rows(FILES / "questions.jsonl") if row["answers"]]


def judged_rows():
    """For each question a right output, and one that is right for another question."""
    found = []
    for one, other in zip(QUESTIONS, [*QUESTIONS[7:], *QUESTIONS[:7]], strict=True):
        found.append({"question": one["question"], "output": f"It is {one['answers'][0]}.", "right": True})
        if other["answers"] != one["answers"]:
            found.append({"question": one["question"], "output": f"It is {other['answers'][0]}.", "right": False})
    return found


def judging(share_wrong):
    """A judge that looks the accepted texts up in the output, and turns its verdict round for a share of them."""

    def answer(request):
        system, user = (one["content"] for one in request["messages"][:2])
        if "You check whether an output is right" not in system:
            return answer_to(request)
        mark = user.split()[0]
        parts = [part.partition("\n") for part in user.split(f"{mark} ")]
        accepted = [text.strip() for head, _, text in parts if head == "accepted"]
        output = next(text for head, _, text in parts if head == "output")
        right = any(text in output for text in accepted)
        return json.dumps({"right": right != (sum(map(ord, output)) % 100 < 100 * share_wrong)})

    return answer


def library(folder, state, *, wrong=0.0, headline="labels"):
    lines = "\n".join(json.dumps(row) for row in judged_rows())
    asks(lay_out(folder), state, components=ONE)
    state.answer_to = judging(wrong)
    (folder / "judged.jsonl").write_text(lines + "\n", encoding="utf-8")
    more = f'judged = "judged.jsonl"\nheadline = "{headline}"\n'
    replace_in(folder / "steelyard.toml", "[components.answer]\n", f"[components.answer]\n{more}")
    return folder


@pytest.fixture
def state():
    with simulator() as running:
        yield running


def test_a_judge_that_agrees_with_people_is_believed_and_one_that_does_not_is_not(state, tmp_path) -> None:
    folder = library(tmp_path / "judged", state)
    found = Workspace(folder).judge("answer")
    assert found.kappa.n == len(judged_rows()) >= 30
    assert found.is_trusted
    assert found.kappa.mean > 0.9
    state.answer_to = judging(0.5)
    other = tmp_path / "other"
    worse = Workspace(library(other, state, wrong=0.5)).judge("answer")
    assert not worse.is_trusted
    assert worse.kappa.low < 0.6
    assert "it may not decide" in worse.sentence


def test_a_trusted_judge_decides_and_an_untrusted_one_is_refused_with_its_kappa(state, tmp_path) -> None:
    folder = library(tmp_path / "judged", state, headline="judge")
    report = weigh(folder, ["answer"])
    part = report.components[0]
    assert part.metric == "judged"
    bm25 = next(one for one in part.candidates if one.name == "rag-bm25")
    assert bm25.quality.mean == pytest.approx(bm25.metrics["accuracy"].mean, abs=0.1)
    assert report.provenance["judge of answer"].startswith("judge@")
    assert "kappa" in report.provenance["judge of answer"]
    before = len(state.requests)
    assert weigh(folder, ["answer"]).components == report.components
    assert len(state.requests) == before
    worse = library(tmp_path / "worse", state, wrong=0.5, headline="judge")
    with pytest.raises(UserError, match=r"the judge is refused: .*kappa -?0\.\d\d") as caught:
        weigh(worse, ["answer"])
    assert caught.value.code == "judge.distrusted"


def test_what_cannot_be_judged_is_said_row_by_row(state, tmp_path) -> None:
    folder = library(tmp_path / "judged", state)
    file = folder / "judged.jsonl"
    file.write_text(
        '{"question": "Who?", "output": "Me", "right": true}\n{"output": "x", "right": 1}\n', encoding="utf-8"
    )
    with pytest.raises(DataError) as caught:
        Workspace(folder).judge("answer")
    assert [finding.row for finding in caught.value.findings] == [1, 2]
    replace_in(folder / "steelyard.toml", 'judged = "judged.jsonl"\n', "")
    with pytest.raises(UserError, match="nobody judged"):
        Workspace(folder).judge("answer")


def test_the_command_exits_with_1_when_the_judge_may_not_decide(state, tmp_path) -> None:
    folder = library(tmp_path / "judged", state, wrong=0.5)
    done = steelyard("-w", str(folder), "judge", "answer", "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["trusted"] is False
    assert said["needed"] == {"kappa_low": 0.6, "rows": 30}
