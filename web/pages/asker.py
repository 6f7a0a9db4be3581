"""The viewer as flows know them: a person with rights of their own at each node."""

from gateway.flows.rights import Acting, acting
from gateway.store.database import View
from web.pages import door


def who(view: View) -> Acting:
    """Whoever is asking."""
    viewer = door.viewer()
    return acting(view, viewer.organisation_id, viewer.actor, viewer.user_id)
