"""The gateway's exceptions. Base classes are never raised themselves; each leaf says whose fault it is."""

from collections.abc import Mapping
from typing import Any


class RingpostError(Exception):
    """Base of everything the gateway raises on purpose."""


class Refused(RingpostError):
    """A rule refused the request: the caller's fault, and trying again unchanged cannot help.

    `code` is the name of requirements §0–§1 (`opted_out`, `not_mobile` …), `status` its HTTP status, `field` the input it is
    about (None when it is none in particular), `facts` what a program may want to read besides.
    """

    def __init__(
        self, code: str, status: int, detail: str, *, field: str | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = status
        self.detail = detail
        self.field = field
        self.facts = dict(facts or {})


class ConfigError(RingpostError):
    """A wrong configuration or apply file: names file and line, what was found and what is allowed."""

    def __init__(self, file: str, line: int | None, message: str) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {message}")
        self.file = file
        self.line = line
        self.message = message


class SchemaMismatch(RingpostError):
    """The database has another schema version than this program; `ringpost migrate` cures it (exit code 3)."""


class NameTaken(RingpostError):
    """Another gateway of this name runs; the message names the holder."""


class LeaseLost(RingpostError):
    """This gateway's epoch is no longer the newest: another took over, so it must write nothing more."""
