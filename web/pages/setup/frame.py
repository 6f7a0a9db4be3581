"""The wizard's frame: its steps in order, how far it is, and who may take them."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from flask import abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import setting_up, setup_steps
from gateway.flows.rights import Acting, acting
from gateway.flows.setup_steps import Situation
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store.database import View
from web import sessions
from web.pages import door
from web.pages.language import N_

blueprint = door.pages("setup", __name__, "/setup")

HOLDER = "setup_holder"
"""Where the form cookie keeps the token of whoever typed the code."""
NAMES: Final = {
    "code": N_("Code from the console"),
    "account": N_("Your account"),
    "organisation": N_("Organisation"),
    "zone": N_("Time zone"),
    "modem": N_("Modem"),
    "pin": N_("SIM card"),
    "sender": N_("Sender number"),
    "country": N_("Country and texts"),
    "test": N_("Test message"),
    "credits": N_("Credits"),
    "key": N_("API key"),
    "backup": N_("Backup"),
    "finish": N_("Finish"),
}
ORDER: Final = tuple(NAMES)
OPENING: Final = ("code", "account")


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the frame shows it."""

    name: str
    word: str
    is_done: bool
    address: str | None


def page(step: str, template: str, **values: Any) -> str:
    """A page of the wizard. The menu is left out: there is one way to go."""
    where = values.get("situation")
    steps = [_step(name, where) for name in ORDER]
    at = ORDER.index(step)
    back = url_for(f"setup.{ORDER[at - 1]}") if where is not None and ORDER[at - 1] not in OPENING else None
    return render_template(
        f"setup/{template}.html", viewer=None, steps=steps, step=step, number=at + 1, title=NAMES[step], back=back, **values
    )


def _step(name: str, where: Situation | None) -> Step:
    if where is None:
        return Step(name, NAMES[name], False, None)
    done = name in OPENING or where.done.get(name, False)
    return Step(name, NAMES[name], done, None if name in OPENING else url_for(f"setup.{name}"))


def forward(step: str) -> ResponseReturnValue:
    """On to the next step."""
    return redirect(url_for(f"setup.{ORDER[ORDER.index(step) + 1]}"), HTTPStatus.SEE_OTHER)


def here(step: str) -> ResponseReturnValue:
    """The same step again."""
    return redirect(url_for(f"setup.{step}"), HTTPStatus.SEE_OTHER)


def situation() -> Situation:
    """How far it is; leads away where there is nothing to set up (any more)."""
    with sessions.services().database.read() as view:
        if not setting_up.is_pending(view):
            abort(redirect(url_for("setup.index"), HTTPStatus.SEE_OTHER))
        return setup_steps.situation(view, door.viewer().organisation_id)


def who(view: View) -> Acting:
    """The viewer, as flows want them."""
    viewer = door.viewer()
    return acting(view, viewer.organisation_id, viewer.actor, viewer.user_id)


@blueprint.get("")
@door.anyone
def index() -> ResponseReturnValue:
    """To the first step that is not done; away where everything is."""
    viewer = sessions.viewer()
    with sessions.services().database.read() as view:
        if setting_up.is_fresh(view):
            return here("code")
        pending = setting_up.is_pending(view)
        if pending and viewer is not None and viewer.may(SETTINGS_EDIT):
            missing = setup_steps.situation(view, viewer.organisation_id).missing
            return here(missing[0] if missing else "finish")
    if pending and viewer is None:
        return redirect(url_for("login.show", next="/setup"), HTTPStatus.SEE_OTHER)
    if not pending:
        door.notice(N_("This box is set up."))
    return redirect(url_for("home.index" if viewer is not None else "login.show"), HTTPStatus.SEE_OTHER)
