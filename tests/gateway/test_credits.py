"""Credits: the balance is the sum of the ledger, never below zero, whoever comes at the same time."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import Refused
from gateway.flows import credits
from gateway.flows.accept import Accepted, submit
from gateway.store.database import Database
from gateway.store.seal import seal, verify
from tests.office import NOW, Office, open_office


def grant(office: Office, amount, reference="PO-7", reason="") -> credits.Balance:
    with office.database.write() as tx:
        return credits.grant(tx, office.organisation_id, amount, reference, reason, "user:op", NOW)


def outcomes(results) -> list[str]:
    return sorted("accepted" if isinstance(each, Accepted) else each.code for each in results)


@pytest.mark.parametrize("shared", [True, False], ids=["shared commit", "own commits"])
def test_balance_1_and_two_parallel_submissions_make_one_accepted_and_one_refused(database, shared):
    office = open_office(database, balance=1)
    office.candidate("cand-2", "+46701740606")
    barrier = threading.Barrier(2)

    def send(ref: str) -> object:
        try:
            barrier.wait(20)
            run = database.together if shared else database.transact
            return run(lambda tx: submit(tx, office.submission(ref), NOW))
        finally:
            database.close()

    with ThreadPoolExecutor(2) as pool:
        results = [done.result() for done in [pool.submit(send, "cand-1"), pool.submit(send, "cand-2")]]
    assert outcomes(results) == ["accepted", "insufficient_credits"]
    assert office.available() == 0
    with database.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM message") == 1
        assert credits.balance(view, office.organisation_id) == credits.Balance(0, 1)


def _send(url: str, office: Office, ref: str, start, answer) -> None:
    database = Database(url)
    start.wait(30)
    done = database.together(lambda tx: submit(tx, office.submission(ref), NOW))
    answer.put("accepted" if isinstance(done, Accepted) else done.code)
    database.close()


def test_two_processes_with_a_balance_of_1_make_one_accepted_and_one_refused(database_url):
    database = Database(database_url)
    office = open_office(database, balance=1)
    office.candidate("cand-2", "+46701740606")
    database.close()
    context = multiprocessing.get_context("fork")
    start, answer = context.Event(), context.SimpleQueue()
    processes = [context.Process(target=_send, args=(database_url, office, ref, start, answer)) for ref in ("cand-1", "cand-2")]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert sorted((answer.get(), answer.get())) == ["accepted", "insufficient_credits"]
    assert office.available() == 0
    database.close()


def test_many_who_send_at_once_spend_exactly_what_there_is(database):
    office = open_office(database, balance=7)
    refs = ["cand-1", *office.candidates(5)]

    def send(number: int) -> object:
        try:
            return database.together(lambda tx: submit(tx, office.submission(refs[number % 6]), NOW))
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(send, range(24)))
    assert outcomes(results) == ["accepted"] * 7 + ["insufficient_credits"] * 17
    assert office.available() == 0
    seal(database)
    with database.read() as view:
        assert verify(view) is None


def test_a_grant_adds_once_per_reference(database):
    office = open_office(database)
    assert grant(office, 500) == credits.Balance(1500, 0)
    for reference in ("PO-7", " PO-7 "):
        with pytest.raises(Refused) as refused:
            grant(office, 500, reference)
        assert (refused.value.code, refused.value.status) == ("duplicate_reference", 409)
    assert office.available() == 1500


def test_the_same_grant_from_two_at_once_is_made_once(database):
    office = open_office(database, balance=0)
    barrier = threading.Barrier(2)

    def give(_: int) -> str:
        try:
            barrier.wait(20)
            grant(office, 5)
            return "granted"
        except Refused as refused:
            return refused.code
        finally:
            database.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(give, range(2))) == ["duplicate_reference", "granted"]
    assert office.available() == 5


def test_only_positive_whole_amounts_with_a_readable_reference_are_granted(database):
    office = open_office(database)
    for amount in (0, -1, 1.5, True, "5", 10**9 + 1, 2**63, None):
        with pytest.raises(Refused) as refused:
            grant(office, amount)
        assert refused.value.code == "invalid_amount"
    for reference in ("", "  ", "x" * 201, "a\x00", "a\ud800"):
        with pytest.raises(Refused) as refused:
            grant(office, 1, reference)
        assert refused.value.code == "invalid_reference"
    grant(office, 10**9, "most", "reason \x00 \ud800")
    assert office.available() == 1000 + 10**9


def test_the_reason_of_a_grant_is_erasable_and_outside_the_chain(database):
    office = open_office(database)
    grant(office, 5, reason="Kim asked")
    seal(database)
    with database.write() as tx:
        tx.execute("DELETE FROM audit_private")
    with database.read() as view:
        assert verify(view) is None


def test_a_message_at_price_0_moves_no_credits(database):
    office = open_office(database, balance=0, price=0)
    assert office.accept().credits == 0
    assert office.available() == 0


def test_verify_finds_books_that_were_changed(database):
    office = open_office(database)
    for column in ("available", "reserved"):
        with database.write() as tx:
            tx.execute(f"UPDATE balance SET {column} = {column} + 1")
        with database.read() as view:
            assert [row["organisation_id"] for row in credits.verify(view)] == [office.organisation_id]
        with database.write() as tx:
            tx.execute(f"UPDATE balance SET {column} = {column} - 1")
    assert office.available() == 1000


def test_the_store_itself_refuses_a_negative_balance_and_a_ledger_row_of_the_wrong_sign(database):
    open_office(database)
    for sql in (
        "UPDATE balance SET available = -1",
        "UPDATE balance SET reserved = -1",
        "UPDATE ledger SET amount = -1",
        "UPDATE ledger SET kind = 'gift'",
    ):
        with pytest.raises(Exception, match=r"(?i)check|constraint"), database.write() as tx:
            tx.execute(sql)


def test_months_are_counted_in_utc():
    assert credits.month_of(1_772_323_199_999) == "2026-02"
    assert credits.month_of(1_772_323_200_000) == "2026-03"
