"""Countries in every state, opt-in history, own texts and words, numbers with budgets, tasks, erasures, a legal hold."""

from gateway.flows import compliance
from gateway.flows.compliance import Acknowledgement
from gateway.store.database import Database, compact
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_message, message_id

DAY = 86_400_000
PAGES = {
    "countries": ("admin", "/admin/compliance"),
    "countries-all": ("operator", "/admin/compliance?show=all"),
    "countries-review": ("compliance", "/admin/compliance?show=review"),
    "countries-whatsapp-empty": ("admin", "/admin/compliance?channel=whatsapp"),
    "country-active": ("admin", "/admin/compliance/countries/SE"),
    "country-testing": ("operator", "/admin/compliance/countries/DE"),
    "country-testing-admin": ("admin", "/admin/compliance/countries/DE"),
    "country-requested": ("admin", "/admin/compliance/countries/FR"),
    "country-off": ("operator", "/admin/compliance/countries/PH"),
    "country-overdue": ("admin", "/admin/compliance/countries/NO"),
    "country-unknown": ("admin", "/admin/compliance/countries/BR"),
    "texts": ("admin", "/admin/compliance/texts"),
    "texts-operator": ("operator", "/admin/compliance/texts"),
    "text-own": ("admin", "/admin/compliance/texts/identification/sv"),
    "text-none": ("admin", "/admin/compliance/texts/help/tr"),
    "keywords": ("admin", "/admin/compliance/keywords"),
    "kinds": ("admin", "/admin/compliance/kinds"),
    "kinds-operator": ("operator", "/admin/compliance/kinds"),
    "senders": ("admin", "/admin/compliance/senders"),
    "sender": ("admin", "/admin/compliance/senders/snd_cmp"),
    "tasks": ("admin", "/admin/compliance/tasks"),
    "tasks-done": ("compliance", "/admin/compliance/tasks?state=done"),
    "forgetting": ("admin", "/admin/compliance/forgetting"),
    "retention": ("admin", "/admin/compliance/retention"),
    "retention-read": ("operator", "/admin/compliance/retention"),
    "responsibility": ("admin", "/admin/compliance/responsibility"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add all of it."""
    now = clock.now_ms()
    with store.write() as tx:
        add_message(tx, 8801, "delivered", now - DAY, origin="test", candidate_id=None, case_id=None, user_id=None, kind="test")
        for iso, state, more in (
            ("SE", "active", {"checklist": compact(["law_read", "sim_terms", "opt_in_texts", "budgets"])}),
            ("NO", "active", {"checked_at": now - 200 * DAY, "owner": "Legal department"}),
            ("DE", "testing", {"requested_at": now - 20 * DAY, "test_message_id": message_id(8801)}),
            ("FR", "requested", {"requested_at": now - 3 * DAY}),
            ("US", "suspended", {"checklist": compact(["law_read"])}),
        ):
            tx.execute("DELETE FROM country WHERE iso = ? AND channel = 'sms'", iso)
            tx.insert("country", iso=iso, channel="sms", state=state, updated_at=now, **more)
        tx.insert("holiday", iso="SE", day="2026-06-19", name="Midsommarafton", created_at=now)
        tx.insert("wording", organisation_id=ORG, kind="identification", language="sv", version=2, updated_at=now, body=SWEDISH)
        tx.insert(
            "sender",
            id="snd_cmp",
            organisation_id=ORG,
            number="+46701740698",
            iccid="8946079999",
            countries='["SE", "NO"]',
            international=1,
            updated_at=now,
        )
        tx.insert(
            "sim_budget", iccid="8946079999", day_from=now - now % DAY, day_used=171, month_from=now - now % DAY, month_used=171
        )
        tx.flush()
        given = Acknowledgement(
            text="Counsel has confirmed that consent from the application is enough in Sweden.",
            name="Åsa Compliance",
            reference="Memo 2026-014",
            advised_on="2026-02-20",
        )
        compliance.set_opt_in(
            tx, "SE", "sms", "single", given, "Candidates did not understand START", "user:usr_admin", now - DAY
        )
        compliance.add_keyword(tx, ORG, "sv", "stop", "SLUTA MESSA", "user:usr_admin", now)
        compliance.add_keyword(tx, ORG, "*", "stop_phrase", "leave me alone", "user:usr_admin", now)
        for number, (state, said) in enumerate(
            (
                ("open", "Please, no more texts to this number, I have found a job"),
                ("open", "Hur fick ni mitt nummer?"),
                ("done", "Sluta!"),
            )
        ):
            candidate = f"cand_cmp{number}"
            tx.insert(
                "candidate",
                id=candidate,
                organisation_id=ORG,
                ref=f"cmp-{number}",
                first_name="Kim",
                last_name="Sjöberg",
                phone=f"+4670174062{number}",
                phone_state="ok",
                phone_hash=f"hash-cmp-{number}",
                created_at=now,
                updated_at=now,
                legal_hold=int(number == 1),
            )
            tx.flush()
            tx.insert(
                "received",
                id=f"inb_cmp{number}",
                candidate_id=candidate,
                organisation_id=ORG,
                address=f"+4670174062{number}",
                iccid="8946079999",
                text=said,
                parts=1,
                received_at=now - DAY * (number + 1),
            )
            tx.insert(
                "task",
                id=f"tsk_cmp{number}",
                organisation_id=ORG,
                kind="possible_opt_out",
                candidate_id=candidate,
                case_id="case_1",
                user_id="usr_recruiter",
                received_id=f"inb_cmp{number}",
                state=state,
                outcome="opt_out" if state == "done" else None,
                due_at=now + DAY * (1 - 2 * number),
                created_at=now - DAY * (number + 1),
                done_at=now if state == "done" else None,
            )
        for number, (state, done_at) in enumerate((("waiting", None), ("done", now - DAY))):
            tx.insert(
                "erasure",
                id=f"era_cmp{number}",
                organisation_id=ORG,
                candidate_id=f"cand_cmp{number * 2}",
                state=state,
                actor="user:usr_admin",
                requested_at=now - 3 * DAY,
                asked_at=now - 2 * DAY,
                done_at=done_at,
            )


SWEDISH = "{{user.name}} på {{company}} skriver till dig om {{purpose}}. Svara STOPP för att slippa fler sms."
