"""The worker against the simulated modem on a real pty: every fault of a field modem is normal life (issue 1, design.md §4).

Time runs fast on a test clock that worker and modem share, so the waits of the design are kept in full.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.clock import FileClock
from gateway.radio.worker import Post, Worker
from gateway.store.database import Database
from modem.pdu import Submit
from modem.simulator import SimulatedModem
from tests.office import ICCID, Office, open_office
from tests.processes import until

SPEED = 20.0


@dataclass
class Bench:
    """An office, a stick and a worker between them."""

    office: Office
    stick: SimulatedModem
    clock: FileClock
    workers: list[Worker]
    port: str

    def start(self) -> Worker:
        """Start a worker on the stick's port, as a new life of gateway `g`."""
        worker = Worker(
            Post("g", 1, "m1", self.port, None, "auto", 1, {}),
            self.office.database,
            self.clock,
            self.office.desk,
            on_failure=lambda: None,
        )
        self.workers.append(worker)
        worker.start()
        return worker

    def send(self, *texts: str, candidates: list[str] | None = None) -> list[str]:
        """Accept messages, each to a candidate of its own unless told otherwise; their ids."""
        self.office.now = self.clock.now_ms()
        refs = candidates or self.office.candidates(len(texts))
        made = [self.office.accept(ref, text).id for ref, text in zip(refs, texts, strict=True)]
        for worker in self.workers:
            worker.poke()
        return made

    def states(self, ids: list[str]) -> list[str]:
        return [self.office.state(message_id) for message_id in ids]

    def wait_for(self, ids: list[str], *states: str, timeout_s: float = 30.0) -> None:
        """Wait until every message is in one of these states."""
        until(lambda: set(self.states(ids)) <= set(states), timeout_s=timeout_s, about=f"{states}, now {self.states(ids)}")

    def texts_on_air(self) -> Counter[str]:
        """What reached the network, by text."""
        return Counter(Submit.decode(bytes.fromhex(entry["tpdu"])).text for entry in self.stick.submits())


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path) -> Iterator[Bench]:
    database = Database(sqlite_url)
    clock_file = tmp_path / "clock.json"
    FileClock.write(clock_file, speed=SPEED)
    clock = FileClock(clock_file)
    office = open_office(database)
    with database.write() as tx:
        tx.execute("INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES ('g', 1, 'x', 0, 0, '')")
    with SimulatedModem(clock=clock, iccid=ICCID, latency_s=0.5, report_delay_s=0.5, boot_s=2.0) as stick:
        made = Bench(office, stick, clock, [], stick.link)
        yield made
        for worker in made.workers:
            worker.stop()
        for worker in made.workers:
            worker.join(30)
            assert not worker.is_alive()
    database.close()


def warm_up(bench: Bench, count: int = 3) -> None:
    """Send what it takes to trust EF_SMSS."""
    bench.wait_for(bench.send(*[f"Uppvärmning {number}" for number in range(count)]), "delivered")


def test_messages_of_several_parts_arrive_in_order_and_are_delivered(bench: Bench) -> None:
    bench.start()
    ids = bench.send("Kort", "Lång text. " * 40, "🎉 " * 60)
    bench.wait_for(ids, "delivered")
    assert sum(bench.texts_on_air().values()) == 1 + 3 + 3
    assert bench.office.available() == 1000 - 7


def test_an_answer_lost_after_the_network_took_the_part_never_doubles_it(bench: Bench) -> None:
    bench.start()
    warm_up(bench)
    bench.stick.control.fault("lose_answer")
    ids = bench.send("Svaret försvinner")
    bench.wait_for(ids, "delivered", "unknown", timeout_s=60)
    assert bench.texts_on_air()["Svaret försvinner"] == 1
    assert bench.states(ids) == ["delivered"], "the status report proves it sent"
    others = bench.send("Nästa går som vanligt")
    bench.wait_for(others, "delivered")


def test_an_answer_lost_without_any_report_is_plainly_unknown_and_never_sent_again(bench: Bench) -> None:
    bench.start()
    warm_up(bench)
    bench.stick.control.set(report_status={"*": -1})
    bench.stick.control.fault("lose_answer")
    ids = bench.send("Ingen vet")
    bench.wait_for(ids, "unknown", timeout_s=60)
    assert bench.texts_on_air()["Ingen vet"] == 1
    assert bench.office.message(ids[0])["settled_at"] is None, "its credits stay reserved"


def test_an_answer_twenty_seconds_late_is_simply_waited_for(bench: Bench) -> None:
    bench.start()
    warm_up(bench)
    bench.stick.control.fault("late_answer", seconds=20)
    ids = bench.send("Sent svar", "Efter det")
    bench.wait_for(ids, "delivered")
    assert bench.texts_on_air()["Sent svar"] == 1


def test_a_bare_ok_is_an_unknown_outcome_that_the_report_resolves(bench: Bench) -> None:
    bench.start()
    warm_up(bench)
    bench.stick.control.fault("bare_ok")
    ids = bench.send("Bara OK")
    bench.wait_for(ids, "delivered")
    assert bench.texts_on_air()["Bara OK"] == 1


def test_a_part_lost_on_the_air_without_an_answer_is_sent_again_only_on_proof(bench: Bench) -> None:
    """EF_SMSS, trusted and unmoved, proves that it never left."""
    bench.start()
    warm_up(bench, 4)
    bench.stick.control.fault("drop")
    ids = bench.send("Aldrig iväg")
    bench.wait_for(ids, "delivered", timeout_s=60)
    assert bench.texts_on_air()["Aldrig iväg"] == 1


@pytest.mark.parametrize("glue", [False, True])
def test_stray_lines_before_between_and_inside_every_answer_disturb_nothing(bench: Bench, glue: bool) -> None:
    bench.stick.control.fault("stray", lines=["^RSSI:14", "+CREG: 1", "^BOOT:35323129,0,0,0,26"], glue=glue)
    bench.start()
    ids = bench.send("Ett", "Två " * 60, "Tre")
    bench.stick.control.deliver("+46701740605", "Inkommande " * 30, double=[2], parts_order=[3, 1, 2])
    bench.wait_for(ids, "delivered")
    until(lambda: received(bench) == ["Inkommande " * 30], about="the inbound message")
    assert sum(bench.texts_on_air().values()) == 4


def test_bytes_that_are_no_text_disturb_nothing(bench: Bench) -> None:
    bench.start()
    bench.stick.control.fault("noise", hex="FFFE00", count=20)
    ids = bench.send("Ett", "Två")
    bench.wait_for(ids, "delivered")
    bench.stick.control.deliver("+46701740605", "Hej tillbaka")
    until(lambda: received(bench) == ["Hej tillbaka"])


def test_a_missing_prompt_is_escaped_and_the_part_sent_once(bench: Bench) -> None:
    bench.start()
    bench.stick.control.fault("no_prompt", entered=True)
    ids = bench.send("Ingen prompt")
    bench.wait_for(ids, "delivered")
    assert bench.texts_on_air() == {"Ingen prompt": 1}


@pytest.mark.parametrize("code", [21, 28])
def test_a_permanent_refusal_fails_that_message_at_once_and_holds_up_no_other(bench: Bench, code: int) -> None:
    bench.start()
    refs = bench.office.candidates(2)
    number = bench.office.database.peewee.execute_sql("SELECT phone FROM candidate WHERE ref = ?", (refs[0],)).fetchone()[0]
    bench.stick.control.fault("cms", code=code, to=number, count=50)
    ids = bench.send("Avvisad", "Går fram", candidates=refs)
    bench.wait_for(ids, "failed", "delivered")
    assert bench.states(ids) == ["failed", "delivered"]
    assert bench.texts_on_air() == {"Går fram": 1}
    assert bench.office.available() == 999, "what never left is refunded"
    assert str(code) in bench.office.message(ids[0])["error"]


@pytest.mark.parametrize("code", [38, 41, 322, 331])
def test_a_passing_refusal_is_tried_again_and_arrives_once(bench: Bench, code: int) -> None:
    bench.start()
    refs = bench.office.candidates(2)
    number = bench.office.database.peewee.execute_sql("SELECT phone FROM candidate WHERE ref = ?", (refs[0],)).fetchone()[0]
    bench.stick.control.fault("cms", code=code, to=number)
    ids = bench.send("Först nej", "Annan", candidates=refs)
    bench.wait_for(ids[1:], "delivered")
    bench.wait_for(ids, "delivered", timeout_s=60)
    assert bench.texts_on_air() == {"Först nej": 1, "Annan": 1}


def test_a_card_that_refuses_to_send_parks_its_modem_and_fails_no_message(bench: Bench) -> None:
    bench.start()
    warm_up(bench, 1)
    bench.stick.control.fault("cms", code=310)
    ids = bench.send("Kortet vägrar", "Nästa väntar")
    until(lambda: parked(bench) == 1)
    assert bench.states(ids) == ["queued", "queued"]
    with bench.office.database.write() as tx:
        tx.execute("UPDATE modem SET parked = 0")
    bench.wait_for(ids, "delivered")
    assert bench.texts_on_air()["Kortet vägrar"] == 1


def test_a_sim_busy_for_five_seconds_at_the_start_is_waited_for(bench: Bench) -> None:
    bench.stick.control.fault("sim_busy", seconds=5)
    bench.start()
    bench.wait_for(bench.send("Efter väntan"), "delivered")


@pytest.mark.parametrize("at", ["prompt", "pdu", "after_ctrl_z"])
@pytest.mark.parametrize("taken", [False, True])
def test_a_modem_that_reboots_in_the_middle_of_a_send_never_doubles_a_part(bench: Bench, at: str, taken: bool) -> None:
    bench.start()
    warm_up(bench)
    facts = {"at": at, "taken": taken} if at == "after_ctrl_z" else {"at": at}
    bench.stick.control.fault("reboot_mid_send", **facts)
    ids = bench.send("Mitt i", "Efteråt")
    bench.wait_for(ids, "delivered", "sent", "unknown", timeout_s=60)
    on_air = bench.texts_on_air()
    assert on_air["Mitt i"] <= 1
    assert on_air["Efteråt"] == 1
    if bench.states(ids)[0] != "unknown":
        assert on_air["Mitt i"] == 1
    if at == "prompt":
        assert bench.states(ids)[0] in ("sent", "delivered"), "Ctrl-Z was never written: it goes again"


def test_an_unplugged_stick_comes_back_under_another_pty_and_sends_within_twenty_seconds(bench: Bench) -> None:
    bench.start()
    warm_up(bench)
    bench.stick.control.fault("unplug", seconds=5, at="after_ctrl_z", taken=True)
    before = bench.stick.port
    ids = bench.send("När sladden drogs", "När den är tillbaka")
    bench.wait_for(ids, "delivered", "sent", "unknown", timeout_s=60)
    assert bench.stick.port != before
    on_air = bench.texts_on_air()
    assert on_air["När sladden drogs"] == 1
    assert on_air["När den är tillbaka"] == 1
    entries = bench.stick.entries
    back = next(entry["t"] for entry in entries if entry["event"] == "plug")
    after = [entry["t"] for entry in entries if entry["event"] == "submit" and entry["t"] > back]
    assert after, "sending again"
    assert after[0] - back <= 20.0


def test_an_inbound_message_is_deleted_from_the_stick_only_after_it_was_stored(bench: Bench) -> None:
    bench.stick.control.deliver("+46701740605", "Väntade i kortet")
    bench.start()
    until(lambda: received(bench) == ["Väntade i kortet"])
    until(lambda: not bench.stick.control.stored())


def test_a_new_life_resolves_what_the_last_one_left_on_the_air(bench: Bench) -> None:
    """A part whose intent is on disk and whose PDU never left: EF_SMSS proves it, and it goes once."""
    worker = bench.start()
    warm_up(bench, 4)
    worker.stop()
    worker.join(30)
    ids = bench.send("Avsikt utan pdu")
    with bench.office.database.write() as tx:
        sim = tx.one("SELECT p.tp_mr, p.imei, p.iccid FROM part p ORDER BY p.submitted_at DESC LIMIT 1")
        assert sim is not None
        tx.execute("UPDATE message SET state = 'sending', gateway = 'g', modem = 'm1' WHERE id = ?", ids[0])
        tx.execute(
            "UPDATE part SET state = 'submitting', attempt = 1, gateway = 'g', modem = 'm1', imei = ?, iccid = ?,"
            " submitted_at = ?, smss_baseline = ?, smss_trusted = 1 WHERE message_id = ?",
            sim["imei"],
            sim["iccid"],
            bench.clock.now_ms(),
            sim["tp_mr"],
            ids[0],
        )
    heard_before = len(bench.stick.control.heard())
    started = bench.clock.monotonic()
    bench.start()
    until(lambda: len(bench.stick.control.heard()) > heard_before)
    assert bench.clock.monotonic() - started >= 10.0, "silence first"
    bench.wait_for(ids, "delivered")
    assert bench.texts_on_air()["Avsikt utan pdu"] == 1


def test_nothing_personal_stands_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    bench.start()
    bench.wait_for(bench.send("Hemlig text till Kim"), "delivered")
    bench.stick.control.deliver("+46701740605", "Hemligt svar")
    until(lambda: received(bench) == ["Hemligt svar"])
    said = caplog.text
    assert "Hemlig" not in said
    assert not re.search(r"\+?4670174\d{4}", said)
    assert "1047714060" not in said, "nor a number in its semi-octets"


def parked(bench: Bench) -> int:
    """Whether the modem is parked."""
    with bench.office.database.read() as view:
        return int(view.value("SELECT parked FROM modem"))


def received(bench: Bench) -> list[str]:
    """Texts that came in."""
    with bench.office.database.read() as view:
        return [row["text"] for row in view.all("SELECT text FROM received ORDER BY id")]
