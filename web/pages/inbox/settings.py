"""What one wants to be told of replies by e-mail: nothing, each at once, or a digest a day (S24)."""

from http import HTTPStatus
from typing import Final

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import notices
from gateway.rules.permissions import MESSAGES_VIEW
from web import sessions
from web.pages import door
from web.pages.inbox.blueprint import blueprint
from web.pages.language import N_, _

WISHES: Final = {
    "off": (N_("No e-mail"), N_("New replies show in the inbox, and beside “Inbox” in the menu.")),
    "at_once": (N_("An e-mail as soon as a candidate replies"), N_("Several replies in a row make one e-mail.")),
    "daily": (N_("One e-mail a day"), N_("In the morning, with all that is still unread.")),
}


@blueprint.get("/settings")
@door.needs(MESSAGES_VIEW)
def settings() -> ResponseReturnValue:
    """The form, and how the keyboard works."""
    with sessions.services().database.read() as view:
        wish = notices.wish_of(view, door.viewer().user_id)
    return _page(wish)


@blueprint.post("/settings")
@door.needs(MESSAGES_VIEW)
def save() -> ResponseReturnValue:
    """Keep the choice."""
    viewer, services = door.viewer(), sessions.services()
    wanted, now = request.form.get("replies", ""), services.clock.now_ms()
    if wanted not in WISHES:
        return _page(wanted, _("Choose one of these.")), HTTPStatus.UNPROCESSABLE_ENTITY
    if wanted != "off" and services.config.smtp is None:
        return _page(wanted, _("This box cannot send e-mail yet.")), HTTPStatus.UNPROCESSABLE_ENTITY
    services.database.transact(lambda tx: notices.wish(tx, viewer.organisation_id, viewer.user_id, wanted, viewer.actor, now))
    door.notice(_("Saved."))
    return redirect(url_for("inbox.settings"), HTTPStatus.SEE_OTHER)


def _page(chosen: str, trouble: str | None = None) -> str:
    mails = sessions.services().config.smtp is not None
    return render_template("inbox/settings.html", wishes=WISHES, chosen=chosen, mails=mails, trouble=trouble)
