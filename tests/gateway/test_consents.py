"""Consent: pushed with evidence, withdrawn and restored by the candidate's own words, and overruled by nobody inside."""

import json
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.flows import release
from gateway.flows.consents import ConsentPush, ConsentState, consents_of, push_consent
from gateway.rules.consent import TABLE, Act, Status, step
from gateway.store.database import Database
from gateway.store.seal import seal, verify
from tests.air import Air
from tests.office import EVIDENCE, NOW, Office, open_office

HOUR = 3_600_000
KIM = "+46701740605"


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


@pytest.fixture
def double(office: Office) -> Office:
    """An office where Sweden asks for double opt-in; cand-2 has said yes once."""
    with office.database.write() as tx:
        tx.execute("UPDATE country SET opt_in = 'double'")
    office.candidate("cand-2", "+46701740606")
    return office


def push(office: Office, status: str = "granted", ref: str = "cand-1", channel: str = "sms", **fields: Any) -> ConsentState:
    given: dict[str, Any] = {"captured_at": office.now, "evidence": EVIDENCE} if status == "granted" else {}
    with office.database.write() as tx:
        return push_consent(
            tx, office.organisation_id, ref, channel, ConsentPush(status=status, **given | fields), "key:test", office.now
        )


def status(office: Office, ref: str = "cand-1", purpose: str = "recruiting_process") -> str:
    with office.database.read() as view:
        found = consents_of(view, office.organisation_id, ref)
    return next(consent.status for consent in found if (consent.channel, consent.purpose) == ("sms", purpose))


def hear(office: Office, text: str, sender: str = KIM) -> None:
    office.now += 1000
    office.hear(text, sender)


def replies(office: Office) -> list[tuple[str, str, int]]:
    with office.database.read() as view:
        rows = view.all("SELECT kind, address, credits FROM message WHERE origin = 'keyword_reply' ORDER BY id")
        return [(row["kind"], row["address"], row["credits"]) for row in rows]


def versions(office: Office) -> list[tuple[int, str, str]]:
    with office.database.read() as view:
        rows = view.all("SELECT version, status, source FROM consent WHERE purpose = 'recruiting_process' ORDER BY version")
        return [(row["version"], row["status"], row["source"]) for row in rows]


# STOP.


def test_stop_revokes_cancels_refunds_suppresses_and_confirms_once(office):
    queued, held = office.accept(text="a" * 161), office.accept(send_at=NOW + 9 * HOUR)
    assert office.available() == 997
    hear(office, "STOPP")
    assert (status(office), office.state(queued.id), office.state(held.id)) == ("revoked", "cancelled", "cancelled")
    assert office.available() == 1000
    assert replies(office) == [("stop_confirmation", KIM, 0)]
    refused = office.submit()
    assert isinstance(refused, Refused)
    assert (refused.code, refused.status) == ("opted_out", 409)
    assert [action for action in office.audit_actions() if action.startswith(("consent.revoke", "suppression"))] == [
        "consent.revoke",
        "suppression.add",
    ]


def test_a_second_stop_gets_no_second_confirmation(office):
    hear(office, "STOPP")
    hear(office, "STOP!")
    assert len(replies(office)) == 1


def test_start_undoes_a_stop(office):
    hear(office, "STOPP")
    hear(office, "START")
    assert status(office) == "granted"
    assert versions(office) == [
        (1, "granted", "application"),
        (2, "revoked", "inbound_keyword"),
        (3, "granted", "inbound_keyword"),
    ]
    assert office.accept().state == "queued"
    assert "suppression.lift" in office.audit_actions()
    hear(office, "STOPP")
    assert len(replies(office)) == 2, "a new STOP is confirmed again"


def test_stop_keeps_the_raw_words_and_their_message_as_evidence(office):
    hear(office, " Stopp! ")
    with office.database.read() as view:
        evidence = json.loads(view.value("SELECT evidence FROM consent WHERE status = 'revoked'"))
        assert evidence == {"keyword_raw": " Stopp! ", "inbound_message_id": view.value("SELECT id FROM received")}


def test_stop_binds_every_candidate_and_purpose_of_the_number_and_no_other(office):
    office.candidate("twin", KIM)
    office.candidate("other", "+46701740606")
    push(office, purpose="job_alerts")
    messages = [office.accept(ref) for ref in ("cand-1", "twin", "other")]
    hear(office, "STOPP")
    assert [office.state(message.id) for message in messages] == ["cancelled", "cancelled", "queued"]
    assert (status(office, purpose="job_alerts"), status(office, "twin"), status(office, "other")) == (
        "revoked",
        "revoked",
        "granted",
    )
    assert len(replies(office)) == 1
    hear(office, "START")
    assert (status(office, purpose="job_alerts"), status(office, "twin")) == ("granted", "granted")


def test_stop_works_without_credits_for_strangers_and_in_any_state(database):
    office = open_office(database, balance=0)
    hear(office, "STOPP", "+46701999999")
    office.candidate("new", "+46701999999", consent=False)
    with pytest.raises(Refused) as refused:
        push(office, ref="new")
    assert refused.value.code == "opted_out"
    assert replies(office) == [("stop_confirmation", "+46701999999", 0)]


def test_a_stop_before_any_consent_can_be_undone_by_start_too(office):
    """Found in review: nothing lifted the suppression, so such a number could never consent again."""
    hear(office, "STOPP", "+46701999999")
    hear(office, "START", "+46701999999")
    office.candidate("new", "+46701999999", consent=False)
    assert status(office, "new") == "none", "START alone grants nothing"
    assert push(office, ref="new").status == "granted"
    assert office.accept("new").state == "queued"


def test_start_out_of_the_blue_grants_nothing(office):
    office.candidate("new", "+46701999999", consent=False)
    hear(office, "START", "+46701999999")
    hear(office, "JA", "+46701999999")
    assert status(office, "new") == "none"


def test_a_refusal_to_be_asked_again_after_start_stays_a_request(office):
    """Withdrawn before it was ever granted: START asks, and only the application grants."""
    with office.database.write() as tx:
        tx.execute("UPDATE consent SET status = 'requested'")
    hear(office, "STOPP")
    hear(office, "START")
    assert status(office) == "requested"
    assert push(office).status == "granted"


def test_a_message_being_sent_is_not_sent_again_after_stop(office):
    from gateway.rules.retry import Again

    air = Air(office)
    done = office.accept()
    claimed = air.claim()
    hear(office, "STOPP")
    assert office.state(done.id) == "sending"
    air.refuse(claimed.parts[0], Again(0.0))
    assert air.send() is not None
    assert air.claim() is None
    assert (office.state(done.id), office.message(done.id)["error"], office.available()) == ("failed", "opted_out", 1000)


# Double opt-in.


def test_only_start_opens_a_double_opt_in_and_releases_in_order(double):
    assert status(double, "cand-2") == "pending_double_opt_in"
    made = [double.accept("cand-2", f"{number}") for number in range(3)]
    assert {message.hold_reason for message in made} == {"pending_opt_in"}
    hear(double, "ja?", "+46701740606")
    hear(double, "nej", "+46701740606")
    assert {double.state(message.id) for message in made} == {"held"}
    hear(double, "“Start”", "+46701740606")
    made.append(double.accept("cand-2", "last"))
    air = Air(double)
    assert [air.send()[0] for _ in range(4)] == [message.id for message in made], "nothing overtakes what waited"


def test_yes_words_grant_only_while_pending(double):
    hear(double, "JA", "+46701740606")
    assert status(double, "cand-2") == "granted"
    hear(double, "STOPP", "+46701740606")
    hear(double, "JA", "+46701740606")
    assert status(double, "cand-2") == "revoked"


def test_stop_while_pending_cancels_and_refunds(double):
    held = double.accept("cand-2")
    hear(double, "STOPP", "+46701740606")
    assert (double.state(held.id), double.available(), status(double, "cand-2")) == ("cancelled", 1000, "revoked")


def test_a_hold_with_both_schedule_and_opt_in_waits_for_both(double):
    early, late = double.accept("cand-2"), double.accept("cand-2", send_at=NOW + HOUR)
    hear(double, "START", "+46701740606")
    assert (double.state(early.id), double.state(late.id)) == ("queued", "held")
    assert double.message(late.id)["hold_reason"] == "scheduled"
    release.sweep(double.database, NOW + HOUR - 1)
    assert double.state(late.id) == "held"
    release.sweep(double.database, NOW + HOUR)
    assert double.state(late.id) == "queued"


def test_the_hour_passing_does_not_stand_in_for_the_opt_in(double):
    late = double.accept("cand-2", send_at=NOW + HOUR)
    release.sweep(double.database, NOW + 2 * HOUR)
    row = double.message(late.id)
    assert (row["state"], row["hold_reason"], row["not_before"]) == ("held", "pending_opt_in", None)
    double.now = NOW + 2 * HOUR
    hear(double, "START", "+46701740606")
    assert double.state(late.id) == "queued"


def test_an_opt_in_that_never_comes_expires_after_two_weeks_with_a_refund(double):
    held = double.accept("cand-2")
    release.sweep(double.database, NOW + 14 * 24 * HOUR - 1)
    assert double.state(held.id) == "held"
    release.sweep(double.database, NOW + 14 * 24 * HOUR)
    assert (double.state(held.id), double.available()) == ("expired", 1000)


def test_a_country_that_turns_single_does_not_open_a_pending_one(double):
    """S40: a change applies to new threads and never downgrades a pending one."""
    with double.database.write() as tx:
        tx.execute("UPDATE country SET opt_in = 'single'")
    assert push(double, ref="cand-2").status == "pending_double_opt_in"


def test_a_country_without_a_row_asks_for_double_opt_in(office):
    office.candidate("german", "+4915123456789")
    assert status(office, "german") == "pending_double_opt_in"


# Pushed by the ATS.


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"channel": "fax"}, "unknown_channel"),
        ({"purpose": "fun"}, "unknown_purpose"),
        ({"status": "maybe"}, "unknown_status"),
        ({"source": "inbound_keyword"}, "unknown_source"),
        ({"captured_at": None}, "evidence_incomplete"),
        ({"captured_at": NOW + HOUR}, "evidence_incomplete"),
        ({"evidence": {"wording_text": "x"}}, "evidence_incomplete"),
        ({"evidence": {"wording_version": "1"}}, "evidence_incomplete"),
        ({"evidence": {**EVIDENCE, "prechecked": True}}, "prechecked"),
    ],
)
def test_a_consent_that_proves_nothing_is_refused_422(office, fields, code):
    before = versions(office)
    with pytest.raises(Refused) as refused:
        push(office, **fields)
    assert (refused.value.code, refused.value.status) == (code, 422)
    assert versions(office) == before


def test_consent_belongs_to_a_number(office):
    office.candidate("nobody", "", consent=False)
    with pytest.raises(Refused) as refused:
        push(office, ref="nobody")
    assert refused.value.code == "number_missing"


def test_no_row_implies_another_channel_or_purpose(office):
    with office.database.read() as view:
        found = {(each.channel, each.purpose): each.status for each in consents_of(view, office.organisation_id, "cand-1")}
    assert found.pop(("sms", "recruiting_process")) == "granted"
    assert set(found.values()) == {"none"}
    assert len(found) == 5


def test_no_push_overrules_a_stop(office):
    hear(office, "STOPP")
    for fields in ({}, {"purpose": "job_alerts"}, {"source": "paper"}):
        with pytest.raises(Refused) as refused:
            push(office, **fields)
        assert refused.value.code == "opted_out"


def test_a_withdrawal_pushed_by_the_ats_cancels_without_a_text(office):
    queued = office.accept()
    assert push(office, "revoked").status == "revoked"
    assert (office.state(queued.id), office.available(), replies(office)) == ("cancelled", 1000, [])


def test_a_refusal_after_a_grant_is_a_withdrawal_for_that_purpose(office):
    push(office, purpose="job_alerts")
    contact, alert = office.accept(), office.accept(kind="job_alert")
    assert push(office, "refused", purpose="job_alerts").status == "revoked"
    assert (office.state(contact.id), office.state(alert.id), status(office)) == ("queued", "cancelled", "granted")


def test_every_version_is_kept_with_its_evidence_and_the_chain_holds(office):
    push(office)
    push(office, "revoked")
    assert [version for version, _, _ in versions(office)] == [1, 2, 3]
    seal(office.database)
    with office.database.read() as view:
        assert verify(view) is None


def test_evidence_with_odd_characters_is_kept(office):
    push(office, evidence={**EVIDENCE, "wording_text": "a\x00b 😀"})
    assert len(versions(office)) == 2


# The table.


def test_nobody_but_the_candidate_leaves_revoked():
    assert {act for act in Act if step(Status.REVOKED, act).changed} == {Act.START}


def test_stop_ends_every_live_consent():
    for state in (Status.REQUESTED, Status.PENDING, Status.GRANTED):
        assert TABLE[state, Act.STOP] is Status.REVOKED


def test_a_pair_that_is_not_in_the_table_changes_nothing():
    for state in Status:
        for act in Act:
            found = step(state, act)
            assert found.changed == ((state, act) in TABLE)
