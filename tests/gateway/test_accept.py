"""Accepting a submission: the gates in their order, what a 202 leaves on disk, and that a refusal leaves one audit row."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.flows import credits
from gateway.flows.accept import OPT_IN_FOR_MS, VALID_FOR_MS, Accepted, ahead, preview, submit, submit_all
from gateway.flows.cancel import cancel
from gateway.flows.submissions import LATEST
from gateway.store.database import Ahead, Database, Transaction
from tests.office import NOW, Office, open_office

HOUR = 3_600_000


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def change(office: Office, sql: str, *values: Any) -> None:
    with office.database.write() as tx:
        tx.execute(sql, *values)


def rows(office: Office, sql: str, *values: Any) -> list[dict[str, Any]]:
    with office.database.read() as view:
        return [dict(row) for row in view.all(sql, *values)]


def everything(office: Office) -> dict[str, list[dict[str, Any]]]:
    """All that a refusal must leave as it was."""
    tables = ("message", "part", "balance", "ledger", "consent", "suppression", "candidate", "event")
    return {table: sorted(rows(office, f"SELECT * FROM {table}"), key=repr) for table in tables}


def refusal(office: Office, *args: Any, **changes: Any) -> Refused:
    """Submit what must be refused; everything but one audit row stays as it was."""
    before, actions = everything(office), office.audit_actions()
    outcome = office.submit(*args, **changes)
    assert isinstance(outcome, Refused), outcome
    assert everything(office) == before
    assert office.audit_actions() == [*actions, "message.deny"]
    return outcome


def shown_preview(office: Office, *args: Any, **changes: Any) -> Any:
    with office.database.read() as view:
        return preview(view, office.submission(*args, **changes), office.now)


def test_an_accepted_message_is_on_disk_with_its_parts_its_reserve_its_audit_row_and_its_event(office):
    done = office.accept(text="a" * 161, client_ref="ats-1")
    assert (done.state, done.encoding, done.parts, done.credits, done.sender, done.country) == (
        "queued",
        "gsm7",
        2,
        2,
        "+46700000000",
        "SE",
    )
    row = office.message(done.id)
    assert (row["user_id"], row["case_id"], row["address"]) == (office.user_id, office.case_id, "+46701740605")
    assert row["valid_until"] == NOW + VALID_FOR_MS
    parts = rows(
        office, "SELECT number, total, text, state, address_tail FROM part WHERE message_id = ? ORDER BY number", done.id
    )
    assert [(part["number"], part["total"], len(part["text"]), part["state"]) for part in parts] == [
        (1, 2, 153, "ready"),
        (2, 2, 8, "ready"),
    ]
    assert {part["address_tail"] for part in parts} == {"01740605"}
    assert office.available() == 998
    assert "message.accept" in office.audit_actions()
    told = rows(office, "SELECT type, stream, body FROM event ORDER BY serial")[-1]
    assert (told["type"], told["stream"]) == ("message.state", done.id)
    assert '"client_ref":"ats-1"' in told["body"]


CUT = [
    ("å" * 160, "gsm7", 1),
    ("a" * 161, "gsm7", 2),
    ("a" * 306, "gsm7", 2),
    ("a" * 307, "gsm7", 3),
    ("€" * 80, "gsm7", 1),
    ("€" * 81, "gsm7", 2),
    ("ą" * 71, "ucs2", 2),
    ("😀" * 35, "ucs2", 1),
    ("😀" * 36, "ucs2", 2),
]


def test_preview_price_and_ledger_count_the_same_parts(office):
    left = 1000
    for text, encoding, parts in CUT:
        seen = shown_preview(office, text=text)
        done = office.accept(text=text)
        assert (done.encoding, done.parts, done.credits) == (encoding, parts, parts)
        assert (len(seen.pieces), seen.credits, seen.refused) == (parts, parts, None)
        left -= parts
        assert office.available() == left


def test_the_price_of_the_country_counts_per_part(database):
    office = open_office(database, price=3)
    assert office.accept(text="a" * 161).credits == 6
    assert office.available() == 994


SCHEMA = [
    ({"channel": "fax"}, "unknown_channel", "channel"),
    ({"kind": "gossip"}, "unknown_kind", "kind"),
    ({"kind": ""}, "unknown_kind", "kind"),
    ({"kind": "identification"}, "unknown_kind", "kind"),
    ({"kind": "consent_optin"}, "unknown_kind", "kind"),
    ({"text": None}, "text_empty", "text"),
    ({"text": " \n\t"}, "text_empty", "text"),
    ({"template_id": "tpl_1"}, "text_and_template", "text"),
    ({"text": "a" * 40_000}, "too_long", "text"),
    ({"priority": "yesterday"}, "unknown_priority", "priority"),
    ({"pool_ref": "pool"}, "case_and_pool", "pool_ref"),
    ({"case_ref": None}, "context_missing", "case_ref"),
    ({"valid_until": NOW}, "valid_until_past", "valid_until"),
    ({"valid_until": NOW + 1000, "send_at": NOW + 1000}, "valid_until_past", "valid_until"),
    ({"valid_until": 10**30}, "time_out_of_range", "valid_until"),
    ({"send_at": LATEST + 1}, "time_out_of_range", "send_at"),
    ({"text": "a\x00b"}, "invalid_characters", "text"),
    ({"text": "a\ud83db"}, "invalid_characters", "text"),
    ({"client_ref": "\x00"}, "invalid_characters", "client_ref"),
    ({"user": "eva\ud800@acme.example"}, "invalid_characters", "user"),
    ({"case_ref": "\x00"}, "invalid_characters", "case_ref"),
    ({"kind": "\ud800"}, "invalid_characters", "kind"),
]


def test_a_submission_that_is_wrong_in_itself_is_refused_422(office):
    for changes, code, field in SCHEMA:
        refused = refusal(office, **changes)
        assert (refused.code, refused.status, refused.field) == (code, 422, field), changes


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"user": "nobody@acme.example"}, "user_not_found"),
        ({"user": "usr_nobody"}, "user_not_found"),
        ({"case_ref": "job-8"}, "case_not_found"),
        ({"ref": "cand-2"}, "candidate_not_found"),
        ({"text": None, "template_id": "tpl_none"}, "template_not_found"),
    ],
)
def test_names_that_nobody_has_are_refused_404(office, changes, code):
    refused = refusal(office, **changes)
    assert (refused.code, refused.status) == (code, 404)


def test_e_mail_addresses_are_the_same_in_any_case(office):
    assert isinstance(office.submit(user=" EVA@Acme.Example "), Accepted)


def test_an_address_that_looks_like_an_id_is_still_an_address(office):
    change(office, "UPDATE app_user SET email = 'usr_eva@acme.example'")
    assert isinstance(office.submit(user="usr_eva@acme.example"), Accepted)


def test_a_user_may_be_named_by_id(office):
    assert isinstance(office.submit(user=office.user_id), Accepted)


GATES: list[tuple[str, str | None, str, int]] = [
    ("inactive user", "UPDATE app_user SET active = 0", "user_inactive", 403),
    ("no right", "UPDATE app_user SET roles = '[]'", "permission_denied", 403),
    ("no team", "DELETE FROM case_member", "not_on_hiring_team", 403),
    ("no seat", "UPDATE app_user SET seat = 0", "seat_required", 403),
    ("sms off", "UPDATE organisation SET sms_enabled = 0", "channel_disabled", 409),
    ("no number", "UPDATE candidate SET phone_state = 'missing'", "number_missing", 422),
    ("country off", "UPDATE country SET state = 'suspended'", "country_disabled", 409),
    ("no sender", "UPDATE sender SET active = 0", "no_sender_for_country", 409),
    ("rejection", None, "kind_not_allowed_on_channel", 422),
    ("stop stands", "INSERT INTO suppression SELECT phone_hash, 'sms', 'keyword', '{}', 0 FROM candidate", "opted_out", 409),
    ("no consent", "DELETE FROM consent", "consent_required", 409),
    ("no credits", "UPDATE balance SET available = 0, reserved = 0", "insufficient_credits", 402),
]


@pytest.mark.parametrize("number", range(len(GATES)), ids=[name for name, *_ in GATES])
def test_each_gate_refuses_before_all_that_follow_it(database, number):
    """Everything from this gate on is wrong at once; this one's code is the answer."""
    office = open_office(database)
    for _, sql, code, _ in GATES[number:]:
        if sql is not None and code != "insufficient_credits":
            change(office, sql)
    if GATES[number][2] == "insufficient_credits":
        change(office, "DELETE FROM ledger")
        change(office, GATES[number][1])
    kind = "rejection" if number <= 8 else "contact"
    refused = refusal(office, kind=kind)
    assert (refused.code, refused.status) == GATES[number][2:]
    if refused.code not in ("insufficient_credits",):
        with database.read() as view:
            seen = preview(view, office.submission(kind=kind), NOW).refused
        assert seen is not None
        assert seen.code == refused.code


def test_a_refusal_for_lack_of_credits_never_tells_the_balance(database):
    office = open_office(database, balance=1)
    refused = refusal(office, text="a" * 161)
    assert refused.code == "insufficient_credits"
    assert refused.facts == {"needed": 2, "ask": []}, "whom to ask, never the balance"
    assert "1" not in refused.detail


def test_consent_for_one_channel_and_purpose_is_none_for_another(office):
    assert refusal(office, kind="job_alert").facts == {"channel": "sms", "status": "none"}
    assert refusal(office, channel="whatsapp").code == "channel_disabled"


def test_e_mail_is_handed_back_and_never_sent_silently(office):
    refused = refusal(office, channel="email")
    assert (refused.code, refused.facts) == ("channel_disabled", {"use": "email"})


def test_a_disabled_country_is_named(office):
    change(office, "UPDATE country SET state = 'off'")
    assert refusal(office).facts == {"country": "SE"}


@pytest.mark.parametrize(
    ("raw", "code"), [("", "number_missing"), ("abc", "invalid_number"), ("+4687654321", "not_mobile"), ("12", "invalid_number")]
)
def test_the_number_comes_from_the_record_and_must_be_a_mobile(office, raw, code):
    office.candidate("cand-2", raw, consent=False)
    refused = refusal(office, "cand-2")
    assert (refused.code, refused.status) == (code, 422)


def test_five_parts_are_too_long_and_the_answer_counts_them(office):
    refused = refusal(office, text="a" * (4 * 153 + 1))
    assert (refused.code, refused.status, refused.facts) == ("too_long", 422, {"segments": 5, "max": 4})
    assert office.accept(text="a" * 4 * 153).parts == 4


def test_a_preview_of_more_parts_than_any_message_has_is_an_answer_and_no_crash(office):
    seen = shown_preview(office, text="ą" * 39_000)
    assert seen.refused.code == "too_long"
    assert len(seen.pieces) == 39_000 // 67 + 1


def test_a_preview_changes_nothing(office):
    before, actions = everything(office), office.audit_actions()
    assert shown_preview(office).refused is None
    assert everything(office) == before
    assert office.audit_actions() == actions


def test_lines_end_in_one_way(office):
    done = office.accept(text="a\r\nb\rc")
    assert rows(office, "SELECT text FROM part WHERE message_id = ?", done.id)[0]["text"] == "a\nb\nc"


# Holds.


def test_a_scheduled_message_is_held_until_its_hour_and_valid_from_there_on(office):
    done = office.accept(send_at=NOW + 100 * HOUR)
    assert (done.state, done.hold_reason, done.not_before) == ("held", "scheduled", NOW + 100 * HOUR)
    assert office.message(done.id)["valid_until"] == NOW + 100 * HOUR + VALID_FOR_MS
    assert office.available() == 999


def test_an_hour_that_has_passed_means_now(office):
    assert office.accept(send_at=NOW - HOUR).state == "queued"
    assert office.accept(send_at=-(10**15)).state == "queued"


def test_a_hold_for_opt_in_keeps_the_schedule_and_waits_two_weeks(office):
    change(office, "UPDATE country SET opt_in = 'double'")
    office.candidate("cand-2", "+46701740606")
    plain = office.accept("cand-2")
    later = office.accept("cand-2", send_at=NOW + HOUR)
    assert (plain.state, plain.hold_reason, plain.not_before) == ("held", "pending_opt_in", None)
    assert office.message(plain.id)["valid_until"] == NOW + OPT_IN_FOR_MS
    assert (later.state, later.hold_reason, later.not_before) == ("held", "pending_opt_in", NOW + HOUR)
    assert shown_preview(office, "cand-2", send_at=NOW + HOUR).hold.not_before == NOW + HOUR


def test_a_held_message_needs_credits_too(database):
    office = open_office(database, balance=2)  # the text, and the invitation to answer START
    change(office, "UPDATE country SET opt_in = 'double'")
    office.candidate("cand-2", "+46701740606")
    office.accept("cand-2")
    assert refusal(office, "cand-2").code == "insufficient_credits"


# Templates.


def a_template(office: Office, body: str, **changes: Any) -> str:
    columns = {
        "id": "tpl_1",
        "unit_id": office.organisation_id,
        "name": "T",
        "kind": "contact",
        "channel": "sms",
        "language": "sv",
    }
    columns |= {"body": body, "updated_at": NOW} | changes
    with office.database.write() as tx:
        tx.insert("template", **columns)
    return str(columns["id"])


def test_a_template_is_rendered_before_it_is_counted_and_charged(office):
    template = a_template(office, "Hej {{candidate.first_name}}, {{company}} om {{case.title}}: {{note}}")
    seen = shown_preview(office, text=None, template_id=template, data={"note": "x" * 200})
    done = office.accept(text=None, template_id=template, data={"note": "x" * 200})
    assert (done.parts, done.credits) == (2, 2) == (len(seen.pieces), seen.credits)
    text = "".join(part["text"] for part in rows(office, "SELECT text FROM part WHERE message_id = ? ORDER BY number", done.id))
    assert text == "Hej Kim, Acme AB om Welder: " + "x" * 200 == seen.text


def test_data_cannot_pretend_to_be_the_candidate(office):
    template = a_template(office, "{{candidate.first_name}}")
    done = office.accept(text=None, template_id=template, data={"candidate": {"first_name": "Mallory"}})
    assert rows(office, "SELECT text FROM part WHERE message_id = ?", done.id)[0]["text"] == "Kim"


def test_a_template_lays_down_kind_lane_and_the_number_of_parts(office):
    template = a_template(office, "{{note}}", kind="interview_invite", max_parts=1)
    done = office.accept(text=None, template_id=template, data={"note": "hej"})
    assert (office.message(done.id)["kind"], office.message(done.id)["lane"]) == ("interview_invite", 0)
    refused = refusal(office, text=None, template_id=template, data={"note": "x" * 161})
    assert (refused.code, refused.facts) == ("too_long", {"segments": 2, "max": 1})


@pytest.mark.parametrize(
    ("changes", "data", "code"),
    [
        ({}, {}, "merge_value_missing"),
        ({}, {"note": ""}, "text_empty"),
        ({"kind": "rejection"}, {"note": "x"}, "kind_not_allowed_on_channel"),
        ({"kind": "consent_optin"}, {"note": "x"}, "unknown_kind"),
        ({"channel": "whatsapp"}, {"note": "x"}, "template_of_other_channel"),
        ({"archived_at": NOW}, {"note": "x"}, "template_not_found"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(office, changes, data, code):
    template = a_template(office, "{{note}}", **changes)
    assert refusal(office, text=None, template_id=template, data=data).code == code


def test_another_organisations_template_does_not_exist(office):
    with office.database.write() as tx:
        tx.insert("organisation", id="org_other", root_id="org_other", ref="other", name="Other", created_at=0)
    template = a_template(office, "Hej", unit_id="org_other")
    assert refusal(office, text=None, template_id=template).code == "template_not_found"


@pytest.mark.parametrize(
    ("changes", "lane"),
    [
        ({}, 1),
        ({"kind": "interview_reminder"}, 0),
        ({"batch": True}, 2),
        ({"batch": True, "priority": "critical"}, 0),
        ({"priority": "bulk"}, 2),
    ],
)
def test_lanes_follow_priority_then_batch_then_kind(office, changes, lane):
    assert office.message(office.accept(**changes).id)["lane"] == lane


def test_messages_of_a_candidate_are_numbered_without_gaps_and_refusals_take_no_number(office):
    first = office.accept()
    refusal(office, text="a" * 1000)
    second = office.accept()
    assert office.message(second.id)["seq"] == office.message(first.id)["seq"] + 1


def test_a_batch_in_one_transaction_goes_on_after_a_refusal(office):
    office.candidate("cand-2", "+46701740606", consent=False)
    with office.database.write() as tx:
        outcomes = [submit(tx, office.submission(ref, batch=True), NOW) for ref in ("cand-1", "cand-2", "cand-1")]
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, False, True]
    assert len(rows(office, "SELECT id FROM message")) == len(rows(office, "SELECT message_id FROM part")) == 2
    assert office.available() == 998


def test_cancelling_gives_the_credits_back(office):
    done = office.accept(text="a" * 161)
    with office.database.write() as tx:
        assert cancel(tx, done.id, office.organisation_id, "key:test", NOW).credits_refunded == 2
    assert office.available() == 1000
    with office.database.read() as view:
        assert credits.balance(view, office.organisation_id).reserved == 0


# Many at once.


def test_a_batch_answers_in_its_own_order_and_keeps_each_candidates_order(office):
    office.candidate("cand-0", "+46701740606")
    refs = ["cand-1", "cand-0", "nobody", "cand-1", "cand-0"]
    batch = [office.submission(ref, str(number)) for number, ref in enumerate(refs)]
    with office.database.write() as tx:
        found = submit_all(tx, batch, NOW)
    assert [each.code if isinstance(each, Refused) else "ok" for each in found] == ["ok", "ok", "candidate_not_found", "ok", "ok"]
    for ref in ("cand-0", "cand-1"):
        sql = "SELECT m.id FROM message m JOIN candidate c ON c.id = m.candidate_id WHERE c.ref = ? ORDER BY m.seq"
        told = [each.id for each, item in zip(found, batch, strict=True) if item.candidate_ref == ref]  # type: ignore[union-attr]
        assert [row["id"] for row in rows(office, sql, ref)] == told


def test_a_reference_that_is_no_text_harms_none_of_its_batch(office):
    with office.database.write() as tx:
        found = submit_all(tx, [office.submission("a\x00b"), office.submission("\ud800"), office.submission()], NOW)
    assert [each.code if isinstance(each, Refused) else "ok" for each in found] == [*["invalid_characters"] * 2, "ok"]


@pytest.mark.postgresql
@pytest.mark.parametrize("shared", [False, True], ids=["batches", "shared commits"])
def test_two_that_write_to_the_same_people_in_opposite_orders_never_block_each_other(postgresql_url, opened, shared):
    """A deadlock's victim would raise here: nothing tries again behind `write`, and a shared commit counts its tries."""
    office = open_office(opened(postgresql_url))
    refs = office.candidates(12)
    tries: Counter[str] = Counter()

    def batch(order: list[str]) -> None:
        database = Database(postgresql_url)
        try:
            with database.write() as tx:
                submit_all(tx, [office.submission(ref) for ref in order], NOW)
        finally:
            database.close()

    def commits(order: list[str]) -> None:
        database = Database(postgresql_url)
        inside, go = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            inside.set()
            assert go.wait(20)

        def send(ref: str, tx: Transaction) -> None:
            tries[ref] += 1
            submit(tx, office.submission(ref), NOW)

        def together(step: Callable[[Transaction], None], locks: Ahead | None = None) -> None:
            try:
                database.together(step, locks)
            finally:
                database.close()

        with ThreadPoolExecutor(len(order) + 1) as pool:
            waiting = [pool.submit(together, hold)]
            assert inside.wait(20)
            for number, ref in enumerate(order, 1):
                waiting.append(pool.submit(together, partial(send, ref), ahead(office.submission(ref))))
                while len(database._together._waiting) < number:
                    os.sched_yield()
            go.set()
            for each in waiting:
                each.result()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            for done in [pool.submit(commits if shared else batch, order) for order in (refs, refs[::-1])]:
                done.result()
    assert len(rows(office, "SELECT id FROM message")) == 72
    assert set(tries.values()) in (set(), {6}), "somebody had to try again"
