"""What every tab of a candidate's page shares: who is met, the head with name and consent, the tabs, links for candidates."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from flask import abort, current_app, render_template, request, url_for

from gateway.desk import open_interviews
from gateway.errors import Refused
from gateway.flows import candidate_pages, case_desk
from gateway.flows.candidate_pages import Head
from gateway.flows.case_desk import Seen
from gateway.flows.interview_desk import InterviewDesk
from gateway.keys import Keys
from gateway.rules.links import Links
from gateway.rules.permissions import ERASE
from gateway.store.database import View
from web import sessions
from web.pages import door, refusals
from web.pages.candidates import words
from web.pages.language import N_, _
from web.pages.territories import country_name

blueprint = door.pages("candidates", "web.pages.candidates", "/admin/candidates")

T = TypeVar("T")
TABS = {
    "show": N_("Communication"),
    "consent": N_("Consent status"),
    "interviews": N_("Interviews"),
    "privacy": N_("Data protection"),
}


def secrets() -> Keys:
    """The box's keys."""
    found: Keys = current_app.extensions["ringpost.secrets"]
    return found


def links() -> Links:
    """Where links for candidates lead; as the API makes them."""
    web = sessions.services().config.web
    return Links(web.candidate_base or web.url, secrets().token)


def interview_desk() -> InterviewDesk:
    """Links, words and texts of invitations."""
    return open_interviews(sessions.services().config.web.candidate_base, secrets().token)


def case_ref() -> str | None:
    """The case that the address names."""
    return request.args.get("case") or request.form.get("case") or None


def meet(view: View, ref: str) -> Seen:
    """The candidate of this page; a 404 where there is none, or where the viewer has no business with them."""
    viewer = door.viewer()
    try:
        return case_desk.meet(view, viewer.organisation_id, viewer.user_id, ref, case_ref())
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            abort(HTTPStatus.NOT_FOUND)
        raise


def attempt(act: Callable[[], T]) -> T | str:
    """Do something; the plain words of a refusal where it is refused."""
    try:
        return act()
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        return told(refused)


def told(refused: Refused) -> str:
    """A refusal in plain words."""
    return refusals.told(refused, words.REFUSALS)


def address(endpoint: str, seen: Seen, **more: Any) -> str:
    """The address of a page of this candidate, in this case."""
    case = None if seen.case is None else seen.case["ref"]
    return url_for(f"candidates.{endpoint}", ref=seen.candidate["ref"], case=case, **more)


def page(view: View, template: str, seen: Seen, tab: str, **values: Any) -> Callable[[], str]:
    """A tab of the candidate's page: all it shows is read now, and drawn when called, after the transaction."""
    viewer = door.viewer()
    now = sessions.services().clock.now_ms()
    head: Head = candidate_pages.head(view, seen, now)
    shown = {name: word for name, word in TABS.items() if name != "privacy" or viewer.may(ERASE)}
    return partial(
        render_template,
        f"candidates/{template}.html",
        seen=seen,
        head=head,
        tab=tab,
        tabs_shown={name: (_(word), address(name, seen)) for name, word in shown.items()},
        at=address,
        words=words,
        country_name=country_name,
        now=now,
        may_erase=viewer.may(ERASE),
        **values,
    )
