"""Who acts: a key alone, by its scopes, or the person that it names in `user`, by that person's own rights as well.

Every route asks `who`, and no other place decides it. Audit and ledger name `Acting.actor`.
"""

from typing import Annotated

from pydantic import Field

from gateway.flows.rights import Acting, acting
from gateway.store.database import View
from web.guards import Call
from web.inputs import Input, Query, Ref

User = Annotated[Ref | None, Field(description="E-mail address or id of the person acting; their rights count as well.")]


class As(Query):
    """On whose behalf one asks."""

    user: User = None


class By(Input):
    """On whose behalf something is done."""

    user: User = None


def who(view: View, call: Call, user: str | None) -> Acting:
    """Who acts in this call. Raises Refused `user_not_found`."""
    return acting(view, call.organisation_id, call.actor, user, is_operator=call.caller.may("operator:write"))


def allowed(view: View, call: Call, user: str | None, permission: str) -> str:
    """Who acts, as the audit names them, once they hold the permission at the main organisation. Raises Refused."""
    by = who(view, call, user)
    by.require(view, permission)
    return by.actor
