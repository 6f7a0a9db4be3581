"""What all views of templates stand on: the blueprint, who acts, and finding a template where the viewer may see or change it."""

from typing import Any

from flask import request

from gateway.flows import template_desk
from gateway.flows import templates as flow
from gateway.flows.facts import path_of
from gateway.flows.rights import Acting, acting, find_unit
from gateway.rules.permissions import TEMPLATES_EDIT, TEMPLATES_VIEW
from gateway.store.database import Row, View
from web.pages import door
from web.pages.templates import words

blueprint = door.pages("templates", __name__, "/admin/templates")


def who(view: View) -> Acting:
    """The viewer as somebody who acts."""
    viewer = door.viewer()
    return acting(view, viewer.organisation_id, viewer.actor, viewer.user_id)


def editable(view: View, asked: str | None) -> Row:
    """The unit that a new template is for; 403 without the right there."""
    by = who(view)
    unit = find_unit(view, by.organisation_id, asked or "self")
    by.require(view, TEMPLATES_EDIT, unit["id"])
    return unit


def found(view: View, by: Acting, template_id: str) -> tuple[Row, Row]:
    """A template and the unit it is looked at from: as asked, else its own."""
    asked = request.args.get("unit") or template_desk.home_of(view, by, template_id)
    unit = find_unit(view, by.organisation_id, asked)
    row = flow.find(view, by.organisation_id, unit["id"], template_id)
    inherited = by.user is not None and row["unit_id"] in path_of(view, by.organisation_id, by.user["unit_id"])
    if not inherited:  # what one's own unit inherits one may look at; anything else needs the right there
        by.require(view, TEMPLATES_VIEW, unit["id"])
    return row, unit


def own(view: View, template_id: str) -> tuple[Row, Row]:
    """A template at its own unit, for somebody who may edit there."""
    by = who(view)
    unit = find_unit(view, by.organisation_id, template_desk.home_of(view, by, template_id))
    row = flow.find(view, by.organisation_id, unit["id"], template_id)
    by.require(view, TEMPLATES_EDIT, unit["id"])
    if row["archived_at"] is not None:
        raise flow.not_found()
    return row, unit


def word_tables() -> dict[str, Any]:
    """The words that every page of templates shows codes by."""
    return {
        "channels": words.CHANNELS,
        "kinds": words.KINDS,
        "types": words.TYPES,
        "field_words": words.FIELDS,
        "findings": words.FINDINGS,
    }
