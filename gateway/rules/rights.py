"""Effective rights, term by term: who may do what at which node of the organisation tree, and who may send in which case.

Pure. A person's roles hold in their own unit and below it, and, because the ATS put them there, in the cases whose hiring team
they are on. What is granted singly (to a person, or to everybody with a role) holds at the node it was granted at and below.

    may send = account active ∧ "Recruitment - SMS" (S3) ∧ Communications tab ∧ (team member ∨ role scope) ∧ seat      (S49)

The terms stand here once, in the order of the gates (requirements §0): `accept` refuses with the first that is missing,
`GET /users/{id}/effective` shows them all.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Refused
from gateway.rules.permissions import ALL_CASES, COMMUNICATIONS, OPERATORS_OWN, SEND_SMS, permissions_of

Row = Mapping[str, Any]


def rights_at(user: Row, path: Collection[str], grants: Iterable[Row], *, on_team: bool = False) -> frozenset[str]:
    """All permissions of a user at a node; `path` are the ids of the node and everything above it."""
    roles: list[str] = json.loads(user["roles"])
    held: set[str] = set()
    if on_team or user["unit_id"] in path:
        held |= permissions_of(user["roles"])
    for grant in grants:
        if grant["unit_id"] in path:
            is_theirs = grant["user_id"] == user["id"] if grant["holder"] == "user" else grant["role"] in roles
            if is_theirs:
                held.add(grant["permission"])
    return frozenset(held)


@dataclass(frozen=True, slots=True)
class Standing:
    """A user before a case: what the terms look at."""

    active: bool
    rights: frozenset[str]
    on_team: bool
    seat: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its name, the code when it is missing, and how to get it."""

    name: str
    code: str
    missing: str
    holds: Callable[[Standing], bool]

    def refusal(self) -> Refused:
        """The 403 of this term."""
        return Refused(self.code, 403, self.missing, field="user")


ACTIVE: Final = Term(
    "account_active",
    "user_inactive",
    "This user's account is switched off; an administrator can switch it on.",
    lambda standing: standing.active,
)
PERMISSION: Final = Term(
    "permission",
    "permission_denied",
    f"This user lacks the right {SEND_SMS} here; an administrator can grant it.",
    lambda standing: SEND_SMS in standing.rights,
)
TAB: Final = Term(
    "communications_tab",
    "communications_tab_required",
    f"This user lacks the right {COMMUNICATIONS} here; an administrator can grant it.",
    lambda standing: COMMUNICATIONS in standing.rights,
)
CASE: Final = Term(
    "team_or_role_scope",
    "not_on_hiring_team",
    "This user is not on the hiring team of this case, and no role of theirs reaches it.",
    lambda standing: standing.on_team or ALL_CASES in standing.rights,
)
SEAT: Final = Term(
    "seat",
    "seat_required",
    "This user has no messaging seat; an administrator can give one.",
    lambda standing: standing.seat,
)
TO_SEND: Final = (ACTIVE, PERMISSION, TAB, CASE, SEAT)
"""In gate order: permission → case membership → seat."""
TO_READ: Final = (ACTIVE, TAB, CASE)
"""S25: any team member reads; only seat holders send."""


def refusal(standing: Standing, terms: Iterable[Term] = TO_SEND) -> Refused | None:
    """The refusal of the first term that is missing, or None."""
    return next((term.refusal() for term in terms if not term.holds(standing)), None)


def check_gift(given: Iterable[str], held: frozenset[str]) -> None:
    """Raises Refused where permissions are given away that only their holders may give (S17, S28)."""
    beyond = sorted((frozenset(given) & OPERATORS_OWN) - held)
    if beyond:
        raise Refused(
            "permission_denied",
            403,
            "Only the operator can give or take this right, or change who holds it.",
            field="user",
            facts={"permission": beyond[0]},
        )
