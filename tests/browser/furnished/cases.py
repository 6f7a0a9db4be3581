"""Cases with their candidates: conversations, consents in every state, interviews, erasures, candidates' own pages.

Made by the flows themselves, with ids that a test can name (`fixed_ids`).
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from gateway.desk import open_interviews
from gateway.flows import consent_requests, erase, interviews, modules, reminders
from gateway.flows.accept import accept
from gateway.flows.candidates import CandidateFields, CaseFields, put_candidate, put_case
from gateway.flows.companions import introduced
from gateway.flows.consent_requests import Asked
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.interview_answers import respond
from gateway.flows.interview_rows import locked
from gateway.flows.interviews import Move, NewInterview
from gateway.flows.reminders import NewReminder
from gateway.flows.stops import withdraw
from gateway.flows.submissions import Submission
from gateway.flows.threads import route
from gateway.rules.interviews import Answer, Slot
from gateway.rules.links import Links, digest
from gateway.store import ids
from gateway.store.database import Database, Transaction
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_user, email

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EVA = email("recruiter")
WELDER, CODER = "cs-weld", "cs-dev"
EVIDENCE = {
    "wording_version": "7",
    "wording_text": "Ja, Acme får skicka sms till mig om min ansökan. Jag kan säga nej när som helst.",
    "ip": "192.0.2.17",
    "user_agent": "Mozilla/5.0 (Linux; Android 14)",
}
DESK = open_interviews("https://jobs.acme.example", b"t" * 32)
KEY = b"k" * 32


def nth(kind: str, number: int) -> str:
    """The id of the n-th thing of a kind that this family makes."""
    return f"{kind}_ca5e{number:028x}"


def token(letter: str) -> str:
    """The token of a candidate's own page."""
    return letter * 22


def _at(ref: str, tab: str = "", query: str = "") -> str:
    return f"/admin/candidates/{ref}{tab}?case={WELDER}{query}"


KIM, LIN, NOA, TOM = 1, 2, 3, 4
PAGES = {
    "list": ("recruiter", "/admin/cases"),
    "list-all": ("admin", "/admin/cases?show=all"),
    "list-closed": ("admin", "/admin/cases?show=closed"),
    "list-none": ("viewer", "/admin/cases?show=closed"),
    "list-not-found": ("admin", "/admin/cases?show=all&search=zzz"),
    "case": ("recruiter", f"/admin/cases/{WELDER}"),
    "case-read-only": ("compliance", f"/admin/cases/{WELDER}"),
    "case-empty": ("recruiter", f"/admin/cases/{CODER}"),
    "candidate": ("recruiter", _at("cs-kim")),
    "candidate-no-case": ("recruiter", "/admin/candidates/cs-kim"),
    "candidate-older": ("recruiter", _at("cs-kim", query=f"&after={nth('msg', 1)}")),
    "candidate-supervised": ("compliance", _at("cs-kim")),
    "candidate-read-only": ("viewer", _at("cs-kim")),
    "candidate-new": ("recruiter", _at("cs-new")),
    "candidate-script": ("recruiter", _at("cs-xss")),
    "candidate-no-number": ("recruiter", _at("cs-nils")),
    "candidate-being-erased": ("admin", _at("cs-gone")),
    "consent": ("recruiter", _at("cs-kim", "/consent")),
    "consent-asked": ("recruiter", _at("cs-lea", "/consent")),
    "consent-pending": ("recruiter", _at("cs-omar", "/consent")),
    "consent-stopped": ("recruiter", _at("cs-tove", "/consent")),
    "consent-read-only": ("viewer", _at("cs-kim", "/consent")),
    "evidence": ("compliance", _at("cs-kim", "/consent/sms")),
    "evidence-empty": ("recruiter", _at("cs-new", "/consent/whatsapp")),
    "interviews": ("recruiter", _at("cs-kim", "/interviews")),
    "interviews-slots": ("recruiter", _at("cs-lin", "/interviews", "&type=self_schedule")),
    "interviews-closed": ("recruiter", _at("cs-new", "/interviews")),
    "interviews-read-only": ("viewer", _at("cs-kim", "/interviews")),
    "interview": ("recruiter", _at("cs-kim", f"/interviews/{nth('int', KIM)}")),
    "interview-again": ("recruiter", _at("cs-kim", f"/interviews/{nth('int', KIM)}", f"&like={nth('rem', 3)}")),
    "interview-slots": ("recruiter", _at("cs-lin", f"/interviews/{nth('int', LIN)}")),
    "interview-declined": ("recruiter", _at("cs-noa", f"/interviews/{nth('int', NOA)}")),
    "interview-cancelled": ("recruiter", _at("cs-tom", f"/interviews/{nth('int', TOM)}")),
    "interview-read-only": ("viewer", _at("cs-kim", f"/interviews/{nth('int', KIM)}")),
    "privacy": ("admin", _at("cs-kim", "/privacy")),
    "privacy-held": ("admin", _at("cs-omar", "/privacy")),
    "erasure-waiting": ("admin", f"/admin/candidates/-/erasures/{nth('era', 1)}"),
    "erasure-done": ("admin", f"/admin/candidates/-/erasures/{nth('era', 2)}"),
    "their-interview": (None, f"/i/{token('K')}"),
    "their-slots": (None, f"/i/{token('L')}"),
    "their-declined": (None, f"/i/{token('N')}"),
    "their-cancelled": (None, f"/i/{token('T')}"),
    "their-unknown-link": (None, f"/i/{token('x')}"),
    "their-consent": (None, f"/c/{token('C')}"),
    "their-consent-both": (None, f"/c/{token('B')}"),
    "their-consent-given": (None, f"/c/{token('G')}"),
}


@contextmanager
def fixed_ids() -> Iterator[None]:
    """Ids in the order in which things are made."""
    counters: dict[str, Any] = defaultdict(lambda: itertools.count(1))
    with patch.object(ids, "new", lambda kind: nth(kind, next(counters[kind]))):
        yield


def furnish(store: Database, clock: ManualClock) -> None:
    """Add it all."""
    now = clock.now_ms()
    with fixed_ids(), store.write() as tx:
        house(tx, now)
        _cases(tx, now)
        people = _people(tx, now)
        _talk(tx, people["cs-kim"], now)
        _consents(tx, people, now)
        _interviews(tx, now)
        _erasures(tx, people, now)
        tx.execute("UPDATE sender SET iccid = '8946071111' WHERE id = 'snd_1'")


def house(tx: Transaction, now: int) -> None:
    """What sending takes: seat, country, sender, credits; whoever furnished before may have brought some of it."""
    tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_recruiter'")
    tx.execute("UPDATE sender SET countries = '[\"SE\"]', international = 1, gap_ms = 6000 WHERE id = 'snd_1'")
    for iso, opt_in in (("SE", "single"), ("DE", "double")):
        tx.execute(
            "INSERT INTO country (iso, channel, state, opt_in, hours, price, updated_at) VALUES (?, 'sms', 'active', ?,"
            " '\"default\"', 1, ?) ON CONFLICT DO NOTHING",
            iso,
            opt_in,
            now,
        )
    tx.execute("UPDATE country SET state = 'active', opt_in = 'double' WHERE iso = 'DE' AND channel = 'sms'")
    tx.execute("UPDATE country SET state = 'active', opt_in = 'single' WHERE iso = 'SE' AND channel = 'sms'")
    tx.execute("INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 900, 0) ON CONFLICT DO NOTHING", ORG)
    templates = (
        (
            "tpl_cs_invite",
            "Intervju",
            "interview_invite",
            "Hej {{candidate.first_name}}! {{company}} bjuder in till intervju {{interview.date}} kl {{interview.time}},"
            " {{interview.location}}. Svara här: {{interview_link}}",
        ),
        (
            "tpl_cs_slots",
            "Välj tid själv",
            "interview_invite",
            "Hej {{candidate.first_name}}! Välj en tid för din intervju hos {{company}}: {{interview_link}}",
        ),
        (
            "tpl_cs_remind",
            "Påminnelse",
            "interview_reminder",
            "{{company}}: vi ses {{interview.date}} kl {{interview.time}}, {{interview.location}}.",
        ),
    )
    for found, name, kind, body in templates:
        values = {"id": found, "unit_id": ORG, "name": name, "kind": kind, "channel": "sms", "language": "sv", "body": body}
        tx.insert("template", **values, updated_at=now)
    tx.flush()


def _cases(tx: Transaction, now: int) -> None:
    for name, roles in (("cs_mia", ["recruiter"]), ("cs_otto", ["viewer"])):
        add_user(tx, name, roles, now)
    tx.flush()
    tx.execute("UPDATE app_user SET name = 'Mia Holm' WHERE id = 'usr_cs_mia'")
    tx.execute("UPDATE app_user SET name = 'Otto Ek' WHERE id = 'usr_cs_otto'")
    team = (EVA, email("cs_mia"), email("cs_otto"), email("viewer"))
    welder = CaseFields(title="Svetsare till verkstaden i Västerås", language="sv", team=team)
    put_case(tx, ORG, WELDER, welder, "cli:test", now)
    put_case(tx, ORG, CODER, CaseFields(title="Backend developer (Python), Hamburg", language="de", team=(EVA,)), "cli:test", now)
    long = "Senior projektledare för ombyggnaden av produktionslinje fyra och införandet av ett nytt underhållssystem, vikariat"
    put_case(tx, ORG, "cs-long", CaseFields(title=long, language="sv", team=(EVA,)), "cli:test", now)
    old = CaseFields(title="Lagerarbetare, sommaren 2025", language="sv", team=(EVA,), closed=True)
    put_case(tx, ORG, "cs-old", old, "cli:test", now - 90 * DAY)


def _people(tx: Transaction, now: int) -> dict[str, Any]:
    numbers = iter(range(650, 690))
    found = {}
    people = (
        ("cs-kim", "Kim", "Sjöberg", "SE"),
        ("cs-lin", "Lin", "Åkesson", "SE"),
        ("cs-noa", "Noa", "Lindqvist", "SE"),
        ("cs-tom", "Tom", "Eriksson", "SE"),
        ("cs-new", "Nina", "Wallin", "SE"),
        ("cs-lea", "Lea", "Forsgren", "SE"),
        ("cs-tove", "Tove", "Dahl", "SE"),
        ("cs-xss", "<script>alert('name')</script>", "<img src=x onerror=alert(1)>", "SE"),
        ("cs-gone", "Gösta", "Berg", "SE"),
        ("cs-erased", "Elsa", "Borta", "SE"),
        ("cs-omar", "Omar", "Schäfer", "DE"),
        ("cs-nils", "Nils", "Utan", "SE"),
    )
    for ref, first, last, region in people:
        number = "+4917139200" + f"{next(numbers) - 590}" if region == "DE" else f"+46701740{next(numbers)}"
        fields = CandidateFields(
            first_name=first,
            last_name=last,
            email=f"{ref}@example.com",
            phone_raw="" if ref == "cs-nils" else number,
            region=region,
            language="de" if region == "DE" else "sv",
        )
        found[ref] = put_candidate(tx, ORG, ref, fields, "key:ats", now - 20 * DAY, phone_key=KEY)
    for ref in ("cs-kim", "cs-lin", "cs-noa", "cs-tom", "cs-xss", "cs-gone", "cs-erased", "cs-omar", "cs-tove"):
        push = ConsentPush(status="granted", captured_at=now - 20 * DAY, evidence=EVIDENCE)
        push_consent(tx, ORG, ref, "sms", push, "key:ats", now - 20 * DAY)
        case_id = tx.value("SELECT id FROM hiring_case WHERE ref = ? AND organisation_id = ?", WELDER, ORG)
        if ref not in ("cs-kim", "cs-omar"):
            introduced(tx, found[ref]["id"], "snd_1", f"case:{case_id}", found[ref]["phone_hash"], now - 20 * DAY)
    return found


def say(tx: Transaction, ref: str, text: str, at: int, *, left: bool = True, **more: Any) -> str:
    """A recruiter's text; with `left`, it and what went before it have arrived."""
    values = {"user": EVA, "case_ref": WELDER, "channel": "sms", "kind": "contact", **more}
    made = accept(tx, Submission(organisation_id=ORG, actor="user:usr_recruiter", candidate_ref=ref, text=text, **values), at)
    tx.flush()
    if left:
        for found in (*(each.id for each in made.companions), made.id):
            arrive(tx, str(found), at)
    return made.id


def arrive(tx: Transaction, message_id: str, at: int) -> None:
    """As if a modem had sent it and the phone confirmed it."""
    tx.execute(
        "UPDATE message SET state = 'delivered', hold_reason = NULL, not_before = NULL, sent_at = ?, done_at = ?, settled_at = ?"
        " WHERE id = ?",
        at + 2000,
        at + 9000,
        at + 2000,
        message_id,
    )
    tx.execute(
        "UPDATE part SET state = 'delivered', attempt = 1, modem = 'stick-1', submitted_at = ?, sent_at = ?, reported_at = ?"
        " WHERE message_id = ?",
        at + 1000,
        at + 2000,
        at + 9000,
        message_id,
    )


def hear(tx: Transaction, candidate: Any, text: str, at: int, **more: Any) -> None:
    """The candidate's own words, in the thread where they belong."""
    phone = candidate["phone"]
    routed = route(tx, organisation_id=ORG, candidate=candidate, address=phone, sender_id="snd_1", awaits=True, now=at)
    assert routed is not None
    tx.insert(
        "received",
        id=ids.new("inb"),
        candidate_id=candidate["id"],
        organisation_id=ORG,
        address=phone,
        phone_hash=candidate["phone_hash"],
        iccid="8946071111",
        sender_id="snd_1",
        text=text,
        parts=1,
        received_at=at,
        thread_id=routed.thread_id,
        place=routed.place,
        **more,
    )
    tx.flush()


def _talk(tx: Transaction, kim: Any, now: int) -> None:
    say(tx, "cs-kim", "Hej Kim! Tack för din ansökan. Har du svetslicens enligt ISO 9606?", now - 3 * DAY)
    hear(tx, kim, "Ja, för MIG/MAG och TIG. Ska jag skicka intygen?", now - 3 * DAY + 40 * MINUTE)
    say(tx, "cs-kim", "Gärna, mejla dem till oss. Vi hör av oss om en tid för intervju.", now - 2 * DAY)
    hear(tx, kim, "Skickat! Jag kan alla dagar utom onsdag 😊", now - 2 * HOUR)
    later = "Tack, vi har fått intygen. På fredag får du veta vem du träffar."
    say(tx, "cs-kim", later, now - HOUR, left=False, send_at=now + 4 * HOUR)
    say(tx, "cs-xss", "Hej! Vi har fått din ansökan. <b>Välkommen!</b>", now - 5 * HOUR)


def _consents(tx: Transaction, people: dict[str, Any], now: int) -> None:
    links = Links("https://jobs.acme.example", KEY)
    how: dict[str, Any] = {"links": links, "mails": False, "seal_key": KEY}
    for ref, channels, letter in (("cs-lea", ["sms"], "C"), ("cs-new", ["sms", "whatsapp"], "B")):
        asked = Asked(candidate_ref=ref, channels=channels, case_ref=WELDER, user=EVA)
        made = consent_requests.ask(tx, ORG, asked, "user:usr_recruiter", now - DAY, **how)
        tx.execute("UPDATE consent_request SET token_hash = ? WHERE id = ?", digest(token(letter)), made.id)
    asked = Asked(candidate_ref="cs-omar", channels=["whatsapp"], case_ref=CODER, user=EVA)
    made = consent_requests.ask(tx, ORG, asked, "user:usr_recruiter", now - DAY, **how)
    tx.execute("UPDATE consent_request SET token_hash = ? WHERE id = ?", digest(token("G")), made.id)
    given: dict[str, Any] = {
        "ip": "192.0.2.4",
        "user_agent": "Firefox",
        "url": "https://jobs.acme.example/c/x",
        "form_hash": "00",
    }
    consent_requests.answer(tx, token("G"), "grant", [], **given, now=now - HOUR)
    say(tx, "cs-omar", "Guten Tag Herr Schäfer, wann passt Ihnen ein Gespräch?", now - 2 * HOUR, left=False)
    say(tx, "cs-tove", "Hej Tove! Har du möjlighet att börja i maj?", now - 5 * DAY)
    hear(tx, people["cs-tove"], "STOPP", now - 4 * DAY, keyword="stop")
    tove = tx.one("SELECT * FROM candidate WHERE ref = 'cs-tove' AND organisation_id = ?", ORG)
    assert tove is not None
    withdraw(tx, tove, "sms", "keyword", "candidate", {"keyword_raw": "STOPP"}, now - 4 * DAY)
    tx.flush()
    arrive(
        tx, tx.value("SELECT id FROM message WHERE candidate_id = ? AND kind = 'stop_confirmation'", tove["id"]), now - 4 * DAY
    )
    modules.push(tx, ORG, "cs-kim", "smartrecruit", "granted", "application", {}, "key:ats", now - 20 * DAY)


def _interviews(tx: Transaction, now: int) -> None:
    monday = now - 10 * HOUR  # midnight UTC of the clock's Monday
    plain = {
        "organisation_id": ORG,
        "actor": "user:usr_recruiter",
        "user": EVA,
        "case_ref": WELDER,
        "channel": "sms",
        "tz": "Europe/Stockholm",
        "location": "Verkstadsgatan 4, Västerås",
    }

    def invite(ref: str, letter: str, **more: Any) -> str:
        made = interviews.create(tx, NewInterview(candidate_ref=ref, **{**plain, **more}), DESK, now - DAY)
        tx.flush()
        assert made.message is not None
        arrive(tx, made.message.id, now - DAY)
        tx.execute("UPDATE interview SET token_hash = ? WHERE id = ?", digest(token(letter)), made.interview_id)
        return made.interview_id

    def answer(interview_id: str, said: Answer, source: str) -> None:
        row = locked(tx, ORG, interview_id)
        respond(tx, row, said, source, "candidate", DESK, now - 20 * HOUR)
        tx.flush()

    one_time: dict[str, Any] = {"type": "scheduled", "template_id": "tpl_cs_invite"}
    start = monday + 4 * DAY + 9 * HOUR
    kim = invite("cs-kim", "K", **one_time, starts_at=start, ends_at=start + 45 * MINUTE)
    for lead in ("P1D", "P3D", "PT2H"):
        new = NewReminder(offset=lead, template_id="tpl_cs_remind")
        made = reminders.add(tx, ORG, kim, new, "user:usr_recruiter", DESK, now - 21 * HOUR)
    reminders.delete(tx, ORG, kim, made["id"], "user:usr_recruiter", now - 20 * HOUR)
    answer(kim, Answer.DECLINE, "sms")
    interviews.move(tx, ORG, kim, Move(starts_at=start + HOUR), "user:usr_recruiter", DESK, now - 20 * HOUR)
    for lead in ("P1D", "PT4H"):
        reminders.add(
            tx, ORG, kim, NewReminder(offset=lead, template_id="tpl_cs_remind"), "user:usr_recruiter", DESK, now - 20 * HOUR
        )
    answer(kim, Answer.CONFIRM, "page")
    slots = tuple(
        Slot(f"cs-slot-{number}", monday + day * DAY + hour * HOUR, monday + day * DAY + hour * HOUR + 30 * MINUTE, 2)
        for number, (day, hour) in enumerate(((3, 8), (3, 9), (4, 12), (4, 13)), 1)
    )
    lin = invite("cs-lin", "L", type="self_schedule", template_id="tpl_cs_slots", slots=slots)
    reminders.add(
        tx, ORG, lin, NewReminder(offset="PT3H", text="Vi ses snart! {{company}}"), "user:usr_recruiter", DESK, now - DAY
    )
    noa = invite("cs-noa", "N", **one_time, starts_at=start + DAY - HOUR)
    answer(noa, Answer.DECLINE, "page")
    tom = invite("cs-tom", "T", **one_time, starts_at=start + 2 * HOUR)
    interviews.call_off(tx, ORG, tom, "user:usr_recruiter", now - 3 * HOUR)


def _erasures(tx: Transaction, people: dict[str, Any], now: int) -> None:
    waits = say(tx, "cs-gone", "Hej Gösta! Tack för samtalet i dag.", now - MINUTE, left=False)
    tx.execute("UPDATE message SET state = 'sending', hold_reason = NULL WHERE id = ?", waits)
    erase.erase(tx, ORG, "cs-gone", "asked by letter", now - DAY, "user:usr_admin", now)
    erase.erase(tx, ORG, "cs-erased", "asked by letter", now - DAY, "user:usr_admin", now)
    erase.set_hold(tx, ORG, "cs-omar", True, "labour court 2026/17", "user:usr_compliance", now)
