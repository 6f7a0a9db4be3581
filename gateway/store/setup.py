"""The first rows: organisations, people, API keys, and the marks a database carries about itself.

Functions of one transaction each step; what may be asked for at all is checked here, so that command line, `apply` and pages
agree. `now` is in milliseconds.
"""

import hashlib
import json
import re
import secrets
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import keys
from gateway.config import Config
from gateway.errors import Refused
from gateway.keys import Keys
from gateway.rules.permissions import PERMISSIONS, ROLES
from gateway.store import ids, schema
from gateway.store.database import Database, Row, Transaction, View, compact

SCOPES: Final = (
    "candidates:read",
    "candidates:write",
    "organisations:read",
    "organisations:write",
    "users:read",
    "users:write",
    "templates:read",
    "templates:write",
    "operator:read",
    "operator:write",
    "messages:read",
    "messages:write",
    "interviews:read",
    "interviews:write",
    "credits:read",
    "credits:write",
    "credits:redeem",
    "reports:read",
    "retention:read",
    "candidates:erase",
    "candidates:export",
    "compliance:read",
    "compliance:write",
    "modems:read",
    "modems:write",
    "events:read",
    "webhooks:read",
    "webhooks:write",
)
"""What an API key may be allowed to do; `messages:*` is all of an area, `*` everything."""
ATS_SCOPES: Final = (
    *("candidates:read", "candidates:write", "messages:read", "messages:write", "interviews:read", "interviews:write"),
    *("events:read", "credits:read", "organisations:read", "templates:read"),
)
"""What an applicant tracking system needs: the default of a new key."""
FIRST_REF: Final = "main"
"""The ref that `init` gives the first organisation; `apply` may rename it."""
LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def prepare(config: Config, database: Database, *, test: bool = False) -> list[str]:
    """Make the database ready for service: schema, keys, their fingerprints; the migrations that ran. Changes nothing twice.

    Key files are made for a fresh database only: one that remembers keys gets them back from the backup, not new ones.
    Raises what `schema.migrate`, `mark_as_test` and `bind_keys` raise, and KeysMissing.
    """
    state_dir = config.gateway.state_dir
    state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    ran = schema.migrate(database, state_dir / "snapshots")
    with database.write() as tx:
        if test:
            mark_as_test(tx)
        is_bound = tx.one("SELECT 1 AS yes FROM setting WHERE name = 'key.phone'") is not None
        bind_keys(tx, keys.load(state_dir) if is_bound else keys.ensure(state_dir))
    return ran


def mark_as_test(tx: Transaction) -> None:
    """Mark a fresh database as a test one, where a test clock is allowed. Raises Refused once it holds anybody."""
    if tx.one("SELECT 1 AS yes FROM setting WHERE name = 'test' AND value = '1'") is not None:
        return
    if tx.one("SELECT 1 AS yes FROM organisation LIMIT 1") is not None:
        raise Refused("not_fresh", 409, "This database is in service: only a fresh one can be marked as a test one.")
    tx.execute("INSERT INTO setting (name, value) VALUES ('test', '1')")


def bind_keys(tx: Transaction, box: Keys) -> None:
    """Remember the keys' fingerprints in a fresh database. Raises keys.OtherKeys where others are remembered.

    With another phone key every STOP would be forgotten; with another seal key no webhook could be signed.
    """
    known = schema.known_keys(tx)
    box.must_match(known)
    for name, fingerprint in box.fingerprints().items():
        if name not in known:
            tx.execute("INSERT INTO setting (name, value) VALUES (?, ?)", f"key.{name}", fingerprint)


def create_organisation(
    tx: Transaction,
    *,
    ref: str,
    name: str,
    language: str = "en",
    zone: str = "UTC",
    region: str | None = None,
    parent: Row | None = None,
    actor: str,
    now: int,
) -> str:
    """A main organisation, or a unit below `parent`; its id. Raises Refused for a taken ref or unknown language or zone."""
    check_language(language)
    check_zone(zone)
    if tx.one("SELECT 1 AS yes FROM organisation WHERE ref = ?", ref) is not None:
        raise Refused("duplicate_ref", 409, f'The reference "{ref}" is taken.', field="ref")
    organisation_id = ids.new("org")
    tx.execute(
        "INSERT INTO organisation (id, parent_id, root_id, ref, name, language, zone, region, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        organisation_id,
        None if parent is None else parent["id"],
        organisation_id if parent is None else parent["root_id"],
        ref,
        name,
        language,
        zone,
        region,
        now,
    )
    if parent is None:
        tx.execute("INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 0, 0)", organisation_id)
    tx.audit(now, actor, "organisation.create", organisation_id, {"ref": ref})
    return organisation_id


def roots(view: View) -> list[Row]:
    """The main organisations, oldest first."""
    return view.all("SELECT * FROM organisation WHERE parent_id IS NULL ORDER BY created_at, id")


def the_organisation(view: View, ref: str | None) -> Row:
    """The main organisation with this ref, or the only one. Raises Refused where that is not one."""
    found = roots(view)
    if ref is not None:
        found = [row for row in found if row["ref"] == ref]
        if not found:
            raise Refused(
                "organisation_not_found", 404, f'There is no main organisation with the ref "{ref}".', field="organisation"
            )
    if not found:
        raise Refused(
            "organisation_not_found", 404, "There is no organisation yet: `ringpost init` or `ringpost apply` makes one."
        )
    if len(found) > 1:
        known = ", ".join(row["ref"] for row in found)
        raise Refused("organisation_ambiguous", 422, f"There are several organisations; name one: {known}.", field="organisation")
    return found[0]


def create_user(
    tx: Transaction,
    organisation_id: str,
    *,
    email: str,
    name: str,
    roles: Sequence[str] = (),
    seat: bool = False,
    unit_id: str | None = None,
    password_hash: str | None = None,
    actor: str,
    now: int,
    checks: bool = True,
) -> str:
    """A person; their id. Raises Refused for a taken or malformed address or an unknown role."""
    check_email(email)
    check_roles(roles)
    address = email.strip().lower()
    if tx.one("SELECT 1 AS yes FROM app_user WHERE email = ?", address) is not None:
        raise Refused("duplicate_email", 409, "A user with this e-mail address exists.", field="email")
    user_id = ids.new("usr")
    tx.execute(
        "INSERT INTO app_user (id, organisation_id, unit_id, email, name, password_hash, roles, seat, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        user_id,
        organisation_id,
        unit_id or organisation_id,
        address,
        name,
        password_hash,
        compact(sorted(set(roles))),
        int(seat),
        now,
    )
    data = {"roles": sorted(set(roles)), "seat": seat, "unit": unit_id or organisation_id}
    tx.audit(now, actor, "user.create", user_id, data, private=address)
    if seat:
        if checks:
            _check_seats(tx, organisation_id)
        tx.audit(now, actor, "seat.grant", user_id)
    return user_id


def find_user(view: View, email: str) -> Row:
    """A person by e-mail address. Raises Refused `user_not_found`."""
    row = view.one("SELECT * FROM app_user WHERE email = ?", email.strip().lower())
    if row is None:
        raise Refused("user_not_found", 404, f"There is no user {email}.", field="email")
    return row


def change_user(
    tx: Transaction,
    user: Row,
    *,
    name: str | None = None,
    roles: Sequence[str] | None = None,
    seat: bool | None = None,
    active: bool | None = None,
    unit_id: str | None = None,
    actor: str,
    now: int,
    told: Mapping[str, object] | None = None,
    checks: bool = True,
) -> bool:
    """Change what is given; whether anything did. Whoever is switched off is signed out everywhere. `told` goes into the audit.

    Raises Refused `last_admin` where nobody would be left who may edit users, `seat_limit` beyond the licence; without `checks`
    that is the caller's matter, once all rows are changed.
    """
    wanted: dict[str, object] = {}
    if name is not None:
        wanted["name"] = name
    if roles is not None:
        check_roles(roles)
        wanted["roles"] = compact(sorted(set(roles)))
    if seat is not None:
        wanted["seat"] = int(seat)
    if active is not None:
        wanted["active"] = int(active)
    if unit_id is not None:
        wanted["unit_id"] = unit_id
    changed = {key: value for key, value in wanted.items() if user[key] != value}
    if not changed:
        return False
    columns = ", ".join(f"{key} = ?" for key in changed)
    tx.execute(f"UPDATE app_user SET {columns}, version = version + 1 WHERE id = ?", *changed.values(), user["id"])
    if checks:
        if ("roles" in changed or "active" in changed) and _is_admin(user) and not _admins(tx, user["organisation_id"]):
            raise last_admin()
        if changed.get("seat") == 1 or changed.get("active") == 1:
            _check_seats(tx, user["organisation_id"])
    if changed.get("active") == 0:
        tx.execute("DELETE FROM web_session WHERE user_id = ?", user["id"])
    _audit_change(tx, user, changed, name, actor, now, told or {})
    return True


def _audit_change(
    tx: Transaction,
    user: Row,
    changed: Mapping[str, object],
    name: str | None,
    actor: str,
    now: int,
    told: Mapping[str, object],
) -> None:
    """The row's change, and besides it one row for each act that the audit knows by name."""
    shown = {key: value for key, value in changed.items() if key != "name"}
    data = {**shown, "changed": sorted(changed), **told}
    tx.audit(now, actor, "user.update", user["id"], data, private=name if "name" in changed else None)
    lost = waiting_of(tx, user["id"]) if {"roles", "seat", "active", "unit_id"} & set(changed) else 0
    still = {"waiting_messages_still_go": lost} if lost else {}  # rights were decided when they were accepted (S3)
    if "roles" in changed:
        roles = [json.loads(user["roles"]), json.loads(str(changed["roles"]))]
        tx.audit(now, actor, "permission.change", user["id"], {"roles": roles, **still, **told})
    if "seat" in changed:
        tx.audit(now, actor, "seat.grant" if changed["seat"] else "seat.revoke", user["id"], {**still, **told})
    if changed.get("active") == 0:
        tx.audit(now, actor, "user.disable", user["id"], {**still, **told})


def waiting_of(view: View, user_id: str) -> int:
    """How many messages of a person are accepted and have not left yet."""
    found = view.value(
        "SELECT COUNT(*) AS n FROM message WHERE user_id = ? AND origin = 'user' AND state IN ('held', 'queued')", user_id
    )
    return int(found or 0)


def last_admin() -> Refused:
    """The refusal to leave nobody who may edit users."""
    return Refused("last_admin", 409, "This is the last administrator: make another one first.", field="roles")


def lock_people(tx: Transaction, organisation_id: str) -> None:
    """Let nobody else change seats and administrators of this organisation meanwhile: both are counted over all rows."""
    tx.one("SELECT id FROM organisation WHERE id = ?" + tx.for_update, organisation_id)


def seats(view: View, organisation_id: str) -> tuple[int | None, int]:
    """How many seats the licence has (None: no limit) and how many are given to active people."""
    total = view.value("SELECT seats_total FROM organisation WHERE id = ?", organisation_id)
    used = view.value("SELECT COUNT(*) AS n FROM app_user WHERE organisation_id = ? AND seat = 1 AND active = 1", organisation_id)
    return total, int(used or 0)


def _check_seats(view: View, organisation_id: str) -> None:
    total, used = seats(view, organisation_id)
    if total is not None and used > total:
        text = f"All {total} seats are taken: take one back, move one, or ask the operator for more."
        raise Refused("seat_limit", 409, text, field="seat", facts={"have": total, "want": used})


def set_seats(
    tx: Transaction, organisation_id: str, total: int | None, actor: str, now: int, told: Mapping[str, object] | None = None
) -> bool:
    """Set how many seats there are; whether that changed anything. Raises Refused `seat_limit` below what is in use."""
    lock_people(tx, organisation_id)
    before, _ = seats(tx, organisation_id)
    if before == total:
        return False
    tx.execute("UPDATE organisation SET seats_total = ? WHERE id = ?", total, organisation_id)
    _check_seats(tx, organisation_id)
    tx.audit(now, actor, "config.change", organisation_id, {"seats_total": [before, total], **(told or {})})
    return True


def admins(view: View, organisation_id: str) -> int:
    """How many active administrators there are."""
    return len(_admins(view, organisation_id))


def _is_admin(user: Row) -> bool:
    return bool(user["active"]) and "admin" in json.loads(user["roles"])


def _admins(view: View, organisation_id: str) -> list[Row]:
    people = view.all("SELECT id, roles, active FROM app_user WHERE organisation_id = ?", organisation_id)
    return [person for person in people if _is_admin(person)]


def set_password(tx: Transaction, user: Row, password_hash: str, actor: str, now: int) -> None:
    """Set a password (its argon2 hash) and end every session of that person."""
    tx.execute("UPDATE app_user SET password_hash = ?, version = version + 1 WHERE id = ?", password_hash, user["id"])
    tx.execute("DELETE FROM web_session WHERE user_id = ?", user["id"])
    tx.execute("DELETE FROM second_step WHERE user_id = ?", user["id"])
    tx.audit(now, actor, "auth.reset", user["id"])


def create_key(
    tx: Transaction,
    organisation_id: str,
    name: str,
    scopes: Sequence[str],
    actor: str,
    now: int,
    *,
    allow: Sequence[str] = (),
    per_minute: int = 0,
) -> tuple[Row, str]:
    """An API key: its row and its secret `rp_…`, which is shown once and kept only as SHA-256.

    `allow` lists networks it may be used from (none: any), `per_minute` bounds its requests (0: no bound). Raises Refused.
    """
    if not name.strip() or len(name) > 100:
        raise Refused("invalid_name", 422, "A key needs a name of at most 100 characters.", field="name")
    areas = {scope.partition(":")[0] for scope in SCOPES}
    for scope in scopes:
        if scope not in SCOPES and scope != "*" and not (scope.endswith(":*") and scope[:-2] in areas):
            raise Refused("unknown_scope", 422, f'"{scope}" is not a scope; there are {", ".join(SCOPES)}.', field="scope")
    if not scopes:
        raise Refused("unknown_scope", 422, f"A key needs a scope; there are {', '.join(SCOPES)}.", field="scope")
    _check_networks(allow)
    taken = "SELECT 1 AS yes FROM api_key WHERE organisation_id = ? AND name = ? AND revoked_at IS NULL"
    if tx.one(taken, organisation_id, name) is not None:
        raise Refused("duplicate_name", 409, f'A key named "{name}" exists; revoke it first.', field="name")
    secret = "rp_" + secrets.token_urlsafe(32)
    row = {
        "id": ids.new("key"),
        "organisation_id": organisation_id,
        "name": name,
        "secret_hash": _digest(secret),
        "scopes": compact(sorted(set(scopes))),
        "allow": compact(list(allow)),
        "per_minute": per_minute,
        "created_at": now,
        "revoked_at": None,
        "last_used_at": None,
    }
    columns = ", ".join(row)
    tx.execute(f"INSERT INTO api_key ({columns}) VALUES ({', '.join('?' * len(row))})", *row.values())
    tx.audit(now, actor, "key.create", str(row["id"]), {"name": name, "scopes": sorted(set(scopes))})
    return row, secret


def _check_networks(allow: Sequence[str]) -> None:
    import ipaddress

    for network in allow:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise Refused(
                "invalid_network", 422, f'"{network}" is not a network such as 192.168.1.0/24.', field="allow"
            ) from None


def find_key(view: View, secret: str) -> Row | None:
    """The live key with this secret, or None."""
    return view.one("SELECT * FROM api_key WHERE secret_hash = ? AND revoked_at IS NULL", _digest(secret))


def keys_of(view: View, organisation_id: str) -> list[Row]:
    """An organisation's keys, oldest first, the revoked ones too; never a secret."""
    return view.all(
        "SELECT id, name, scopes, allow, per_minute, created_at, revoked_at, last_used_at FROM api_key"
        " WHERE organisation_id = ? ORDER BY created_at, id",
        organisation_id,
    )


def revoke_key(tx: Transaction, organisation_id: str, name_or_id: str, actor: str, now: int) -> str:
    """Make a key worthless at once; its id. Raises Refused `key_not_found`."""
    row = tx.one(
        "SELECT id FROM api_key WHERE organisation_id = ? AND (name = ? OR id = ?) AND revoked_at IS NULL",
        organisation_id,
        name_or_id,
        name_or_id,
    )
    if row is None:
        raise Refused("key_not_found", 404, f'There is no live key "{name_or_id}".', field="name")
    tx.execute("UPDATE api_key SET revoked_at = ? WHERE id = ?", now, row["id"])
    tx.audit(now, actor, "key.revoke", row["id"])
    return str(row["id"])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def check_roles(roles: Sequence[str]) -> None:
    """Raises Refused for a word that is neither role nor permission."""
    for role in roles:
        if role not in ROLES and role not in PERMISSIONS:
            raise Refused("unknown_role", 422, f'"{role}" is not a role; there are {", ".join(ROLES)}.', field="roles")


def check_email(email: str) -> None:
    """Raises Refused for what cannot be an e-mail address."""
    if not EMAIL.fullmatch(email.strip()) or len(email) > 254:
        raise Refused("invalid_email", 422, f'"{email}" is not an e-mail address.', field="email")


def check_language(language: str) -> None:
    """Raises Refused for what is not a language tag such as sv or pt-BR."""
    if not LANGUAGE.fullmatch(language):
        raise Refused("invalid_language", 422, f'"{language}" is not a language tag such as "sv" or "pt-BR".', field="language")


def check_zone(zone: str) -> None:
    """Raises Refused for what is not a time zone of the IANA table."""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused("invalid_timezone", 422, f'"{zone}" is not a time zone such as "Europe/Stockholm".', field="zone") from None
