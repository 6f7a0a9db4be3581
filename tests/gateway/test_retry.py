"""When a refused part is tried again, and when not."""

import pytest

from gateway.flows.release import LONGEST_RETRY_MS
from gateway.rules.retry import Again, GiveUp, after
from modem.faults import Fault, Remedy, cme, cms


@pytest.mark.parametrize("fault", [cms(21), cms(28), cms(1), cms(208)], ids=str)
def test_what_cannot_help_fails_at_once(fault):
    if fault.remedy is Remedy.FAIL:
        assert after(fault, 1, 0.5) == GiveUp(fault.meaning)


def test_numbers_21_and_28_fail_at_once():
    assert isinstance(after(cms(21), 1, 0.5), GiveUp)
    assert isinstance(after(cms(28), 1, 0.5), GiveUp)


@pytest.mark.parametrize("code", [38, 41, 322, 331])
def test_passing_troubles_are_tried_again(code):
    assert isinstance(after(cms(code), 1, 0.5), Again)


def test_pauses_grow_and_chance_spreads_them_by_a_fifth():
    fault = Fault(999, "cms", "busy", Remedy.RETRY_SOON, None)
    delays = [after(fault, attempt, 0.5).delay_s for attempt in range(1, 9)]
    assert delays == sorted(delays)
    assert after(fault, 1, 0.0).delay_s == pytest.approx(0.8 * delays[0])
    assert after(fault, 1, 0.999999).delay_s == pytest.approx(1.2 * delays[0], rel=1e-3)
    assert after(fault, 0, 0.5) == after(fault, 1, 0.5)
    assert after(fault, 10**9, 0.5).delay_s == delays[-1]


def test_after_its_tries_a_fault_becomes_what_the_table_says():
    fault = Fault(999, "cms", "busy", Remedy.RETRY_SOON, 2)
    assert isinstance(after(fault, 2, 0.5), Again)
    assert after(fault, 3, 0.5) == GiveUp("busy")


@pytest.mark.parametrize("remedy", [Remedy.MODEM, Remedy.HOLD, Remedy.CONFIG, Remedy.WAIT])
def test_what_is_not_the_messages_fault_is_not_counted(remedy):
    verdict = after(Fault(999, "cme", "x", remedy, None, min_delay_s=60.0), 5, 0.5)
    assert isinstance(verdict, Again)
    assert not verdict.counted
    assert verdict.delay_s == pytest.approx(60.0)


@pytest.mark.parametrize("remedy", [Remedy.UNKNOWN, Remedy.ACCEPTED])
def test_what_may_have_left_is_never_repeated_from_here(remedy):
    with pytest.raises(ValueError, match="no refusal"):
        after(Fault(999, "cms", "x", remedy), 1, 0.5)


def test_no_pause_is_longer_than_the_sweep_for_stranded_messages_believes():
    faults = [made(code) for made in (cms, cme) for code in range(1024)]
    delays = [
        verdict.delay_s
        for fault in faults
        if not fault.may_have_been_sent
        for attempt in (1, 4, 9)
        if isinstance(verdict := after(fault, attempt, 0.999), Again)
    ]
    assert max(delays) * 1000 < LONGEST_RETRY_MS
