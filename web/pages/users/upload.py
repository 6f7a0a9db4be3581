"""A file of people: compared line by line with what stands here, then taken whole or not at all (S47).

Between the two steps the text travels in the page itself; what was agreed to is compared again when it is taken.
"""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import people_diff
from gateway.flows.people_csv import COLUMNS
from gateway.flows.people_diff import Comparison, Undo
from gateway.rules.permissions import USERS_EDIT
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, refusals
from web.pages.asker import who
from web.pages.language import _, ngettext
from web.pages.users.desk import blueprint
from web.pages.users.words import COLUMN_WORDS, GIFT, REFUSED

SHOWN = 300
"""So many lines on a page; all are taken."""


@blueprint.get("/upload")
@door.needs(USERS_EDIT)
def upload() -> ResponseReturnValue:
    """Choose a file."""
    return render_template("users/upload.html", columns=COLUMNS)


@blueprint.post("/upload")
@door.needs(USERS_EDIT)
def compare() -> ResponseReturnValue:
    """Read the file and show what it would change. Nothing is changed."""
    given = request.files.get("file")
    octets = b"" if given is None else given.read()
    if not octets:
        return _wrong(_("Choose a file.")), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        words = _("This file is not UTF-8. In your spreadsheet choose “CSV UTF-8” when you save it.")
        return _wrong(words), HTTPStatus.UNPROCESSABLE_ENTITY
    return _dry(text)


@blueprint.post("/upload/take")
@door.needs(USERS_EDIT)
def take() -> ResponseReturnValue:
    """Take the file as it was shown: all rows, or none."""
    services, text, agreed = sessions.services(), request.form.get("text", ""), request.form.get("agreed", "")
    now = services.clock.now_ms()

    def step(tx: Transaction) -> Comparison:
        found = people_diff.take(tx, who(tx), text, now)
        if found.fingerprint != agreed:
            raise Undo(found)
        return found

    try:
        found = services.database.transact(step)
    except Undo as undo:
        words = _(
            "Somebody has changed people since you looked. This is what the file would change now; nothing was changed yet."
        )
        return _shown(undo.found, text, words), HTTPStatus.CONFLICT
    except Refused as refused:
        return _refused(refused)
    made = ngettext("One person was added", "%(count)s people were added", found.created)
    door.notice(made + ", " + ngettext("one was changed.", "%(count)s were changed.", found.changed))
    return redirect(url_for("users.index"), HTTPStatus.SEE_OTHER)


def _dry(text: str) -> ResponseReturnValue:
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        raise Undo(people_diff.take(tx, who(tx), text, now))

    try:
        services.database.transact(step)
    except Undo as undo:
        return _shown(undo.found, text)
    except Refused as refused:
        return _refused(refused)
    raise AssertionError("unreachable")


def _shown(found: Comparison, text: str, warning: str | None = None) -> str:
    changes = [row for row in found.rows if row.action != "same"]
    return render_template(
        "users/compared.html",
        found=found,
        changes=changes[:SHOWN],
        more=len(changes) > SHOWN,
        text=text,
        warning=warning,
        columns=COLUMN_WORDS,
    )


def _refused(refused: Refused) -> ResponseReturnValue:
    """Bad lines each with its reason; nothing was changed."""
    rows: list[dict[str, Any]] = [
        {**row, "reason": _(GIFT) if row["code"] == "permission_denied" else _line(row)} for row in refused.facts.get("rows", ())
    ]
    words = _(GIFT) if refused.code == "permission_denied" else refusals.told(refused, REFUSED)
    return _wrong(words, rows), refused.status


def _line(row: dict[str, Any]) -> str:
    """What is wrong with a line. An address that stands there twice is another matter than one that somebody has."""
    twice = row["code"] == "duplicate_email" and "line" in row["reason"]
    known = REFUSED.get("duplicate_row" if twice else row["code"]) or refusals.word_of(row["code"])
    return row["reason"] if known is None or "%(" in known else _(known)


def _wrong(problem: str, rows: list[dict[str, Any]] | None = None) -> str:
    return render_template("users/upload.html", columns=COLUMNS, problem=problem, rows=rows or [], words=COLUMN_WORDS)
