"""What serves: every shipped candidate answers without torch, from files that hold no code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.candidates import CANDIDATES
from steelyard.evaluation.serving_form import UnderName, compare_forms
from steelyard.models.fake import FakeEncoder
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope
from steelyard.workspace import Workspace
from workspace.tiny import lay_out

SERVE = """
import json, sys
from importlib.abc import MetaPathFinder

BLOCKED = {"torch", "transformers", "sentence_transformers", "sklearn", "onnx", "onnxscript", "pickle5", "joblib", "dill"}

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
from pathlib import Path
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts

workspace = Workspace(Path(sys.argv[1]))
said = {}
for record in workspace.versions():
    done = workspace.release([record.name], force=True, why="each in turn")
    assert done.unchanged or done.release, record.name
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    task = workspace.settings.components[record.component].task
    if task == "answer":
        asked = workspace.ask("How many tools may I have out at the same time?")
        assert (asked.candidate, asked.release is not None) == (record.candidate, True)
        said[record.name] = asked.answer
    elif task == "classify":
        routed = workspace.route("What does it cost to be late?")
        assert (routed.candidate, routed.release is not None) == (record.candidate, True)
        said[record.name] = routed.label
    else:
        output = parts.training.load(record).predict(Request(text="Can I keep the drill longer?", slots={}), Scope())
        said[record.name] = output.text or "(declined)"
assert not BLOCKED & {name.partition(".")[0] for name in sys.modules}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tool library with every shipped candidate fitted and measured."""
    folder = lay_out(tmp_path_factory.mktemp("served") / "tool-library")
    Workspace(folder).weigh()
    return folder


@pytest.mark.slow
def test_every_shipped_candidate_answers_after_its_release_without_torch_or_scikit_learn(whole: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(whole)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    shipped = {name for name, part in CANDIDATES if part.needs != "generator" and not part.on_request}
    assert {name.partition("/")[2].partition("@")[0] for name in said} == shipped


PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""How pickles begin, and the archives that torch keeps them in."""


@pytest.mark.slow
def test_files_of_models_are_json_safetensors_or_onnx_and_no_pickle(whole: Path) -> None:
    files = [path for path in (whole / ".steelyard" / "models").rglob("*") if path.is_file()]
    assert len(files) > 30
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".onnx", ".jsonl"}
    for path in files:
        head = path.read_bytes()[:4]
        assert not any(head.startswith(magic) for magic in PICKLE), path.name
        if path.suffix in (".json", ".jsonl"):
            path.read_text(encoding="utf-8")
        if path.suffix == ".safetensors":
            length = int.from_bytes(path.read_bytes()[:8], "little")
            json.loads(path.read_bytes()[8 : 8 + length])


def test_no_code_reads_a_pickle() -> None:
    package = Path(__file__).parents[2] / "src" / "steelyard"
    forbidden = (
        "torch.load(",
        "pickle.load",
        "pickle.dump",
        "joblib",
        "allow_pickle=True",
        "weights_only=False",
        "torch.save(",
    )
    found = [
        f"{path.name}: {word}"
        for path in package.rglob("*.py")
        for word in forbidden
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []


class Fixed:
    """A candidate that says what it is told to."""

    name = "fixed"

    def __init__(self, said: dict[str, Output]) -> None:
        self._said = said

    def predict(self, request: Request, scope: Scope) -> Output:
        return self._said[request.text]


def test_forms_are_compared_by_what_they_decide_and_every_flip_is_listed() -> None:
    items = [Item(id=f"m{at}", task="classify", text=f"t{at}", label="a") for at in range(4)]
    reference = Fixed({f"t{at}": Output(label="a", probability=0.9) for at in range(4)})
    served = Fixed(
        {
            "t0": Output(label="a", probability=0.8),  # another probability alone is no flip
            "t1": Output(label="b"),
            "t2": Output(label="a", out_of_scope=True),
            "t3": Output(label="a"),
        }
    )
    found = compare_forms(reference, served, items, reference_name="fp32", served_name="int8")  # type: ignore[arg-type]
    assert (found.rows, found.agreement) == (4, 0.5)
    assert [(one.item, one.reference, one.served) for one in found.flipped] == [
        ("m1", "a", "b"),
        ("m2", "a", "(out of scope) a"),
    ]


def test_an_encoder_under_another_name_gives_its_own_vectors() -> None:
    encoder = FakeEncoder()
    other = UnderName(encoder, "other")
    assert (other.name, other.dim) == ("other", encoder.dim)
    assert (other.encode(["a b"]) == encoder.encode(["a b"])).all()
    assert other.count_tokens(["a b"]) == encoder.count_tokens(["a b"])


@pytest.mark.slow
def test_int8_is_held_against_fp32_on_the_sealed_rows_before_it_may_serve(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from steelyard.models.loading import cache_folder

    if not list((cache_folder() / "encoders").glob("minilm-*/encoder.json")):
        pytest.skip("the embedded encoder was never converted on this machine")
    folder = lay_out(tmp_path / "tool-library")
    settings = folder / "steelyard.toml"
    text = settings.read_text(encoding="utf-8").replace('encoder = "fake"', 'encoder = "minilm"\nprecision = "int8"')
    settings.write_text(text, encoding="utf-8")
    workspace = Workspace(folder)
    workspace.train("intent/linear")
    done = workspace.release(["intent/linear"], dry_run=True)
    served = [gate for gate in done.gates if gate.metric == "export_parity"]
    assert len(served) == 2  # as fitted against as loaded, and fp32 against int8
    (precision,) = (gate for gate in served if "int8" in gate.detail)
    assert "fp32" in precision.detail
    assert f"of {len(workspace._parts().examples.split('intent').holdout)} rows" in precision.detail
