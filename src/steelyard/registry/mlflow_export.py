"""Copies versions into an MLflow tracking store, for teams that keep their experiments there. Needs `steelyard[mlflow]`."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from steelyard.schema.errors import MissingExtraError, StoreError
from steelyard.schema.progress import Report
from steelyard.schema.runs import VersionRecord

TAG = "steelyard.version"
"""The tag that names a version, so that none is copied twice."""

LONGEST_VALUE = 6_000
"""MLflow refuses longer parameters."""


def export_versions(
    versions: Sequence[VersionRecord], releases: Mapping[str, Sequence[int]], uri: str, workspace: str, report: Report
) -> tuple[int, int]:
    """Write one run for each version into the store at `uri`, an experiment for each component; returns (written, already there).

    A run has the version's inputs as parameters, its validation metrics and costs as metrics, and hashes, code version and the releases
    that held it as tags. Files stay where they are: the tag `steelyard.artefact` is their hash.

    Raises:
        MissingExtraError: MLflow is not installed.
        StoreError: the store at `uri` cannot be used.
    """
    # MLflow reports its use to its makers unless told not to before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with _quiet():
        return _export(versions, releases, uri, workspace, report)


def _export(
    versions: Sequence[VersionRecord], releases: Mapping[str, Sequence[int]], uri: str, workspace: str, report: Report
) -> tuple[int, int]:
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the export to MLflow needs the library '{error.name}', which is not installed.",
            remedy="Install it with: pip install 'steelyard[mlflow]'.",
            code="registry.missing_extra",
        ) from error
    written = known = 0
    try:
        client = MlflowClient(tracking_uri=uri)
        for done, record in enumerate(versions, start=1):
            experiment = _experiment(client, f"{workspace}/{record.component}")
            if client.search_runs(
                [experiment], f"tags.`{TAG}` = '{record.name}' AND tags.`steelyard.artefact` = '{record.artefact}'"
            ):
                known += 1
            else:
                _write(client, experiment, record, releases.get(record.name, ()))
                written += 1
            report("export to MLflow", done, len(versions))
    except (MlflowException, OSError, ImportError) as error:
        raise StoreError(
            f"the MLflow store cannot be used: {str(error).strip().splitlines()[0] if str(error) else type(error).__name__}",
            where=uri,
            remedy="Check the address and that you may write there; a local one is sqlite:///FILE.",
            code="registry.mlflow",
        ) from error
    return written, known


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id) if found is not None else str(client.create_experiment(name))


def _write(client: Any, experiment: str, record: VersionRecord, releases: Sequence[int]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    end = int(datetime.fromisoformat(record.created).timestamp() * 1000)
    start = end - int(record.seconds * 1000)
    name = f"{record.candidate}@{record.version}"
    run = client.create_run(experiment, start_time=start, tags={TAG: record.name}, run_name=name)
    figures = {**record.metrics, "fit_seconds": record.seconds, "fit_cost_usd": record.cost_usd}
    if record.parity:
        figures["parity_agreement"] = float(record.parity["agreement"])
    parameters = {
        "component": record.component,
        "candidate": record.candidate,
        "dataset": record.dataset,
        "seed": record.seed,
    }
    tags = {
        "steelyard.artefact": record.artefact,
        "steelyard.inputs": record.inputs,
        "steelyard.code_version": record.code_version,
        "steelyard.releases": ", ".join(map(str, releases)) or "none",
    }
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, float(value), end, 0) for key, value in figures.items()],
        params=[Param(key, str(value)[:LONGEST_VALUE]) for key, value in parameters.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run.info.run_id, end_time=end)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the store's notes about its own tables and its libraries' coming changes, which a user can do nothing about."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
