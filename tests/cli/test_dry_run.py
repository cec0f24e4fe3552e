"""`--dry-run` of train and weigh on a workspace without a generator: nothing would be spent, and nothing is made."""

import json

from workspace.tiny import lay_out, slimmed, steelyard


def test_without_a_generator_nothing_would_be_spent_and_nothing_is_made(tmp_path) -> None:
    folder = slimmed(lay_out(tmp_path / "library"))
    before = sorted(path.name for path in folder.iterdir())
    said = steelyard("-w", str(folder), "weigh", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert "no generator is set: nothing would be spent" in said.stdout
    told = json.loads(steelyard("-w", str(folder), "train", "intent", "--dry-run", "--json").stdout)
    assert (told["dry_run"], told["generator"], told["total"]["calls"], told["total"]["usd"]) == (True, None, 0, 0.0)
    assert [row["candidate"] for row in told["rows"]] == ["majority", "knn", "linear"]
    made = {path.name for path in folder.iterdir()} - set(before)
    assert made <= {".steelyard"}
    assert not list(folder.rglob("manifest.json"))
