"""The export to MLflow, into a real store in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_versions import fitted

from steelyard.registry.mlflow_export import export_versions
from steelyard.schema.errors import MissingExtraError, StoreError


def silent(*_: object) -> None:
    """Report nothing."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the store's own libraries
def test_every_version_becomes_one_run_with_its_hashes_and_only_once(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the mlflow extra is not installed")
    pytest.importorskip("sqlalchemy", reason="the mlflow extra is not installed")
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    parity = {"reference": "a", "served": "b", "rows": 10, "flipped": [], "agreement": 1.0}
    versions = [
        fitted(version=1, cost_usd=0.25, parity=parity),
        fitted("knn", version=2),
        fitted(component="answer", version=1),
    ]
    assert export_versions(versions, {"intent/linear@1": [3, 4]}, uri, "desk", silent) == (3, 0)
    assert export_versions(versions, {}, uri, "desk", silent) == (0, 3)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("desk/intent")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"linear@1", "knn@2"}
    linear = runs["linear@1"]
    assert linear.data.tags["steelyard.version"] == "intent/linear@1"
    assert linear.data.tags["steelyard.artefact"] == "a1"
    assert linear.data.tags["steelyard.releases"] == "3, 4"
    assert linear.data.params == {"component": "intent", "candidate": "linear", "dataset": "d1", "seed": "7"}
    assert linear.data.metrics == {"accuracy": 0.9, "fit_seconds": 1.5, "fit_cost_usd": 0.25, "parity_agreement": 1.0}
    assert linear.info.status == "FINISHED"
    assert client.get_experiment_by_name("desk/answer") is not None
    with pytest.raises(StoreError) as caught:
        export_versions(versions, {}, "nowhere://mlflow", "desk", silent)
    assert caught.value.code == "registry.mlflow"


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"steelyard\[mlflow\]"):
        export_versions([], {}, "sqlite:///x", "desk", silent)
