"""Who acts: a key alone, by its scopes, or the person that it names in `user`, by that person's own rights as well."""

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
