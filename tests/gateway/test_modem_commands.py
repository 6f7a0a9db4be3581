"""Commands given to a modem as rows, run by its worker against the simulated stick: tests, USSD, questions; and PINs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import keys
from gateway.clock import FileClock
from gateway.errors import Refused
from gateway.flows import modem_commands, pins, stations
from gateway.radio.worker import Post, Worker
from gateway.store.database import Database
from modem.simulator import SimulatedModem
from tests.gateway.test_worker import SPEED, Bench, bench
from tests.office import ICCID, open_office
from tests.processes import until
from tests.support import ManualClock

__all__ = ["bench"]  # fixture

PIN, PRIVATE = "4711", bytes(range(32))


def modem_row(bench: Bench) -> Any:
    with bench.office.database.read() as view:
        return view.one("SELECT * FROM modem WHERE name = 'm1'")


def ask(bench: Bench, verb: str, **args: Any) -> dict[str, Any]:
    """Give a command as a page does and wait for its end; the row with its result read."""
    database = bench.office.database
    until(lambda: (row := modem_row(bench)) is not None and row["state"] == "ready", about="the modem is ready")
    row, now = modem_row(bench), bench.clock.now_ms()
    with database.write() as tx:
        given = modem_commands.give(tx, row, verb, args, "user:usr_1", now)
    for worker in bench.workers:
        worker.poke()

    def over() -> Any:
        with database.read() as view:
            row = view.one("SELECT * FROM command WHERE id = ?", given["id"])
        return row if row is not None and row["state"] not in ("waiting", "running") else None

    ended = dict(until(over, about=verb))
    return {**ended, "result": json.loads(ended["result"])}


def test_a_self_test_looks_at_everything_in_turn_and_sends_nothing(bench: Bench) -> None:
    bench.start()
    ended = ask(bench, "test")
    assert ended["state"] == "done"
    steps = {step["name"]: step["result"] for step in ended["result"]["steps"]}
    assert steps == dict.fromkeys(("answers", "card", "centre", "network", "signal", "reports"), "good")
    assert ended["result"]["of"] == 6
    assert {"signal_dbm", "registered", "operator"} <= ended["result"].keys()
    assert bench.stick.submits() == []


def test_a_weak_signal_is_found_by_the_self_test(bench: Bench) -> None:
    bench.stick.control.set(signal=2)
    bench.start()
    steps = {step["name"]: (step["result"], step["found"]) for step in ask(bench, "test")["result"]["steps"]}
    assert steps["signal"] == ("weak", "-109 dBm")


def test_ussd_brings_the_networks_answer(bench: Bench) -> None:
    bench.stick.control.set(ussd={"*100#": "Saldo: 120 kr"})
    bench.start()
    ended = ask(bench, "ussd", code="*100#")
    assert (ended["state"], ended["result"]["text"]) == ("done", "Saldo: 120 kr")


def test_a_question_brings_the_modems_lines(bench: Bench) -> None:
    bench.start()
    ended = ask(bench, "query", command="AT+CPIN?")
    assert ended["result"]["lines"] == ["+CPIN: READY", "OK"]


@pytest.mark.parametrize(
    "command", ["AT+CMGD=1,4", "AT+CMGS=12", 'AT+CLCK="SC",0,"1"', "AT+CSQ;+CMGD=1", "AT+CRSM=214,28476,0,0,1"]
)
def test_the_driver_refuses_by_itself_what_the_page_should_have_refused(command: str, bench: Bench) -> None:
    """A row that came past the flow, as from another program on the store."""
    from gateway.store import lists_web

    bench.start()
    until(lambda: (row := modem_row(bench)) is not None and row["state"] == "ready", about="the modem is ready")
    row, now = modem_row(bench), bench.clock.now_ms()
    with bench.office.database.write() as tx:
        given = lists_web.give_command(tx, row, "query", {"command": command}, "cli:x", now, now + 60_000)

    def state() -> Any:
        with bench.office.database.read() as view:
            return view.value("SELECT state FROM command WHERE id = ?", given["id"])

    until(lambda: state() == "failed", about="refused")
    assert command not in bench.stick.control.heard()


def test_parking_stops_sending_and_unparking_starts_it_again(bench: Bench) -> None:
    bench.start()
    assert ask(bench, "park")["state"] == "done"
    ids = bench.send("Väntar")
    assert ask(bench, "query", command="AT+CSQ")["state"] == "done"
    assert bench.states(ids) == ["queued"]
    ask(bench, "unpark")
    bench.wait_for(ids, "delivered")


def test_nothing_is_asked_while_a_part_may_still_be_leaving(bench: Bench) -> None:
    bench.start()
    until(lambda: (row := modem_row(bench)) is not None and row["state"] == "ready", about="the modem is ready")
    [message_id] = bench.send("En")
    bench.wait_for([message_id], "delivered")
    row = modem_row(bench)
    with bench.office.database.write() as tx:
        tx.execute("UPDATE part SET state = 'submitting', error = 'awaiting_report', gateway = 'g', modem = 'm1'")
        with pytest.raises(Refused) as refused:
            modem_commands.give(tx, row, "query", {"command": "AT+CSQ"}, "user:x", bench.clock.now_ms())
    assert refused.value.code == "modem_busy"


# PINs given on a page


@pytest.fixture
def locked(sqlite_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A stick whose card asks for a PIN, and a worker that has none."""
    database, clock_file = Database(sqlite_url), tmp_path / "clock.json"
    FileClock.write(clock_file, speed=SPEED)
    clock = FileClock(clock_file)
    office = open_office(database)
    with database.write() as tx:
        tx.execute("INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES ('g', 1, 'x', 0, 0, '')")
        stations.publish_key(tx, "g", keys.public_half(PRIVATE))
    with SimulatedModem(clock=clock, iccid=ICCID, pin=PIN, boot_s=1.0) as stick:
        post = Post("g", 1, "m1", stick.link, None, "auto", 1, {}, PRIVATE)
        worker = Worker(post, database, clock, office.desk, on_failure=lambda: None)
        worker.start()
        yield Bench(office, stick, clock, [worker], stick.link)
        worker.stop()
        worker.join(30)
    database.close()


def wait_for_trouble(bench: Bench, reason: str, tries: int) -> None:
    def seen() -> bool:
        row = modem_row(bench)
        return row is not None and row["state"] == "sim" and row["reason"].startswith(reason) and row["pin_tries"] == tries

    until(seen, about=f"{reason}, {tries} left; now {dict(modem_row(bench) or {})}")


def give_pin(bench: Bench, pin: str) -> None:
    row = modem_row(bench)
    with bench.office.database.write() as tx:
        pins.give(tx, row, pin, "user:usr_1", bench.clock.now_ms())
    bench.workers[0].poke()


def pins_heard(bench: Bench) -> list[str]:
    return [line for line in bench.stick.control.heard() if line.startswith("AT+CPIN=")]


def test_a_locked_card_is_told_with_its_number_and_tries_and_opened_by_the_pin_given(locked: Bench) -> None:
    wait_for_trouble(locked, "pin_required", 3)
    assert modem_row(locked)["locked_iccid"] == ICCID
    assert pins_heard(locked) == []
    give_pin(locked, PIN)
    until(lambda: modem_row(locked)["state"] == "ready", about="opened")
    assert len(pins_heard(locked)) == 1
    row = modem_row(locked)
    assert (row["pin_tries"], row["locked_iccid"]) == (None, None)


def test_a_wrong_pin_costs_one_try_and_is_never_repeated_and_the_right_one_may_follow(locked: Bench) -> None:
    wait_for_trouble(locked, "pin_required", 3)
    give_pin(locked, "0000")
    wait_for_trouble(locked, "pin_withheld", 2)  # found again, and not tried again
    assert len(pins_heard(locked)) == 1
    give_pin(locked, PIN)
    until(lambda: modem_row(locked)["state"] == "ready", about="opened")
    assert len(pins_heard(locked)) == 2


def test_the_last_try_is_never_ours(locked: Bench) -> None:
    wait_for_trouble(locked, "pin_required", 3)
    for wrong, left in (("0000", 2), ("1111", 1)):
        give_pin(locked, wrong)
        wait_for_trouble(locked, "pin_withheld", left)
    row = modem_row(locked)
    with locked.office.database.write() as tx, pytest.raises(Refused) as refused:
        pins.give(tx, row, PIN, "user:usr_1", locked.clock.now_ms())
    assert refused.value.facts == {"why": "last_try"}
    assert len(pins_heard(locked)) == 2


def test_a_pin_given_for_other_tries_than_are_left_is_not_tried(database: Database) -> None:
    """The person saw three tries; meanwhile somebody has wasted one in a phone."""
    now = ManualClock().now_ms()
    with database.write() as tx:
        tx.execute("INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES ('g', 1, 'x', 0, 0, '')")
        stations.publish_key(tx, "g", keys.public_half(PRIVATE))
        stations.set_modem(tx, "g", "m1", now, state="sim", reason="pin_required: x", locked_iccid=ICCID, pin_tries=3)
        row = tx.one("SELECT * FROM modem")
        pins.give(tx, row, PIN, "user:usr_1", now)
        assert not pins.allow(tx, ICCID, 2, now)
        assert pins.allow(tx, ICCID, 3, now)
        assert not pins.allow(tx, ICCID, 3, now)  # once


def test_a_new_key_of_the_gateway_forgets_pins_sealed_for_the_old_one(database: Database) -> None:
    now = ManualClock().now_ms()
    with database.write() as tx:
        tx.execute("INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES ('g', 1, 'x', 0, 0, '')")
        stations.publish_key(tx, "g", keys.public_half(PRIVATE))
        stations.set_modem(tx, "g", "m1", now, state="sim", reason="pin_required: x", locked_iccid=ICCID, pin_tries=3)
        pins.give(tx, tx.one("SELECT * FROM modem"), PIN, "user:usr_1", now)
        sealed = pins.sealed_for(tx, ICCID, "g")
        assert sealed is not None
        with pytest.raises(keys.NotSealedHere):
            keys.unseal_own(bytes(32), sealed)
        stations.publish_key(tx, "g", keys.public_half(bytes(32)))
        assert pins.sealed_for(tx, ICCID, "g") is None


def test_the_gateways_key_is_made_once_and_kept_to_its_user(tmp_path: Path) -> None:
    first = keys.gateway_key(tmp_path)
    assert keys.gateway_key(tmp_path) == first
    assert (tmp_path / "keys" / "gateway.key").stat().st_mode & 0o777 == 0o600
    assert keys.unseal_own(first, keys.seal_for(keys.public_half(first), "1234")) == "1234"
    (tmp_path / "keys" / "gateway.key").write_text("nonsense")
    with pytest.raises(keys.KeysMissing):
        keys.gateway_key(tmp_path)
