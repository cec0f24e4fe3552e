"""Scores of ranked passages against relevance judgements; per query, as trec_eval defines them.

A run maps each query to ranked ids, best first; qrels map each query to the ids judged, with their grade (0: not relevant).
A judged query that the run does not answer scores 0.0, so a crash never improves a mean. A query without a relevant id is
`Unscored`. A repeated id counts at its first rank only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from steelyard.metrics.scores import Score, Unscored

Run = Mapping[str, Sequence[str]]
Qrels = Mapping[str, Mapping[str, int]]


class MismatchError(ValueError):
    """A run answers a query that has no judgements."""


def recall(run: Run, qrels: Qrels, k: int = 5) -> dict[str, Score]:
    """Share of a query's relevant ids among its first `k`, 0.0 to 1.0.

    Raises:
        MismatchError: `run` answers a query that `qrels` does not judge.
    """
    return _per_query(
        run, qrels, lambda ranked, grades: sum(grades.get(name, 0) > 0 for name in ranked[:k]) / len(_relevant(grades))
    )


def reciprocal_rank(run: Run, qrels: Qrels, k: int = 10) -> dict[str, Score]:
    """1 / rank of the first relevant id when it stands at rank <= `k`, else 0.0.

    Source: Voorhees, The TREC-8 Question Answering Track Report, 1999.

    Raises:
        MismatchError: `run` answers a query that `qrels` does not judge.

    >>> reciprocal_rank({"q1": ["d9", "d2"]}, {"q1": {"d2": 1}})
    {'q1': 0.5}
    """

    def score(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
        return next((1 / rank for rank, name in enumerate(ranked[:k], start=1) if grades.get(name, 0) > 0), 0.0)

    return _per_query(run, qrels, score)


def ndcg(run: Run, qrels: Qrels, k: int = 10) -> dict[str, Score]:
    """Normalised discounted cumulative gain of the first `k`: gain is the grade, discount log2(rank + 1); 0.0 to 1.0.

    Source: Järvelin and Kekäläinen, ACM TOIS 2002, with trec_eval's discount.

    Raises:
        MismatchError: `run` answers a query that `qrels` does not judge.
    """

    def score(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
        gained = _gain([grades.get(name, 0) for name in ranked[:k]])
        return gained / _gain(sorted(grades.values(), reverse=True)[:k])

    return _per_query(run, qrels, score)


def _per_query(run: Run, qrels: Qrels, score: Callable[[Sequence[str], Mapping[str, int]], float]) -> dict[str, Score]:
    unknown = sorted(set(run) - set(qrels))
    if unknown:
        raise MismatchError(f"the run answers {len(unknown)} queries without judgements, first '{unknown[0]}'")
    out: dict[str, Score] = {}
    for query, grades in qrels.items():
        if not _relevant(grades):
            out[query] = Unscored("no relevant passage")
        else:
            out[query] = score(list(dict.fromkeys(run.get(query, ()))), grades)
    return out


def _relevant(grades: Mapping[str, int]) -> list[str]:
    return [name for name, grade in grades.items() if grade > 0]


def _gain(grades: Sequence[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))
