"""The tree of errors; every one says what, where, what to do next, and carries a stable code.

SteelyardError
├── UserError                  exit code 2: the input or the usage is wrong
│   ├── ConfigError            steelyard.toml
│   ├── DataError              examples, questions, replies: carries every finding of the file
│   ├── FactsError             a facts, scenario or price file
│   ├── NotFoundError          a named thing does not exist (component, candidate, version, model, generation)
│   ├── MissingExtraError      an optional library is not installed
│   ├── CannotBuildError       a candidate cannot be built here, for a reason that its figures show; the others can
│   ├── IdentityError          a caller of the server who is nobody: no key or token, or one that does not count
│   ├── ForbiddenError         a caller who is known and may not do this
│   ├── LimitError             a caller who asks too often, or for too much at once
│   └── StoppedError           no call to a generator can succeed until the user acts
│       └── SpendCapError      the money that generators may spend is spent
├── NotFittedError             a candidate is used before `fit` or `load`
└── BrokenError                exit code 3: something that should hold does not
    ├── StoreError             the index or the version store
    └── ModelError             an encoder or generator
        └── GeneratorError     one call to a generator failed for good
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steelyard.schema.findings import Finding
    from steelyard.schema.generation import TokenUse


class SteelyardError(Exception):
    """Base of all errors: a message, the place, the remedy and a stable code.

    `str(error)` is the whole text for a terminal: message, then remedy and code on the next line.
    """

    exit_code = 3

    def __init__(self, message: str, *, where: str = "", remedy: str = "", code: str = "steelyard.error") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        self.code = code
        head = f"{where}: {message}" if where else message
        tail = f"{remedy} " if remedy else ""
        super().__init__(f"{head}\n{tail}[{code}]")

    def to_json(self) -> dict[str, str]:
        """The error as JSON fields: code, message, where, remedy."""
        return {"code": self.code, "message": self.message, "where": self.where, "remedy": self.remedy}


class UserError(SteelyardError):
    """The input or the usage is wrong; the user can mend it."""

    exit_code = 2


class ConfigError(UserError):
    """A setting in steelyard.toml is wrong or unknown."""


class DataError(UserError):
    """A data file has problems; `findings` holds all of them, in row order."""

    def __init__(
        self,
        message: str,
        *,
        findings: Sequence[Finding],
        where: str = "",
        remedy: str = "",
        code: str = "dataset.invalid",
    ) -> None:
        self.findings = tuple(findings)
        super().__init__(message, where=where, remedy=remedy, code=code)


class FactsError(UserError):
    """A facts, scenario or price file is wrong."""


class NotFoundError(UserError):
    """A named thing does not exist."""


class MissingExtraError(UserError):
    """An optional library is missing; the message names the extra to install."""


class CannotBuildError(UserError):
    """A candidate cannot be built here, for a reason that its figures show; a bake-off lists it with the reason and goes on."""


class StoppedError(UserError):
    """No call to a generator can succeed until the user acts: no key, a refused key, an unknown model, no server.

    A measurement stops at it instead of counting zeros.
    """


class SpendCapError(StoppedError):
    """The money that generators may spend is spent; what was answered is kept."""


class IdentityError(UserError):
    """A caller of the server shows no key or token, or one that does not count (any more)."""


class ForbiddenError(UserError):
    """A caller of the server is known, and lacks the role for what they ask."""


class LimitError(UserError):
    """A caller asks too often or for too much at once; `retry_after_s` says when to try again (None: never in this size)."""

    def __init__(
        self, message: str, *, retry_after_s: float | None, where: str = "", remedy: str = "", code: str = "limits.rate"
    ) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, where=where, remedy=remedy, code=code)


class NotFittedError(SteelyardError):
    """A candidate or estimator is used before it was fitted or loaded."""


class BrokenError(SteelyardError):
    """Something broke that the user did not cause."""


class StoreError(BrokenError):
    """The index or the version store is damaged or refused an operation."""


class ModelError(BrokenError):
    """An encoder or generator could not be loaded or run."""


class GeneratorError(ModelError):
    """One call to a generator failed for good, after its retries; the next one may succeed.

    `use` is what its tries used all the same, where the server told: it is paid for.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        remedy: str = "",
        code: str = "generator.failed",
        use: TokenUse | None = None,
    ) -> None:
        self.use = use
        super().__init__(message, where=where, remedy=remedy, code=code)


def nearest(name: str, known: Sequence[str], n: int = 1) -> list[str]:
    """The `n` names in `known` closest to `name`, best first; empty when none is near.

    >>> nearest("refnd", ["billing", "refund"])
    ['refund']
    """
    return get_close_matches(name, list(known), n=n, cutoff=0.5)
