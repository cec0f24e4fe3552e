"""What LanceDB raises, in the terms of a store: a file that was removed is read again, a damaged one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from steelyard.schema.errors import StoreError

Given = ParamSpec("Given")
Result = TypeVar("Result")

LANCE_ERRORS = (RuntimeError, OSError, ValueError)
"""The classes LanceDB's errors come in."""

FULL = ("no space left", "file too large", "quota exceeded", "os error 28", "os error 27")


class Reopened(Protocol):
    """A store that can read its files again."""

    def forget(self) -> None:
        """Read everything again at the next search."""


Own = TypeVar("Own", bound=Reopened)


def reading(
    method: Callable[Concatenate[Own, Given], Result],
) -> Callable[Concatenate[Own, Given], Result]:
    """Let a search read the files again, once, when one it read from is gone: another process has compacted the table meanwhile.

    Raises:
        StoreError: a file is missing or damaged all the same.
    """

    @wraps(method)
    def again(store: Own, /, *arguments: Given.args, **named: Given.kwargs) -> Result:
        try:
            return method(store, *arguments, **named)
        except Exception as error:
            if not _theirs(error):
                raise
            if "not found" not in str(error).lower():
                raise damaged(error) from error
        store.forget()
        with writing():
            return method(store, *arguments, **named)

    return again


@contextmanager
def writing() -> Iterator[None]:
    """LanceDB's errors inside the block, as ours.

    Raises:
        StoreError: the disk is full, or a file is missing or damaged.
    """
    try:
        yield
    except Exception as error:
        if not _theirs(error):
            raise
        raise damaged(error) from error


def _theirs(error: Exception) -> bool:
    """Whether LanceDB raised it: an error, or a panic over a damaged file, whose class stands in no module to import it from."""
    return isinstance(error, LANCE_ERRORS) or type(error).__name__ == "RustPanic"


def damaged(error: Exception) -> StoreError:
    """The store's error for one of LanceDB's."""
    said = " ".join(str(error).split())[:300]
    if any(words in said.lower() for words in FULL):
        return disk_full("index")
    return StoreError(
        f"the index cannot be read ({said}).",
        where="index",
        remedy="Run `steelyard doctor --repair`: it makes the index again from the library.",
        code="stores.damaged",
    )


def disk_full(where: str) -> StoreError:
    """The error for a write that found no room."""
    return StoreError(
        "there is no room left on the disk.",
        where=where,
        remedy="Make room and run the command again; what answered before still answers.",
        code="stores.disk_full",
    )
