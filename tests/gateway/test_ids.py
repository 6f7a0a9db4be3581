"""Public ids: UUIDv7 with a prefix, rising, never twice."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.store import ids


def test_an_id_is_its_prefix_and_a_uuid_of_version_7():
    made = ids.new("msg")
    prefix, digits = made.split("_")
    value = uuid.UUID(hex=digits)
    assert (prefix, value.version, value.variant) == ("msg", 7, uuid.RFC_4122)
    assert abs((value.int >> 80) - time.time() * 1000) < 60_000


def test_ids_rise_within_a_process_and_none_comes_twice():
    made = [ids.new("x") for _ in range(10_000)]
    assert made == sorted(made)
    with ThreadPoolExecutor(4) as pool:
        made += [each for some in pool.map(lambda _: [ids.new("x") for _ in range(2_000)], range(4)) for each in some]
    assert len(set(made)) == len(made)


def test_a_clock_set_back_does_not_make_ids_fall(monkeypatch: pytest.MonkeyPatch):
    before = ids.new("x")
    now = time.time_ns()
    monkeypatch.setattr(ids.time, "time_ns", lambda: now - 3_600 * 10**9)
    assert ids.new("x") > before
