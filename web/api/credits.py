"""Credits of the key's own organisation: balance, ledger, grants, vouchers, allowances, rates.

A `user` names the person who asks: then that person's rights decide as well as the key's scope.
"""

from typing import Annotated, Any

from flask import Response, g
from pydantic import Field, StringConstraints

from gateway.clock import rfc3339
from gateway.flows import allowances, rates, vouchers
from gateway.flows.credits import ask_for_grant, balance, decide, describe, needs_two, set_two_approvers
from gateway.flows.facts import organisation
from gateway.flows.rights import find_unit
from gateway.rules.permissions import CREDITS_GRANT, CREDITS_VIEW, SETTINGS_EDIT
from gateway.store import lists_reports, lists_web
from gateway.store.database import Row, Transaction, View
from web.answers import answer, nothing
from web.api.acting import As, By, allowed
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Limit, Line, Query, Ref

credits = Resource("credits", "Credits")


class ByOrganisation(Query):
    """An organisation by id or ref, or `self`: the one the key belongs to."""

    id: Ref


class ByGrant(ByOrganisation):
    """A grant that waits for its second approver."""

    grant_id: Ref


class ByUnit(ByOrganisation):
    """A unit of the organisation, by id or ref."""

    unit: Ref


class ByCountry(ByOrganisation):
    """A country by its ISO code."""

    iso: Annotated[str, StringConstraints(pattern="^[A-Za-z]{2}$")]


class Entries(As):
    """A page of the ledger, newest first; `after` is the id of the last entry of the page before."""

    after: Annotated[int | None, Field(ge=1, le=2**62)] = None
    limit: Limit = 50


class Grant(By):
    """Credits to add, once per reference."""

    amount: Annotated[int, Field(ge=1, le=1_000_000_000)]
    reference: Ref
    reason: Line = ""


class Policy(By):
    """How grants are made."""

    two_approvers: bool


class Redeemed(By):
    """A voucher as text."""

    voucher: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Allowance(By):
    """Credits that a unit may spend in a month, and how much of an unused rest it may carry over."""

    monthly: Annotated[int, Field(ge=0, le=1_000_000_000)]
    carry_over: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class Rate(By):
    """What one part costs."""

    price: Annotated[int, Field(ge=0, le=10_000)]
    channel: Annotated[str, StringConstraints(pattern="^(sms|whatsapp)$")] = "sms"


def _allowed(view: View, call: Call, asked: str, user: str | None, permission: str) -> tuple[Row, str]:
    """The organisation and who acts, as the ledger names them. Raises Refused where they lack the permission."""
    return lists_web.own_organisation(view, call.organisation_id, asked), allowed(view, call, user, permission)


@credits.act("POST", "/organisations/<id>/grants", scope="credits:write")
def add(call: Call, path: ByOrganisation, body: Grant) -> Response:
    """Grant credits. The same reference again is refused (409): an order is booked once.

    Where a second approver is wanted (`PUT …/grants/policy`) the answer is 202, and nothing is booked until then.
    """

    def act(tx: Transaction) -> Done:
        row, actor = _allowed(tx, call, path.id, body.user, CREDITS_GRANT)
        waiting = ask_for_grant(tx, row["id"], body.amount, body.reference, body.reason, actor, call.now)
        if waiting is not None:
            told = {"id": waiting, "state": "waiting", "amount": body.amount, "reference": body.reference}
            return Done(202, {"organisation": row["ref"], **told})
        now = balance(tx, row["id"])
        booked = {"granted": body.amount, "reference": body.reference, "available": now.available, "reserved": now.reserved}
        return Done(201, {"organisation": row["ref"], **booked})

    return once(call, g.body, act)


@credits.act("PUT", "/organisations/<id>/grants/policy", scope="credits:write")
def set_policy(call: Call, path: ByOrganisation, body: Policy) -> Response:
    """Ask for a second approver of every grant, or no longer."""

    def act(tx: Transaction) -> str:
        row, actor = _allowed(tx, call, path.id, body.user, CREDITS_GRANT)
        set_two_approvers(tx, row["id"], body.two_approvers, actor, call.now)
        return str(row["ref"])

    return answer(200, {"organisation": call.database.transact(act), "two_approvers": body.two_approvers})


@credits.act("POST", "/organisations/<id>/grants/<grant_id>/approve", scope="credits:write")
def approve(call: Call, path: ByGrant, body: By) -> Response:
    """Approve a waiting grant: somebody else than who asked for it."""
    return _decided(call, path, body, approves=True)


@credits.act("POST", "/organisations/<id>/grants/<grant_id>/refuse", scope="credits:write")
def refuse(call: Call, path: ByGrant, body: By) -> Response:
    """Refuse a waiting grant, or take it back."""
    return _decided(call, path, body, approves=False)


def _decided(call: Call, path: ByGrant, body: By, *, approves: bool) -> Response:
    def act(tx: Transaction) -> Done:
        row, actor = _allowed(tx, call, path.id, body.user, CREDITS_GRANT)
        found = decide(tx, row["id"], path.grant_id, approves, actor, call.now)
        now = balance(tx, row["id"])
        return Done(200, {**_shown_request(found), "available": now.available, "reserved": now.reserved})

    return once(call, g.body, act)


def _shown_request(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "state", "amount", "reference", "asked_by", "decided_by")},
        "asked_at": rfc3339(row["asked_at"]),
    }


@credits.ask("/organisations/<id>/grants", scope="credits:read")
def grants(call: Call, path: ByOrganisation, query: As) -> Response:
    """Grants that wait for their second approver, oldest first."""
    with call.database.read() as view:
        row, _ = _allowed(view, call, path.id, query.user, CREDITS_VIEW)
        rows = lists_reports.waiting_grants(view, row["id"])
        return answer(200, {"two_approvers": needs_two(view, row["id"]), "waiting": [_shown_request(each) for each in rows]})


@credits.act("POST", "/organisations/<id>/vouchers", scope="credits:redeem")
def redeem(call: Call, path: ByOrganisation, body: Redeemed) -> Response:
    """Redeem a signed voucher, once: its signature is what allows it, so no operator need be near."""

    def act(tx: Transaction) -> Done:
        row, actor = _allowed(tx, call, path.id, body.user, CREDITS_VIEW)
        voucher, now = vouchers.redeem(tx, row["id"], body.voucher, actor, call.now)
        told = {"granted": voucher.amount, "voucher": voucher.id, "available": now.available, "reserved": now.reserved}
        return Done(201, {"organisation": row["ref"], **told})

    return once(call, g.body, act)


@credits.ask("/organisations/<id>/allowances", scope="organisations:read")
def all_allowances(call: Call, path: ByOrganisation, query: As) -> Response:
    """What each unit may spend this month, and has spent."""
    with call.database.read() as view:
        row, _ = _allowed(view, call, path.id, query.user, CREDITS_VIEW)
        zone = organisation(view, row["id"])["zone"]
        return answer(200, {"data": allowances.all_standing(view, row["id"], zone, call.now)})


@credits.act("PUT", "/organisations/<id>/allowances/<unit>", scope="organisations:write")
def set_allowance(call: Call, path: ByUnit, body: Allowance) -> Response:
    """Set what a unit, with everything below it, may spend in a month."""

    def act(tx: Transaction) -> dict[str, Any]:
        row, actor = _allowed(tx, call, path.id, body.user, SETTINGS_EDIT)
        unit, zone = find_unit(tx, row["id"], path.unit, field="unit"), organisation(tx, row["id"])["zone"]
        return allowances.put(tx, row["id"], unit, body.monthly, body.carry_over, zone, actor, call.now)

    return answer(200, call.database.transact(act))


@credits.act("DELETE", "/organisations/<id>/allowances/<unit>", scope="organisations:write")
def drop_allowance(call: Call, path: ByUnit, query: As) -> Response:
    """Let a unit spend without a limit of its own."""

    def act(tx: Transaction) -> None:
        row, actor = _allowed(tx, call, path.id, query.user, SETTINGS_EDIT)
        allowances.remove(tx, row["id"], find_unit(tx, row["id"], path.unit, field="unit"), actor, call.now)

    call.database.transact(act)
    return nothing()


@credits.ask("/organisations/<id>/rates", scope="credits:read")
def all_rates(call: Call, path: ByOrganisation, query: As) -> Response:
    """Credits per part, by country and channel."""
    with call.database.read() as view:
        _allowed(view, call, path.id, query.user, CREDITS_VIEW)
        return answer(200, {"data": [dict(row) for row in rates.rates(view)]})


@credits.act("PUT", "/organisations/<id>/rates/<iso>", scope="operator:write")
def set_rate(call: Call, path: ByCountry, body: Rate) -> Response:
    """Set what a part costs in a country; messages already accepted keep their price."""

    def act(tx: Transaction) -> None:
        row, actor = _allowed(tx, call, path.id, body.user, CREDITS_GRANT)
        rates.set_rate(tx, row["id"], path.iso, body.channel, body.price, actor, call.now)

    call.database.transact(act)
    return answer(200, {"iso": path.iso.upper(), "channel": body.channel, "price": body.price})


@credits.ask("/organisations/<id>/credits", scope="credits:read")
def show(call: Call, path: ByOrganisation, query: As) -> Response:
    """Credits that may be spent, and those set aside for messages on their way."""
    with call.database.read() as view:
        row, _ = _allowed(view, call, path.id, query.user, CREDITS_VIEW)
        now = balance(view, row["id"])
    return answer(200, {"organisation": row["ref"], "available": now.available, "reserved": now.reserved})


@credits.ask("/organisations/<id>/ledger", scope="credits:read")
def entries(call: Call, path: ByOrganisation, query: Entries) -> Response:
    """What moved the balance."""
    with call.database.read() as view:
        row, _ = _allowed(view, call, path.id, query.user, CREDITS_VIEW)
        rows = lists_web.ledger(view, row["id"], query.after, query.limit)
    page = [describe(entry) for entry in rows[: query.limit]]
    return answer(200, {"data": page, "next": page[-1]["id"] if len(rows) > query.limit else None})
