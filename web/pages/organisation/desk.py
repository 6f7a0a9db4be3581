"""The frame around every node: the tree as far as the viewer's rights reach, the node asked for, and its tabs.

Roles hold in a person's own unit and below, so each node is looked at by itself: what `Acting.require` would refuse is not shown.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import abort, url_for

from gateway.flows.facts import path_of
from gateway.flows.reach import reach
from gateway.flows.rights import Acting
from gateway.rules.permissions import CREDITS_VIEW, REPORTS_VIEW, SETTINGS_EDIT, USERS_VIEW
from gateway.store import lists_organisation
from gateway.store.database import View
from gateway.store.lists_organisation import Node
from web.pages import door
from web.pages.asker import who
from web.pages.language import N_, _

blueprint = door.pages("organisation", __name__, "/admin/organisation")

MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")

SEEN = (CREDITS_VIEW, USERS_VIEW, SETTINGS_EDIT, REPORTS_VIEW)
"""Who holds one of these at a node sees the node."""

TABS = {
    "show": (N_("Overview"), SEEN),
    "settings": (N_("Settings"), (SETTINGS_EDIT,)),
    "credits": (N_("Credits"), (CREDITS_VIEW,)),
    "allowances": (N_("Allowances"), (CREDITS_VIEW,)),
    "chargeback": (N_("Chargeback"), (REPORTS_VIEW,)),
}
"""endpoint → its word, and the rights of which one is needed at the node."""


@dataclass(frozen=True, slots=True)
class Room:
    """A node as this viewer sees it."""

    node: Node
    tree: list[Node]
    reached: frozenset[str]
    above: list[Node]
    rights: frozenset[str]
    by: Acting

    @property
    def is_top(self) -> bool:
        """Whether this is the main organisation."""
        return self.node.parent_id is None

    def may(self, permission: str) -> bool:
        """Whether the viewer holds the permission here."""
        return permission in self.rights

    @property
    def tabs(self) -> dict[str, tuple[str, str]]:
        """The tabs that are open here: endpoint → word and address."""
        return {
            name: (_(word), url_for(f"organisation.{name}", unit_id=self.node.id))
            for name, (word, needed) in TABS.items()
            if self.rights & set(needed)
        }

    def shown(self, tab: str) -> dict[str, Any]:
        """What every template of a node needs."""
        return {"room": self, "node": self.node, "tab": tab}


def enter(view: View, unit_id: str | None, *needed: str) -> Room:
    """The node (None: the highest one in reach), if the viewer holds one of `needed` there. 404 for what they may not know of."""
    by = who(view)
    nodes = {node.id: node for node in lists_organisation.nodes(view, by.organisation_id)}
    reached = reach(view, by, *SEEN)
    if unit_id is None:
        unit_id = next((node_id for node_id in nodes if node_id in reached), None)
    if unit_id is None or unit_id not in nodes or unit_id not in reached:
        abort(HTTPStatus.FORBIDDEN if unit_id is None else HTTPStatus.NOT_FOUND)
    rights = by.rights(view, unit_id) or frozenset()
    if needed and not rights & set(needed):
        abort(HTTPStatus.FORBIDDEN)
    paths = {each: path_of(view, by.organisation_id, each) for each in reached}
    known = {above for path in paths.values() for above in path}
    return Room(
        node=nodes[unit_id],
        tree=[node for node in nodes.values() if node.id in known],
        reached=reached,
        above=[nodes[each] for each in reversed(paths[unit_id][1:])],
        rights=rights,
        by=by,
    )


def is_month(text: str) -> bool:
    """Whether this is a month such as 2026-11, as addresses carry it."""
    return MONTH.fullmatch(text) is not None
