"""Candidates and cases as the ATS pushes them: bad numbers kept with their reason, changed numbers, hostile input."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import Refused
from gateway.flows.candidates import CandidateFields, CaseFields, get_candidate, get_case, phone_hash, put_candidate, put_case
from gateway.flows.consents import ConsentPush, consents_of, push_consent
from gateway.store.database import Database
from tests.office import EVIDENCE, NOW, PHONE_KEY, Office, open_office


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def put(office: Office, ref: str = "cand-1", **fields: str | bool | None):
    with office.database.write() as tx:
        given = CandidateFields(**fields)
        return put_candidate(tx, office.organisation_id, ref, given, "key:test", office.now, phone_key=PHONE_KEY)


def case(office: Office, ref: str = "job-8", **fields):
    with office.database.write() as tx:
        return put_case(tx, office.organisation_id, ref, CaseFields(**fields), "key:test", office.now)


def test_a_national_number_is_read_in_the_given_region(office):
    row = put(office, "c", phone_raw="070-174 06 05", region="se")
    assert (row["phone"], row["phone_state"], row["country"], row["region"]) == ("+46701740605", "ok", "SE", "SE")
    assert row["phone_hash"] == phone_hash(PHONE_KEY, "+46701740605")


def test_without_a_region_the_organisations_is_taken(office):
    assert put(office, "c", phone_raw="0701740605")["phone"] == "+46701740605"


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("", "missing"),
        ("   ", "missing"),
        ("abc", "invalid"),
        ("+4687654321", "not_mobile"),
        ("1" * 500, "invalid"),
        ("\x00", "invalid"),
    ],
)
def test_a_bad_number_is_stored_with_its_reason_and_is_no_error(office, raw, state):
    row = put(office, "c", phone_raw=raw)
    assert (row["phone"], row["phone_hash"], row["phone_state"]) == (None, None, state)


def test_what_is_not_given_stays_and_an_empty_text_clears(office):
    put(office, "c", first_name="Kim", last_name="Berg", email="kim@example.org", phone_raw="+46701740606", language="sv")
    row = put(office, "c", last_name="Ek", email="")
    assert (row["first_name"], row["last_name"], row["email"], row["phone"], row["language"]) == (
        "Kim",
        "Ek",
        "",
        "+46701740606",
        "sv",
    )


def test_putting_the_same_again_changes_and_audits_nothing(office):
    put(office, "c", first_name="Kim")
    before = office.audit_actions()
    put(office, "c", first_name="Kim")
    assert office.audit_actions() == before
    put(office, "c", first_name="Alex")
    assert office.audit_actions() == [*before, "candidate.update"]


def test_a_new_number_starts_without_consent_and_cancels_what_waited_for_the_old_one(office):
    queued = office.accept()
    put(office, phone_raw="+46701740699")
    assert (office.state(queued.id), office.message(queued.id)["error"]) == ("cancelled", "number_changed")
    assert office.available() == 1000
    refused = office.submit()
    assert isinstance(refused, Refused)
    assert refused.code == "consent_required"
    put(office, phone_raw="+46701740605")
    again = office.submit()
    assert isinstance(again, Refused)
    assert again.code == "consent_required", "the old number's consent has expired (requirements §3.2)"
    with office.database.read() as view:
        assert len(consents_of(view, office.organisation_id, "cand-1")) == 6


def test_a_number_that_belongs_to_somebody_else_now_needs_a_new_consent(office):
    office.candidate("twin", "+46701740605")
    office.candidate("other", "+46701740606")
    queued = [office.accept(ref) for ref in ("cand-1", "twin", "other")]
    put(office, reassigned=True)
    assert [office.state(each.id) for each in queued] == ["cancelled", "cancelled", "queued"]
    assert office.available() == 999
    for ref, message in zip(("cand-1", "twin"), queued, strict=False):
        refused = office.submit(ref)
        assert isinstance(refused, Refused)
        assert refused.code == "consent_required"
        candidate_id = office.message(message.id)["candidate_id"]
        with office.database.read() as view:
            consent = view.one("SELECT * FROM consent WHERE candidate_id = ? ORDER BY version DESC", candidate_id)
        assert (consent["status"], consent["evidence"]) == ("expired", '{"reason":"reassigned"}')
    with office.database.write() as tx:
        push = ConsentPush(status="granted", captured_at=NOW, evidence=EVIDENCE)
        push_consent(tx, office.organisation_id, "cand-1", "sms", push, "key:test", NOW)
    assert office.accept().state == "queued"


def test_a_stop_outlasts_a_number_that_is_given_to_somebody_else(office):
    office.hear("STOPP")
    put(office, reassigned=True)
    refused = office.submit()
    assert isinstance(refused, Refused)
    assert refused.code == "opted_out"


def test_the_same_number_in_another_form_is_no_change(office):
    queued = office.accept()
    put(office, phone_raw="+46 70 174 06 05")
    assert office.state(queued.id) == "queued"


def test_hostile_values_are_cut_and_cleaned_and_never_a_crash(office):
    row = put(office, "c", first_name="K\x00im\ud800" + "x" * 1000, email="e" * 1000, language="l" * 100, last_name="\udfff")
    assert row["first_name"].startswith("K\ufffdim\ufffdxx")
    assert (len(row["first_name"]), len(row["email"]), len(row["language"]), row["last_name"]) == (100, 254, 20, "\ufffd")


@pytest.mark.parametrize("ref", ["", "  ", "x" * 201, "a\nb", "a\x00b", "a\ud800"])
def test_a_reference_must_be_printable_and_short(office, ref):
    for act in (lambda: put(office, ref), lambda: case(office, ref, title="T")):
        with pytest.raises(Refused) as refused:
            act()
        assert (refused.value.code, refused.value.status) == ("invalid_ref", 422)


@pytest.mark.parametrize("region", ["", "S", "SWE", "1E", "ÅÄ", "S\x00"])
def test_a_region_is_two_plain_letters(office, region):
    with pytest.raises(Refused) as refused:
        put(office, "c", region=region)
    assert refused.value.code == "invalid_region"


def test_unknown_candidates_and_cases_are_not_found(office):
    with office.database.read() as view:
        for ask, code in ((get_candidate, "candidate_not_found"), (get_case, "case_not_found")):
            with pytest.raises(Refused) as refused:
                ask(view, office.organisation_id, "nobody")
            assert (refused.value.code, refused.value.status) == (code, 404)


def test_two_who_push_the_same_new_candidate_at_once_make_one(database):
    """Found in review: on PostgreSQL the second one's request failed on the unique reference."""
    office = open_office(database)
    barrier = threading.Barrier(4)

    def push(number: int) -> str:
        try:
            barrier.wait(20)
            row = put(office, "c", first_name=f"Kim {number}", phone_raw="+46701740606")
            case(office, "job-9", title=f"T{number}", team=("eva@acme.example",))
            return str(row["id"])
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        assert len({done.result() for done in [pool.submit(push, number) for number in range(4)]}) == 1
    with database.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM candidate WHERE ref = 'c'") == 1
        assert view.value("SELECT COUNT(*) AS n FROM hiring_case WHERE ref = 'job-9'") == 1


# Cases.


def test_a_new_case_needs_a_title_and_keeps_what_is_not_given(office):
    with pytest.raises(Refused) as refused:
        case(office)
    assert refused.value.code == "title_missing"
    row = case(office, title="Cook")
    assert (row["title"], row["language"], row["unit_id"]) == ("Cook", "sv", office.organisation_id)
    assert case(office, language="de")["title"] == "Cook"
    before = office.audit_actions()
    case(office, title="Cook")
    assert office.audit_actions() == before


def test_a_team_is_named_by_e_mail_in_any_case_and_unknown_people_change_nothing(office):
    row = case(office, title="Cook", team=(" EVA@acme.example ",))
    with pytest.raises(Refused) as refused:
        case(office, title="Baker", team=("nobody@acme.example",))
    assert refused.value.code == "user_not_found"
    with office.database.read() as view:
        assert view.value("SELECT title FROM hiring_case WHERE ref = 'job-8'") == "Cook"
        assert view.value("SELECT user_id FROM case_member WHERE case_id = ?", row["id"]) == office.user_id
    case(office, team=())
    refused = office.submit(case_ref="job-8")
    assert isinstance(refused, Refused)
    assert refused.code == "not_on_hiring_team"


def test_an_unknown_unit_is_not_found(office):
    with pytest.raises(Refused) as refused:
        case(office, title="Cook", unit_ref="nowhere")
    assert refused.value.code == "unit_not_found"
    assert office.now == NOW
