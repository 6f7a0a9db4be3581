"""Users: rights, seats, CSV down and up, links to a new password."""

import json
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.flows import people, people_csv
from gateway.flows.facts import find_user
from gateway.flows.people import Change
from gateway.flows.people_csv import Result, Undo
from gateway.flows.people_gone import forget_user
from gateway.flows.rights import below, find_unit
from gateway.rules.permissions import USERS_VIEW
from gateway.store import lists_people
from gateway.store.database import Row, Transaction
from web.answers import answer, nothing, ready
from web.api.acting import As, By, User, who
from web.api.messages import moment, rfc3339
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Line, Page, Query, Ref, text_body

users = Resource("users", "Users and seats")

DAY_MS = 86_400_000


class ById(Query):
    """A person by id or e-mail address."""

    id: Ref


class Wanted(Page):
    """Which people."""

    user: User = None
    unit: Annotated[Ref | None, Field(description="People of this unit and below.")] = None
    role: Ref | None = None
    seat: bool | None = None
    active: bool | None = None
    idle_days: Annotated[int | None, Field(ge=0, le=3650, description="Not seen for so many days, or never.")] = None


class AsFile(As):
    """How the file is cut."""

    delimiter: Literal[",", ";"] = ","


class Taking(As):
    """Whether only to try."""

    dry_run: bool = False


class InCase(As):
    """For which case."""

    case: Ref | None = None


class NewUser(By):
    """A person."""

    email: Line
    name: Line | None = None
    roles: Annotated[list[Ref], Field(max_length=50, default_factory=list)]
    seat: bool = False
    active: bool = True
    unit: Ref = "self"


class UserChange(By):
    """What is to change; a field left out stays. With `version`, only if nobody has changed the user since."""

    version: Annotated[int | None, Field(ge=1)] = None
    name: Line | None = None
    roles: Annotated[list[Ref] | None, Field(max_length=50)] = None
    seat: bool | None = None
    active: bool | None = None
    unit: Ref | None = None


class SeatMove(By):
    """To whom the seat goes, and who takes over what waits (default: the same person)."""

    to: Ref
    scheduled_to: Ref | None = None


@users.ask("/users", scope="users:read")
def find(call: Call, query: Wanted) -> Response:
    """People, by unit, role, seat, and how long they have been idle."""
    with call.database.read() as view:
        unit = find_unit(view, call.organisation_id, query.unit or "self", field="unit")
        who(view, call, query.user).require(view, USERS_VIEW, unit["id"])
        rows = lists_people.users(
            view,
            call.organisation_id,
            query.after,
            query.limit,
            units=None if query.unit is None else below(view, call.organisation_id, unit["id"]),
            role=query.role,
            seat=query.seat,
            active=query.active,
            idle_since=None if query.idle_days is None else call.now - query.idle_days * DAY_MS,
        )
    return listed([shown_user(row) for row in rows], query.limit)


@users.act("POST", "/users", scope="users:write")
def create(call: Call, body: NewUser) -> Response:
    """Add a person. They sign in after setting a password by a link (`POST /users/{id}/password-link`)."""
    wanted = Change(name=body.name, roles=body.roles, seat=body.seat, active=body.active, unit=body.unit)

    def act(tx: Transaction) -> Done:
        row = people.create(tx, who(tx, call, body.user), body.email, wanted, call.now)
        return Done(201, shown_user(lists_people.user(tx, row["id"])))

    return once(call, g.body, act)


@users.ask("/users.csv", scope="users:read")
def download(call: Call, query: AsFile) -> Response:
    """Everybody as a spreadsheet: UTF-8 with byte order mark, no cell that could run as a formula."""

    def act(tx: Transaction) -> str:
        return people_csv.export(tx, who(tx, call, query.user), query.delimiter, call.now)

    text = call.database.transact(act)
    named = {"Content-Disposition": 'attachment; filename="users.csv"'}
    return ready(200, text, named, mimetype="text/csv; charset=utf-8")


@users.act("POST", "/users/import", scope="users:write")
def upload(call: Call, query: Taking) -> Response:
    """Take a spreadsheet of people, all rows or none; with `dry_run` only say what would happen.

    The body is the file: UTF-8, `,` or `;`, with the columns of the download; rows are known by e-mail address.
    """
    text = text_body()

    def take(tx: Transaction) -> Done:
        results = people_csv.take(tx, who(tx, call, query.user), text, call.now)
        if query.dry_run:
            raise Undo(results)
        return Done(200, _shown_results(results, dry_run=False))

    try:
        return once(call, [text, query.dry_run], take)
    except Undo as undo:
        return answer(200, _shown_results(undo.results, dry_run=True))


@users.ask("/users/<id>", scope="users:read")
def show(call: Call, path: ById, query: As) -> Response:
    """One person."""
    with call.database.read() as view:
        row = find_user(view, call.organisation_id, path.id)
        who(view, call, query.user).require(view, USERS_VIEW, row["unit_id"])
        return answer(200, shown_user(lists_people.user(view, row["id"])))


@users.act("PATCH", "/users/<id>", scope="users:write")
def change(call: Call, path: ById, body: UserChange) -> Response:
    """Change a person: name, roles, seat, unit, active or not."""
    wanted = Change(name=body.name, roles=body.roles, seat=body.seat, active=body.active, unit=body.unit)

    def act(tx: Transaction) -> dict[str, Any]:
        row = people.change(tx, who(tx, call, body.user), path.id, wanted, body.version, call.now)
        return shown_user(lists_people.user(tx, row["id"]))

    return answer(200, call.database.transact(act))


@users.act("DELETE", "/users/<id>", scope="users:write")
def drop(call: Call, path: ById, query: As) -> Response:
    """Let a person who has left be forgotten: reports and messages name a pseudonym."""

    def act(tx: Transaction) -> None:
        forget_user(tx, who(tx, call, query.user), path.id, call.now)

    call.database.transact(act)
    return nothing()


@users.ask("/users/<id>/effective", scope="users:read")
def effective(call: Call, path: ById, query: InCase) -> Response:
    """Whether this person may send and read (in a case), term by term in the order of the gates."""
    with call.database.read() as view:
        row = find_user(view, call.organisation_id, path.id)
        by = who(view, call, query.user)
        if by.user is None or by.user["id"] != row["id"]:
            by.require(view, USERS_VIEW, row["unit_id"])
        return answer(200, people.effective(view, call.organisation_id, path.id, query.case))


@users.act("POST", "/users/<id>/seat-move", scope="users:write")
def move_seat(call: Call, path: ById, body: SeatMove) -> Response:
    """Move this person's seat to another, in one act; their threads stay, what waits goes to whom you choose."""

    def act(tx: Transaction) -> Done:
        done = people.move_seat(tx, who(tx, call, body.user), path.id, body.to, body.scheduled_to, call.now)
        shown = {name: shown_user(lists_people.user(tx, row["id"])) for name, row in (("from", done.giver), ("to", done.taker))}
        return Done(200, {**shown, "scheduled_to": done.owner["email"], "scheduled": done.scheduled})

    return once(call, g.body, act)


@users.act("POST", "/users/<id>/password-link", scope="users:write")
def password_link(call: Call, path: ById, body: By) -> Response:
    """A link, good for a day and for one use, by which this person sets a new password. Hand it over; it is shown once."""
    base = call.services.config.web.url.rstrip("/")

    def act(tx: Transaction) -> Done:
        token, until = people.password_link(tx, who(tx, call, body.user), path.id, call.now)
        return Done(201, {"url": f"{base}/admin/password/{token}", "expires_at": rfc3339(until)}, secret=True)

    return once(call, g.body, act)


def shown_user(row: Row) -> dict[str, Any]:
    """A person as the API shows them."""
    return {
        "id": row["id"],
        "email": row["email"],
        "name": row["name"],
        "unit": row["unit"],
        "roles": json.loads(row["roles"]),
        "seat": bool(row["seat"]),
        "active": bool(row["active"]),
        "version": row["version"],
        "created_at": rfc3339(row["created_at"]),
        "last_used_at": moment(row["last_used_at"]),
    }


def _shown_results(results: list[Result], *, dry_run: bool) -> dict[str, Any]:
    counts = {action: sum(result.action == action for result in results) for action in ("created", "changed", "same")}
    rows = [
        {"line": result.line, "email": result.email, "action": result.action, "changed": list(result.changed)}
        for result in results
    ]
    return {"dry_run": dry_run, **counts, "changes": counts["created"] + counts["changed"], "rows": rows}
