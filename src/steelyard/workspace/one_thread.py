"""Linear algebra on one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext


def one_blas_thread() -> AbstractContextManager[object]:
    """Keeps linear algebra to one thread: same sums on every machine, and small fits do not wait for busy cores."""
    try:
        # Loaded before they are limited: a library that comes later keeps all its threads.
        import scipy.linalg  # noqa: F401
        import sklearn  # noqa: F401
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits
