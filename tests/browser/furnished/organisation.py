"""A tree of units with allowances, top-ups that wait, ledger entries by unit, and rates; ids begin with org_u, gnt_u."""

from typing import Any

from gateway.store.database import Database, Transaction
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_ledger, message_id

UNITS = {
    "org_u_se": ("acme/se", "Sverige", ORG, "sv", "SE"),
    "org_u_care": ("acme/se/care", "Vård & omsorg", "org_u_se", "sv", "SE"),
    "org_u_it": ("acme/se/it", "IT och teknik", "org_u_se", "sv", "SE"),
    "org_u_de": ("acme/de", "Deutschland", ORG, "de", "DE"),
    "org_u_long": (
        "acme/de/pflege",
        "Rechtsschutzversicherungsgesellschaften und Krankenhausverwaltung Nord-West",
        "org_u_de",
        "de",
        "DE",
    ),
}
PAGES = {
    "overview": ("admin", "/admin/organisation"),
    "overview-operator": ("operator", "/admin/organisation"),
    "overview-unit": ("admin", "/admin/organisation/org_u_se"),
    "overview-leaf": ("admin", "/admin/organisation/org_u_long"),
    "settings-top": ("admin", f"/admin/organisation/{ORG}/settings"),
    "settings-unit": ("admin", "/admin/organisation/org_u_care/settings"),
    "credits-admin": ("admin", "/admin/organisation/credits"),
    "credits-operator-90": ("operator", "/admin/organisation/credits?days=90"),
    "credits-topups": ("admin", "/admin/organisation/credits?only=grants"),
    "credits-unit": ("admin", "/admin/organisation/org_u_se/credits"),
    "credits-forbidden": ("recruiter", "/admin/organisation/credits"),
    "allowances": ("admin", f"/admin/organisation/{ORG}/allowances"),
    "allowances-unit": ("admin", "/admin/organisation/org_u_se/allowances"),
    "allowances-empty": ("operator", "/admin/organisation/org_u_long/allowances"),
    "chargeback": ("admin", f"/admin/organisation/{ORG}/chargeback?from=2026-01&to=2026-03"),
    "chargeback-empty": ("admin", "/admin/organisation/org_u_long/chargeback"),
    "chargeback-wrong": ("compliance", f"/admin/organisation/{ORG}/chargeback?from=2026-03&to=2026-01"),
}


def add_units(tx: Transaction, now: int) -> None:
    """The tree below Acme, once."""
    for unit_id, (ref, name, parent, language, region) in UNITS.items():
        if tx.one("SELECT 1 AS yes FROM organisation WHERE id = ?", unit_id) is None:
            tx.insert(
                "organisation",
                id=unit_id,
                parent_id=parent,
                root_id=ORG,
                ref=ref,
                name=name,
                language=language,
                zone="Europe/Berlin" if language == "de" else "Europe/Stockholm",
                region=region,
                created_at=now,
            )
            tx.flush()


def furnish(store: Database, clock: ManualClock) -> None:
    """Add all of it."""
    now, day = clock.now_ms(), 86_400_000
    with store.write() as tx:
        add_units(tx, now)
        if tx.one("SELECT 1 AS yes FROM balance WHERE organisation_id = ?", ORG) is None:
            tx.insert("balance", organisation_id=ORG, available=300, reserved=6)
            tx.flush()
        tx.execute("UPDATE balance SET full_at = 2000, told = 100 WHERE organisation_id = ?", ORG)
        _allowances(tx, now)
        _requests(tx, now, day)
        if tx.one("SELECT 1 AS yes FROM country WHERE iso = 'NL'") is None:
            tx.insert("country", iso="NL", channel="sms", state="active", opt_in="double", price=2, updated_at=now)
        for number, unit_id in enumerate(("org_u_care", "org_u_it", "org_u_de"), 1):
            spent: dict[str, Any] = {"message_id": message_id(number), "unit_id": unit_id, "actor": "user:usr_recruiter"}
            add_ledger(tx, "reserve", -number, now - 600_000 * number, **spent)


def _allowances(tx: Transaction, now: int) -> None:
    for unit_id, monthly, carry in ((ORG, 2000, 500), ("org_u_se", 800, 0), ("org_u_care", 300, 100)):
        tx.insert("allowance", unit_id=unit_id, organisation_id=ORG, monthly=monthly, carry_over=carry, updated_at=now)
    months = (
        (ORG, "2026-01", 2000, 0, 1710),
        (ORG, "2026-02", 2000, 290, 1402),
        (ORG, "2026-03", 2000, 500, 640),
        ("org_u_se", "2026-02", 800, 0, 655),
        ("org_u_se", "2026-03", 800, 0, 742),
        ("org_u_care", "2026-02", 300, 20, 320),
        ("org_u_care", "2026-03", 300, 0, 300),
    )
    for unit_id, month, monthly, carried, used in months:
        tx.insert("allowance_month", unit_id=unit_id, month=month, monthly=monthly, carried=carried, used=used)


def _requests(tx: Transaction, now: int, day: int) -> None:
    rows = (
        ("gnt_u_1", 1000, "PO-2026-44", "Spring campaign in care: 40 new nurses from April on", "waiting", "usr_admin"),
        ("gnt_u_2", 250, "PO-2026-45", "", "waiting", "usr_operator"),
        ("gnt_u_3", 5000, "PO-2026-12", "", "refused", "usr_admin"),
        ("gnt_u_4", 500, "PO-2026-31b", "February", "granted", "usr_admin"),
    )
    for request_id, amount, reference, reason, state, asker in rows:
        done = {} if state == "waiting" else {"decided_by": "user:usr_operator", "decided_at": now - day}
        tx.insert(
            "grant_request",
            id=request_id,
            organisation_id=ORG,
            amount=amount,
            reference=reference,
            reason=reason,
            state=state,
            asked_by=f"user:{asker}",
            asked_at=now - 2 * day,
            **done,
        )
