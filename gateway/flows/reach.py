"""How far a person's right reaches: at which nodes of the tree they hold it, for pages that show part of an organisation."""

import json
from dataclasses import dataclass

from gateway.flows.facts import grants_of, tree
from gateway.flows.rights import Acting
from gateway.rules.permissions import ROLES, permissions_of
from gateway.store.database import Row, View


def reach(view: View, by: Acting, *permissions: str) -> frozenset[str]:
    """The ids of the nodes at which the person holds any of these permissions."""
    return frozenset(
        unit_id for unit_id in tree(view, by.organisation_id) if (by.rights(view, unit_id) or frozenset()) & set(permissions)
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a right comes from: a role, the right itself among the roles, or a single grant; and the unit it holds from."""

    role: str | None
    single: bool
    unit: str


def sources(view: View, user: Row) -> dict[str, list[Source]]:
    """Every right that a person holds anywhere, and all it comes from."""
    units = tree(view, user["organisation_id"])
    words: list[str] = json.loads(user["roles"])
    home = units[user["unit_id"]]["name"]
    found: dict[str, list[Source]] = {}
    for word in words:
        for permission in permissions_of([word]):
            found.setdefault(permission, []).append(Source(word if word in ROLES else None, False, home))
    for grant in grants_of(view, user["organisation_id"]):
        theirs = grant["user_id"] == user["id"] if grant["holder"] == "user" else grant["role"] in words
        if theirs and grant["unit_id"] in units:
            unit = units[grant["unit_id"]]["name"]
            found.setdefault(grant["permission"], []).append(Source(grant["role"] or None, True, unit))
    return found
