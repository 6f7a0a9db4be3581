"""Credits have moved: they are a tab of the organisation. Old links still lead there (S15)."""

from http import HTTPStatus

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from web.pages import door

blueprint = door.pages("credits", __name__, "/admin/credits")


@blueprint.get("")
@door.signed_in
def index() -> ResponseReturnValue:
    """To the tab, which tells whoever may not see it whom to ask."""
    return redirect(url_for("organisation.credits"), HTTPStatus.SEE_OTHER)
