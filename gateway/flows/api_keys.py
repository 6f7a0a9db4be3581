"""API keys as administrators make them on a page: nobody gives a key more than they may do themselves."""

from collections.abc import Sequence

from gateway.errors import Refused
from gateway.flows.rights import Acting
from gateway.rules.permissions import OPERATORS_OWN, SETTINGS_EDIT
from gateway.store import setup
from gateway.store.database import Row, Transaction, View

OPERATORS = "operator:write"
"""The scope of what only the operator may do (S17, S28)."""
FIRST = setup.ATS_SCOPES
"""What an applicant tracking system needs."""


def offered(view: View, by: Acting) -> list[str]:
    """The scopes that this person may give: the operator's own only where they may do all that it opens."""
    rights = by.rights(view, by.organisation_id)
    is_operator = by.is_operator if rights is None else rights >= OPERATORS_OWN
    return [scope for scope in setup.SCOPES if scope != OPERATORS or is_operator]


def create(
    tx: Transaction, by: Acting, name: str, scopes: Sequence[str], networks: Sequence[str], per_minute: int, now: int
) -> tuple[Row, str]:
    """A key and its secret, which is shown once. Raises Refused as `setup.create_key`, and 403 for the operator's scope."""
    by.require(tx, SETTINGS_EDIT)
    beyond = sorted(set(scopes) - set(offered(tx, by)))
    if OPERATORS in beyond or "*" in beyond:
        raise Refused("permission_denied", 403, "Only the operator can give this right.", field="scope")
    return setup.create_key(tx, by.organisation_id, name, scopes, by.actor, now, allow=networks, per_minute=per_minute)


def revoke(tx: Transaction, by: Acting, key_id: str, now: int) -> None:
    """Make a key worthless at once. Raises Refused `key_not_found`."""
    by.require(tx, SETTINGS_EDIT)
    setup.revoke_key(tx, by.organisation_id, key_id, by.actor, now)
