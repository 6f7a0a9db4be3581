"""What all views of compliance stand on: the blueprint, its tabs, who acts, days as moments."""

from datetime import UTC, date, datetime
from typing import Any

from flask import url_for

from gateway.flows.rights import Acting, acting
from gateway.rules.permissions import COMPLIANCE_EDIT, ERASE, MESSAGES_VIEW_ALL
from gateway.store.database import View
from web.pages import door
from web.pages.language import N_, _

blueprint = door.pages("compliance", __name__, "/admin/compliance")

TABS = {
    "countries": (N_("Countries"), "compliance.index", None),
    "texts": (N_("Texts"), "compliance.texts", None),
    "keywords": (N_("Keywords"), "compliance.keywords", None),
    "kinds": (N_("Kinds"), "compliance.kinds", None),
    "senders": (N_("Numbers"), "compliance.senders", None),
    "tasks": (N_("Tasks"), "compliance.tasks", MESSAGES_VIEW_ALL),
    "forgetting": (N_("Erasure & holds"), "compliance.forgetting", ERASE),
    "retention": (N_("Keeping"), "compliance.retention", None),
    "responsibility": (N_("Who is responsible"), "compliance.responsibility", None),
}
"""tab → word, page, and the permission it needs besides."""


def who(view: View) -> Acting:
    """The viewer as somebody who acts."""
    viewer = door.viewer()
    return acting(view, viewer.organisation_id, viewer.actor, viewer.user_id)


def frame() -> dict[str, Any]:
    """What every page of compliance shows around its own: the tabs, and whether the viewer may change things."""
    viewer = door.viewer()
    tabs = {
        name: (_(word), url_for(endpoint))
        for name, (word, endpoint, permission) in TABS.items()
        if permission is None or viewer.may(permission)
    }
    return {"tabs_of": tabs, "may_edit": viewer.may(COMPLIANCE_EDIT)}


def moment_of(day: date) -> int:
    """The beginning of a day in UTC, in ms."""
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def day_of(moment: int | None) -> date | None:
    """The day of a moment in UTC."""
    return None if moment is None else datetime.fromtimestamp(moment / 1000, UTC).date()
