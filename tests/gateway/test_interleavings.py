"""Recruiters, candidates, the network, the clock and the power switch, in any order: what must hold, holds after every act.

A state machine of hypothesis plays on the real flows and a real store and keeps a small model of its own: who has consented,
whose number said STOP, what may have left. Whatever the flows do is judged by the model, never by the flows' own rules.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.errors import LeaseLost, Refused
from gateway.flows import consent_sweep, credits, release, settle, stations, usage_days
from gateway.flows import erase as erasing
from gateway.flows.accept import Accepted
from gateway.flows.cancel import cancel
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.claim import Claimed, claim
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.facts import consent_status
from gateway.radio.aftermath import Aftermath
from gateway.radio.evidence import REPORT_WAIT_S
from gateway.rules.lifecycle import FINAL, LANES, State
from gateway.rules.periods import Period
from gateway.rules.retry import Again, GiveUp
from gateway.store import lists_reports
from gateway.store.database import Database, Row, Transaction
from gateway.store.parts import Part
from gateway.store.seal import seal, verify
from tests.air import Air
from tests.gateway.test_lifecycle import wipe
from tests.office import EVIDENCE, PHONE_KEY, Office, open_office
from tests.support import ManualClock

PHONES = {"cand-1": "+46701740605", "cand-2": "+46701740606", "twin": "+46701740606", "gwen": "+447400123456"}
"""`twin` shares a number with `cand-2`; `gwen` lives where START must confirm a consent."""
ZONES = {"+46": ZoneInfo("Europe/Stockholm"), "+44": ZoneInfo("Europe/London")}
HOURS = {"weekdays": "08:00-20:00", "saturday": "10:00-18:00", "sunday": "hold"}
WINDOWS = [*[(8, 20)] * 5, (10, 18), (0, 0)]
"""The same, Monday to Sunday, for the judge."""
TEXTS = {1: "Hej", 2: "a" * 200, 3: "a" * 400}
GRANTED = 40
ANSWER_MS = 30 * 60_000
REPORT_EARLY_MS, REPORT_LATE_MS = 120_000, 48 * 3_600_000
"""A report from longer before a part's intent, or after its message's validity, is of another one with the same TP-MR."""
BEFORE_CONSENT = ("consent_optin", "consent_reminder")
ANSWERS = ("stop_confirmation", "help", "start_confirm", "how_to_apply")


@dataclass
class Known:
    """What the model knows of a candidate's consent."""

    status: str = "none"
    once: bool = False
    """Granted (or granted but for START) at least once for this number."""


class Card(Air):
    """A station whose card keeps the network's reference in a file that has earned trust."""

    def intend(self, tx: Transaction, part: Part) -> None:
        settle.intend(tx, part, self.station, reference=None, baseline=self.tp_mr, trusted=True, now=self.office.now)


class Between(RuleBasedStateMachine):
    """One modem, four candidates in two countries, twelve credits at a time, and everything that can happen."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(self.url)
        wipe(self.database)
        self.office: Office = open_office(self.database, balance=GRANTED)
        self.granted = GRANTED
        self.known: dict[str, Known] = {"cand-1": Known("granted", True)}
        self.stopped: set[str] = set()
        self.confirmations = 0
        self.wrote: list[tuple[str, int]] = []
        self.erasing: set[str] = set()
        self.left: Counter[tuple[str, int]] = Counter()
        self.on_air: tuple[Part, ...] = ()
        self.reportable: list[tuple[int, str]] = []
        self.states: dict[str, State] = {}
        self.epoch = 1
        self.last_scts = 0
        self.grants = 0
        with self.database.write() as tx:
            tx.execute("UPDATE country SET hours = ? WHERE iso = 'SE'", json.dumps(HOURS))
            values = {"state": "active", "opt_in": "double", "hours": json.dumps(HOURS), "price": 1, "updated_at": 0}
            tx.insert("country", iso="GB", channel="sms", **values)
        self.air = Card(self.office)

    @initialize(introduced=st.booleans())
    def everybody_applies(self, introduced: bool) -> None:
        for ref, phone in PHONES.items():
            if ref not in self.known and introduced:
                self.office.candidate(ref, phone, consent=False)
                self.known[ref] = Known()
            elif ref not in self.known:
                self._put(ref)
            self.consents(ref, "granted")

    # What recruiters and their system do.

    @rule(
        ref=st.sampled_from(sorted(PHONES)),
        parts=st.sampled_from([1, 1, 2, 3]),
        lane=st.sampled_from(sorted(LANES)),
        later=st.sampled_from([None, None, 60_000, 12 * 3_600_000]),
    )
    def send(self, ref: str, parts: int, lane: str, later: int | None) -> None:
        before = self.office.available()
        send_at = None if later is None else self.office.now + later
        outcome = self.office.submit(ref, TEXTS[parts], priority=lane, send_at=send_at)
        after = self.office.available()
        if isinstance(outcome, Accepted):
            assert PHONES[ref] not in self.stopped
            assert self.known[ref].status in ("granted", "pending_double_opt_in")
            assert ref not in self.erasing, "something new for somebody who is being erased"
            assert after == before - parts - sum(each.credits for each in outcome.companions)
            return
        assert after == before
        if ref not in self.known:
            assert outcome.code == "candidate_not_found"
        elif ref in self.erasing:
            assert outcome.code == "candidate_erasing"
        elif PHONES[ref] in self.stopped or self.known[ref].status == "revoked":
            assert outcome.code == "opted_out"
        elif self.known[ref].status not in ("granted", "pending_double_opt_in"):
            assert outcome.code == "consent_required"
        else:
            assert outcome.code == "insufficient_credits"

    @rule(number=st.integers(1, 6))
    def grant(self, number: int) -> None:
        self.grants += 1
        with self.database.write() as tx:
            credits.grant(tx, self.office.organisation_id, number, f"order-{self.grants}", "", "op", self.office.now)
        self.granted += number

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.states)))
        before, available = self.states[message_id], self.office.available()
        try:
            with self.database.write() as tx:
                done = cancel(tx, message_id, None, "user:eva", self.office.now)
        except Refused as refused:
            code = refused.code
            assert code == "has_followers"
            assert self.office.available() == available
            return
        waited = before in (State.HELD, State.QUEUED)
        assert (done.outcome in ("cancelled", "partly_sent")) == waited
        assert self.office.available() >= available + done.credits_refunded

    @rule(ref=st.sampled_from(sorted(PHONES)), status=st.sampled_from(["granted", "granted", "revoked"]))
    def consents(self, ref: str, status: str) -> None:
        """The applicant tracking system pushes a consent, or its withdrawal."""
        phone, was_stopped = PHONES[ref], PHONES[ref] in self.stopped
        push = ConsentPush(status=status, captured_at=self.office.now, evidence=EVIDENCE)
        try:
            with self.database.write() as tx:
                push_consent(tx, self.office.organisation_id, ref, "sms", push, "key:test", self.office.now)
        except Refused as refused:
            code = refused.code
            if ref not in self.known:
                assert code == "candidate_not_found"
                return
            if ref in self.erasing:
                assert (code, status) == ("candidate_erasing", "granted")
                return
            assert code == "opted_out"
            assert status == "granted"
            assert was_stopped or self.known[ref].status == "revoked", "a consent refused for nothing"
            return
        if status == "revoked":
            self._revoked(phone)
            confirmed = self._confirmed() - self.confirmations
            assert confirmed in ((0,) if was_stopped else (0, 1)), "a second confirmation"
            self.confirmations += confirmed
            return
        assert not was_stopped, "a consent that a STOP forbids"
        assert self.known[ref].status != "revoked"
        if self.known[ref].status not in ("granted", "pending_double_opt_in"):
            self.known[ref].status = "pending_double_opt_in" if phone.startswith("+44") else "granted"
        self.known[ref].once = True

    @rule(ref=st.sampled_from(sorted(PHONES)))
    def erase(self, ref: str) -> None:
        now = self.office.now
        try:
            with self.database.write() as tx:
                done = erasing.erase(tx, self.office.organisation_id, ref, "asked", now, "key:test", now)
        except Refused as refused:
            code = refused.code
            assert code == "candidate_not_found"
            assert ref not in self.known
            return
        if done.state == "done":
            self._forgotten(ref)
        else:
            assert self.on_air, "an erasure waits for nothing"
            self.erasing.add(ref)

    @precondition(lambda self: len(self.known) < len(PHONES))
    @rule(data=st.data())
    def comes_back(self, data: st.DataObject) -> None:
        """Somebody who was erased applies once more; what they said by STOP still counts."""
        ref = data.draw(st.sampled_from(sorted(set(PHONES) - set(self.known))))
        self._put(ref)
        self.consents(ref, "granted")
        assert self.known[ref].status != "granted" or PHONES[ref] not in self.stopped

    def _put(self, ref: str) -> None:
        fields = CandidateFields(first_name="Kim", last_name="Berg", phone_raw=PHONES[ref], region="SE", language="sv")
        with self.database.write() as tx:
            put_candidate(tx, self.office.organisation_id, ref, fields, "key:test", self.office.now, phone_key=PHONE_KEY)
        self.known[ref] = Known()

    def _forgotten(self, ref: str) -> None:
        del self.known[ref]
        self.erasing.discard(ref)

    # What candidates say.

    @rule(phone=st.sampled_from(sorted(set(PHONES.values()))))
    def says_stop(self, phone: str) -> None:
        self.confirmations += phone not in self.stopped
        self._hear("STOPP" if phone.startswith("+46") else "STOP", phone)
        self._revoked(phone)

    def _revoked(self, phone: str) -> None:
        self.stopped.add(phone)
        for ref, known in self.known.items():
            if PHONES[ref] == phone and known.status in ("granted", "pending_double_opt_in", "requested"):
                known.status = "revoked"
        with self.database.read() as view:
            waiting = view.value(
                "SELECT COUNT(*) AS n FROM message WHERE address = ? AND state IN ('held', 'queued') AND origin = 'user'", phone
            )
        assert waiting == 0, "something still waits after STOP"

    @rule(phone=st.sampled_from(sorted(set(PHONES.values()))))
    def says_start(self, phone: str) -> None:
        self._hear("START", phone)
        self.stopped.discard(phone)
        for ref, known in self.known.items():
            if PHONES[ref] == phone and known.status in ("revoked", "pending_double_opt_in"):
                known.status = "granted" if known.once else "requested"

    @rule(phone=st.sampled_from(sorted(set(PHONES.values()))), text=st.sampled_from(["Tack!", "HELP", "HJÄLP"]))
    def says(self, phone: str, text: str) -> None:
        self._hear(text, phone)

    def _hear(self, text: str, phone: str) -> None:
        self.last_scts = max(self.last_scts + 1000, self.office.now)  # no two texts are one text read twice
        self.wrote.append((phone, self.office.now))
        self.office.hear(text, phone, scts=self.last_scts)

    # What the gateway and the network do.

    @rule()
    def claims(self) -> None:
        if self.on_air:
            return
        claimed = self.air.claim()
        if claimed is not None:
            self._judge(claimed)
            self._leaves(claimed.parts[0])
            self.on_air = claimed.parts

    def _judge(self, claimed: Claimed) -> None:
        """A message has gone from the queue to the air: may it?"""
        message, now, phone = claimed.message, self.office.now, str(claimed.message["address"])
        assert message["valid_until"] > now
        with self.database.read() as view:
            candidate = view.one("SELECT * FROM candidate WHERE id = ?", message["candidate_id"])
            before = view.value(
                "SELECT COUNT(*) AS n FROM message WHERE candidate_id = ? AND id <> ? AND (state = 'sending'"
                " OR (state = 'queued' AND lane = ? AND seq < ?))",
                message["candidate_id"],
                message["id"],
                message["lane"],
                message["seq"],
            )
            first = view.one("SELECT kind, state FROM message WHERE id = ?", message["after_message_id"] or "")
        assert before == 0, "the order of a candidate's lane"
        if message["origin"] == "keyword_reply":
            assert message["kind"] in ANSWERS
            return
        assert message["origin"] == "user"
        assert candidate is not None
        assert candidate["erased_at"] is None, "something left for somebody erased"
        self._judge_consent(message, candidate)
        if first is not None and first["kind"] == "identification":
            assert first["state"] in (State.SENT, State.DELIVERED, State.UNDELIVERED), "a text went before who writes it"
        if message["kind"] not in ("identification", *BEFORE_CONSENT):
            assert self._is_introduced(message), "a text to somebody who was never told who writes"
        answers = message["lane"] != LANES["bulk"] and any(
            who == phone and now - ANSWER_MS < at <= min(now, message["accepted_at"]) for who, at in self.wrote
        )
        assert answers or in_window(phone, now), f"{message['kind']} left inside quiet hours"

    def _is_introduced(self, message: Row) -> bool:
        """Whether this number of ours has told the candidate before who writes: by an identification or an invitation."""
        with self.database.read() as view:
            if view.one("SELECT 1 AS yes FROM companion WHERE candidate_id = ? AND message_id IS NULL", message["candidate_id"]):
                return True
            said = view.one(
                "SELECT 1 AS yes FROM message WHERE candidate_id = ? AND sender_id = ? AND ((kind = 'identification'"
                " AND state IN ('sent', 'delivered', 'undelivered')) OR (kind = 'consent_optin'"
                " AND state IN ('sent', 'delivered', 'undelivered', 'unknown')))",
                message["candidate_id"],
                message["sender_id"],
            )
        return said is not None

    def _judge_consent(self, message: Row, candidate: Row) -> None:
        known = self.known[candidate["ref"]]
        assert candidate["phone"] == message["address"]
        assert message["address"] not in self.stopped, "something left after STOP"
        waiting_for_start = known.status == "pending_double_opt_in" and message["kind"] in BEFORE_CONSENT
        assert known.status == "granted" or waiting_for_start, f"{message['kind']} left while consent was {known.status}"

    def _leaves(self, part: Part) -> None:
        assert self.left[part.message_id, part.number] == 0, "a part that left or may have left goes out again"

    @precondition(lambda self: self.on_air)
    @rule()
    def takes_it(self) -> None:
        """The network takes the part; the next one follows in the same commit."""
        (part, *rest), self.on_air = self.on_air, ()
        self._gone(part)

        def step(tx: Transaction) -> None:
            settle.sent(tx, part, self.air.tp_mr, self.office.now)
            if rest:
                self.air.intend(tx, rest[0])

        self.database.transact(step)
        if rest:
            self._leaves(rest[0])
            self.on_air = tuple(rest)

    @rule()
    def sends_on(self) -> None:
        """What is on the air, or the next message, leaves whole."""
        self.claims()
        while self.on_air:
            self.takes_it()

    def _gone(self, part: Part) -> None:
        self.air.tp_mr = (self.air.tp_mr + 1) % 256
        self.left[part.message_id, part.number] += 1
        self.reportable.append((self.air.tp_mr, str(self.office.message(part.message_id)["address"])))

    @precondition(lambda self: self.on_air)
    @rule(verdict=st.sampled_from([Again(0.0), Again(4000.0), Again(5.0, counted=False), GiveUp("bad number"), None]))
    def takes_it_not(self, verdict: Again | GiveUp | None) -> None:
        (part, *_), self.on_air = self.on_air, ()
        if verdict is None:
            self.database.transact(lambda tx: settle.returned(tx, part, self.office.now))
        else:
            self.air.refuse(part, verdict, "refused")

    @rule(number=st.integers(1, 2))
    def a_retry_is_overtaken_by_nobody(self, number: int) -> None:
        """The network is busy for an hour; meanwhile the recruiter writes on."""
        self.claims()
        if not self.on_air:
            return
        message = self.office.message(self.on_air[0].message_id)
        with self.database.read() as view:
            ref = view.value("SELECT ref FROM candidate WHERE id = ?", message["candidate_id"])
        self.takes_it_not(Again(4000.0))
        if ref in PHONES:
            for _ in range(number):
                self.send(ref, 1, next(name for name, lane in LANES.items() if lane == message["lane"]), None)
        self.claims()

    @precondition(lambda self: self.reportable)
    @rule(data=st.data(), status=st.sampled_from([0x00, 0x00, 0x20, 0x46]))
    def reports(self, data: st.DataObject, status: int) -> None:
        tp_mr, phone = data.draw(st.sampled_from(self.reportable))
        self.air.report(tp_mr, status, recipient=phone)

    # The power goes, and the gateway starts again.

    @rule(
        fate=st.sampled_from(["left", "left_between_parts", "stayed", "stayed_unproved"]),
        reported=st.sampled_from([False, True]),
    )
    def restarts(self, fate: str, reported: bool) -> None:
        on_air, self.on_air = self.on_air, ()
        if on_air and fate.startswith("left"):
            self._gone(on_air[0])
        if on_air and fate == "left_between_parts":  # its outcome is on disk, the intent of the next part is not
            self.database.transact(lambda tx: settle.sent(tx, on_air[0], self.air.tp_mr, self.office.now))
        former = self.air.station
        self.database.close()
        self.database = self.office.database = Database(self.url)
        self.epoch += 1
        with self.database.write() as tx:
            tx.execute("UPDATE gateway SET epoch = ? WHERE name = ?", self.epoch, former.gateway)
        with pytest.raises(LeaseLost):
            self.database.transact(lambda tx: claim(tx, former, (0, 1, 2), self.office.now))
        self.air.station = replace(former, epoch=self.epoch)
        self._aftermath(on_air, fate, reported)
        self._sweeps()

    def _aftermath(self, on_air: tuple[Part, ...], fate: str, reported: bool) -> None:
        clock, station = ManualClock(self.office.now), self.air.station
        before = self._part_states(on_air)

        def transact(step: Any) -> None:
            self.database.transact(lambda tx: step(tx, self.office.now))

        aftermath = Aftermath(station.gateway, station.modem, self.database, clock, transact)
        aftermath.weigh_all(station, fate == "stayed_unproved", self.air.tp_mr)
        transact(lambda tx, now: stations.requeue_strays(tx, station.gateway, self.epoch, station.modem, now))
        if on_air and fate == "left" and reported:
            self.air.report(*self.reportable[-1][:1], recipient=self.reportable[-1][1])
        clock.advance(REPORT_WAIT_S + 1)
        aftermath.look_again(station, self.epoch)
        if on_air and before:
            after = self._part_states(on_air)[0]
            told = "delivered" if reported and self._may_be_of(on_air[0]) else "unknown"
            wanted = {"left": told, "left_between_parts": before[0], "stayed": "ready", "stayed_unproved": "unknown"}
            assert after == wanted[fate]
        with self.database.read() as view:
            assert view.value("SELECT COUNT(*) AS n FROM message WHERE state = 'sending'") == 0, "nothing is on the air now"

    def _may_be_of(self, part: Part) -> bool:
        """Whether a report that the network writes now proves that the part left: neither long before its intent nor too late."""
        with self.database.read() as view:
            at = view.value("SELECT submitted_at FROM part WHERE message_id = ? AND number = ?", part.message_id, part.number)
        return at - REPORT_EARLY_MS <= self.office.now <= self.office.message(part.message_id)["valid_until"] + REPORT_LATE_MS

    def _part_states(self, on_air: tuple[Part, ...]) -> list[str]:
        return self.air.part_states(on_air[0].message_id)[on_air[0].number - 1 :] if on_air else []

    # The clock.

    @rule(seconds=st.sampled_from([1, 61, 1900, 5000, 40 * 3600, 80 * 3600, 200 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.office.now += seconds * 1000
        self._sweeps()

    @rule(zone=st.sampled_from(sorted(ZONES)), hour=st.sampled_from([8, 10, 18, 20]), off=st.sampled_from([-1, 0, 1]))
    def clock_comes_to_an_edge(self, zone: str, hour: int, off: int) -> None:
        """To the moment at which windows open or shut, or a millisecond beside it."""
        local = datetime.fromtimestamp(self.office.now / 1000, UTC).astimezone(ZONES[zone])
        edge = local.replace(hour=hour, minute=0, second=0, microsecond=0)
        if edge <= local + timedelta(seconds=1):
            edge += timedelta(days=1)
        self.office.now = round(edge.timestamp() * 1000) + off
        self._sweeps()

    @rule(seconds=st.sampled_from([5, 3600]), noticed=st.booleans())
    def clock_is_set_back(self, seconds: int, noticed: bool) -> None:
        self.office.now -= seconds * 1000
        if noticed:
            self._sweeps()

    @rule(days=st.sampled_from([1, 2, 4]))
    def days_pass_and_are_counted(self, days: int) -> None:
        self.time_passes(days * 24 * 3600)
        usage_days.count(self.database, self.office.now)
        self.reports_are_what_rows_say()

    def reports_are_what_rows_say(self) -> None:
        """Looked at whenever days were counted, and at the end: late words of the network and erasures came in between."""
        everything = Period(0, self.office.now + 1)
        with self.database.read() as view:
            for keys in ((), ("user_id", "country")):
                rows = lists_reports.usage_of_rows(view, self.office.organisation_id, everything, keys)
                assert lists_reports.usage(view, self.office.organisation_id, everything, keys) == rows

    def _sweeps(self) -> None:
        """A round of the gateway's housekeeping; erasures that waited are done, consents may have run out."""
        release.sweep(self.database, self.office.now)
        erasing.sweep(self.database, self.office.now)
        consent_sweep.sweep(self.database, self.office.now)
        with self.database.read() as view:
            present = {row["ref"] for row in view.all("SELECT ref FROM candidate WHERE erased_at IS NULL")}
            for ref in sorted(self.erasing - present):
                self._forgotten(ref)
            for ref, known in self.known.items():
                candidate = view.one("SELECT * FROM candidate WHERE ref = ?", ref)
                assert candidate is not None
                if known.status != "revoked" and consent_status(view, candidate, "sms", "recruiting_process") == "expired":
                    known.status = "expired"
        assert self.on_air or not self.erasing, "an erasure waits though nothing is on the air"

    # What must hold at any time.

    @invariant()
    def the_books_are_right(self) -> None:
        with self.database.read() as view:
            assert credits.verify(view) == []
            balance = credits.balance(view, self.office.organisation_id)
            reserved = view.value("SELECT COALESCE(SUM(credits), 0) AS n FROM message WHERE settled_at IS NULL")
            charged = view.value("SELECT COALESCE(SUM(charged), 0) AS n FROM ledger")
        assert balance.available >= 0
        assert balance.reserved == reserved
        assert self.granted == balance.available + balance.reserved + charged

    @invariant()
    def consent_is_what_people_said(self) -> None:
        with self.database.read() as view:
            found = {
                row["ref"]: consent_status(view, row, "sms", "recruiting_process")
                for row in view.all("SELECT * FROM candidate WHERE erased_at IS NULL")
            }
            stops = view.value("SELECT COUNT(*) AS n FROM suppression")
        assert found == {ref: known.status for ref, known in self.known.items()}
        assert stops == len(self.stopped)

    @invariant()
    def companions_go_with_their_texts(self) -> None:
        """Nobody is asked for START for nothing; and no text runs out before the companion that it waits for."""
        with self.database.read() as view:
            asking = view.all(
                "SELECT id FROM message m WHERE m.kind IN ('consent_optin', 'consent_reminder') AND m.state IN ('held', 'queued')"
                " AND NOT EXISTS (SELECT 1 FROM message t WHERE t.candidate_id = m.candidate_id AND t.state IN ('held', 'queued')"
                " AND t.origin = 'user' AND t.kind NOT IN ('consent_optin', 'consent_reminder'))"
            )
            outlived = view.all(
                "SELECT t.id FROM message t JOIN message f ON f.id = t.after_message_id WHERE t.state IN ('held', 'queued')"
                " AND f.kind = 'identification' AND f.state IN ('held', 'queued') AND t.valid_until > f.valid_until"
            )
            alone = view.all(
                "SELECT id FROM message f WHERE f.kind = 'identification' AND f.state IN ('held', 'queued')"
                " AND NOT EXISTS (SELECT 1 FROM message t WHERE t.after_message_id = f.id AND t.state IN ('held', 'queued'))"
            )
        assert (asking, outlived, alone) == ([], [], [])

    @invariant()
    def a_stop_is_confirmed_once(self) -> None:
        assert self._confirmed() == self.confirmations

    def _confirmed(self) -> int:
        with self.database.read() as view:
            return int(view.value("SELECT COUNT(*) AS n FROM message WHERE kind = 'stop_confirmation'"))

    @invariant()
    def nothing_is_on_its_way_unseen(self) -> None:
        with self.database.read() as view:
            rows = view.all("SELECT id, state, settled_at FROM message")
        on_air = {part.message_id for part in self.on_air}
        assert {row["id"] for row in rows if row["state"] == State.SENDING} == on_air
        for row in rows:
            state, before = State(row["state"]), self.states.get(row["id"])
            assert before not in (State.CANCELLED, State.DELIVERED, State.FAILED) or state is before
            assert row["settled_at"] is not None or (state not in FINAL and state is not State.SENT)
            self.states[row["id"]] = state

    def teardown(self) -> None:
        try:
            self.reports_are_what_rows_say()
            seal(self.database)
            with self.database.read() as view:
                assert verify(view) is None, "the audit chain"
        finally:
            self.database.close()


def in_window(phone: str, moment: int) -> bool:
    """Whether the people of this number may be written to, by the window table of this test."""
    local = datetime.fromtimestamp(moment // 1000, UTC).astimezone(ZONES[phone[:3]])
    first, last = WINDOWS[local.weekday()]
    return first <= local.hour < last


def test_in_whatever_order_things_happen_the_rules_hold(database: Database) -> None:
    database.close()
    machine = type("Between", (Between,), {"url": database.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20 if database.is_postgresql else 200,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


@pytest.mark.parametrize("introduced", [True, False])
def test_start_while_its_invitation_is_on_the_air_which_gives_it_back(database: Database, introduced: bool) -> None:
    """Found by the search above: a STOP then met a text that the end of the invitation had just let go."""
    database.close()
    machine = type("Between", (Between,), {"url": database.url})()
    acts: list[Callable[[], None]] = [
        lambda: machine.everybody_applies(introduced=introduced),
        lambda: machine.send("gwen", 1, "bulk", None),
        machine.claims,
        lambda: machine.says_start("+447400123456"),
        lambda: machine.a_retry_is_overtaken_by_nobody(1),
        lambda: machine.says_stop("+447400123456"),
    ]
    _play(machine, acts)


@pytest.mark.parametrize("ref", ["gwen", "cand-2"])
def test_a_withdrawal_while_a_companion_is_on_the_air_which_gives_it_back(database: Database, ref: str) -> None:
    """Found by the search above: the companion of nothing stood in the queue again, until its turn."""
    database.close()
    machine = type("Between", (Between,), {"url": database.url})()
    acts: list[Callable[[], None]] = [
        lambda: machine.everybody_applies(introduced=False),
        lambda: machine.send(ref, 1, "bulk", None),
        machine.claims,
        lambda: machine.consents(ref, "revoked"),
        lambda: machine.takes_it_not(Again(4000.0)),
    ]

    def companions_are_cancelled() -> None:
        with machine.database.read() as view:
            rows = view.all("SELECT state FROM message WHERE kind IN ('consent_optin', 'identification')")
        assert [row["state"] for row in rows] == ["cancelled"]

    _play(machine, [*acts, companions_are_cancelled])


def _play(machine: Between, acts: Sequence[Callable[[], None]]) -> None:
    try:
        for act in acts:
            act()
            for name in HELD_AT_ANY_TIME:
                getattr(machine, name)()
    finally:
        machine.teardown()


HELD_AT_ANY_TIME = (
    "the_books_are_right",
    "consent_is_what_people_said",
    "companions_go_with_their_texts",
    "a_stop_is_confirmed_once",
    "nothing_is_on_its_way_unseen",
)


def test_the_judge_of_windows_knows_its_edges() -> None:
    friday = datetime(2026, 3, 6, 7, tzinfo=UTC)  # 08:00 in Stockholm, 07:00 in London
    at = round(friday.timestamp() * 1000)
    assert [in_window("+46701740605", at + off) for off in (-1, 0)] == [False, True]
    assert [in_window("+447400123456", at + off) for off in (0, 3_600_000 - 1, 3_600_000)] == [False, False, True]
    closes = at + 12 * 3_600_000
    assert [in_window("+46701740605", closes + off) for off in (-1, 0)] == [True, False]
    assert not in_window("+46701740605", at + 2 * 86_400_000 + 3_600_000)
