"""Audit: who did what, newest first, filtered; its chain walked; the same as a table."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, current_app, render_template, request, stream_template, url_for
from flask.typing import ResponseReturnValue

from gateway.clock import rfc3339
from gateway.flows import audit as flow
from gateway.rules.permissions import AUDIT_VIEW, COMPLIANCE_VIEW
from gateway.rules.spreadsheets import csv_text
from gateway.store import lists_audit_pages
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import audit_words, door, words
from web.pages.language import _, ngettext
from web.pages.territories import country_name

blueprint = door.pages("audit", __name__, "/admin/audit")

PAGE: Final = 50
MOST_LINES: Final = 10_000
"""Lines of one file: more are fetched day by day."""
PARTS: Final = 50
"""So many pieces the bar has that shows how far the chain is walked."""
COLUMNS: Final = ("position", "at", "actor", "action", "subject", "data")
_LINKS: Final = {"msg": "messages.show", "tpl": "templates.show", "ep": "webhooks.show"}
_COUNTRY: Final = re.compile(r"country:[A-Z]{2}(/\w+)?")
_ARGUMENT: Final = {"msg": "message_id", "tpl": "template_id", "ep": "endpoint_id"}


@blueprint.get("")
@door.needs(AUDIT_VIEW)
def index() -> ResponseReturnValue:
    """A page of it."""
    return _page()


@blueprint.post("/verify")
@door.needs(AUDIT_VIEW)
def verify() -> ResponseReturnValue:
    """Walk the chains and say in words whether they hold: on a page that grows while a long chain is walked."""
    key = flow.anchor_key(current_app.extensions["ringpost.secrets"].token)
    return Response(stream_template("audit/verify.html", steps=_steps(key)))


def _steps(key: bytes) -> Iterator[tuple[str, str] | None]:
    """One None for each part of the chain that was walked, then the verdict: its tone and its words."""
    told = 0
    with sessions.services().database.read() as view:
        for step in flow.walk(view, key):
            if isinstance(step, flow.Finding):
                yield _verdict(step)
                return
            while told < round(step * PARTS):
                told += 1
                yield None


def _verdict(found: flow.Finding) -> tuple[str, str]:
    if found.broken is not None:
        text = audit_words.BROKEN.get(found.chain, audit_words.BROKEN["audit"])
        return "danger", _(text, position=found.broken.position, reason=found.broken.reason)
    rows = ngettext("%(count)s entry", "%(count)s entries", found.audit_rows)
    events = ngettext("%(count)s event", "%(count)s events", found.event_rows)
    said = _("The chain is whole: %(rows)s and %(events)s, nothing changed and nothing missing.", rows=rows, events=events)
    if found.anchored_at is not None:
        said += " " + _("Entries up to %(position)s are no longer kept; their end is signed.", position=found.anchored_at)
    return "success", said


@blueprint.get("/audit.csv")
@door.needs(AUDIT_VIEW)
def as_csv() -> ResponseReturnValue:
    """The same as a table; that it left the house is audited."""
    services, viewer = sessions.services(), door.viewer()
    wanted, day = _wanted()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> list[Row]:
        found = lists_audit_pages.entries(tx, wanted, day, None, MOST_LINES, window=MOST_LINES * 100)
        told = {"what": "audit", "rows": len(found.rows), "filters": sorted(name for name, value in wanted.items() if value)}
        tx.audit(now, viewer.actor, "export.run", viewer.organisation_id, told)
        return found.rows

    rows = services.database.transact(step)
    lines = [{**lists_audit_pages.as_cells(row), "at": rfc3339(row["at"])} for row in rows]
    response = Response(csv_text(COLUMNS, lines), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def _page() -> str:
    services, viewer = sessions.services(), door.viewer()
    wanted, day = _wanted()
    before = request.args.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):
        abort(HTTPStatus.BAD_REQUEST)
    with services.database.read() as view:
        found = lists_audit_pages.entries(view, wanted, day, int(before) if before else None, PAGE)
        names = _names(view, viewer.organisation_id, found.rows)
        actors = lists_audit_pages.actors(view, viewer.organisation_id)
    kept = {**wanted, "day": request.args.get("day") or None}
    return render_template(
        "audit/index.html",
        rows=[_shown(row, names) for row in found.rows],
        older=found.older,
        before=before,
        kept=kept,
        actors=actors,
        areas=audit_words.AREAS,
        actions=audit_words.ACTIONS,
        filtered=any(kept.values()),
        most_lines=MOST_LINES,
    )


def _wanted() -> tuple[dict[str, str | None], tuple[int, int] | None]:
    """The filters of the address; 400 for a day that is none."""
    wanted = {name: request.args.get(name, "").strip() or None for name in ("subject", "action", "actor")}
    if any(text is not None and (len(text) > 128 or not text.isprintable()) for text in wanted.values()):
        abort(HTTPStatus.BAD_REQUEST)
    asked = request.args.get("day") or None
    if asked is None:
        return wanted, None
    try:
        day = date.fromisoformat(asked)
        zone = words.zone_of(door.viewer().zone)
        borders = [datetime(at.year, at.month, at.day, tzinfo=zone).timestamp() for at in (day, day + timedelta(days=1))]
    except (ValueError, OverflowError):
        abort(HTTPStatus.BAD_REQUEST)
    return wanted, (round(borders[0] * 1000), round(borders[1] * 1000))


def _names(view: View, organisation_id: str, rows: list[Row]) -> dict[str, str]:
    return lists_audit_pages.names(view, organisation_id, [text for row in rows for text in (row["actor"], row["subject"])])


def _shown(row: Row, names: dict[str, str]) -> dict[str, Any]:
    prefix = row["subject"].partition("_")[0]
    link = None
    if prefix in _LINKS:
        link = url_for(_LINKS[prefix], **{_ARGUMENT[prefix]: row["subject"]})
    elif _COUNTRY.fullmatch(row["subject"]) and door.viewer().may(COMPLIANCE_VIEW):
        link = url_for("compliance.country", iso=row["subject"][8:10], channel=row["subject"].partition("/")[2] or "sms")
    data = json.loads(row["data"])
    return {
        "position": row["position"],
        "at": row["at"],
        "actor": row["actor"],
        "who": names.get(row["actor"].partition(":")[2]) or _actor(row["actor"]),
        "action": row["action"],
        "word": audit_words.ACTIONS.get(row["action"]),
        "subject": row["subject"],
        "about": _about(row["subject"], names),
        "link": link,
        "data": {
            name: value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False) for name, value in data.items()
        },
    }


def _about(subject: str, names: Mapping[str, str]) -> str | None:
    """What an entry is about in words: a name, “a message (c-17)”, “Sweden (SMS)”; None where only its id tells."""
    name, word = names.get(subject), audit_words.THINGS.get(subject.partition("_")[0])
    if word is None:
        return name or _country(subject)
    return f"{_(word)} ({name})" if name else _(word)


def _country(subject: str) -> str | None:
    """`country:SE/sms` as “Sweden (SMS)”; None for what is no country."""
    if not _COUNTRY.fullmatch(subject):
        return None
    channel = subject.partition("/")[2]
    name = country_name(subject[8:10])
    return f"{name} ({audit_words.CHANNELS.get(channel, channel)})" if channel else name


def _actor(actor: str) -> str | None:
    word = audit_words.ACTORS.get(actor.partition(":")[0])
    return None if word is None else _(word)
