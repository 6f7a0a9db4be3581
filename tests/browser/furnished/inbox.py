"""A recruiter's inbox on an ordinary Monday: open questions, a locked and a paused conversation, a stranger, a missed call."""

import json
from dataclasses import dataclass
from typing import Any

from gateway.store.database import Database, Transaction
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def thread_id(number: int) -> str:
    """The id of the n-th conversation of this family."""
    return f"thr_1b0c{number:028x}"


def _mid(number: int) -> str:
    return f"msg_1b0c{number:028x}"


KIM, STRANGER, LOCKED, PAUSED, CALLED, LONG, CLOSED, POOL, CALLER = range(1, 10)
PAGES = {
    "list": ("recruiter", "/admin/inbox"),
    "list-mine": ("recruiter", "/admin/inbox?show=mine"),
    "list-unread": ("recruiter", "/admin/inbox?show=unread"),
    "list-awaiting": ("recruiter", "/admin/inbox?show=awaiting"),
    "list-unassigned": ("recruiter", "/admin/inbox?show=unassigned"),
    "list-nothing-found": ("recruiter", "/admin/inbox?q=nobody+of+this+name"),
    "list-empty": ("admin", "/admin/inbox?show=mine"),
    "talk": ("recruiter", f"/admin/inbox/{thread_id(KIM)}"),
    "talk-reader": ("viewer", f"/admin/inbox/{thread_id(KIM)}"),
    "talk-stranger": ("recruiter", f"/admin/inbox/{thread_id(STRANGER)}"),
    "talk-locked": ("recruiter", f"/admin/inbox/{thread_id(LOCKED)}"),
    "talk-paused": ("recruiter", f"/admin/inbox/{thread_id(PAUSED)}"),
    "talk-call": ("recruiter", f"/admin/inbox/{thread_id(CALLED)}"),
    "talk-long": ("recruiter", f"/admin/inbox/{thread_id(LONG)}"),
    "talk-closed": ("recruiter", f"/admin/inbox/{thread_id(CLOSED)}"),
    "talk-pool": ("recruiter", f"/admin/inbox/{thread_id(POOL)}"),
    "talk-forbidden": ("compliance", f"/admin/inbox/{thread_id(KIM)}"),
    "composer": ("recruiter", "/admin/compose?candidate=inbox-1&case=inbox-a"),
    "composer-template": ("recruiter", "/admin/compose?candidate=inbox-1&case=inbox-a&template_id=tpl_inbox_2"),
    "composer-dear": (
        "recruiter",
        "/admin/compose?candidate=inbox-1&case=inbox-a&text=Hej+Kim,+%E2%80%9Cvälkommen%E2%80%9D+på+fredag+%F0%9F%99%82",
    ),
    "composer-too-long": ("recruiter", "/admin/compose?candidate=inbox-1&case=inbox-a&text=" + "Hej+hej+" * 90),
    "composer-closed": ("viewer", "/admin/compose?candidate=inbox-1&case=inbox-a"),
    "composer-nowhere": ("recruiter", "/admin/compose?candidate=inbox-1"),
    "settings": ("recruiter", "/admin/inbox/settings"),
}


@dataclass
class _Desk:
    tx: Transaction
    now: int
    messages: int = 0

    def put(self, table: str, **columns: Any) -> None:
        """Written at once: rows refer to each other."""
        self.tx.insert(table, **columns)
        self.tx.flush()

    def candidate(self, number: int, first: str, last: str, *, consent: str = "granted", phone: str | None = None) -> str:
        found = f"cand_inbox_{number}"
        address = phone or f"+467017406{number:02d}"
        self.put(
            "candidate",
            id=found,
            organisation_id=ORG,
            ref=f"inbox-{number}",
            first_name=first,
            last_name=last,
            email=f"{first.lower()}@example.com",
            language="sv",
            region="SE",
            phone_raw=address,
            phone=address,
            phone_state="ok",
            phone_hash=f"inbox-hash-{number}",
            country="SE",
            last_seq=100,
            created_at=self.now - 30 * DAY,
            updated_at=self.now - 30 * DAY,
        )
        if consent != "none":
            for purpose in ("recruiting_process", "talent_pool"):
                self.put(
                    "consent",
                    id=f"con_inbox_{number}_{purpose}",
                    candidate_id=found,
                    phone_hash=f"inbox-hash-{number}",
                    channel="sms",
                    purpose=purpose,
                    version=1,
                    status=consent,
                    mode="single",
                    source="application",
                    actor="ats",
                    evidence="{}",
                    captured_at=self.now - 30 * DAY,
                    recorded_at=self.now - 30 * DAY,
                )
        return found

    def thread(self, number: int, candidate: str | None, last: int, *, case: str | None = "case_inbox_a", **columns: Any) -> str:
        context = case or columns.get("pool_ref") or ""
        values = {
            "id": thread_id(number),
            "organisation_id": ORG,
            "candidate_id": candidate,
            "channel": "sms",
            "context": f"case:{case}" if case else f"pool:{context}" if context else "",
            "case_id": case,
            "state": "active",
            "author_id": "usr_recruiter",
            "sender_id": "snd_1",
            "last_at": self.now - last,
            "created_at": self.now - 9 * DAY,
            **columns,
        }
        self.put("thread", **values)
        return str(values["id"])

    def said(self, thread: str, candidate: str, ago: int, *texts: str, state: str = "delivered", **columns: Any) -> str:
        self.messages += 1
        left, at = state not in ("held", "queued"), self.now - ago
        found = _mid(self.messages)
        values = {
            "id": found,
            "organisation_id": ORG,
            "candidate_id": candidate,
            "case_id": "case_inbox_a",
            "thread_id": thread,
            "user_id": "usr_recruiter",
            "origin": "user",
            "channel": "sms",
            "kind": "contact",
            "lane": 1,
            "state": state,
            "due_at": at,
            "seq": self.messages,
            "address": "+46701740600",
            "country": "SE",
            "sender_id": "snd_1",
            "alphabet": "gsm7",
            "parts": len(texts),
            "price": 1,
            "credits": len(texts),
            "month": "2026-03",
            "valid_until": at + 3 * DAY,
            "accepted_at": at,
            "sent_at": at + 2000 if left else None,
            **columns,
        }
        self.put("message", **values)
        for number, text in enumerate(texts, 1):
            self.put(
                "part",
                message_id=found,
                number=number,
                total=len(texts),
                text=text,
                alphabet="gsm7",
                state=state if left else "ready",
            )
        return found

    def heard(self, thread: str, candidate: str | None, place: int, ago: int, text: str, **columns: Any) -> str:
        found = f"inb_1b0c{int(thread[-4:], 16):014x}{place:014x}"
        self.put(
            "received",
            **{
                "id": found,
                "candidate_id": candidate,
                "organisation_id": ORG,
                "address": "+46701740600",
                "phone_hash": None if candidate is None else candidate.replace("cand_inbox_", "inbox-hash-"),
                "iccid": "8946071111",
                "sender_id": "snd_1",
                "text": text,
                "parts": 1,
                "received_at": self.now - ago,
                "thread_id": thread,
                "place": place,
                **columns,
            },
        )
        return found


def furnish(store: Database, clock: ManualClock) -> None:
    """Everything the inbox shows."""
    now = clock.now_ms()
    with store.write() as tx:
        _house(tx, now)
        desk = _Desk(tx, now)
        _kim(desk)
        _stranger(desk)
        _locked(desk)
        _paused(desk)
        _called(desk)
        _long(desk)
        _closed(desk)
        _pool(desk)
        _others(desk)
        tx.flush()
        for number in range(12, 18):
            mark = "INSERT INTO read_mark (thread_id, user_id, place, read_at) VALUES (?, 'usr_recruiter', 1, ?)"
            tx.execute(mark, thread_id(number), now)


def _house(tx: Transaction, now: int) -> None:
    """A seat, a country, consent to write, cases and templates."""
    tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_recruiter'")
    tx.execute("UPDATE sender SET countries = '[\"SE\"]' WHERE id = 'snd_1'")
    tx.execute(
        "INSERT INTO country (iso, channel, state, opt_in, hours, price, updated_at) VALUES ('SE', 'sms', 'active', 'single',"
        " '\"always\"', 1, ?) ON CONFLICT DO NOTHING",
        now,
    )
    tx.execute("INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 500, 0) ON CONFLICT DO NOTHING", ORG)
    for letter, title in (("a", "Forklift driver, Gothenburg"), ("b", "Nurse, night shift")):
        columns = {"organisation_id": ORG, "unit_id": ORG, "language": "en", "created_at": now, "updated_at": now}
        tx.insert("hiring_case", id=f"case_inbox_{letter}", ref=f"inbox-{letter}", title=title, **columns)
    tx.flush()
    for case, user in (("a", "recruiter"), ("b", "recruiter"), ("a", "viewer")):
        tx.insert("case_member", case_id=f"case_inbox_{case}", user_id=f"usr_{user}")
    templates: tuple[tuple[str, str, str, str, list[dict[str, str]]], ...] = (
        (
            "tpl_inbox_1",
            "Thanks for applying",
            "contact",
            "Hi {{candidate.first_name}}, thank you for applying as {{case.title}}! {{user.name}}, {{company}}",
            [],
        ),
        (
            "tpl_inbox_2",
            "Documents to bring",
            "contact",
            "Hi {{candidate.first_name}}! Please bring {{documents}} to {{place|default('our office')}}. {{user.name}}",
            [
                {"name": "documents", "type": "text", "sample": "your forklift licence"},
                {"name": "place", "type": "text", "sample": "Storgatan 1"},
            ],
        ),
    )
    for found, name, kind, body, fields in templates:
        tx.insert(
            "template",
            id=found,
            unit_id=ORG,
            name=name,
            kind=kind,
            channel="sms",
            language="en",
            body=body,
            fields=json.dumps(fields),
            updated_at=now,
        )


def _kim(desk: _Desk) -> None:
    """Yesterday and today, with everything a bubble can say."""
    kim = desk.candidate(1, "Kim", "Sjöberg")
    talk = desk.thread(
        KIM,
        kim,
        4 * MINUTE,
        heard=3,
        last_in_at=desk.now - 4 * MINUTE,
        last_out_at=desk.now - HOUR,
        awaiting_since=desk.now - 4 * MINUTE,
    )
    intro = "Acme: Recruiter Person from Acme writes to you about Forklift driver, Gothenburg. Reply STOP to end."
    desk.said(talk, kim, 26 * HOUR, intro, kind="identification", user_id=None, origin="companion")
    desk.said(
        talk,
        kim,
        26 * HOUR - 5000,
        "Hi Kim! Thank you for your application. Could you come for an interview on Thursday at 14:00?",
    )
    desk.heard(talk, kim, 1, 25 * HOUR, "Yes, that suits me well", intent="yes", confidence="phrase")
    desk.said(
        talk,
        kim,
        24 * HOUR,
        "Great, see you at Storgatan 1, second floor. Please bring your forklift licence.",
        " Ring the bell marked Acme.",
    )
    desk.heard(
        talk, kim, 2, 2 * HOUR, "Could we make it 15:00 instead? My shift ends late", intent="reschedule", confidence="phrase"
    )
    desk.said(talk, kim, HOUR, "Of course, 15:00 it is.", state="sent")
    desk.heard(talk, kim, 3, 4 * MINUTE, "Thanks! Is there parking? <script>alert('no')</script>")
    later = desk.now + 3 * HOUR
    desk.said(talk, kim, MINUTE, "Yes, behind the building.", state="held", hold_reason="scheduled", not_before=later)


def _stranger(desk: _Desk) -> None:
    talk = desk.thread(
        STRANGER,
        None,
        9 * MINUTE,
        case=None,
        address="+46701740655",
        author_id=None,
        heard=1,
        last_in_at=desk.now - 9 * MINUTE,
        awaiting_since=desk.now - 9 * MINUTE,
    )
    desk.heard(
        talk, None, 1, 9 * MINUTE, "Hej, jag såg er annons. Är jobbet kvar?", address="+46701740655", phone_hash="inbox-hash-5"
    )
    desk.put(
        "missed_call",
        id="call_1b0c1",
        iccid="8946071111",
        organisation_id=ORG,
        address="+46701740666",
        at=desk.now - HOUR,
        rang_at=desk.now - HOUR,
        told_at=desk.now - HOUR,
    )
    desk.put(
        "missed_call",
        id="call_1b0c2",
        iccid="8946071111",
        organisation_id=ORG,
        address="",
        at=desk.now - 3 * HOUR,
        rang_at=desk.now,
        told_at=desk.now,
    )


def _locked(desk: _Desk) -> None:
    maja = desk.candidate(2, "Maja", "Nyberg", consent="none")
    talk = desk.thread(
        LOCKED, maja, 40 * MINUTE, heard=1, last_in_at=desk.now - 40 * MINUTE, awaiting_since=desk.now - 40 * MINUTE
    )
    desk.heard(talk, maja, 1, 40 * MINUTE, "When will I hear from you?")


def _paused(desk: _Desk) -> None:
    omar = desk.candidate(3, "Omar", "Haddad")
    talk = desk.thread(
        PAUSED, omar, 55 * MINUTE, heard=1, last_in_at=desk.now - 55 * MINUTE, awaiting_since=desk.now - 55 * MINUTE
    )
    desk.said(talk, omar, 2 * DAY, "Hi Omar, do you still have the truck licence?")
    came = desk.heard(
        talk, omar, 1, 55 * MINUTE, "Please stop writing so late in the evening", intent="stop_like", confidence="phrase"
    )
    desk.tx.execute(
        "INSERT INTO thread_pause (candidate_id, channel, received_id, since_at) VALUES (?, 'sms', ?, ?)", omar, came, desk.now
    )
    desk.put(
        "task",
        id="task_inbox_1",
        organisation_id=ORG,
        kind="possible_opt_out",
        candidate_id=omar,
        case_id="case_inbox_a",
        user_id="usr_recruiter",
        received_id=came,
        state="open",
        due_at=desk.now + DAY,
        created_at=desk.now - 55 * MINUTE,
    )


def _called(desk: _Desk) -> None:
    lena = desk.candidate(4, "Lena", "Wikström")
    talk = desk.thread(CALLED, lena, 3 * HOUR, assignee_id="usr_recruiter", case="case_inbox_b", last_out_at=desk.now - 3 * HOUR)
    desk.said(
        talk, lena, 3 * HOUR, "Hi Lena, please call me about the night shifts.", state="undelivered", case_id="case_inbox_b"
    )
    desk.put(
        "missed_call",
        id="call_1b0c3",
        iccid="8946071111",
        organisation_id=ORG,
        candidate_id=lena,
        thread_id=talk,
        address="+46701740604",
        at=desk.now - 2 * HOUR,
        rang_at=desk.now,
        told_at=desk.now,
    )


def _long(desk: _Desk) -> None:
    nils = desk.candidate(6, "Nils-Fredrik", "Oxenstierna-Wachtmeister")
    talk = desk.thread(LONG, nils, 5 * HOUR, heard=40, last_in_at=desk.now - 5 * HOUR, assignee_id="usr_viewer")
    for number in range(1, 41):
        ago = 5 * HOUR + (40 - number) * 5 * HOUR
        desk.said(talk, nils, ago + HOUR, f"Question {number}: when can you start?")
        desk.heard(
            talk, nils, number, ago, f"Answer {number}: in {number} weeks, I think" + " and some more words" * (number % 4)
        )


def _closed(desk: _Desk) -> None:
    ida = desk.candidate(7, "Ida", "Falk")
    talk = desk.thread(CLOSED, ida, 8 * DAY, state="closed", closed_at=desk.now - 2 * DAY, heard=0)
    desk.said(talk, ida, 8 * DAY, "Hi Ida, the position is filled, but we would like to keep in touch.")


def _pool(desk: _Desk) -> None:
    bo = desk.candidate(8, "Bo", "Ek")
    talk = desk.thread(POOL, bo, 6 * HOUR, case=None, pool_ref="drivers", heard=1, last_in_at=desk.now - 6 * HOUR)
    desk.said(talk, bo, 7 * HOUR, "Hi Bo, are you still looking for work as a driver?", case_id=None, kind="talent_pool")
    desk.heard(talk, bo, 1, 6 * HOUR, "Not any more, thanks", intent="no", confidence="phrase")


def _others(desk: _Desk) -> None:
    names = ("Anna Berg", "Erik Lund", "Sara Holm", "Johan Dahl", "Elin Åkesson", "Ali Rezaei", "Maria Popescu", "Tove Lindqvist")
    words = (
        "No problem",
        "I am on my way but ten minutes late",
        "Wrong number I think",
        "OK",
        "Can I bring a friend?",
        "Yes",
        "No",
        "Tack",
    )
    intents = (None, "running_late", "wrong_person", "yes", None, "yes", "no", None)
    for number, (name, text, intent) in enumerate(zip(names, words, intents, strict=True), 10):
        first, last = name.split()
        who = desk.candidate(number, first, last)
        talk = desk.thread(number, who, number * 2 * HOUR, case="case_inbox_b", heard=1, last_in_at=desk.now - number * 2 * HOUR)
        desk.said(talk, who, number * 2 * HOUR + HOUR, "Hi, can you come on Friday?", case_id="case_inbox_b")
        desk.heard(talk, who, 1, number * 2 * HOUR, text, intent=intent, confidence=None if intent is None else "exact")
