"""WhatsApp's rules exist now, behind `channel_disabled`; its transport comes later (S22, S43)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway import config
from gateway.config import Listen
from gateway.errors import Refused
from gateway.flows import channels, threads
from gateway.rules import gates
from gateway.rules.gates import GATES, whatsapp_window_is_open
from gateway.rules.whatsapp import check, closes_at
from gateway.store.database import Database, Transaction
from tests.ats import Ats, Box, Person
from tests.gateway.test_gates import GOOD
from tests.support import ManualClock
from web.app import create_app
from web.server import Server

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


# --- over HTTP --------------------------------------------------------------------------------------------------------

COUNTRY = """
[[country]]
iso = "SE"
channel = "whatsapp"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"
"""


@dataclass
class Switched:
    """The box's web server as it will be once there is a transport: a second one on the same store, the switch alone lifted."""

    box: Box
    ats: Ats
    clock: ManualClock

    def kim(self, written_ms_ago: int | None) -> Person:
        """A candidate who consents to WhatsApp, and wrote there so long ago (None: never)."""
        kim = self.box.someone()
        evidence = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "7", "wording_text": "Ja, skriv på WhatsApp."}
        body = {"status": "granted", "evidence": evidence}
        assert self.ats.http.put(f"/api/v1/candidates/{kim.ref}/consents/whatsapp", json=body).status_code == 200
        if written_ms_ago is not None:
            self.box.site.store.transact(lambda tx: _heard(tx, kim, self.clock.now_ms() - written_ms_ago))
        return kim

    def channels(self, kim: Person) -> dict[str, Any]:
        found: dict[str, Any] = self.ats.get(f"/api/v1/candidates/{kim.ref}/channels", user="eva@acme.example", case="job-7")
        return found


def _heard(tx: Transaction, kim: Person, at: int) -> None:
    """What the transport will do when a candidate writes."""
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", kim.id)
    assert candidate is not None
    threads.route(
        tx,
        organisation_id=candidate["organisation_id"],
        candidate=candidate,
        address=kim.phone,
        sender_id=None,
        awaits=True,
        now=at,
        channel="whatsapp",
    )


@pytest.fixture
def switched(box: Box, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switched]:
    file = box.site.directory / "whatsapp.toml"
    file.write_text(COUNTRY)
    box.site.ringpost("apply", str(file))
    monkeypatch.setattr(gates, "GATES", tuple(gate for gate in GATES if gate is not gates.channel_is_enabled))
    monkeypatch.setattr(channels, "channel_is_enabled", lambda facts: None)  # the list of channels asks the switch by itself
    clock, database = ManualClock(box.now()), Database(box.site.database_url)
    server = Server(
        create_app(config.load(box.site.config), clock, database), Listen("127.0.0.1", 0), threads=4, at_thread_end=database.close
    )
    server.open()
    ats = Ats(f"http://127.0.0.1:{server.port}", box.key(f"whatsapp {clock.now_ms()}", "*"))
    yield Switched(box, ats, clock)
    ats.close()
    server.close()
    database.close()


@pytest.mark.requirement("S43")
@pytest.mark.parametrize("ago_ms", [HOURS_24 - 1000, HOURS_24, HOURS_24 + 1000, None])
def test_over_http_the_window_opens_with_the_candidates_text_and_shuts_24_hours_later(
    switched: Switched, ago_ms: int | None
) -> None:
    kim = switched.kim(ago_ms)
    before = switched.box.books()
    answer = switched.ats.submit(kim, "Hej", channel="whatsapp")
    shown = switched.channels(kim)["whatsapp"]
    assert (shown["window_expires_at"] is None) is (ago_ms is None)
    if ago_ms is not None and ago_ms < HOURS_24:
        assert (answer.status_code, shown["available"]) == (202, True), answer.text
        return
    assert (answer.status_code, answer.json()["code"]) == (409, "whatsapp_window_closed")
    assert answer.json()["window_expires_at"] == shown["window_expires_at"], "the same moment in the same words"
    assert (shown["available"], shown["reason"]) == (False, "whatsapp_window_closed")
    assert switched.box.books() == before, "a refusal costs nothing and leaves nothing"
    sms = switched.ats.submit(kim, "Hej", channel="sms")
    assert sms.status_code == 202, "an SMS has no window"


@pytest.mark.requirement("S43")
def test_over_http_a_window_that_shut_a_second_ago_refuses_the_next_text(switched: Switched) -> None:
    kim = switched.kim(HOURS_24 - 1000)
    assert switched.ats.submit(kim, "Hej", channel="whatsapp").status_code == 202
    switched.clock.advance(2)
    assert switched.ats.submit(kim, "Hej igen", channel="whatsapp").json()["code"] == "whatsapp_window_closed"


@pytest.mark.requirement("S22", "S43")
def test_what_was_accepted_for_whatsapp_never_leaves_by_a_sim_and_is_refunded(switched: Switched) -> None:
    """The gateway, whose switch is not lifted, looks again at the claim."""
    kim = switched.kim(60_000)
    before = switched.box.ats.credits()[0]
    made = switched.ats.submit(kim, "Hej", channel="whatsapp").json()["id"]
    ended = switched.box.ats.until_state(made, "failed", "cancelled")
    assert ended["error"]["code"] == "channel_disabled"
    assert switched.box.ats.credits()[0] == before
    assert switched.box.on_air(kim.phone) == []


@pytest.mark.requirement("S9", "S43")
def test_over_http_a_rejection_never_goes_by_whatsapp_window_or_not(switched: Switched) -> None:
    kim = switched.kim(60_000)
    answer = switched.ats.submit(kim, "Tack", channel="whatsapp", kind="rejection")
    assert (answer.status_code, answer.json()["code"]) == (422, "kind_not_allowed_on_channel")
    template = {"name": "Nej tack", "kind": "rejection", "channel": "whatsapp", "language": "sv", "body": "Tack."}
    saved = switched.ats.post("/api/v1/organisations/self/templates", template)
    assert (saved.status_code, saved.json()["code"]) == (422, "kind_not_allowed_on_channel")


@pytest.mark.requirement("S43")
def test_over_http_a_template_that_meta_has_not_approved_opens_no_window(switched: Switched) -> None:
    """There is no approval before there is a transport: outside the window a template is refused like any text."""
    kim = switched.kim(None)
    template = {
        "name": "Hej",
        "kind": "contact",
        "channel": "whatsapp",
        "language": "sv",
        "body": "Hej {{candidate.first_name}}!",
    }
    template_id = switched.ats.post("/api/v1/organisations/self/templates", template).json()["id"]
    refused = switched.ats.submit(kim, None, channel="whatsapp", template_id=template_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "whatsapp_window_closed")


@pytest.mark.requirement("S22")
def test_a_setting_cannot_switch_the_channel_on_while_it_has_no_transport(box: Box) -> None:
    """Neither a commissioned country nor the organisation's switch does; nobody is offered it, and nobody is told it works."""
    file = box.site.directory / "whatsapp.toml"
    file.write_text(COUNTRY)
    box.site.ringpost("apply", str(file))
    assert box.ats.http.patch("/api/v1/organisations/self", json={"sms_enabled": True}).status_code == 200
    kim = box.someone()
    assert box.ats.submit(kim, "Hej", channel="whatsapp").json()["code"] == "channel_disabled"
    shown = box.ats.get(f"/api/v1/candidates/{kim.ref}/channels", user="eva@acme.example", case="job-7")
    assert "whatsapp" not in shown
