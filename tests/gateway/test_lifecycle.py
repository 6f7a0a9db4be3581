"""The life of a message and the ledger beside it: whatever happens in whatever order, the promises hold.

A state machine of hypothesis plays web, gateway, network and candidates at random on the real flows and a real store; after
each act every invariant is looked at.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.errors import Refused
from gateway.flows import credits, release, settle, stations
from gateway.flows.accept import Accepted
from gateway.flows.cancel import cancel
from gateway.flows.resolve import resolve
from gateway.rules.lifecycle import FINAL, FOLLOWS, LANES, State, may_follow
from gateway.rules.retry import Again, GiveUp
from gateway.store.database import Database
from gateway.store.parts import Part
from gateway.store.seal import seal, verify
from tests.air import Air
from tests.office import Office, open_office

# The table.


def test_every_state_stands_in_the_table_and_the_ends_lead_nowhere_back():
    assert set(FOLLOWS) == set(State)
    for state in (State.DELIVERED, State.FAILED, State.CANCELLED):
        assert FOLLOWS[state] == frozenset()
    assert all(FOLLOWS[state] <= {State.DELIVERED} for state in FINAL)


def test_only_the_queue_leads_to_sending_and_nothing_waiting_is_suddenly_sent():
    assert {before for before, after in product(State, State) if may_follow(before, after) and after is State.SENDING} == {
        State.QUEUED
    }
    assert {before for before in State if may_follow(before, State.SENT)} == {State.SENDING, State.UNKNOWN}


def test_words_that_are_no_state_are_a_bug():
    with pytest.raises(ValueError, match="nonsense"):
        may_follow("nonsense", "sent")


# The machine.

PHONES = {"cand-1": "+46701740605", "cand-2": "+46701740606"}
TEXTS = {1: "Hej", 2: "a" * 200, 3: "a" * 400}
REACHABLE = {
    before: {before} | set(FOLLOWS[before]) | {third for second in FOLLOWS[before] for third in FOLLOWS[second]}
    for before in State
}
GRANTED = 12


@dataclass
class OnAir:
    """What a station has on the air."""

    parts: tuple[Part, ...]
    at: int

    @property
    def part(self) -> Part:
        return self.parts[self.at]


class Life(RuleBasedStateMachine):
    """Two modems on one SIM's sender, two candidates, and everything that can happen."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        wipe(self.database)
        self.office: Office = open_office(self.database, balance=GRANTED)
        self.office.candidate("cand-2", PHONES["cand-2"])
        self.airs = {name: Air(self.office, modem=name) for name in ("m1", "m2")}
        self.on_air: dict[str, OnAir] = {}
        self.states: dict[str, State] = {}
        self.stopped: set[str] = set()
        self.confirmations = 0
        self.granted = GRANTED
        self.reportable: list[tuple[int, str]] = []
        self.left: Counter[tuple[str, int]] = Counter()
        self.heard = 0
        self.tp_mr = 0

    # What the web does.

    @rule(
        ref=st.sampled_from(sorted(PHONES)),
        parts=st.sampled_from([1, 2, 3]),
        lane=st.sampled_from(sorted(LANES)),
        later=st.booleans(),
    )
    def accept(self, ref: str, parts: int, lane: str, later: bool) -> None:
        before = self.office.available()
        outcome = self.office.submit(ref, TEXTS[parts], priority=lane, send_at=self.office.now + 60_000 if later else None)
        if isinstance(outcome, Accepted):
            assert ref not in self.stopped
            assert self.office.available() == before - parts
        else:
            assert outcome.code == ("opted_out" if ref in self.stopped else "insufficient_credits")
            assert self.office.available() == before

    @rule(number=st.integers(1, 4))
    def grant(self, number: int) -> None:
        with self.database.write() as tx:
            credits.grant(
                tx, self.office.organisation_id, number, f"ref-{self.granted}-{self.heard}-{len(self.states)}", "", "op", 0
            )
        self.granted += number

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.states)))
        before = self.states[message_id]
        with self.database.write() as tx:
            done = cancel(tx, message_id, None, "user:eva", self.office.now)
        if before in (State.HELD, State.QUEUED):
            assert done.outcome in ("cancelled", "partly_sent")
        else:
            assert done.outcome == ("already" if before == State.CANCELLED else "too_late")

    @precondition(lambda self: State.UNKNOWN in self.states.values())
    @rule(choice=st.sampled_from(["send_again", "treat_as_sent"]), data=st.data())
    def resolve(self, choice: str, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(key for key, state in self.states.items() if state is State.UNKNOWN)))
        try:
            with self.database.write() as tx:
                resolve(tx, message_id, None, choice, "user:eva", self.office.now)
        except Refused as refused:
            if refused.code != "too_old":
                raise
            return
        if choice == "send_again":  # a person takes it on themselves
            for part in self.airs["m1"].parts(message_id):
                if part.state == "ready":
                    self.left[message_id, part.number] = 0

    # What the gateway and the network do.

    @rule(name=st.sampled_from(["m1", "m2"]))
    def claim(self, name: str) -> None:
        if name in self.on_air:
            return
        claimed = self.airs[name].claim()
        if claimed is None:
            return
        message = claimed.message
        with self.database.read() as view:
            ref = view.value("SELECT ref FROM candidate WHERE id = ?", message["candidate_id"])
            earlier = view.value(
                "SELECT COUNT(*) AS n FROM message WHERE candidate_id = ? AND lane = ? AND state = 'queued' AND seq < ?",
                message["candidate_id"],
                message["lane"],
                message["seq"],
            )
        assert earlier == 0, "the order of a candidate's lane"
        assert message["origin"] == "keyword_reply" or ref not in self.stopped, "something left after STOP"
        assert message["valid_until"] > self.office.now
        self.on_air[name] = OnAir(claimed.parts, 0)
        self._leaves(claimed.parts[0])

    def _leaves(self, part: Part) -> None:
        assert self.left[part.message_id, part.number] == 0, "a part that had left or may have left goes out again"

    def _settle(self, name: str) -> OnAir | None:
        return self.on_air.pop(name, None)

    @rule(name=st.sampled_from(["m1", "m2"]), report_first=st.booleans())
    def sent(self, name: str, report_first: bool) -> None:
        on_air = self._settle(name)
        if on_air is None:
            return
        air, part = self.airs[name], on_air.part
        phone = self._phone(part)
        tp_mr, self.tp_mr = self.tp_mr, (self.tp_mr + 1) % 256
        if report_first:
            air.report(tp_mr, recipient=phone)
        else:
            self.reportable.append((tp_mr, phone))
        self.left[part.message_id, part.number] += 1
        following = on_air.parts[on_air.at + 1] if on_air.at + 1 < len(on_air.parts) else None

        def step(tx: Any) -> None:
            settle.sent(tx, part, tp_mr, self.office.now)
            if following is not None:
                air.intend(tx, following)

        self.database.transact(step)
        if following is not None:
            self._leaves(following)
            self.on_air[name] = OnAir(on_air.parts, on_air.at + 1)

    @rule(name=st.sampled_from(["m1", "m2"]))
    def goes_through(self, name: str) -> None:
        """What the station has, or the next message, leaves whole."""
        if name not in self.on_air:
            self.claim(name)
        while name in self.on_air:
            self.sent(name, False)

    def _phone(self, part: Part) -> str:
        return str(self.office.message(part.message_id)["address"])

    @rule(name=st.sampled_from(["m1", "m2"]), delay=st.sampled_from([0.0, 5.0, 4000.0]), counted=st.booleans())
    def refused(self, name: str, delay: float, counted: bool) -> None:
        if on_air := self._settle(name):
            self.airs[name].refuse(on_air.part, Again(delay, counted=counted), "busy")

    @rule(name=st.sampled_from(["m1", "m2"]))
    def failed(self, name: str) -> None:
        if on_air := self._settle(name):
            self.airs[name].refuse(on_air.part, GiveUp("bad number"), "bad number")

    @rule(name=st.sampled_from(["m1", "m2"]))
    def returned(self, name: str) -> None:
        if on_air := self._settle(name):
            self.database.transact(lambda tx: settle.returned(tx, on_air.part, self.office.now))

    @rule(name=st.sampled_from(["m1", "m2"]), reported=st.sampled_from([None, 0x00, 0x41, 0x20]))
    def unknown(self, name: str, reported: int | None) -> None:
        """The answer is lost; a report may prove the part sent, before or after it is marked unknown."""
        on_air = self._settle(name)
        if on_air is None:
            return
        part, air = on_air.part, self.airs[name]
        tp_mr, self.tp_mr = self.tp_mr, (self.tp_mr + 1) % 256
        self.left[part.message_id, part.number] += 1
        self.database.transact(lambda tx: settle.await_report(tx, part, tp_mr, self.office.now))
        if reported is not None:
            air.report(tp_mr, reported, recipient=self._phone(part))
            self.database.transact(lambda tx: stations.requeue_strays(tx, "g", 1, name, self.office.now))  # the rest goes on
        if air.parts(part.message_id)[part.number - 1].state == "submitting":  # no report, or one that came too late
            air.unknown(part)
            self.reportable.append((tp_mr, self._phone(part)))

    @precondition(lambda self: self.reportable)
    @rule(data=st.data(), status=st.sampled_from([0x00, 0x00, 0x20, 0x41, 0x46, 0x61]))
    def report(self, data: st.DataObject, status: int) -> None:
        tp_mr, phone = data.draw(st.sampled_from(self.reportable))
        self.airs["m1"].report(tp_mr, status, recipient=phone)

    @rule(seconds=st.sampled_from([1, 61, 5000, 80 * 3600, 200 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.office.now += seconds * 1000
        release.sweep(self.database, self.office.now)

    # What candidates say.

    @rule(ref=st.sampled_from(sorted(PHONES)))
    def says_stop(self, ref: str) -> None:
        self._hear("STOPP", ref)
        self.confirmations += ref not in self.stopped
        self.stopped.add(ref)
        with self.database.read() as view:
            waiting = view.value(
                "SELECT COUNT(*) AS n FROM message m JOIN candidate c ON c.id = m.candidate_id WHERE c.ref = ?"
                " AND m.state IN ('held', 'queued') AND m.origin = 'user'",
                ref,
            )
        assert waiting == 0

    @rule(ref=st.sampled_from(sorted(PHONES)))
    def says_start(self, ref: str) -> None:
        self._hear("START", ref)
        self.stopped.discard(ref)

    def _hear(self, text: str, ref: str) -> None:
        self.heard += 1
        self.office.hear(text, PHONES[ref], scts=self.office.now + self.heard * 1000)

    # What must hold at any time.

    @invariant()
    def the_books_are_right(self) -> None:
        available = self.office.available()  # verifies ledger and balance
        with self.database.read() as view:
            balance = credits.balance(view, self.office.organisation_id)
            open_reserves = view.value("SELECT COALESCE(SUM(credits), 0) AS n FROM message WHERE settled_at IS NULL")
            charged = view.value("SELECT COALESCE(SUM(charged), 0) AS n FROM ledger")
            twice = view.all(
                "SELECT message_id FROM ledger WHERE kind IN ('settle', 'refund') GROUP BY message_id, kind HAVING COUNT(*) > 1"
            )
        assert balance.reserved == open_reserves
        assert available >= 0
        assert self.granted == available + balance.reserved + charged
        assert twice == []

    @invariant()
    def every_change_of_state_was_lawful(self) -> None:
        with self.database.read() as view:
            rows = view.all("SELECT id, state, origin, settled_at, candidate_id FROM message")
            busy = view.all("SELECT candidate_id FROM message WHERE state = 'sending' GROUP BY candidate_id HAVING COUNT(*) > 1")
        assert busy == []
        for row in rows:
            now, before = State(row["state"]), self.states.get(row["id"])
            assert before is None or now in REACHABLE[before], f"{before} became {now}"
            assert (row["settled_at"] is not None) >= (now in FINAL or now is State.SENT)
            self.states[row["id"]] = now

    @invariant()
    def parts_fit_their_message(self) -> None:
        with self.database.read() as view:
            rows = view.all("SELECT m.state, p.state AS part, m.id FROM part p JOIN message m ON m.id = p.message_id")
        parts: dict[str, set[str]] = {}
        for row in rows:
            parts.setdefault(row["id"], set()).add(row["part"])
        for message_id, states in parts.items():
            state = self.states[message_id]
            assert ("submitting" in states) == (state is State.SENDING)
            assert ("unknown" in states) == (state is State.UNKNOWN)
            if state in (State.SENT, State.DELIVERED, State.UNDELIVERED):
                assert states <= {"sent", "delivered", "undelivered"}
            if state is State.DELIVERED:
                assert states == {"delivered"}
            if state in (State.HELD, State.QUEUED):
                assert "ready" in states

    @invariant()
    def a_stop_is_confirmed_once(self) -> None:
        with self.database.read() as view:
            assert view.value("SELECT COUNT(*) AS n FROM message WHERE kind = 'stop_confirmation'") == self.confirmations

    def teardown(self) -> None:
        seal(self.database)
        with self.database.read() as view:
            assert verify(view) is None
            for table in ("audit", "event"):
                positions = [row["position"] for row in view.all(f"SELECT position FROM {table} ORDER BY position")]
                assert positions == list(range(1, len(positions) + 1))


def wipe(database: Database) -> None:
    """An empty store, faster than a new one."""
    cursor = database._engine.cursor()
    if database.is_postgresql:
        rows = cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = [
            row["tablename"] for row in rows if row["tablename"] not in ("setting", "migration", "migrations", "migrationhistory")
        ]
        cursor.execute(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")
        if not database.peewee.connection().autocommit:
            cursor.execute("COMMIT")
        return
    names = [row["name"] for row in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.execute("BEGIN")
    for name in names:
        if name != "setting" and "migration" not in name and not name.startswith("sqlite_"):
            cursor.execute(f"DELETE FROM {name}")
    cursor.execute("COMMIT")
    cursor.execute("PRAGMA foreign_keys = ON")


def test_whatever_happens_the_promises_hold(database):
    examples = 15 if database.is_postgresql else 50
    machine = type("Life", (Life,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
