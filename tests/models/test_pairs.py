import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny_bert import write_tiny_bert

from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.fitting_plan import Plan
from steelyard.models.metering import metered
from steelyard.models.pair_scorer import PAIR_TOKENS, PairScorer, PairTokenizer

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

PLAN = Plan(
    epochs=12,
    batch=4,
    learning_rate=5e-3,
    head_factor=4.0,
    patience=99,
    seed=1,
    threads=1,
    checkpoint_s=0.0,
    device="cpu",
)
THINGS = ("kiln", "lathe", "loom", "press", "easel", "forge", "anvil", "wheel", "bench", "saw", "drill", "oven")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny_bert(tmp_path_factory.mktemp("hf"), max_tokens=PAIR_TOKENS)


def groups(things, right="costs"):
    """What the base prefers is wrong: the texts that speak of weight. The model must learn the words of the right ones."""
    from steelyard.models.pair_fitting import PairGroup

    return [
        PairGroup(
            question=f"what does hiring the {thing} cost ?",
            texts=(
                f"the {thing} weighs 5 kg .",
                f"hiring the {thing} {right} 7 usd a day .",
                "it stands in the yard .",
            ),
            base=np.array([1.0, 0.5, 0.0]),
            right=np.array([False, True, False]),
        )
        for thing in things
    ]


@pytest.fixture(scope="module")
def tuned(source, tmp_path_factory):
    from steelyard.models.pair_fitting import fit_pairs

    return fit_pairs(source, groups(THINGS[:8]), groups(THINGS[8:]), PLAN, tmp_path_factory.mktemp("work"))


def choice(scorer, group):
    return int(np.argmax(group.base + scorer.score(group.question, group.texts)))


def test_what_the_base_gets_wrong_is_learned_and_holds_for_new_questions(tuned):
    assert [choice(tuned.scorer, group) for group in groups(THINGS[8:])] == [1] * 4
    assert (tuned.gain > 0).all()
    assert tuned.fitted.curve[0].score < 0.5 < tuned.fitted.best_score
    assert tuned.scorer.precision == ("int8" if tuned.agreement == 1.0 else "fp32")
    assert len(tuned.flipped) == round((1 - tuned.agreement) * 4)


def test_the_exported_form_is_kept_in_an_artefact_and_scores_the_same_without_torch(tuned, tmp_path):
    save_artefact(tmp_path, tuned.scorer.arrays(), {})
    loaded = PairScorer.from_arrays(load_artefact(tmp_path)[0])
    group = groups(THINGS[8:9])[0]
    np.testing.assert_array_equal(
        loaded.score(group.question, group.texts), tuned.scorer.score(group.question, group.texts)
    )
    script = f"""
import sys
from pathlib import Path
from steelyard.models.artefact import load_artefact
from steelyard.models.pair_scorer import PairScorer
scorer = PairScorer.from_arrays(load_artefact(Path({str(tmp_path)!r}))[0])
scorer.score("what does it cost ?", ["it costs 7 usd ."])
assert not {{"torch", "transformers", "onnx", "sklearn"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert PairScorer.from_arrays({}) is None


def test_int8_scores_do_not_depend_on_their_neighbours(tuned, source):
    from steelyard.models.pair_fitting import PairTask, _exported

    task = PairTask(source, groups(THINGS[:8]), groups(THINGS[8:]))
    _, small = _exported(task, task.module(), source)
    group = groups(THINGS[8:9])[0]
    together = small.score(group.question, group.texts)
    alone = [small.score(group.question, [text])[0] for text in group.texts]
    np.testing.assert_array_equal(together, alone)
    assert small.score(group.question, []).shape == (0,)


def test_a_training_cut_off_ends_with_the_same_scorer(tuned, source, tmp_path):
    from steelyard.models.pair_fitting import fit_pairs

    class CrashError(Exception):
        pass

    def told(done, total):
        if done == 9:
            raise CrashError

    with pytest.raises(CrashError):
        fit_pairs(source, groups(THINGS[:8]), groups(THINGS[8:]), PLAN, tmp_path, told)
    again = fit_pairs(source, groups(THINGS[:8]), groups(THINGS[8:]), PLAN, tmp_path)
    assert again.fitted.resumed_at == 8
    assert all(again.fitted.weights[name].tobytes() == array.tobytes() for name, array in tuned.fitted.weights.items())
    assert again.scorer.head.tobytes() == tuned.scorer.head.tobytes()
    assert again.scorer.onnx == tuned.scorer.onnx


def test_when_nothing_can_be_learned_there_is_no_model(source):
    from steelyard.models.pair_fitting import fit_pairs

    # In the validation questions the other text is right: whatever is learned makes it worse.
    contrary = [replace(group, right=np.array([True, False, False])) for group in groups(THINGS[8:])]
    assert fit_pairs(source, groups(THINGS[:8]), contrary, replace(PLAN, epochs=6)) is None
    with pytest.raises(ValueError, match="choose by"):
        fit_pairs(source, groups(THINGS[:8]), [], PLAN)


def test_other_rows_are_another_training(source):
    from steelyard.models.pair_fitting import PairTask

    one, two, three = (
        PairTask(source, groups(THINGS[:8], word), groups(THINGS[8:])).key for word in ("costs", "costs", "does")
    )
    assert one == two != three


def test_a_pair_is_cut_at_the_end_of_its_text(source):
    tokenizer = PairTokenizer((source / "tokenizer.json").read_bytes())
    short, long = tokenizer.pairs("what does the kiln cost ?", ["it costs 7 usd .", "the kiln " * 200])
    assert (short[0], short[-1], long[-1]) == (2, 3, 3)
    assert short.count(3) == 2
    assert len(long) == PAIR_TOKENS
    assert short[:8] == long[:8]
    questions = tokenizer.pairs("kiln " * 500, ["it costs 7 usd ."])
    assert len(questions[0]) < PAIR_TOKENS


def test_the_work_is_metered(tuned):
    with metered() as meter:
        tuned.scorer.score("what does it cost ?", ["it costs 7 usd .", "it weighs 5 kg ."])
    assert meter.usage.encoder_tokens > 20
