"""What several tests share: a clock moved by hand, and a plain word where something is not installed."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from gateway.store import ids
from gateway.store.database import Transaction, View
from modem.clock import _readable

START_MS = 1_772_445_600_000
"""Monday 2026-03-02 10:00 UTC: a working hour of a working day, far from any change of summer time."""


class ManualClock:
    """A clock that stands still until a test calls `advance`; whoever waits on it then looks again."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._lock = threading.Lock()
        self._wall_ms = now_ms
        self._monotonic = 1_000.0
        self._bells: set[int] = set()

    def now_ms(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    def real_seconds(self, seconds: float) -> float:
        """Never long: a waiting thread must look at this clock again soon after the test has moved it."""
        return min(seconds, 0.01)

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> list[int]:
        until = None if timeout_s is None else self._monotonic + timeout_s
        bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with self._lock:
            self._bells.add(bell)
        try:
            while True:
                expired = until is not None and self._monotonic >= until
                ready = _readable([*fds, bell], 0 if expired else None)
                if bell in ready:
                    os.eventfd_read(bell)
                    ready.remove(bell)
                if ready or expired:
                    return ready
        finally:
            with self._lock:
                self._bells.discard(bell)
                os.close(bell)

    def advance(self, seconds: float) -> int:
        """Let time pass, wall and monotonic alike; the new wall time in milliseconds."""
        with self._lock:
            self._monotonic += seconds
            self._wall_ms += round(seconds * 1000)
            for bell in self._bells:
                os.eventfd_write(bell, 1)
        return self._wall_ms

    def step_wall(self, seconds: float) -> int:
        """Set the wall clock forward or back as an administrator or NTP does: monotonic does not notice."""
        self._wall_ms += round(seconds * 1000)
        return self._wall_ms


def missing(what: str, cure: str) -> NoReturn:
    """Skip the test and say how to get what it needs; in CI (CI=true) nothing may skip, so it fails there."""
    message = f"{what} is not installed. Cure: {cure}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)  # on a developer's machine only: in CI the line above has failed


@contextmanager
def questions() -> Iterator[list[str]]:
    """Every question put to the store within the block, by whatever thread and on either engine."""
    asked: list[str] = []
    plain_all, plain_one = View.all, View.one

    def all_noted(view: View, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return plain_all(view, sql, *values)

    def one_noted(view: View, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return plain_one(view, sql, *values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(View, "all", all_noted)
        patch.setattr(View, "one", one_noted)
        yield asked


def an_organisation(tx: Transaction, ref: str = "acme") -> str:
    """Add an organisation; its id."""
    organisation_id = ids.new("org")
    tx.insert("organisation", id=organisation_id, root_id=organisation_id, ref=ref, name=ref.title(), created_at=0)
    tx.flush()
    return organisation_id
