"""What is proof that a part never left, and what is not (design.md §4)."""

from dataclasses import replace
from itertools import product

import pytest

from gateway.radio.evidence import (
    SILENCE_MAX_S,
    SILENCE_MIN_S,
    TRUST_AFTER,
    Evidence,
    Verdict,
    moved_to,
    silence_s,
    streak_after,
    weigh,
)

PROOF = Evidence(baseline=5, trusted=True, same_stick_and_card=True, restarted=False, reference_now=5)


def test_trusted_unmoved_same_and_not_restarted_is_proof():
    assert weigh(PROOF) is Verdict.NEVER_LEFT


@pytest.mark.parametrize(
    "changes",
    [
        {"trusted": False},
        {"same_stick_and_card": False},
        {"restarted": True},
        {"restarted": None},
        {"reference_now": 6},
        {"reference_now": None},
        {"baseline": None},
        {"baseline": None, "reference_now": None},
    ],
)
def test_anything_less_proves_nothing(changes):
    assert weigh(replace(PROOF, **changes)) is Verdict.OPEN


def test_of_all_cases_exactly_one_kind_is_proof():
    cases = product([None, 0, 5, 255], [True, False], [True, False], [True, False, None], [None, 0, 5, 255])
    proofs = [Evidence(*case) for case in cases if weigh(Evidence(*case)) is Verdict.NEVER_LEFT]
    assert {(e.trusted, e.same_stick_and_card, e.restarted, e.baseline == e.reference_now) for e in proofs} == {
        (True, True, False, True)
    }
    assert len(proofs) == 3


def test_where_the_record_moved_is_what_a_report_must_carry():
    assert moved_to(replace(PROOF, reference_now=6)) == 6
    assert moved_to(replace(PROOF, baseline=255, reference_now=0)) == 0
    assert moved_to(replace(PROOF, baseline=None, reference_now=6)) == 6
    assert moved_to(PROOF) is None
    assert moved_to(replace(PROOF, reference_now=None)) is None
    assert moved_to(replace(PROOF, reference_now=6, same_stick_and_card=False)) is None


def test_silence_is_four_slow_submissions_within_bounds():
    assert silence_s(0) == SILENCE_MIN_S
    assert silence_s(10_000) == 40.0
    assert silence_s(10**9) == SILENCE_MAX_S


def test_trust_is_earned_in_a_row_and_lost_at_once():
    streak = 0
    for _ in range(TRUST_AFTER + 2):
        streak = streak_after(streak, 7, 7)
    assert streak == TRUST_AFTER
    assert streak_after(streak, 7, 8) == 0
    assert streak_after(streak, None, 8) == 0
