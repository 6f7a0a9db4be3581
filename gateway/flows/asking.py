"""Whom to ask: the colleagues who hold a right, for refusals that another person can cure."""

from typing import Any

from gateway.flows.facts import kept_all, rights_of
from gateway.store.database import View

_MOST = 3


def whom_to_ask(view: View, organisation_id: str, permission: str) -> tuple[list[dict[str, Any]], str]:
    """Up to three people who hold the permission at the main organisation, and a sentence that names them."""
    key = ("ask", organisation_id, permission)
    found: list[dict[str, Any]] | None = view.memo.get(key)
    if found is None:
        people = kept_all(
            view,
            ("people", organisation_id),
            "SELECT * FROM app_user WHERE organisation_id = ? AND active = 1 ORDER BY name, id",
            organisation_id,
        )
        found = []
        for person in people:
            if permission in rights_of(view, person, organisation_id):
                found.append({"name": person["name"], "email": person["email"]})
                if len(found) == _MOST:
                    break
        view.memo[key] = found
    names = " or ".join(person["name"] for person in found)
    return found, f"Ask {names}." if names else "Ask whoever administers Ringpost in your organisation."
