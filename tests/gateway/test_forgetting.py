"""Reports, retention, erasure and the chains on both engines; the whole thing over HTTP is in tests/requirements."""

from datetime import date

import pytest

from gateway.desk import open_interviews
from gateway.errors import Refused
from gateway.flows import (
    allowances,
    audit,
    consent_requests,
    consents,
    credits,
    erase,
    export,
    interviews,
    modules,
    reports,
    restore,
    retention,
)
from gateway.flows.accept import accept, preview, submit_all
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.interviews import NewInterview
from gateway.flows.rights import find_unit
from gateway.rules.links import Links
from gateway.store.seal import seal
from tests.office import EVIDENCE, NOW, PHONE_KEY, open_office

DAY = 86_400_000
KEY = b"a" * 32


@pytest.fixture
def office(database):
    return open_office(database)


def write(office, step):
    with office.database.write() as tx:
        return step(tx)


def read(office, step):
    with office.database.read() as view:
        return step(view)


def test_a_report_has_its_rows_on_both_engines(office):
    office.accept()
    office.hear("Tack")
    for group in reports.GROUPS:
        found = read(
            office,
            lambda view, g=group: reports.usage(view, office.organisation_id, g, date(2026, 3, 1), date(2026, 3, 3), "UTC"),
        )
        assert found["total"]["inbound"] == 1
        assert set(found["columns"]) == set(found["rows"][0])
    with pytest.raises(Refused, match="period_reversed"):
        read(office, lambda view: reports.usage(view, office.organisation_id, "user", date(2026, 3, 2), date(2026, 3, 1), "UTC"))


def test_an_allowance_is_counted_from_the_ledger_and_carries_its_rest(office):
    office.accept()
    spent = 1000 - office.available()
    unit = read(office, lambda view: find_unit(view, office.organisation_id, "acme"))
    put = (office.organisation_id, unit, spent + 2, 5, "Europe/Stockholm", "cli:test", office.now)
    assert write(office, lambda tx: allowances.put(tx, *put))["left"] == 2
    held = office.accept(send_at=office.now + DAY)
    refused = office.submit("cand-1", "a" * 300)
    assert (refused.code, refused.facts["unit"]) == ("allowance_exceeded", "acme")
    later = office.now + 31 * DAY
    standing = read(office, lambda view: allowances.standing(view, office.organisation_id, unit, "Europe/Stockholm", later))
    assert standing["carried"] == 1
    from gateway.flows.cancel import cancel

    write(office, lambda tx: cancel(tx, held.id, None, "key:test", later))
    standing = read(office, lambda view: allowances.standing(view, office.organisation_id, unit, "Europe/Stockholm", later))
    assert standing["carried"] == 2


def test_two_approvers_are_two(office):
    organisation_id = office.organisation_id
    write(office, lambda tx: credits.set_two_approvers(tx, organisation_id, True, "cli:a", NOW))
    asked = write(office, lambda tx: credits.ask_for_grant(tx, organisation_id, 5, "PO", "", "cli:a", NOW))
    with pytest.raises(Refused, match="second_approver_required"):
        write(office, lambda tx: credits.decide(tx, organisation_id, asked, True, "cli:a", NOW))
    write(office, lambda tx: credits.decide(tx, organisation_id, asked, False, "cli:a", NOW))
    asked = write(office, lambda tx: credits.ask_for_grant(tx, organisation_id, 5, "PO", "", "cli:a", NOW))
    write(office, lambda tx: credits.decide(tx, organisation_id, asked, True, "cli:b", NOW))
    assert office.available() == 1005


def test_an_erasure_waits_while_a_message_is_on_the_air(office):
    sent = office.accept()
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sending' WHERE id = ?", sent.id)
    wish = (office.organisation_id, "cand-1", "asked", NOW, "key:test", NOW)
    assert write(office, lambda tx: erase.erase(tx, *wish)).state == "waiting"
    assert erase.sweep(office.database, NOW) == 0
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent', settled_at = ? WHERE id = ?", NOW, sent.id)
    assert erase.sweep(office.database, NOW) == 1
    assert office.message(sent.id)["address"] == ""
    with office.database.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM part WHERE message_id = ? AND text <> ''", sent.id) == 0
        assert view.one("SELECT phone, first_name FROM candidate WHERE erased_at IS NOT NULL") is not None


@pytest.fixture
def erasing(office):
    """An office whose candidate is being erased; a message of theirs is on the air. (The office and that message.)"""
    sent = office.accept()
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sending' WHERE id = ?", sent.id)
    wish = (office.organisation_id, "cand-1", "asked", NOW, "key:test", NOW)
    assert write(office, lambda tx: erase.erase(tx, *wish)).state == "waiting"
    return office, sent


def _push(office, status):
    given = {"captured_at": NOW, "evidence": EVIDENCE} if status == "granted" else {}
    push = consents.ConsentPush(status=status, **given)
    return lambda tx: consents.push_consent(tx, office.organisation_id, "cand-1", "sms", push, "key:test", NOW)


def _interview(office):
    new = NewInterview(
        organisation_id=office.organisation_id,
        actor="key:test",
        user="eva@acme.example",
        candidate_ref="cand-1",
        case_ref="job-7",
        type="scheduled",
        channel="sms",
        tz="Europe/Stockholm",
        starts_at=NOW + 3 * DAY,
        text="Hej! {{interview_link}}",
    )
    desk = open_interviews("https://jobs.acme.example", b"t" * 32)
    return lambda tx: interviews.create(tx, new, desk, NOW)


def _ask(office):
    asked = consent_requests.Asked(candidate_ref="cand-1", channels=["whatsapp"])
    links = Links("https://jobs.acme.example", b"t" * 32)
    how = {"links": links, "mails": False, "seal_key": b"s" * 32}
    return lambda tx: consent_requests.ask(tx, office.organisation_id, asked, "key:test", NOW, **how)


def _put(office):
    fields = CandidateFields(first_name="Other")
    return lambda tx: put_candidate(tx, office.organisation_id, "cand-1", fields, "key:test", NOW, phone_key=PHONE_KEY)


def _module(office):
    return lambda tx: modules.push(tx, office.organisation_id, "cand-1", "smartcrm", "granted", "ats", {}, "key:test", NOW)


NEW = {
    "a message": lambda office: lambda tx: accept(tx, office.submission(), NOW),
    "an interview": _interview,
    "a consent": lambda office: _push(office, "granted"),
    "a refusal": lambda office: _push(office, "refused"),
    "a consent to a module": _module,
    "a consent request": _ask,
    "an update": _put,
}


@pytest.mark.parametrize("what", NEW)
def test_nothing_new_is_taken_for_a_candidate_whose_erasure_waits(erasing, what):
    office, _ = erasing
    before = office.audit_actions()
    with pytest.raises(Refused) as refused:
        write(office, NEW[what](office))
    assert (refused.value.code, refused.value.status) == ("candidate_erasing", 409)
    assert "PUT /candidates/{ref}" in refused.value.detail, "what to do about it"
    assert office.audit_actions() == before


def test_in_a_batch_only_the_one_who_is_being_erased_is_refused_and_a_preview_says_so(erasing):
    office, _ = erasing
    office.candidate("cand-2", "+46701740606")
    batch = [office.submission(ref, batch=True) for ref in ("cand-1", "cand-2", "cand-1")]
    found = write(office, lambda tx: submit_all(tx, batch, NOW))
    assert [each.code if isinstance(each, Refused) else each.state for each in found] == [
        "candidate_erasing",
        "queued",
        "candidate_erasing",
    ]
    seen = read(office, lambda view: preview(view, office.submission(), NOW))
    assert seen.refused is not None
    assert seen.refused.code == "candidate_erasing"


def test_a_withdrawal_is_heard_even_while_an_erasure_waits(erasing):
    office, sent = erasing
    assert write(office, _push(office, "revoked")).status == "revoked"
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent', settled_at = ? WHERE id = ?", NOW, sent.id)
    assert erase.sweep(office.database, NOW) == 1
    assert read(office, lambda view: view.value("SELECT COUNT(*) AS n FROM suppression")) == 1


def test_once_erased_they_can_come_back_as_somebody_new(erasing):
    office, sent = erasing
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent', settled_at = ? WHERE id = ?", NOW, sent.id)
    assert erase.sweep(office.database, NOW) == 1
    office.candidate("cand-1", "+46701740605")
    assert office.accept().state == "queued"


def test_a_legal_hold_set_while_an_erasure_waits_keeps_everything(office):
    sent = office.accept()
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sending' WHERE id = ?", sent.id)
    org = office.organisation_id
    assert write(office, lambda tx: erase.erase(tx, org, "cand-1", "asked", NOW, "key:test", NOW)).state == "waiting"
    write(office, lambda tx: erase.set_hold(tx, org, "cand-1", True, "court", "key:test", NOW))
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent', settled_at = ? WHERE id = ?", NOW, sent.id)
    assert erase.sweep(office.database, NOW) == 0
    write(office, lambda tx: erase.set_hold(tx, org, "cand-1", False, "settled", "key:test", NOW))
    assert erase.sweep(office.database, NOW) == 1


def test_erasing_keeps_every_chain(office):
    office.hear("Tack")
    office.hear("STOP")
    wish = (office.organisation_id, "cand-1", "asked", NOW, "key:test", NOW)
    assert write(office, lambda tx: erase.erase(tx, *wish)).state == "done"
    seal(office.database)
    found = read(office, lambda view: audit.verify(view, KEY))
    assert found.broken is None
    from gateway.flows.consent_rows import verify

    with office.database.read() as view:
        candidate_id = view.value("SELECT id FROM candidate WHERE erased_at IS NOT NULL")
        assert verify(view, candidate_id) == []
        assert view.value("SELECT COUNT(*) AS n FROM suppression") == 1


def test_retention_runs_every_step_and_prunes_the_audit_behind_a_signed_anchor(office):
    office.accept()
    office.hear("Tack")
    seal(office.database)
    assert read(office, lambda view: retention.is_due(view, NOW))
    counts = retention.run(office.database, KEY, NOW)
    assert set(counts) == {*retention.STEPS, "audit"}
    assert not read(office, lambda view: retention.is_due(view, NOW + DAY - 1))
    seal(office.database)
    counts = retention.run(office.database, KEY, NOW + 1200 * DAY)
    assert counts["audit"] > 0
    assert counts["event_bodies"] > 0
    seal(office.database)
    found = read(office, lambda view: audit.verify(view, KEY))
    assert (found.broken, found.anchored_at) == (None, counts["audit"])
    assert "not one that this box signed" in read(office, lambda view: audit.verify(view, b"b" * 32)).broken.reason


def test_an_export_holds_what_is_the_candidates(office):
    office.accept(text="Hej Kim")
    office.hear("Tack")
    token, _ = write(office, lambda tx: export.make_link(tx, office.organisation_id, "cand-1", "key:test", NOW))
    candidate_id = write(office, lambda tx: export.take(tx, token, NOW))
    found = read(office, lambda view: export.gather(view, candidate_id, NOW))
    assert "Hej Kim" in {message["text"] for message in found["messages"]}
    assert [answer["text"] for answer in found["answers"]] == ["Tack"]
    with pytest.raises(Refused, match="link_used"):
        write(office, lambda tx: export.take(tx, token, NOW))


def test_a_restore_reads_the_last_word_and_wants_a_decision(office):
    held = office.accept(send_at=NOW + DAY)
    write(office, lambda tx: restore.mark(tx, NOW, "cli:test", NOW))
    with pytest.raises(Refused, match="lists_not_read"):
        write(office, lambda tx: restore.confirm(tx, "cancel", "cli:test", NOW))
    with office.database.read() as view:
        number = view.value("SELECT phone_hash FROM candidate WHERE ref = 'cand-1'")
    stops = [
        {"number": number, "channel": "sms", "act": "start", "at": 1},
        {"number": number, "channel": "sms", "act": "stop", "at": 2},
        {"number": "other", "channel": "sms", "act": "stop", "at": 1},
        {"number": "other", "channel": "sms", "act": "start", "at": 2},
    ]
    write(office, lambda tx: restore.apply_lists(tx, stops, [], NOW))
    with office.database.read() as view:
        assert [row["phone_hash"] for row in view.all("SELECT phone_hash FROM suppression")] == [number]
    assert office.state(held.id) == "cancelled"
    assert write(office, lambda tx: restore.confirm(tx, "send", "cli:test", NOW)) == 0
    assert not read(office, restore.holds)
