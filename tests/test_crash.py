"""The short form of the crash proof (`make prove` runs the long one): kill -9 at random instants, then count."""

from pathlib import Path

import pytest

from tests.crash import prove

KILLS = 15


@pytest.mark.parametrize("smss", [True, False], ids=["with the SIM's own record", "without it"])
def test_a_gateway_killed_at_random_instants_loses_and_doubles_nothing(tmp_path: Path, smss: bool) -> None:
    outcome = prove(tmp_path, kills=KILLS, messages=80, seed=11 + smss, smss=smss)
    assert outcome.holds, outcome
    assert outcome.kills == KILLS
    assert outcome.in_flight >= 3, f"kills must find messages on their way: {outcome}"


def test_without_any_evidence_what_was_on_the_air_is_plainly_unknown(tmp_path: Path) -> None:
    """Neither EF_SMSS nor status reports: an unresolved part is marked `unknown`, never sent twice."""
    outcome = prove(tmp_path, kills=KILLS, messages=60, seed=7, smss=False, reports=False)
    assert outcome.holds, outcome
    assert outcome.states["unknown"] > 0, f"a kill in flight without evidence must leave its mark: {outcome}"


@pytest.mark.postgresql
def test_two_gateways_of_two_modems_on_one_database_keep_every_promise(tmp_path: Path, postgresql_url: str) -> None:
    """0 lost, 0 doubled, and each candidate's messages left in order."""
    outcome = prove(tmp_path, kills=KILLS, messages=120, seed=5, gateways=2, sticks=2, url=postgresql_url)
    assert outcome.holds, outcome


def test_the_proof_itself_notices_a_doubled_and_a_lost_part(tmp_path: Path) -> None:
    """A proof that cannot fail proves nothing: forge the air log and look again."""
    outcome = prove(tmp_path, kills=0, messages=6, seed=3, forge=True)
    assert outcome.doubled
    assert outcome.lost
