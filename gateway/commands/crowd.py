"""A crowd that never was: a store filled as years of service would fill it, in minutes, for development and benchmarks.

What the list pages, the audit and the books read is whole: conversations both ways with threads and read marks, consents and the
audit in valid chains, a ledger whose sums are the balance, webhook deliveries with dead letters. Rows go past the flows, in bulk.
Every number is of a range kept for fiction. No sender has a SIM, so no gateway on such a store ever sends anything.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from gateway.errors import Refused
from gateway.flows.candidates import phone_hash
from gateway.flows.companions import context_of
from gateway.flows.consent_rows import DAY_MS, add_version
from gateway.rules.credits import month_of
from gateway.rules.lifecycle import State
from gateway.rules.numbers import tail
from gateway.rules.threads import CLOSED_AFTER_MS, INACTIVE_AFTER_MS
from gateway.store import ids, seal, setup
from gateway.store.database import Database, Row, Transaction, compact
from modem.segments import Piece, split

ACTOR: Final = "cli:dev-fill"
SPAN_MS: Final = 730 * DAY_MS
HOUR_MS: Final = 3_600_000
_AT_ONCE: Final = 10_000
"""Rows of a kind in one transaction: long enough that commits do not count, short enough to fit in memory."""
_UNITS, _USERS, _TEMPLATES = 8, 40, 200
_REPLIES_A_THREAD: Final = 4
_OPEN_SHARE: Final = 0.005
"""The newest of all messages, which still wait."""

_RANGES: Final = (
    ("+46701740{:03d}", "SE", range(605, 700)),  # PTS: 070-174 06 05 to 99
    ("+49171392{:04d}", "DE", range(100)),  # Bundesnetzagentur: 0171 392 00 00 to 99
    ("+447700900{:03d}", "GB", range(1_000)),  # Ofcom: 07700 900000 to 900999
    ("+33639980{:03d}", "FR", range(1_000)),  # ARCEP: 06 39 98 00 00 to 99 99
    ("+33639981{:03d}", "FR", range(1_000)),
    ("+33639982{:03d}", "FR", range(1_000)),
    ("+33639983{:03d}", "FR", range(1_000)),
)
_AREAS: Final = (*range(201, 211), *range(212, 220), *range(301, 311), *range(312, 322), *range(401, 411), *range(412, 420))
"""NANP: 555-0100 to 555-0199 of any area."""
_FIRST: Final = ("Alva", "Bo", "Dina", "Edvin", "Freja", "Gustav", "Hanna", "Ivar", "Jonna", "Kim", "Lina", "Noor", "Olle")
_LAST: Final = ("Ahlberg", "Berg", "Dahl", "Ek", "Fors", "Grahn", "Holm", "Isaksson", "Jansson", "Kaya", "Lund", "Müller")
_TEXTS: Final = (
    "Hej {}! Har du tid för ett samtal om jobbet på torsdag? Hälsningar Eva, Acme",
    "Hello {}, thank you for your application. May we call you tomorrow at ten? Acme",
    "Guten Tag {}, passt Ihnen ein Gespräch am Mittwoch um 14 Uhr? Acme",
    "Bonjour {}, votre entretien est confirmé pour lundi à 9 h. Acme",
    "Hi {}, we have looked at your papers and would like to meet you in our office at the harbour. Please bring your welding "
    "certificates and, if you have one, your driving licence. Which day of next week would suit you best? Kind regards, Eva",
)
_ANSWERS: Final = ("Ja, det passar bra!", "Yes, ten is fine.", "Ja gerne", "Non, désolé.", "Can we say Friday instead?", "Tack!")
_KINDS: Final = ("contact", "contact", "contact", "interview_invite", "interview_reminder", "offer_notice")
_ENDS: Final = (
    *((State.DELIVERED,) * 90),
    *((State.UNDELIVERED,) * 4),
    *((State.FAILED,) * 3),
    *((State.EXPIRED,) * 1),
    *((State.CANCELLED,) * 2),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of what; the same seed makes the same people, texts and ends."""

    messages: int = 1_000_000
    threads: int = 50_000
    audit: int = 100_000
    seed: int = 1


@dataclass(slots=True)
class _Thread:
    """A conversation while it is being written: what its row will say in the end."""

    id: str
    person: "_Person"
    case: Row
    user_id: str
    created_at: int
    heard: int = 0
    awaiting_since: int | None = None
    last_in_at: int | None = None
    last_out_at: int | None = None


@dataclass(slots=True)
class _Person:
    id: str
    phone: str
    hash: str
    country: str
    sequence: int = 0


@dataclass(slots=True)
class _Books:
    """What one transaction moved."""

    available: int = 0
    reserved: int = 0


@dataclass(slots=True)
class _Office:
    organisation: Row
    users: list[str]
    units: list[str]
    cases: list[Row]
    sender_id: str
    endpoint_id: str


@dataclass
class Crowd:
    """Fills one store; `fill` tells how far it is."""

    database: Database
    size: Size
    phone_key: bytes = field(repr=False)
    seal_key: bytes = field(repr=False)
    now: int

    def __post_init__(self) -> None:
        self._random = random.Random(self.size.seed)  # noqa: S311  # the same seed, the same crowd
        self._start = self.now - SPAN_MS

    def fill(self) -> Iterator[tuple[str, int, int]]:
        """Do it; yields (what, done, of) after each transaction. Raises Refused `has_messages` for a store with messages."""
        with self.database.write() as tx:
            if tx.one("SELECT 1 AS yes FROM message LIMIT 1") is not None:
                raise Refused("has_messages", 409, "This store has messages already: fill a fresh one (`ringpost init --test`).")
            office = self._office(tx)
        people: list[_Person] = []
        wanted = max(1, self.size.threads // 2)
        while len(people) < wanted:
            with self.database.write() as tx:
                people += [self._person(tx, office, n) for n in range(len(people), min(wanted, len(people) + 1_000))]
            yield "candidates", len(people), wanted
        threads = self._threads(office, people)
        yield from self._messages(office, threads)
        yield from self._close(office, people, threads)
        seal.seal(self.database)
        yield from self._deliveries(office)

    # Who there is.

    def _office(self, tx: Transaction) -> _Office:
        if not setup.roots(tx):
            setup.create_organisation(tx, ref=setup.FIRST_REF, name="Acme AB", language="sv", actor=ACTOR, now=self._start)
        root = setup.roots(tx)[0]
        units = []
        for number in range(_UNITS):
            ref, name = f"crowd-unit-{number}", f"Unit {number}"
            units.append(setup.create_organisation(tx, ref=ref, name=name, parent=root, actor=ACTOR, now=self._start))
        users = []
        for number in range(_USERS):
            users.append(
                setup.create_user(
                    tx,
                    root["id"],
                    email=f"crowd-{number}@acme.example",
                    name=f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}",
                    roles=("recruiting_manager",) if number % 10 == 0 else ("recruiter",),
                    seat=True,
                    unit_id=units[number % _UNITS],
                    actor=ACTOR,
                    now=self._start,
                )
            )
        self._commission(tx)
        sender_id = self._sender(tx, root)
        endpoint_id = self._endpoint(tx, root)
        self._templates(tx, [root["id"], *units])
        return _Office(root, users, units, self._cases(tx, root, units, users), sender_id, endpoint_id)

    def _commission(self, tx: Transaction) -> None:
        for iso in ("SE", "DE", "GB", "FR", "US"):
            tx.execute(
                "INSERT INTO country (iso, channel, state, opt_in, price, updated_at) VALUES (?, 'sms', 'active', 'single', 1, ?)"
                " ON CONFLICT (iso, channel) DO NOTHING",
                iso,
                self._start,
            )

    def _sender(self, tx: Transaction, root: Row) -> str:
        sender_id = self._id("snd", self._start)
        number = _numbers()[0][0]
        tx.insert("sender", id=sender_id, organisation_id=root["id"], number=number, international=1, updated_at=self._start)
        return sender_id

    def _endpoint(self, tx: Transaction, root: Row) -> str:
        from gateway.flows.endpoints import new_secret, seal_secret

        endpoint_id = self._id("ep", self._start)
        tx.insert(
            "endpoint",
            id=endpoint_id,
            organisation_id=root["id"],
            url="https://ats.example/ringpost",
            events='["*"]',
            secret_sealed=seal_secret(new_secret(), self.seal_key),
            cursor=0,
            active=0,  # nobody is there: what is due would wait for ever
            created_at=self._start,
        )
        return endpoint_id

    def _cases(self, tx: Transaction, root: Row, units: list[str], users: list[str]) -> list[Row]:
        cases: list[Row] = []
        for number in range(max(_UNITS, min(500, self.size.threads // 20))):
            unit = units[number % _UNITS]
            case = {"id": self._id("case", self._start), "organisation_id": root["id"], "unit_id": unit, "ref": f"crowd-{number}"}
            closed = self.now - 30 * DAY_MS if number % 3 == 0 else None
            made = {"title": f"Welder {number}", "language": "sv", "closed_at": closed}
            tx.insert("hiring_case", **case, **made, created_at=self._start, updated_at=self._start)
            for user_id in self._random.sample(users, 4):
                tx.insert("case_member", case_id=case["id"], user_id=user_id)
            cases.append(case)
        return cases

    def _templates(self, tx: Transaction, units: list[str]) -> None:
        for number in range(_TEMPLATES):
            template_id, body = self._id("tpl", self._start), _TEXTS[number % len(_TEXTS)].format("{{ candidate.first_name }}")
            same = {"kind": "contact", "body": body, "version": 1, "fields": '["candidate.first_name"]', "max_parts": 4}
            own = {"name": f"crowd-{number}", "channel": "sms", "language": "sv", "updated_at": self._start}
            tx.insert("template", id=template_id, unit_id=units[number % len(units)], **own, **same)
            tx.insert("template_version", template_id=template_id, **same, actor=ACTOR, created_at=self._start)

    def _person(self, tx: Transaction, office: _Office, number: int) -> _Person:
        numbers = _numbers()
        phone, country = numbers[1 + number % (len(numbers) - 1)]  # more people than numbers: some share one, as families do
        person = _Person(self._id("cand", self._start), phone, phone_hash(self.phone_key, phone), country)
        row = {
            "id": person.id,
            "organisation_id": office.organisation["id"],
            "ref": f"crowd-{number}",
            "first_name": self._random.choice(_FIRST),
            "last_name": self._random.choice(_LAST),
            "email": f"crowd-{number}@candidates.example",
            "language": "sv",
            "region": country,
            "phone_raw": phone,
            "phone": phone,
            "phone_state": "ok",
            "phone_hash": person.hash,
            "country": country,
            "created_at": self._start,
            "updated_at": self._start,
        }
        tx.insert("candidate", **row)
        status = "revoked" if number % 50 == 49 else "granted"
        add_version(
            tx,
            {**row, "subdivision": None},
            "sms",
            "recruiting_process",
            status,
            source="ats",
            mode="single",
            actor=ACTOR,
            evidence={"wording_version": "1", "wording_text": "Yes, text me about my application."},
            captured_at=self._start,
            now=self._start,
            expires_at=self.now + 300 * DAY_MS,
        )
        if status == "revoked":
            tx.execute(
                "INSERT INTO suppression (phone_hash, channel, source, evidence, since_at) VALUES (?, 'sms', 'keyword', '{}', ?)"
                " ON CONFLICT DO NOTHING",
                person.hash,
                self._start,
            )
            spent = {"user_id": office.users[0], "case_id": office.cases[0]["id"], "country": country}
            at = self._start + number
            tx.insert("opt_out", organisation_id=office.organisation["id"], candidate_id=person.id, **spent, at=at)
        return person

    def _threads(self, office: _Office, people: list[_Person]) -> list[_Thread]:
        threads = []
        for number in range(max(1, self.size.threads)):
            again, who = divmod(number, len(people))  # a person's second thread belongs to another case
            case, user_id = office.cases[(who + again) % len(office.cases)], office.users[number % len(office.users)]
            threads.append(_Thread(self._id("thr", self._start), people[who], case, user_id, self._start))
        return threads

    # What was written.

    def _messages(self, office: _Office, threads: list[_Thread]) -> Iterator[tuple[str, int, int]]:
        total, step = self.size.messages, max(1, SPAN_MS // max(1, self.size.messages))
        texts = [tuple(split(text.format(name))) for text in _TEXTS for name in _FIRST]
        with self.database.write() as tx:
            made = int(tx.value("SELECT COUNT(*) AS n FROM audit") or 0)
            granted = 3 * total + 1_000
            entry = {"organisation_id": office.organisation["id"], "kind": "grant", "amount": granted}
            tx.insert(
                "ledger", **entry, reference=f"{ACTOR} {self.size.seed}", actor=ACTOR, month=month_of(self._start), at=self._start
            )
            self._book(tx, office, _Books(granted, 0))
            tx.execute("UPDATE balance SET full_at = available WHERE organisation_id = ?", office.organisation["id"])
        audited = max(0, self.size.audit - made)
        for first in range(0, total, _AT_ONCE):
            books = _Books()
            with self.database.write() as tx:
                for number in range(first, min(total, first + _AT_ONCE)):
                    at = self._start + number * step
                    thread = threads[self._random.randrange(len(threads))]
                    message_id, state = self._message(tx, office, thread, at, number, self._random.choice(texts), books)
                    for place in range(audited * number // total, audited * (number + 1) // total):
                        self._tell(tx, office, thread, message_id, state, at, first=place == audited * number // total)
                    if self._random.random() < _REPLIES_A_THREAD * len(threads) / total:
                        self._answer(tx, office, thread, at + self._random.randrange(1, step + 1), number)
                self._book(tx, office, books)
            yield "messages", min(total, first + _AT_ONCE), total

    def _message(
        self, tx: Transaction, office: _Office, thread: _Thread, at: int, number: int, pieces: tuple[Piece, ...], books: _Books
    ) -> tuple[str, State]:
        person = thread.person
        person.sequence += 1
        message_id, parts, month = self._id("msg", at, number), len(pieces), month_of(at)
        state: State = self._random.choice(_ENDS)
        if number >= self.size.messages * (1 - _OPEN_SHARE):
            state = State.QUEUED if number % 2 else State.HELD
        elif number % 5_000 == 4_999:
            state = State.UNKNOWN
        is_open = state in (State.QUEUED, State.HELD, State.UNKNOWN)
        went = state in (State.DELIVERED, State.UNDELIVERED, State.UNKNOWN)
        done_at = None if is_open else at + 9_000
        valid_until = self.now + DAY_MS if is_open else at + 2 * DAY_MS
        tx.insert(
            "message",
            id=message_id,
            organisation_id=office.organisation["id"],
            candidate_id=person.id,
            case_id=thread.case["id"],
            thread_id=thread.id,
            user_id=thread.user_id,
            unit_id=thread.case["unit_id"],
            origin="user",
            channel="sms",
            kind=_KINDS[number % len(_KINDS)],
            lane=1,
            state=state,
            hold_reason="scheduled" if state == State.HELD else None,
            not_before=self.now + DAY_MS if state == State.HELD else None,
            due_at=at,
            seq=person.sequence,
            address=person.phone,
            country=person.country,
            rule_country=person.country,
            text_language="sv",
            sender_id=office.sender_id,
            alphabet=pieces[0].alphabet,
            parts=parts,
            price=1,
            credits=parts,
            month=month,
            client_ref=f"crowd-{number}" if number % 4 == 0 else None,
            valid_until=valid_until,
            accepted_at=at,
            sent_at=at + 4_000 if went and not is_open else None,
            done_at=done_at,
            settled_at=done_at,
            attempts=int(went),
            error="network_refused" if state == State.FAILED else None,
        )
        part_state = str(state) if went else "failed" if state == State.FAILED else "ready"
        for piece in pieces:
            tx.insert(
                "part",
                message_id=message_id,
                number=piece.number,
                total=piece.total,
                text=piece.text,
                alphabet=piece.alphabet,
                state=part_state,
                sent_at=at + 4_000 if went and not is_open else None,
                reported_at=done_at if went else None,
                address_tail=tail(person.phone),
            )
        self._charge(tx, office, thread, message_id, parts, month, at, done_at, parts if went else 0, books)
        thread.last_out_at, thread.awaiting_since = at, None
        return message_id, state

    def _charge(
        self,
        tx: Transaction,
        office: _Office,
        thread: _Thread,
        message_id: str,
        parts: int,
        month: str,
        at: int,
        done_at: int | None,
        taken: int,
        books: _Books,
    ) -> None:
        """The ledger of one message as accept and settle write it: a reserve, then what was taken, or what comes back."""
        spent = {"user_id": thread.user_id, "case_id": thread.case["id"], "unit_id": thread.case["unit_id"]}
        same = {"organisation_id": office.organisation["id"], "message_id": message_id, "month": month, **spent}
        same["country"] = thread.person.country
        tx.insert("ledger", **same, kind="reserve", amount=-parts, charged=0, parts=0, actor=ACTOR, at=at)
        books.available -= parts
        if done_at is None:
            books.reserved += parts
        elif taken:
            tx.insert("ledger", **same, kind="settle", amount=0, charged=taken, parts=taken, actor="gateway", at=done_at)
        else:
            tx.insert("ledger", **same, kind="refund", amount=parts, charged=0, parts=0, actor="gateway", at=done_at)
            books.available += parts

    def _book(self, tx: Transaction, office: _Office, books: _Books) -> None:
        tx.execute(
            "UPDATE balance SET available = available + ?, reserved = reserved + ? WHERE organisation_id = ?",
            books.available,
            books.reserved,
            office.organisation["id"],
        )

    def _tell(
        self, tx: Transaction, office: _Office, thread: _Thread, message_id: str, state: State, at: int, *, first: bool
    ) -> None:
        """An audit row and an event of a message."""
        action = "message.accept" if first else "message.state"
        tx.audit(at, f"user:{thread.user_id}", action, message_id, {"state": state, "case": thread.case["id"]})
        told = {"message_id": message_id, "candidate_id": thread.person.id, "state": state}
        tx.event(at, office.organisation["id"], "message.state", message_id, told)

    def _answer(self, tx: Transaction, office: _Office, thread: _Thread, at: int, number: int) -> None:
        thread.heard += 1
        tx.insert(
            "received",
            id=self._id("inb", at, number),
            candidate_id=thread.person.id,
            organisation_id=office.organisation["id"],
            address=thread.person.phone,
            phone_hash=thread.person.hash,
            iccid="",
            sender_id=office.sender_id,
            text=self._random.choice(_ANSWERS),
            parts=1,
            sent_at=at,
            received_at=at,
            thread_id=thread.id,
            place=thread.heard,
            answers_user_id=thread.user_id,
            answers_case_id=thread.case["id"],
            from_country=thread.person.country,
        )
        thread.last_in_at = at
        thread.awaiting_since = thread.awaiting_since or at

    # What is left when all is written.

    def _close(self, office: _Office, people: list[_Person], threads: list[_Thread]) -> Iterator[tuple[str, int, int]]:
        for first in range(0, len(threads), _AT_ONCE):
            with self.database.write() as tx:
                for number, thread in enumerate(threads[first : first + _AT_ONCE], first):
                    self._thread_row(tx, office, thread, number)
            yield "threads", min(len(threads), first + _AT_ONCE), len(threads)
        with self.database.write() as tx:
            for person in people:
                tx.execute("UPDATE candidate SET last_seq = ? WHERE id = ?", person.sequence, person.id)

    def _thread_row(self, tx: Transaction, office: _Office, thread: _Thread, number: int) -> None:
        last_at = max(thread.created_at, thread.last_in_at or 0, thread.last_out_at or 0)
        age = self.now - last_at
        state = "closed" if age > CLOSED_AFTER_MS else "inactive" if age > INACTIVE_AFTER_MS else "active"
        tx.insert(
            "thread",
            id=thread.id,
            organisation_id=office.organisation["id"],
            candidate_id=thread.person.id,
            channel="sms",
            context=context_of(thread.case["id"], None),
            case_id=thread.case["id"],
            state=state,
            assignee_id=thread.user_id if number % 2 else None,
            author_id=thread.user_id,
            sender_id=office.sender_id,
            heard=thread.heard,
            awaiting_since=thread.awaiting_since,
            last_at=last_at,
            last_in_at=thread.last_in_at,
            last_out_at=thread.last_out_at,
            created_at=thread.created_at,
            closed_at=last_at + CLOSED_AFTER_MS if state == "closed" else None,
        )
        if thread.heard and number % 10:  # one in ten has not been opened since it was last answered
            tx.insert("read_mark", thread_id=thread.id, user_id=thread.user_id, place=thread.heard, read_at=last_at)

    def _deliveries(self, office: _Office) -> Iterator[tuple[str, int, int]]:
        with self.database.read() as view:
            total = int(view.value("SELECT COUNT(*) AS n FROM event") or 0)
        position = done = 0
        while True:
            with self.database.write() as tx:
                page = tx.all(
                    "SELECT id, position, stream, at FROM event WHERE position > ? ORDER BY position LIMIT ?", position, _AT_ONCE
                )
                for event in page:
                    dead = event["position"] % 50 == 0
                    tx.insert(
                        "delivery",
                        id=self._id("del", event["at"], event["position"]),
                        endpoint_id=office.endpoint_id,
                        event_id=event["id"],
                        position=event["position"],
                        stream=event["stream"],
                        state="dead" if dead else "delivered",
                        attempts=17 if dead else 1,
                        next_at=event["at"],
                        first_at=event["at"],
                        done_at=event["at"] + (72 * HOUR_MS if dead else 1_000),
                        answer=compact({"status": 500 if dead else 204}),
                    )
            if not page:
                return
            position, done = page[-1]["position"], done + len(page)
            yield "deliveries", done, total

    def _id(self, prefix: str, at: int, number: int = 0) -> str:
        return ids.made(prefix, at, number, self._random.getrandbits(62))


@cache
def _numbers() -> list[tuple[str, str]]:
    """Every number that was kept for fiction and is used here, with its country."""
    plain = [(pattern.format(n), iso) for pattern, iso, numbers in _RANGES for n in numbers]
    return plain + [(f"+1{area}55501{n:02d}", "US") for area in _AREAS for n in range(100)]
