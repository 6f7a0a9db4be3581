"""Rights looked up: a user's permissions at a node or in a case, read inside the deciding transaction.

The tree and the single grants of an organisation are small and kept in the transaction's memo: a batch reads them once.
"""

from dataclasses import dataclass
from typing import Any, Literal

from gateway.errors import Refused
from gateway.flows.facts import find_user, is_on_team, path_of, rights_in, rights_of, tree
from gateway.rules.permissions import ALL_CASES, MESSAGES_VIEW_ALL
from gateway.rules.rights import CASE, TO_READ, Standing, refusal
from gateway.store.database import Row, View


def below(view: View, organisation_id: str, unit_id: str) -> set[str]:
    """A node and everything under it."""
    return {each for each in tree(view, organisation_id) if unit_id in path_of(view, organisation_id, each)}


def find_unit(view: View, organisation_id: str, asked: str, *, field: str = "id") -> Row:
    """A node of the tree by id or ref; `self` is the main organisation. Raises Refused `organisation_not_found`."""
    for row in tree(view, organisation_id).values():
        if asked in (row["id"], row["ref"]) or (asked == "self" and row["parent_id"] is None):
            return row
    raise Refused("organisation_not_found", 404, "No such organisation or unit.", field=field)


def standing(view: View, user: Row, case: Row | None) -> Standing:
    """A user before a case: what the terms of S49 look at."""
    return Standing(
        active=bool(user["active"]),
        rights=rights_in(view, user, case),
        on_team=is_on_team(view, case, user),
        seat=bool(user["seat"]),
    )


def require_reader(view: View, user: Row, case: Row | None) -> None:
    """S25: raises Refused unless this user may read what was written in the case; a seat is not needed."""
    refused = refusal(standing(view, user, case), TO_READ)
    if refused is not None:
        raise refused


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does something: the key alone (`user` is None), or a person whom it names."""

    organisation_id: str
    actor: str
    """As audit and ledger name who did it: the person, or the key where it names nobody."""
    user: Row | None = None
    is_operator: bool = False
    """Whether the key itself may do what only the operator may."""
    via: str | None = None
    """The key through which a person acts."""

    @property
    def told(self) -> dict[str, Any]:
        """What the audit adds: the key through which a person acted."""
        return {} if self.via is None else {"via": self.via}

    def rights(self, view: View, unit_id: str) -> frozenset[str] | None:
        """Their permissions at a node; None where no person is named: the key's scopes have decided."""
        return None if self.user is None else rights_of(view, self.user, unit_id)

    def require(self, view: View, permission: str, unit_id: str | None = None) -> None:
        """Raises Refused unless the person holds the permission at the node (default: the main organisation)."""
        if self.user is None:
            return
        if not self.user["active"]:
            raise Refused("user_inactive", 403, "This user's account is switched off.", field="user")
        if permission not in rights_of(view, self.user, unit_id or self.organisation_id):
            text = f"This user lacks the right {permission} here; an administrator can grant it."
            raise Refused("permission_denied", 403, text, field="user", facts={"permission": permission})

    def require_for(self, view: View, permission: str, what: Literal["message", "task", "interview"], row_id: str) -> None:
        """Raises Refused unless the person holds the permission in the case of this message, task or interview, and may see it.

        Their own they always see; what others wrote they see on the hiring team, or where their role reaches the case. Where
        there is no such row nothing is decided: the flow says so.
        """
        if self.user is None:
            return
        found = view.one(
            f"SELECT case_id, user_id FROM {what} WHERE id = ? AND organisation_id = ?", row_id, self.organisation_id
        )
        if found is None:
            return
        case_id, author_id = found["case_id"], found["user_id"]
        case = None if case_id is None else view.one("SELECT * FROM hiring_case WHERE id = ?", case_id)
        if not self.user["active"] or permission not in rights_in(view, self.user, case):
            self.require(view, permission, self.user["unit_id"] if case is None else case["unit_id"])
        reaches = {ALL_CASES, MESSAGES_VIEW_ALL} & rights_in(view, self.user, case)
        if self.user["id"] != author_id and not reaches and not is_on_team(view, case, self.user):
            raise CASE.refusal()

    def require_operator(self, view: View, permission: str) -> None:
        """Raises Refused unless the person holds an operator's permission, or the key is the operator's own."""
        if self.user is not None:
            self.require(view, permission)
        elif not self.is_operator:
            text = "Only the operator may do this: a key with the scope operator:write."
            raise Refused("permission_denied", 403, text, field="user", facts={"permission": permission})


def acting(view: View, organisation_id: str, key: str, user: str | None, *, is_operator: bool = False) -> Acting:
    """Who acts when this key calls and names this person, or nobody. Raises Refused `user_not_found`."""
    if user is None:
        return Acting(organisation_id, key, is_operator=is_operator)
    row = find_user(view, organisation_id, user)
    return Acting(organisation_id, f"user:{row['id']}", row, is_operator, via=key)
