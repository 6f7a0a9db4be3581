"""Fifty-odd people in several units, seats of a licence, single rights; ids begin with usr_u, rgt_u."""

import hashlib

from gateway.store.database import Database, compact
from tests.browser.furnished.organisation import add_units
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_user

FIRST = ("Åsa", "Björn", "Cecilia", "Davor", "Elif", "Frida", "Gustav", "Hanna", "Ivan", "Jasmin", "Karl", "Linnéa", "Marta")
LAST = ("Öberg", "Lindqvist", "Kovačević", "Yılmaz")
LINK = "L" * 43
"""The token of somebody's link to a new password."""
PAGES = {
    "list": ("admin", "/admin/users"),
    "list-filtered": ("admin", "/admin/users?q=lind&role=recruiter&seat=with"),
    "list-empty": ("admin", "/admin/users?q=nobody+at+all"),
    "new": ("admin", "/admin/users/new"),
    "person": ("admin", "/admin/users/usr_u_0"),
    "person-case": ("admin", "/admin/users/usr_u_1?case=job-7"),
    "person-no-such-case": ("admin", "/admin/users/usr_u_2?case=job-nowhere"),
    "person-off": ("admin", "/admin/users/usr_u_7"),
    "person-myself": ("admin", "/admin/users/usr_admin"),
    "person-formula": ("admin", "/admin/users/usr_u_formula"),
    "roles": ("admin", "/admin/users/roles"),
    "seats": ("admin", "/admin/users/seats"),
    "seats-idle": ("admin", "/admin/users/seats?idle=90&from=usr_u_4"),
    "seats-operator": ("operator", "/admin/users/seats"),
    "upload": ("admin", "/admin/users/upload"),
    "reports-elsewhere": ("u_1", "/admin/reports"),
    "fresh-password": (None, f"/admin/password/{LINK}"),
    "fresh-password-over": (None, "/admin/password/no-such-link"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add all of it."""
    now, day = clock.now_ms(), 86_400_000
    with store.write() as tx:
        add_units(tx, now)
        units = ("org_u_se", "org_u_care", "org_u_it", "org_u_de", ORG)
        roles = (["recruiter"], ["recruiter", "recruiting_manager"], ["viewer"], [], ["compliance"], ["recruiter"])
        for number in range(52):
            user_id, name = f"usr_u_{number}", f"{FIRST[number % 13]} {LAST[number // 13]}"
            add_user(tx, f"u_{number}", roles[number % 6], now, active=int(number % 8 != 7))
            tx.flush()
            seat = number % 4 == 0 and number < 48
            used = None if number % 5 == 3 else now - (number * 3 % 120) * day
            sets = "UPDATE app_user SET name = ?, email = ?, unit_id = ?, seat = ?, last_used_at = ? WHERE id = ?"
            email = f"{name.split()[0].lower()}.{number}@acme.example"
            tx.execute(sets, name, email, units[number % 5], int(seat), used, user_id)
            if number % 9 == 0:
                tx.execute("UPDATE app_user SET password_hash = NULL WHERE id = ?", user_id)
        add_user(tx, "u_formula", ["viewer"], now)
        tx.flush()
        tx.execute("UPDATE app_user SET name = ? WHERE id = 'usr_u_formula'", '=HYPERLINK("http://evil.example","Pay")')
        tx.execute("UPDATE organisation SET seats_total = 15 WHERE id = ?", ORG)
        grants = (
            ("rgt_u_1", "org_u_de", "user", "", "usr_u_1", "reports.view"),
            ("rgt_u_2", "org_u_se", "user", "", "usr_u_1", "candidate_management.all_cases"),
            ("rgt_u_3", "org_u_se", "role", "recruiter", "", "reports.view"),
        )
        for grant_id, unit_id, holder, role, user_id, permission in grants:
            tx.insert(
                "right_grant",
                id=grant_id,
                organisation_id=ORG,
                unit_id=unit_id,
                holder=holder,
                role=role,
                user_id=user_id,
                permission=permission,
                created_at=now,
            )
        link = {"token_hash": hashlib.sha256(LINK.encode()).hexdigest(), "user_id": "usr_u_9"}
        tx.insert("password_link", **link, created_at=now, expires_at=now + day)
        roles_with_one = compact(["recruiter", "templates.edit"])
        tx.execute("UPDATE app_user SET roles = ? WHERE id = 'usr_u_0'", roles_with_one)
