"""The frame of Users & seats: whom the viewer may see and change. Roles hold in one's own unit and below: each is looked at."""

from http import HTTPStatus

from flask import abort

from gateway.flows.facts import tree
from gateway.flows.reach import reach
from gateway.flows.rights import Acting
from gateway.rules.permissions import USERS_EDIT, USERS_VIEW
from gateway.store import lists_users
from gateway.store.database import View
from gateway.store.lists_users import PersonLine
from web.pages import door
from web.pages.users.words import shared

blueprint = door.pages("users", __name__, "/admin/users")
blueprint.context_processor(shared)


def meet(view: View, by: Acting, user_id: str) -> PersonLine:
    """A person whom the viewer may see. 404 for others."""
    found = lists_users.person(view, by.organisation_id, user_id)
    if found is None or found.unit_id not in reach(view, by, USERS_VIEW):
        abort(HTTPStatus.NOT_FOUND)
    return found


def may_edit(view: View, by: Acting, person: PersonLine) -> bool:
    """Whether the viewer may change this person."""
    return person.unit_id in reach(view, by, USERS_EDIT)


def units(view: View, by: Acting, permission: str = USERS_EDIT) -> list[tuple[str, str]]:
    """The units where the viewer holds a right, as (reference, name) for a form."""
    inside = reach(view, by, permission)
    return [(row["ref"], row["name"]) for row in tree(view, by.organisation_id).values() if row["id"] in inside]
