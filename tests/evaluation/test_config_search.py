"""A race over configurations stays inside its budget, keeps constraints, and comes near the best of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.evaluation.config_search import BUDGET, grid, race

CUTS = ((450, 0), (600, 0), (900, 0), (900, 150), (1200, 0))


class World:
    """Scores with a known best: a cut and a weight each add something, and every question has its own luck."""

    def __init__(self, seed: int, questions: int) -> None:
        draw = np.random.default_rng(seed)
        self.names = [f"q{place}" for place in range(questions)]
        self.configurations = grid(CUTS)
        cut = {one: draw.normal(0, 0.02) for one in CUTS}
        peak = draw.uniform(0.2, 0.9)
        luck = draw.normal(0, 0.3, questions)
        self.table = {
            one: dict(
                zip(
                    self.names,
                    0.7 + cut[one.cut] - 0.2 * (one.dense_weight - peak) ** 2 + luck + draw.normal(0, 0.1, questions),
                    strict=True,
                )
            )
            for one in self.configurations
        }
        self.asked = 0

    def score(self, one, questions):
        self.asked += len(questions)
        return [self.table[one][name] for name in questions]

    def mean(self, one):
        return float(np.mean(list(self.table[one].values())))

    @property
    def best(self):
        return max(self.configurations, key=self.mean)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 300))
def test_a_race_counts_every_score_and_stays_within_a_fifth_of_the_grid(seed, questions):
    world = World(seed, questions)
    found = race(world.configurations, world.names, world.score, lambda _: None, seed=seed)
    assert found.evaluations == world.asked
    assert world.asked <= BUDGET * len(world.configurations) * questions


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 300), st.sampled_from(CUTS), st.integers(2, 5))
def test_the_winner_is_compared_with_the_cut_in_use_within_the_same_fifth(seed, questions, in_use, cuts):
    world = World(seed, questions)
    some = grid([in_use, *[cut for cut in CUTS if cut != in_use]][:cuts])
    found = race(some, world.names, world.score, lambda _: None, seed=seed, in_use=in_use)
    assert world.asked <= BUDGET * len(some) * questions
    compared, mean = found.in_use
    assert compared.cut == in_use
    assert mean == pytest.approx(world.mean(compared))
    assert found.score == pytest.approx(world.mean(found.best))
    assert found.score >= mean


def test_a_cut_in_use_that_breaks_a_constraint_is_not_compared():
    world = World(2, 80)
    found = race(
        world.configurations,
        world.names,
        world.score,
        lambda one: "slow" if one.cut == CUTS[2] else None,
        in_use=CUTS[2],
    )
    assert found.in_use is None


def test_most_races_come_within_two_per_cent_of_the_best():
    shares = []
    for seed in range(40):
        world = World(seed, 150)
        found = race(world.configurations, world.names, world.score, lambda _: None, seed=seed)
        shares.append(world.mean(found.best) / world.mean(world.best))
    assert sum(share >= 0.98 for share in shares) >= 39


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.sampled_from(CUTS), max_size=4))
def test_what_breaks_a_constraint_never_wins_and_is_never_scored(seed, forbidden):
    world = World(seed, 60)

    def broken(one):
        return "too slow" if one.cut in forbidden else None

    def score(one, questions):
        assert one.cut not in forbidden
        return world.score(one, questions)

    found = race(world.configurations, world.names, score, broken, seed=seed)
    assert found.best.cut not in forbidden
    assert {one.cut for one, _ in found.broken} == forbidden


def test_when_everything_breaks_a_constraint_nothing_wins():
    world = World(1, 60)
    assert race(world.configurations, world.names, world.score, lambda _: "too slow") is None


def test_a_constraint_that_breaks_late_gives_the_next_best():
    world = World(3, 100)
    winner = race(world.configurations, world.names, world.score, lambda _: None).best
    seen = set()

    def broken(one):
        late = one == winner and one in seen
        seen.add(one)
        return "p95 rose" if late else None

    found = race(world.configurations, world.names, world.score, broken)
    assert found.best != winner
    assert (winner, "p95 rose") in found.broken


def test_the_same_seed_gives_the_same_winner():
    world = World(5, 80)
    runs = [race(world.configurations, world.names, world.score, lambda _: None, seed=9) for _ in range(2)]
    assert runs[0] == runs[1]
