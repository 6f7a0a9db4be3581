"""Messages of four weeks by several people, to several countries, in several cases, with their ledger rows; numbers 7000 up."""

from gateway.store.database import Database
from tests.browser.furnished.organisation import add_units
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_ledger, add_message, message_id

PAGES = {
    "user": ("admin", "/admin/reports?period=quarter"),
    "country": ("admin", "/admin/reports?group_by=country&period=quarter"),
    "both": ("compliance", "/admin/reports?group_by=user,country&period=quarter"),
    "case": ("admin", "/admin/reports?group_by=case&period=quarter"),
    "month": ("admin", "/admin/reports?group_by=month&from=2025-10-01&to=2026-03-31"),
    "empty": ("admin", "/admin/reports?from=2020-01-01&to=2020-01-31"),
    "wrong": ("admin", "/admin/reports?from=2026-03-02&to=2026-03-01"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add all of it."""
    now, day = clock.now_ms(), 86_400_000
    people = ("usr_recruiter", "usr_admin", "usr_compliance", None)
    countries = ("SE", "SE", "DE", "PR", "NL", "")
    with store.write() as tx:
        add_units(tx, now)
        for number, (title, unit) in enumerate(
            (
                ("Undersköterska, natt", "org_u_care"),
                ("Java developer", "org_u_it"),
                ("Pflegefachkraft (m/w/d) für die Nachtschicht in Oldenburg", "org_u_de"),
            )
        ):
            tx.insert(
                "hiring_case",
                id=f"case_r_{number}",
                organisation_id=ORG,
                unit_id=unit,
                ref=f"job-{700 + number}",
                title=title,
                created_at=now,
                updated_at=now,
            )
        tx.flush()
        for number in range(90):
            at = now - (number % 27) * day - 3_600_000
            user, country, case = people[number % 4], countries[number % 6], number % 3
            state = ("delivered", "delivered", "undelivered", "delivered", "failed")[number % 5]
            sent = state != "failed"
            whose = {"user_id": user, "case_id": f"case_r_{case}", "unit_id": ("org_u_care", "org_u_it", "org_u_de")[case]}
            add_message(tx, 7000 + number, state, at, country=country or "ZZ", **whose, settled_at=at + 5000, seq=7000 + number)
            if sent:
                month = ("2026-03", "2026-02", "2026-01")[number // 3 % 3]
                paid = {**whose, "country": country or None, "charged": 2 + number % 3, "parts": 2, "month": month}
                add_ledger(tx, "settle", 0, at + 5000, message_id=message_id(7000 + number), actor="gateway", **paid)
        for number in range(14):
            tx.insert(
                "opt_out",
                organisation_id=ORG,
                user_id=people[number % 4],
                case_id="case_r_0",
                country="SE",
                at=now - number * 5 * day,
            )
            tx.flush()
