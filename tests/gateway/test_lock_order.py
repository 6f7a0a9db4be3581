"""PostgreSQL: who decides for a candidate takes every candidate it will need, by id, before anything else; money comes last.

Each test holds the first lock of the order with another connection, lets a flow run into it, and looks what it holds meanwhile:
a flow that waits with nothing in its hands can never be part of a circle.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from gateway.flows import consent_requests, interviews, pleas, thread_readers
from gateway.flows.consent_requests import Asked
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.interviews import NewInterview
from gateway.flows.threads import open_thread
from gateway.rules.links import Links
from gateway.rules.threads import UNASSIGNED
from gateway.store import ids
from gateway.store.database import Database, Transaction
from tests.gateway.test_interview_flows import DESK, SLOTS, claim, invite
from tests.office import NOW, Office, open_office
from tests.processes import until

pytestmark = pytest.mark.postgresql

LINKS = Links("https://jobs.acme.example", b"t" * 32)


class Rows:
    """Row locks by hand, on a connection of one's own."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def hold(self, table: str, where: str) -> None:
        """Take a row, or raise psycopg.errors.LockNotAvailable where somebody has it."""
        self._connection.execute(f"SELECT 1 FROM {table} WHERE {where} FOR UPDATE NOWAIT")  # type: ignore[arg-type]

    def waiting(self) -> bool:
        """Whether somebody waits for a lock."""
        found = self._connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return found is not None and found[0] > 0

    def close(self) -> None:
        self._connection.rollback()
        self._connection.close()


@pytest.fixture
def office(postgresql_url: str) -> Iterator[Office]:
    database = Database(postgresql_url)
    yield open_office(database)
    database.close()


@contextmanager
def running_into(office: Office, table: str, where: str, flow: Callable[[Transaction], Any]) -> Iterator[Rows]:
    """The flow, while it waits for a row that another connection has; in the end it gets it and must come through."""
    rows, failures = Rows(office.database.url), []

    def run() -> None:
        try:
            office.database.transact(flow, tries=1)
        except BaseException as error:
            failures.append(error)
        office.database.close()

    thread = threading.Thread(target=run, daemon=True)
    try:
        rows.hold(table, where)
        thread.start()
        until(rows.waiting, about="the flow waits")
        yield rows
    finally:
        rows.close()
        thread.join(20)
    assert (thread.is_alive(), failures) == (False, [])


def twins(office: Office) -> tuple[str, str]:
    """Two candidates with one number: the id of the first, the reference of the second."""
    with office.database.read() as view:
        first = view.one("SELECT id, phone FROM candidate WHERE ref = 'cand-1'")
    assert first is not None
    second = office.candidate("twin", first["phone"])
    assert first["id"] < second["id"]
    return str(first["id"]), str(second["id"])


def a_task(office: Office, candidate_id: str) -> str:
    task_id = ids.new("task")
    values = {"kind": "possible_opt_out", "state": "open", "due_at": NOW, "created_at": NOW}
    office.database.transact(
        lambda tx: tx.insert("task", id=task_id, organisation_id=office.organisation_id, candidate_id=candidate_id, **values)
    )
    return task_id


def a_granted_page(office: Office) -> str:
    """The token of the page on which the twin has said yes, and may withdraw."""
    office.candidate("page", "+46701740688", consent=False)
    asked = Asked(candidate_ref="page", channels=["sms"], purpose="recruiting_process", delivery="ats")

    def ask(tx: Transaction) -> str:
        made = consent_requests.ask(
            tx, office.organisation_id, asked, "key:test", NOW, links=LINKS, mails=False, seal_key=b"s" * 32
        )
        return made.url.rsplit("/", 1)[1]

    token: str = office.database.transact(ask)
    office.database.transact(lambda tx: answer(tx, token, "grant"))
    return token


def answer(tx: Transaction, token: str, given: str) -> Any:
    return consent_requests.answer(
        tx, token, given, ("sms",), ip="192.0.2.1", user_agent="x", url="https://x/c/t", form_hash="h", now=NOW
    )


def test_a_withdrawal_told_by_the_ats_takes_everybody_with_the_number_by_id(office: Office) -> None:
    first, second = twins(office)
    push = ConsentPush(status="revoked")

    def revoke(tx: Transaction) -> None:
        push_consent(tx, office.organisation_id, "twin", "sms", push, "key:test", NOW)

    with running_into(office, "candidate", f"id = '{first}'", revoke) as rows:
        rows.hold("candidate", f"id = '{second}'")


def test_a_task_settled_as_opt_out_takes_everybody_with_the_number_by_id(office: Office) -> None:
    first, second = twins(office)
    task_id = a_task(office, second)

    def settle(tx: Transaction) -> None:
        pleas.settle_task(tx, office.organisation_id, task_id, "opt_out", "", "user:eva", NOW)

    with running_into(office, "candidate", f"id = '{first}'", settle) as rows:
        rows.hold("candidate", f"id = '{second}'")
        rows.hold("task", f"id = '{task_id}'")


def test_a_withdrawal_on_the_page_takes_everybody_with_the_number_by_id(office: Office) -> None:
    first = office.candidate("first", "+46701740688", consent=False)["id"]
    token = a_granted_page(office)
    with running_into(office, "candidate", f"id = '{first}'", lambda tx: answer(tx, token, "withdraw")) as rows:
        rows.hold("candidate", "ref = 'page'")


def test_an_invitation_takes_its_candidate_before_slots_and_money(office: Office) -> None:
    def create(tx: Transaction) -> None:
        new = NewInterview(
            organisation_id=office.organisation_id,
            actor="key:test",
            user="eva@acme.example",
            candidate_ref="cand-1",
            case_ref="job-7",
            type="self_schedule",
            channel="sms",
            tz="Europe/Stockholm",
            slots=SLOTS,
            text="Hej! {{interview_link}}",
        )
        interviews.create(tx, new, DESK, NOW)

    with running_into(office, "candidate", "ref = 'cand-1'", create) as rows:
        rows.hold("balance", "1 = 1")


def test_calling_off_frees_the_slot_before_it_moves_money(office: Office) -> None:
    """Whoever chooses a slot takes the slot and then pays for reminders: the other way round they would wait for each other."""
    made = invite(office, type="self_schedule")
    claim(office, made, "a")

    def call_off(tx: Transaction) -> None:
        interviews.call_off(tx, office.organisation_id, made, "key:test", NOW)

    with running_into(office, "slot", "ref = 'a'", call_off) as rows:
        rows.hold("balance", "1 = 1")


def test_moving_an_interview_waits_for_its_candidate_with_nothing_in_its_hands(office: Office) -> None:
    made = invite(office)
    later = interviews.Move(starts_at=NOW + 96 * 3_600_000, text="Ny tid! {{interview_link}}")

    def move(tx: Transaction) -> None:
        interviews.move(tx, office.organisation_id, made, later, "key:test", DESK, NOW)

    with running_into(office, "candidate", "ref = 'cand-1'", move) as rows:
        rows.hold("interview", f"id = '{made}'")
        rows.hold("balance", "1 = 1")


def test_giving_a_strangers_messages_to_a_candidate_takes_the_candidate_before_the_thread(office: Office) -> None:
    def stranger(tx: Transaction) -> str:
        values = {"channel": "sms", "context": UNASSIGNED, "address": "+46701740605", "last_at": NOW, "created_at": NOW}
        return open_thread(tx, organisation_id=office.organisation_id, **values)

    thread_id = office.database.transact(stranger)

    def assign(tx: Transaction) -> None:
        where = {"candidate_ref": "cand-1", "case_ref": "job-7"}
        thread_readers.assign(tx, office.organisation_id, thread_id, "eva@acme.example", None, "key:test", NOW, **where)

    with running_into(office, "candidate", "ref = 'cand-1'", assign) as rows:
        rows.hold("thread", f"id = '{thread_id}'")
