"""A small office for tests: one organisation, a recruiter on a case's team, candidates who have opted in, a SIM, credits.

Its candidates know who writes already, so that no identification goes before their first text.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.desk import open_desk
from gateway.errors import Refused
from gateway.flows import credits
from gateway.flows.accept import Accepted, submit
from gateway.flows.candidates import CandidateFields, CaseFields, put_candidate, put_case
from gateway.flows.companions import introduced
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.receive import Desk, process, store_raw
from gateway.flows.submissions import Submission
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction
from gateway.store.setup import create_organisation, create_user
from modem.pdu import Address, Concat, Deliver, StatusReport
from modem.segments import split

PHONE_KEY = b"k" * 32
ICCID = "8946071512345678901"
IMEI = "490154203237518"
NOW = 1_772_445_600_000
EVIDENCE = {"wording_version": "1", "wording_text": "Yes, text me about my application."}


@dataclass
class Office:
    """Handles on what was set up; `now` is the time that its acts carry."""

    database: Database
    organisation_id: str
    user_id: str
    case_id: str
    sender_id: str
    now: int = NOW
    desk: Desk = field(default_factory=lambda: open_desk(PHONE_KEY))
    _number: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def submission(self, ref: str = "cand-1", text: str | None = "Hej!", **changes: object) -> Submission:
        """A submission that passes every gate."""
        plain = Submission(
            organisation_id=self.organisation_id,
            actor="key:test",
            user="eva@acme.example",
            candidate_ref=ref,
            case_ref="job-7",
            channel="sms",
            kind="contact",
            text=text,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def submit(self, ref: str = "cand-1", text: str | None = "Hej!", **changes: object) -> Accepted | Refused:
        """Submit a message; what became of it."""
        return self.database.together(lambda tx: submit(tx, self.submission(ref, text, **changes), self.now))

    def accept(self, ref: str = "cand-1", text: str | None = "Hej!", **changes: object) -> Accepted:
        """Submit a message that must be accepted."""
        outcome = self.submit(ref, text, **changes)
        assert isinstance(outcome, Accepted), outcome
        return outcome

    def candidate(self, ref: str, phone: str, *, consent: bool = True) -> Row:
        """Add a candidate, opted in unless told otherwise."""
        fields = CandidateFields(first_name="Kim", last_name="Berg", phone_raw=phone, region="SE", language="sv")
        with self.database.write() as tx:
            row = put_candidate(tx, self.organisation_id, ref, fields, "key:test", self.now, phone_key=PHONE_KEY)
            if consent:
                push = ConsentPush(status="granted", captured_at=self.now, evidence=EVIDENCE)
                push_consent(tx, self.organisation_id, ref, "sms", push, "key:test", self.now)
            if row["phone_hash"] is not None:
                introduced(tx, row["id"], self.sender_id, f"case:{self.case_id}", row["phone_hash"], self.now)
        return row

    def candidates(self, count: int) -> list[str]:
        """Add many; their references."""
        refs = []
        for _ in range(count):
            number = next(self._number)
            refs.append(f"many-{number}")
            self.candidate(refs[-1], f"+4670174{number:04d}")
        return refs

    def senders_on(self, tx: Transaction, cards: Sequence[str]) -> list[str]:
        """One sender number per card, the office's own on the first; their ids in that order."""
        tx.execute("UPDATE sender SET iccid = ? WHERE id = ?", cards[0], self.sender_id)
        senders = [self.sender_id]
        for number, card in enumerate(cards[1:], 1):
            senders.append(ids.new("snd"))
            tx.insert(
                "sender",
                id=senders[-1],
                organisation_id=self.organisation_id,
                number=f"+4670000000{number}",
                iccid=card,
                countries='["SE"]',
                international=1,
                gap_ms=0,
                updated_at=self.now,
            )
        tx.flush()
        return senders

    def hear(self, text: str, sender: str = "+46701740605", *, scts: int | None = None) -> None:
        """A text message comes in over the office's SIM."""
        for pdu in incoming(text, sender, at=scts or self.now):
            self.take_in(pdu)

    def take_in(self, pdu_hex: str, *, iccid: str = ICCID) -> None:
        """One PDU from the modem, stored and processed."""
        with self.database.write() as tx:
            row = store_raw(tx, gateway="test", imei=IMEI, iccid=iccid, pdu_hex=pdu_hex, now=self.now)
            process(tx, row, self.desk, self.now)

    def message(self, message_id: str) -> Row:
        """A message's row."""
        with self.database.read() as view:
            row = view.one("SELECT * FROM message WHERE id = ?", message_id)
        assert row is not None
        return row

    def state(self, message_id: str) -> str:
        """A message's state."""
        return str(self.message(message_id)["state"])

    def available(self) -> int:
        """Credits that may be spent."""
        with self.database.read() as view:
            assert credits.verify(view) == []
            return credits.balance(view, self.organisation_id).available

    def audit_actions(self) -> list[str]:
        """What the audit says, in order."""
        with self.database.read() as view:
            return [row["action"] for row in view.all("SELECT action FROM audit ORDER BY serial")]


def incoming(text: str, sender: str, *, at: int, reference: int = 7, bits: int = 8) -> list[str]:
    """PDUs (with an empty SMSC address) of a message from a candidate."""
    stamp = moment(at)
    pieces = split(text, reference_bits=bits)
    pdus = []
    for piece in pieces:
        concat = Concat(reference, piece.total, piece.number, bits) if piece.total > 1 else None
        deliver = Deliver(Address.parse(sender), piece.text, piece.alphabet, sent_at=stamp, concat=concat)
        pdus.append("00" + deliver.encode().hex())
    return pdus


def report(recipient: str, tp_mr: int, *, at: int, status: int = 0) -> str:
    """The PDU of a status report."""
    made = StatusReport(
        tp_mr=tp_mr, recipient=Address.parse(recipient), sent_at=moment(at), discharged_at=moment(at), status=status
    )
    return "00" + made.encode().hex()


def moment(at: int) -> datetime:
    """A service-centre time stamp."""
    return datetime.fromtimestamp(at / 1000, UTC)


def open_office(database: Database, *, balance: int = 1000, price: int = 1, gap_ms: int = 0, iccid: str = ICCID) -> Office:
    """Set it all up in a fresh database."""
    with database.write() as tx:
        return _set_up(tx, database, balance, price, gap_ms, iccid)


def _set_up(tx: Transaction, database: Database, balance: int, price: int, gap_ms: int, iccid: str) -> Office:
    organisation_id = create_organisation(
        tx, ref="acme", name="Acme AB", language="sv", zone="Europe/Stockholm", region="SE", actor="cli:test", now=NOW
    )
    user_id = create_user(
        tx, organisation_id, email="eva@acme.example", name="Eva", roles=["recruiter"], seat=True, actor="cli:test", now=NOW
    )
    case = put_case(
        tx, organisation_id, "job-7", CaseFields(title="Welder", language="sv", team=("eva@acme.example",)), "cli:test", NOW
    )
    tx.insert("country", iso="SE", channel="sms", state="active", opt_in="single", hours='"always"', price=price, updated_at=NOW)
    sender_id = ids.new("snd")
    tx.insert(
        "sender",
        id=sender_id,
        organisation_id=organisation_id,
        number="+46700000000",
        iccid=iccid,
        countries='["SE"]',
        international=1,
        gap_ms=gap_ms,
        updated_at=NOW,
    )
    tx.flush()
    if balance:
        credits.grant(tx, organisation_id, balance, "first", "", "cli:test", NOW)
    fields = CandidateFields(first_name="Kim", last_name="Berg", phone_raw="070-174 06 05", region="SE", language="sv")
    kim = put_candidate(tx, organisation_id, "cand-1", fields, "cli:test", NOW, phone_key=PHONE_KEY)
    push = ConsentPush(status="granted", captured_at=NOW, evidence=EVIDENCE)
    push_consent(tx, organisation_id, "cand-1", "sms", push, "cli:test", NOW)
    introduced(tx, kim["id"], sender_id, f"case:{case['id']}", kim["phone_hash"], NOW)
    return Office(database, organisation_id, user_id, case["id"], sender_id)
