"""Home: leads to the first page the viewer may open."""

from http import HTTPStatus

from flask import abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import setting_up
from gateway.rules.permissions import SETTINGS_EDIT
from web import sessions
from web.pages import door, menu

blueprint = door.pages("home", __name__, "/")


@blueprint.get("/")
@blueprint.get("/admin", strict_slashes=False)
@door.signed_in
def index() -> ResponseReturnValue:
    """The first entry of the viewer's menu, or the set-up that waits; a plain word where they have none yet (S31)."""
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        if viewer.may(SETTINGS_EDIT) and setting_up.is_pending(view):
            return redirect(url_for("setup.index"))
    entries = menu.of(viewer)
    if not entries:
        return render_template("layout/nothing.html")
    return redirect(url_for(entries[0].endpoint))


@blueprint.get("/admin/<path:_rest>")
@door.signed_in
def lost(_rest: str) -> ResponseReturnValue:
    """Any address below /admin that no page answers to."""
    abort(HTTPStatus.NOT_FOUND)
