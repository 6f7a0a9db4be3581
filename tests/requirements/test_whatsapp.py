"""WhatsApp's rules exist now, behind `channel_disabled`; its transport comes later (S22, S43)."""

from dataclasses import replace

import pytest

from gateway.errors import Refused
from gateway.rules.gates import GATES, whatsapp_window_is_open
from gateway.rules.whatsapp import check, closes_at
from tests.ats import Box
from tests.gateway.test_gates import GOOD

WRITTEN = 1_772_445_600_000
HOURS_24 = 24 * 3_600_000


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    ("later_ms", "code"),
    [(HOURS_24 - 1000, None), (HOURS_24, "whatsapp_window_closed"), (HOURS_24 + 1000, "whatsapp_window_closed")],
)
def test_a_free_text_may_follow_within_24_hours_of_the_candidates_own(later_ms: int, code: str | None) -> None:
    facts = replace(GOOD, channel="whatsapp", last_inbound_at=WRITTEN, now=WRITTEN + later_ms)
    if code is None:
        assert whatsapp_window_is_open(facts) is None
        return
    with pytest.raises(Refused) as refused:
        whatsapp_window_is_open(facts)
    assert (refused.value.code, refused.value.status) == (code, 409)
    assert refused.value.facts == {"window_expires_at": closes_at(WRITTEN)}


@pytest.mark.requirement("S43")
def test_who_never_wrote_gets_a_template_and_only_an_approved_one() -> None:
    with pytest.raises(Refused) as refused:
        check(None, None, WRITTEN)
    assert refused.value.code == "whatsapp_window_closed"
    check(None, "APPROVED", WRITTEN)
    with pytest.raises(Refused) as refused:
        check(None, "PAUSED", WRITTEN)
    assert refused.value.code == "template_not_approved"


@pytest.mark.requirement("S43")
def test_the_window_is_the_last_gate_before_the_credits() -> None:
    assert GATES[-1] is whatsapp_window_is_open
    assert whatsapp_window_is_open(replace(GOOD, last_inbound_at=None)) is None, "SMS has no window"


@pytest.mark.requirement("S22", "S43")
def test_without_credentials_the_channel_is_off_and_costs_nothing(box: Box) -> None:
    kim = box.someone()
    before = box.books()
    answer = box.ats.submit(kim, "Hej", channel="whatsapp")
    assert (answer.status_code, answer.json()["code"]) == (409, "channel_disabled")
    assert box.books() == before
