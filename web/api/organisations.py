"""The organisation tree: units, what is granted singly at them, roles, seats of the licence."""

from typing import Annotated, Any

from flask import Response, g
from pydantic import Field, StringConstraints

from gateway.flows import people
from gateway.flows.facts import path_of
from gateway.flows.rights import find_unit
from gateway.rules.permissions import PERMISSIONS, ROLES, USERS_VIEW, category_of, label_of
from gateway.store import lists_people, setup
from gateway.store.database import Row, Transaction, View
from web.answers import answer, nothing
from web.api.acting import As, By, who
from web.api.messages import rfc3339
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Line, Query, Ref

organisations = Resource("organisations", "Organisation tree and rights")

Region = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]


class ByUnit(Query):
    """A unit by id or reference, or `self`: the main organisation of the key."""

    id: Ref


class ByGrant(ByUnit):
    """One grant of a unit."""

    grant_id: Ref


class NewUnit(By):
    """A unit below another."""

    ref: Ref
    name: Line
    parent: Ref = "self"
    language: Ref | None = None
    zone: Ref | None = None
    region: Region | None = None


class UnitChange(By):
    """What is to change; a field left out stays."""

    name: Line | None = None
    parent: Ref | None = None
    language: Ref | None = None
    zone: Ref | None = None
    region: Region | None = None
    sms_enabled: Annotated[bool | None, Field(description="The main organisation's switch for SMS.")] = None


class NewGrant(By):
    """One permission, for a person or for everybody with a role, at this unit and below."""

    permission: Ref
    role: Ref | None = None
    holder: Annotated[Ref | None, Field(description="E-mail address or id of the person.")] = None


class Seats(By):
    """How many seats the licence has; null is no limit."""

    total: Annotated[int | None, Field(ge=0, le=100_000)]


@organisations.ask("/organisations", scope="organisations:read")
def tree(call: Call) -> Response:
    """The whole tree, parents before children."""
    with call.database.read() as view:
        rows = lists_people.nodes(view, call.organisation_id)
        seats = setup.seats(view, call.organisation_id)
        data = [_shown(view, call, row, seats) for row in rows]
    return answer(200, {"data": sorted(data, key=lambda unit: (unit["depth"], unit["ref"])), "next": None})


@organisations.act("POST", "/organisations", scope="organisations:write")
def create(call: Call, body: NewUnit) -> Response:
    """Add a unit."""

    def act(tx: Transaction) -> Done:
        parent = find_unit(tx, call.organisation_id, body.parent, field="parent")
        row = people.create_unit(
            tx,
            who(tx, call, body.user),
            parent,
            ref=body.ref,
            name=body.name,
            language=body.language,
            zone=body.zone,
            region=body.region,
            now=call.now,
        )
        return Done(201, _one(tx, call, row["id"]))

    return once(call, g.body, act)


@organisations.ask("/organisations/<id>", scope="organisations:read")
def show(call: Call, path: ByUnit) -> Response:
    """One unit."""
    with call.database.read() as view:
        return answer(200, _one(view, call, find_unit(view, call.organisation_id, path.id)["id"]))


@organisations.act("PATCH", "/organisations/<id>", scope="organisations:write")
def change(call: Call, path: ByUnit, body: UnitChange) -> Response:
    """Change a unit, or the main organisation."""

    def act(tx: Transaction) -> dict[str, Any]:
        unit = find_unit(tx, call.organisation_id, path.id)
        row = people.change_unit(tx, who(tx, call, body.user), unit, body.model_dump(exclude={"user"}), call.now)
        return _one(tx, call, row["id"])

    return answer(200, call.database.transact(act))


@organisations.act("PUT", "/organisations/<id>/seats", scope="users:write")
def license_seats(call: Call, path: ByUnit, body: Seats) -> Response:
    """Set how many seats there are: the operator's to say (a key with `operator:write`, or a person with `seats.license`)."""

    def act(tx: Transaction) -> dict[str, Any]:
        find_unit(tx, call.organisation_id, path.id)
        people.set_seats(tx, who(tx, call, body.user), body.total, call.now)
        total, used = setup.seats(tx, call.organisation_id)
        return {"total": total, "used": used}

    return answer(200, call.database.transact(act))


@organisations.ask("/organisations/<id>/rights", scope="users:read")
def grants(call: Call, path: ByUnit, query: As) -> Response:
    """What is granted singly at this unit, and what it inherits from above (`inherited_from`)."""
    with call.database.read() as view:
        unit = find_unit(view, call.organisation_id, path.id)
        who(view, call, query.user).require(view, USERS_VIEW, unit["id"])
        rows = lists_people.grants(view, call.organisation_id, path_of(view, call.organisation_id, unit["id"]))
    return answer(200, {"data": [_shown_grant(row, unit) for row in rows], "next": None})


@organisations.act("POST", "/organisations/<id>/rights", scope="users:write")
def give(call: Call, path: ByUnit, body: NewGrant) -> Response:
    """Grant one permission at this unit and below."""

    def act(tx: Transaction) -> Done:
        unit = find_unit(tx, call.organisation_id, path.id)
        by = who(tx, call, body.user)
        row = people.grant(tx, by, unit, body.permission, role=body.role, user=body.holder, now=call.now)
        return Done(201, _shown_grant({**dict(row), "unit": unit["ref"]}, unit))

    return once(call, g.body, act)


@organisations.act("DELETE", "/organisations/<id>/rights/<grant_id>", scope="users:write")
def take_back(call: Call, path: ByGrant, query: As) -> Response:
    """Take a grant back. What its holder has waiting still goes: rights were decided when it was accepted."""

    def act(tx: Transaction) -> None:
        unit = find_unit(tx, call.organisation_id, path.id)
        people.revoke(tx, who(tx, call, query.user), unit, path.grant_id, call.now)

    call.database.transact(act)
    return nothing()


@organisations.ask("/roles", scope="users:read")
def roles(call: Call) -> Response:
    """Roles with their permissions, and every permission under its heading."""
    return answer(
        200,
        {
            "roles": [{"name": name, "permissions": sorted(permissions)} for name, permissions in ROLES.items()],
            "permissions": [
                {"name": name, "label": label_of(name), "category": category_of(name)}
                for name in sorted(PERMISSIONS, key=lambda name: (category_of(name), name))
            ],
        },
    )


def _one(view: View, call: Call, unit_id: str) -> dict[str, Any]:
    row = next(row for row in lists_people.nodes(view, call.organisation_id) if row["id"] == unit_id)
    return _shown(view, call, row, setup.seats(view, call.organisation_id))


def _shown(view: View, call: Call, row: Row, seats: tuple[int | None, int]) -> dict[str, Any]:
    path = path_of(view, call.organisation_id, row["id"])
    unit = {
        "id": row["id"],
        "ref": row["ref"],
        "name": row["name"],
        "parent_id": row["parent_id"],
        "depth": len(path) - 1,
        "language": row["language"],
        "zone": row["zone"],
        "region": row["region"],
        "users": row["users"],
        "cases": row["cases"],
        "created_at": rfc3339(row["created_at"]),
    }
    if row["parent_id"] is None:
        unit |= {"sms_enabled": bool(row["sms_enabled"]), "seats": {"total": seats[0], "used": seats[1]}}
    return unit


def _shown_grant(row: Row, unit: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "unit": row["unit"],
        "inherited_from": None if row["unit_id"] == unit["id"] else row["unit"],
        "permission": row["permission"],
        "category": category_of(row["permission"]),
        "label": label_of(row["permission"]),
        "role": row["role"] or None,
        "holder": row["email"],
        "created_at": rfc3339(row["created_at"]),
    }
