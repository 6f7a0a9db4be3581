"""People: change one, give and take rights singly, move a seat, hand out a link to a new password (S3, S46–S49).

What a row of a person may be is checked in `gateway/store/setup.py`, for command line, `apply`, CSV and API alike; here
stands who may change it, and what else changes with it.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows.facts import find_case, find_user, tree
from gateway.flows.rights import Acting, find_unit, standing
from gateway.rules.permissions import (
    OPERATORS_OWN,
    PERMISSIONS,
    ROLES,
    SEATS_LICENSE,
    SETTINGS_EDIT,
    USERS_EDIT,
    permissions_of,
)
from gateway.rules.rights import TO_READ, TO_SEND, check_gift, refusal
from gateway.store import ids, setup
from gateway.store.database import Row, Transaction, View

USED_EVERY_MS = 3_600_000
"""`last_used_at` is exact to this: a message should not cost a second row."""
LINK_FOR_MS = 24 * 3_600_000
"""How long a link to a new password works."""


def note_use(tx: Transaction, user: Row, now: int) -> None:
    """Note that a person has sent something (S48: idle seats are found by it)."""
    key = ("seen", user["id"])
    if key not in tx.memo and (user["last_used_at"] or 0) < now - USED_EVERY_MS:
        tx.memo[key] = True
        tx.execute("UPDATE app_user SET last_used_at = ? WHERE id = ?", now, user["id"])


# --- one person ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to change of a person; None leaves it."""

    name: str | None = None
    roles: Sequence[str] | None = None
    seat: bool | None = None
    active: bool | None = None
    unit: str | None = None


def locked_user(tx: Transaction, organisation_id: str, user: str) -> Row:
    """A person's row as it stands now, locked. Raises Refused `user_not_found`."""
    known = find_user(tx, organisation_id, user)
    row = tx.one("SELECT * FROM app_user WHERE id = ?" + tx.for_update, known["id"])
    assert row is not None
    return row


def change(tx: Transaction, by: Acting, user: str, wanted: Change, version: int | None, now: int, *, checks: bool = True) -> Row:
    """Change a person. Raises Refused: `stale_version`, `last_admin`, `seat_limit`, `permission_denied` …"""
    setup.lock_people(tx, by.organisation_id)
    row = locked_user(tx, by.organisation_id, user)
    _check_reach(tx, by, row, wanted)
    if version is not None and version != row["version"]:
        raise Refused(
            "stale_version",
            409,
            "Somebody has changed this user meanwhile; read it again.",
            field="version",
            facts={"version": row["version"]},
        )
    unit_id = None if wanted.unit is None else find_unit(tx, by.organisation_id, wanted.unit, field="unit")["id"]
    setup.change_user(
        tx,
        row,
        name=None if wanted.name is None else _name(wanted.name),
        roles=wanted.roles,
        seat=wanted.seat,
        active=wanted.active,
        unit_id=unit_id,
        actor=by.actor,
        now=now,
        told=by.told,
        checks=checks,
    )
    tx.memo.clear()
    return locked_user(tx, by.organisation_id, row["id"])


def create(tx: Transaction, by: Acting, email: str, wanted: Change, now: int, *, checks: bool = True) -> Row:
    """A new person. Raises Refused."""
    setup.lock_people(tx, by.organisation_id)
    unit = find_unit(tx, by.organisation_id, wanted.unit or "self", field="unit")
    by.require(tx, USERS_EDIT, unit["id"])
    _check_gift(tx, by, unit["id"], (), wanted.roles or ())
    user_id = setup.create_user(
        tx,
        by.organisation_id,
        email=email,
        name=_name(wanted.name or email.split("@")[0]),
        roles=wanted.roles or (),
        seat=bool(wanted.seat),
        unit_id=unit["id"],
        actor=by.actor,
        now=now,
        checks=checks,
    )
    if wanted.active is False:
        tx.execute("UPDATE app_user SET active = 0 WHERE id = ?", user_id)
    tx.memo.clear()
    return locked_user(tx, by.organisation_id, user_id)


def _name(name: str) -> str:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise Refused("invalid_name", 422, "A name has 1 to 200 characters in one line.", field="name")
    return name.strip()


def _check_reach(tx: Transaction, by: Acting, row: Row, wanted: Change) -> None:
    """An administrator of a node changes people of that node, and gives only what is theirs to give."""
    by.require(tx, USERS_EDIT, row["unit_id"])
    unit_id = row["unit_id"]
    if wanted.unit is not None:
        unit_id = find_unit(tx, by.organisation_id, wanted.unit, field="unit")["id"]
        by.require(tx, USERS_EDIT, unit_id)
    if unit_id != row["unit_id"] or wanted.active not in (None, bool(row["active"])):  # nobody but the operator locks one out
        _check_gift(tx, by, row["unit_id"], json.loads(row["roles"]), ())
    if wanted.roles is not None:
        _check_gift(tx, by, unit_id, json.loads(row["roles"]), wanted.roles)


def _check_gift(view: View, by: Acting, unit_id: str, before: Sequence[str], after: Sequence[str]) -> None:
    held = by.rights(view, unit_id)
    if held is None:
        held = OPERATORS_OWN if by.is_operator else frozenset()
    # taking away is as much the operator's as giving: an administrator must not remove the operator either
    check_gift(permissions_of(after) ^ permissions_of(before), held)


# --- rights granted singly -------------------------------------------------------------------------------------------


def grant(tx: Transaction, by: Acting, unit: Row, permission: str, *, role: str | None, user: str | None, now: int) -> Row:
    """Grant one permission at a node and below, to a person or to everybody with a role. Raises Refused."""
    by.require(tx, USERS_EDIT, unit["id"])
    if permission not in PERMISSIONS:
        raise Refused("unknown_permission", 422, "There is no such permission.", field="permission")
    if (role is None) == (user is None):
        raise Refused("holder_missing", 422, "Grant it to either a role or a user (holder).", field="role")
    if role is not None and role not in ROLES:
        raise Refused("unknown_role", 422, f"There is no such role; there are {', '.join(ROLES)}.", field="role")
    _check_gift(tx, by, unit["id"], (), [permission])
    holder = None if user is None else find_user(tx, by.organisation_id, user)
    grant_id = ids.new("rgt")
    created = tx.execute(
        "INSERT INTO right_grant (id, organisation_id, unit_id, holder, role, user_id, permission, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        grant_id,
        by.organisation_id,
        unit["id"],
        "role" if holder is None else "user",
        role or "",
        "" if holder is None else holder["id"],
        permission,
        now,
    )
    if not created:
        raise Refused("duplicate_grant", 409, "This right is granted there already.", field="permission")
    tx.memo.clear()
    subject = grant_id if holder is None else holder["id"]
    told = {"permission": permission, "unit": unit["ref"], "given": True, "role": role, **by.told}
    tx.audit(now, by.actor, "permission.change", subject, told)
    return _grant(tx, by, unit, grant_id)


def revoke(tx: Transaction, by: Acting, unit: Row, grant_id: str, now: int) -> None:
    """Take a single grant back; what its holder has waiting still goes (decided at accept), and the audit says so."""
    by.require(tx, USERS_EDIT, unit["id"])
    row = _grant(tx, by, unit, grant_id)
    _check_gift(tx, by, unit["id"], [row["permission"]], ())
    tx.execute("DELETE FROM right_grant WHERE id = ?", grant_id)
    tx.memo.clear()
    told: dict[str, Any] = {"permission": row["permission"], "unit": unit["ref"], "given": False, "role": row["role"] or None}
    if row["user_id"]:
        told["waiting_messages_still_go"] = setup.waiting_of(tx, row["user_id"])
    tx.audit(now, by.actor, "permission.change", row["user_id"] or grant_id, {**told, **by.told})


def _grant(view: View, by: Acting, unit: Row, grant_id: str) -> Row:
    row = view.one(
        "SELECT g.*, u.email FROM right_grant g LEFT JOIN app_user u ON u.id = g.user_id"
        " WHERE g.id = ? AND g.organisation_id = ? AND g.unit_id = ?",
        grant_id,
        by.organisation_id,
        unit["id"],
    )
    if row is None:
        raise Refused("grant_not_found", 404, "No such grant at this node.", field="grant_id")
    return row


# --- effective rights ------------------------------------------------------------------------------------------------


def effective(view: View, organisation_id: str, user: str, case_ref: str | None) -> dict[str, Any]:
    """S49, term by term in gate order; `code` is what a send would be refused with, None when it would not. Raises Refused."""
    row = find_user(view, organisation_id, user)
    case = None if case_ref is None else find_case(view, organisation_id, case_ref)
    stands = standing(view, row, case)
    refused, unread = refusal(stands), refusal(stands, TO_READ)
    units = tree(view, organisation_id)
    unit_id = row["unit_id"] if case is None else case["unit_id"]
    return {
        "user": row["email"],
        "case_ref": case_ref,
        "unit": units[unit_id]["ref"] if unit_id in units else None,
        "may_send": refused is None,
        "may_read": unread is None,
        "code": None if refused is None else refused.code,
        "terms": [
            {
                "term": term.name,
                "holds": term.holds(stands),
                "code": None if term.holds(stands) else term.code,
                "why": None if term.holds(stands) else term.missing,
            }
            for term in TO_SEND
        ],
        "permissions": sorted(stands.rights),
    }


# --- seats -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeatMoved:
    """A seat went over: whose it was and is, who owns what was scheduled, and how many messages that were."""

    giver: Row
    taker: Row
    owner: Row
    scheduled: int


def move_seat(tx: Transaction, by: Acting, giver: str, taker: str, owner: str | None, now: int) -> SeatMoved:
    """Move a seat in one act: the taker can send at once, the giver no more.

    The giver's threads stay as they are; messages of theirs that wait (scheduled, or held) go to `owner`, by default the taker.
    Raises Refused: `seat_required` where the giver has none, `seat_taken`, `user_inactive`, `owner_without_seat`.
    """
    setup.lock_people(tx, by.organisation_id)
    old, new = locked_user(tx, by.organisation_id, giver), locked_user(tx, by.organisation_id, taker)
    for row in (old, new):
        by.require(tx, USERS_EDIT, row["unit_id"])
    if old["id"] == new["id"]:
        raise Refused("same_user", 422, "A seat moves from one user to another.", field="to")
    if not old["seat"]:
        raise Refused("seat_required", 409, "This user has no seat to give.", field="id")
    if new["seat"]:
        raise Refused("seat_taken", 409, "That user has a seat already.", field="to")
    if not new["active"]:
        raise Refused("user_inactive", 409, "That user's account is switched off.", field="to")
    setup.change_user(tx, old, seat=False, actor=by.actor, now=now, told=by.told)
    setup.change_user(tx, new, seat=True, actor=by.actor, now=now, told=by.told)
    tx.memo.clear()
    heir = new if owner is None else locked_user(tx, by.organisation_id, owner)
    if heir["id"] != new["id"] and not (heir["seat"] and heir["active"] and heir["id"] != old["id"]):
        raise Refused("owner_without_seat", 409, "Who takes over scheduled messages needs a seat.", field="scheduled_to")
    theirs = "user_id = ? AND state IN ('held', 'queued') AND state = 'held' AND origin = 'user'"  # IN: so the index serves
    waiting = tx.all(f"SELECT id FROM message WHERE {theirs} ORDER BY id", old["id"])
    tx.execute(f"UPDATE message SET user_id = ? WHERE {theirs}", heir["id"], old["id"])
    for message in waiting:
        tx.audit(now, by.actor, "message.override", message["id"], {"owner": [old["id"], heir["id"]], **by.told})
    data = {"from": old["id"], "to": new["id"], "scheduled_to": heir["id"], "scheduled": len(waiting), **by.told}
    tx.audit(now, by.actor, "seat.move", new["id"], data)
    again = [locked_user(tx, by.organisation_id, row["id"]) for row in (old, new, heir)]
    return SeatMoved(again[0], again[1], again[2], len(waiting))


def set_seats(tx: Transaction, by: Acting, total: int | None, now: int) -> None:
    """How many seats the licence has; None is no limit. The operator's to say. Raises Refused."""
    by.require_operator(tx, SEATS_LICENSE)
    setup.set_seats(tx, by.organisation_id, total, by.actor, now, told=by.told)


# --- the organisation itself -----------------------------------------------------------------------------------------


def create_unit(
    tx: Transaction,
    by: Acting,
    parent: Row,
    *,
    ref: str,
    name: str,
    language: str | None,
    zone: str | None,
    region: str | None,
    now: int,
) -> Row:
    """A unit below a node. Raises Refused."""
    by.require(tx, SETTINGS_EDIT, parent["id"])
    unit_id = setup.create_organisation(
        tx,
        ref=ref,
        name=_name(name),
        language=language or parent["language"],
        zone=zone or parent["zone"],
        region=region or parent["region"],
        parent=parent,
        actor=by.actor,
        now=now,
    )
    tx.memo.clear()
    return find_unit(tx, by.organisation_id, unit_id)


def change_unit(tx: Transaction, by: Acting, unit: Row, values: dict[str, Any], now: int) -> Row:
    """Change a node's name, language, zone, region, place in the tree, or (main organisation) the SMS switch. Raises Refused."""
    by.require(tx, SETTINGS_EDIT, unit["id"])
    before = tx.one("SELECT * FROM organisation WHERE id = ?" + tx.for_update, unit["id"])
    assert before is not None
    wanted = {name: value for name, value in values.items() if value is not None}
    if "name" in wanted:
        wanted["name"] = _name(wanted["name"])
    if "language" in wanted:
        setup.check_language(wanted["language"])
    if "zone" in wanted:
        setup.check_zone(wanted["zone"])
    if "sms_enabled" in wanted:
        if before["parent_id"] is not None:
            raise Refused("not_an_organisation", 422, "SMS is switched for the main organisation.", field="sms_enabled")
        wanted["sms_enabled"] = int(wanted["sms_enabled"])
    if "parent" in wanted:
        wanted["parent_id"] = _new_parent(tx, by, before, wanted.pop("parent"))
    changed = {name: value for name, value in wanted.items() if before[name] != value}
    if changed:
        sets = ", ".join(f"{name} = ?" for name in changed)
        tx.execute(f"UPDATE organisation SET {sets} WHERE id = ?", *changed.values(), before["id"])
        told = {name: [before[name], value] for name, value in changed.items() if name != "name"}
        tx.audit(now, by.actor, "organisation.update", before["id"], {"changed": sorted(changed), **told, **by.told})
        if "sms_enabled" in changed:
            action = "channel.enable" if changed["sms_enabled"] else "channel.disable"
            tx.audit(now, by.actor, action, before["id"], {"channel": "sms", **by.told})
        tx.memo.clear()
    return find_unit(tx, by.organisation_id, before["id"])


def _new_parent(tx: Transaction, by: Acting, unit: Row, asked: str) -> str:
    parent = find_unit(tx, by.organisation_id, asked, field="parent")
    by.require(tx, SETTINGS_EDIT, parent["id"])
    if unit["parent_id"] is None:
        raise Refused("not_a_unit", 422, "The main organisation stands at the top.", field="parent")
    nodes, at = tree(tx, by.organisation_id), parent["id"]
    while at is not None:
        if at == unit["id"]:
            raise Refused("circular_tree", 409, "A unit cannot stand below itself.", field="parent")
        at = nodes[at]["parent_id"]
    return str(parent["id"])


# --- a link to a new password ----------------------------------------------------------------------------------------


def password_link(tx: Transaction, by: Acting, user: str, now: int) -> tuple[str, int]:
    """A token (256 random bits, stored as its hash) by which a person sets a new password, and until when it works.

    A link made before is worth nothing from then on. Raises Refused.
    """
    row = locked_user(tx, by.organisation_id, user)
    check_may_become(tx, by, row)
    if not row["active"]:
        raise Refused("user_inactive", 409, "This user's account is switched off.", field="id")
    tx.execute("DELETE FROM password_link WHERE user_id = ? OR expires_at <= ?", row["id"], now)
    token, until = secrets.token_urlsafe(32), now + LINK_FOR_MS
    tx.execute(
        "INSERT INTO password_link (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
        _digest(token),
        row["id"],
        now,
        until,
    )
    tx.audit(now, by.actor, "auth.reset_link", row["id"], {"until": until, **by.told})
    return token, until


def check_may_become(tx: Transaction, by: Acting, row: Row) -> None:
    """Who resets somebody's password or second step can become them: an administrator must not become the operator."""
    by.require(tx, USERS_EDIT, row["unit_id"])
    _check_gift(tx, by, row["unit_id"], (), json.loads(row["roles"]))


def link_holder(view: View, token: str, now: int) -> Row:
    """The person whom a link belongs to. Raises Refused: 404 for one that never was, 410 for one that is over."""
    row = view.one(
        "SELECT u.*, l.expires_at, l.used_at FROM password_link l JOIN app_user u ON u.id = l.user_id WHERE l.token_hash = ?",
        _digest(token),
    )
    if row is None:
        raise Refused("link_not_found", 404, "This link is unknown; ask for a new one.", field="token")
    if row["used_at"] is not None or row["expires_at"] <= now or not row["active"]:
        raise Refused("link_expired", 410, "This link has been used or has run out; ask for a new one.", field="token")
    return row


def use_link(tx: Transaction, token: str, password_hash: str, now: int) -> Row:
    """Set the new password; every session of that person ends, and so does the link. Raises Refused."""
    row = link_holder(tx, token, now)
    used = tx.execute("UPDATE password_link SET used_at = ? WHERE token_hash = ? AND used_at IS NULL", now, _digest(token))
    if not used:
        raise Refused("link_expired", 410, "This link has been used or has run out; ask for a new one.", field="token")
    setup.set_password(tx, row, password_hash, f"user:{row['id']}", now)
    return row


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
