"""Countries: what is known of each, its commissioning, added holidays, the completeness of the set-up, the box's clock."""

import csv
import io
import json
from datetime import date
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.errors import Refused
from gateway.flows import clock_trust, countries
from gateway.flows.facts import organisation
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store.database import Transaction, View
from web.answers import answer, ready
from web.api.acting import As, By, allowed, who
from web.api.messages import moment
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Line, Moment, Query, Ref

compliance = Resource("countries", "Countries and clock")

Iso = Annotated[str, Field(min_length=2, max_length=2, description="ISO 3166 code, such as SE.")]
_TIMES = ("requested_at", "eta", "activated_at", "checked_at", "opens_at")


class Wanted(Query):
    """For which channel."""

    channel: Literal["sms", "whatsapp"] = "sms"


class ByIso(Query):
    """A country."""

    iso: Iso


class OneDay(Query):
    """A day in a country's calendar."""

    iso: Iso
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Changes(By):
    """What is to change; what is left out stays."""

    channel: Literal["sms", "whatsapp"] = "sms"
    state: Literal["off", "requested", "documents", "testing", "active", "suspended"] | None = None
    hours: Literal["always", "default"] | dict[str, Line] | None = None
    checklist: dict[Ref, bool] | None = None
    lead_time_days: Annotated[int | None, Field(ge=0, le=1000)] = None
    price: Annotated[int | None, Field(ge=0, le=10_000)] = None
    owner: Line | None = None
    source: Line | None = None
    checked_at: Moment | None = None
    links: Literal["allowed", "forbidden"] | None = None
    international: Literal["allow", "deny"] | None = None
    no_sender: Literal["refuse", "hold"] | None = None
    sticky_down: Literal["hold", "switch"] | None = None


class Trial(By):
    """Where the test message goes: a staff phone of the country."""

    number: Line


class Holiday(By):
    """A day to add."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    name: Line = ""


@compliance.ask("/countries", scope="compliance:read")
def find(call: Call, query: Wanted) -> Response:
    """Every country that the box knows, with rule, source, state, ETA and whether its review is due."""
    with call.database.read() as view:
        return answer(200, {"data": _all(view, call, query.channel)})


@compliance.ask("/countries/export", scope="operator:read")
def for_counsel(call: Call, query: Wanted) -> Response:
    """Every rule with its source, and every change ever made: one file for counsel."""

    def act(tx: Transaction) -> list[dict[str, Any]]:
        rows = _all(tx, call, query.channel)
        for row in rows:
            row["history"] = [
                {"at": moment(entry["at"]), "actor": entry["actor"], "action": entry["action"], **json.loads(entry["data"])}
                for entry in countries.history(tx, countries.find(tx, row["iso"], query.channel))
            ]
        tx.audit(call.now, call.actor, "export.run", call.organisation_id, {"what": "countries", "rows": len(rows)})
        return rows

    return answer(200, {"made_at": moment(call.now), "channel": query.channel, "countries": call.database.transact(act)})


@compliance.ask("/countries.csv", scope="compliance:read")
def as_csv(call: Call, query: Wanted) -> Response:
    """The same as a table, one line per country."""

    def act(tx: Transaction) -> str:
        rows = _all(tx, call, query.channel)
        tx.audit(call.now, call.actor, "export.run", call.organisation_id, {"what": "countries", "rows": len(rows)})
        return _csv(rows)

    return ready(200, call.database.transact(act), mimetype="text/csv; charset=utf-8")


@compliance.ask("/countries/<iso>", scope="compliance:read")
def show(call: Call, path: ByIso, query: Wanted) -> Response:
    """One country."""
    with call.database.read() as view:
        return answer(200, _shown(view, call, countries.find(view, path.iso, query.channel)))


@compliance.act("PATCH", "/countries/<iso>", scope="operator:write")
def change(call: Call, path: ByIso, body: Changes) -> Response:
    """Change a country: hours, policies, papers, and its state. Only the operator makes one `active`, after a passed test."""
    changes = {name: getattr(body, name) for name in body.model_fields_set - {"user", "channel"}}
    changes = {name: value for name, value in changes.items() if value is not None}

    def act(tx: Transaction) -> dict[str, Any]:
        done = countries.change(tx, who(tx, call, body.user), path.iso, body.channel, changes, call.now)
        return _shown(tx, call, done)

    return answer(200, call.database.transact(act))


@compliance.act("POST", "/countries/<iso>/test", scope="operator:write")
def test(call: Call, path: ByIso, body: Trial) -> Response:
    """Send the test message that a commissioning needs as evidence."""

    def act(tx: Transaction) -> Done:
        by = who(tx, call, body.user)
        return Done(202, {"id": countries.send_test(tx, by, path.iso, "sms", body.number, call.now), "state": "queued"})

    return once(call, g.body, act)


@compliance.act("POST", "/countries/<iso>/holidays", scope="operator:write")
def add_day(call: Call, path: ByIso, body: Holiday) -> Response:
    """Add a holiday to a country's calendar."""
    day = _day(body.day)

    def act(tx: Transaction) -> Done:
        countries.add_holiday(tx, who(tx, call, body.user), path.iso, day, body.name, call.now)
        return Done(201, {"iso": path.iso.upper(), "day": body.day, "name": body.name})

    return once(call, g.body, act)


@compliance.act("DELETE", "/countries/<iso>/holidays/<day>", scope="operator:write")
def drop_day(call: Call, path: OneDay, query: As) -> Response:
    """Take an added holiday back."""
    day = _day(path.day)
    call.database.transact(lambda tx: countries.drop_holiday(tx, who(tx, call, query.user), path.iso, day, call.now))
    return answer(200, {"iso": path.iso.upper(), "day": path.day})


@compliance.ask("/setup", scope="compliance:read")
def gaps(call: Call) -> Response:
    """What is missing before the first message may leave."""
    with call.database.read() as view:
        found = countries.setup_gaps(view, call.organisation_id)
    return answer(200, {"complete": not found, "gaps": found})


@compliance.act("POST", "/setup/finish", scope="operator:write")
def finish(call: Call, body: By) -> Response:
    """Finish the set-up; refused with every gap while there is one."""

    def act(tx: Transaction) -> Done:
        countries.finish_setup(tx, who(tx, call, body.user), call.now)
        return Done(200, {"complete": True, "gaps": []})

    return once(call, g.body, act)


@compliance.ask("/clock", scope="operator:read")
def clock(call: Call) -> Response:
    """What the box thinks the time is, whether it trusts that, and why not."""
    with call.database.read() as view:
        return answer(200, clock_trust.shown(view, call.now))


@compliance.act("POST", "/clock/confirm", scope="operator:write")
def confirm(call: Call, body: By) -> Response:
    """An administrator says: the time is right."""

    def act(tx: Transaction) -> Done:
        clock_trust.confirm(tx, allowed(tx, call, body.user, SETTINGS_EDIT), call.now)
        return Done(200, clock_trust.shown(tx, call.now))

    return once(call, g.body, act)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("invalid_day", 422, "A day is written 2026-12-24.", field="day") from error


def _all(view: View, call: Call, channel: str) -> list[dict[str, Any]]:
    return [_shown(view, call, country) for country in countries.every(view, channel)]


def _shown(view: View, call: Call, country: countries.Country) -> dict[str, Any]:
    zone = organisation(view, call.organisation_id)["zone"]
    told = countries.shown(view, country, zone, call.now)
    return {**told, **{name: moment(told[name]) for name in _TIMES}}


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = [
        *("iso", "channel", "name", "state", "opt_in", "windows", "zones"),
        *("source", "note", "owner", "checked_at", "review_due"),
    ]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return out.getvalue()


def _cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text
