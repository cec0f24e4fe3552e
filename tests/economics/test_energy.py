from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.economics.energy import measured_effort, usd_of
from steelyard.schema.ledger import Effort


def busy() -> int:
    return sum(at * at for at in range(400_000))


def package(folder: Path, microjoules: int, highest: int = 1_000_000_000) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{highest}\n")
    return folder


def test_without_counters_energy_is_processor_time_times_watts(tmp_path: Path) -> None:
    with measured_effort(7.2, tmp_path / "nowhere") as meter:
        busy()

    effort = meter.effort
    assert effort.energy_source == "estimate"
    assert effort.cpu_seconds > 0
    assert effort.energy_wh == pytest.approx(effort.cpu_seconds * 7.2 / 3600)


def test_the_counters_of_all_packages_are_added_and_parts_of_them_left_out(tmp_path: Path) -> None:
    first, second = package(tmp_path / "intel-rapl:0", 5_000_000), package(tmp_path / "intel-rapl:1", 100)
    part = package(tmp_path / "intel-rapl:0:0", 0)

    with measured_effort(7.2, tmp_path) as meter:
        package(first, 8_600_000)  # 3.6 J
        package(second, 3_600_100)  # 3.6 J
        package(part, 900_000_000)

    assert (meter.effort.energy_source, meter.effort.energy_wh) == ("rapl", pytest.approx(7.2 / 3600))


def test_a_counter_that_began_again_is_understood(tmp_path: Path) -> None:
    counter = package(tmp_path / "intel-rapl:0", 9_000_000, highest=10_000_000)
    with measured_effort(7.2, tmp_path) as meter:
        package(counter, 2_600_000, highest=10_000_000)
    assert meter.effort.energy_wh == pytest.approx(3.6 / 3600)  # 1 J to the end, 2.6 J since


def test_a_counter_that_nobody_may_read_means_an_estimate(tmp_path: Path) -> None:
    counter = package(tmp_path / "intel-rapl:0", 1)
    (counter / "energy_uj").unlink()
    with measured_effort(7.2, tmp_path) as meter:
        busy()
    assert meter.effort.energy_source == "estimate"


def test_money_counts_the_cores_that_worked_and_waiting_as_one() -> None:
    effort = Effort(seconds=3600, cpu_seconds=1800, energy_wh=0, energy_source="estimate")
    assert usd_of(effort, 0.05) == pytest.approx(0.05)  # one hour of one core
    four = Effort(seconds=3600, cpu_seconds=4 * 3600, energy_wh=0, energy_source="estimate")
    assert usd_of(four, 0.05) == pytest.approx(0.20)
