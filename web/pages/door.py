"""The door to every page: where a request came from, who is asking, whether they may, and what they are told if not.

A view says by a decorator who may call it; one that says nothing is refused, so that a forgotten decorator cannot open a page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from gateway.errors import Refused
from gateway.flows.sign_in import Viewer
from gateway.store.database import StoreUnavailable
from web import sessions
from web.pages import refusals
from web.pages.language import _
from web.pages.refusal_words import REFUSALS

View = TypeVar("View", bound=Callable[..., Any])
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class _Rule:
    anonymous: bool = False
    permissions: tuple[str, ...] = ()
    fragment: bool = False


def anyone(view: View) -> View:
    """Everybody may call this view, signed in or not."""
    return _marked(view, _Rule(anonymous=True))


def signed_in(view: View) -> View:
    """Everybody who has signed in."""
    return _marked(view, _Rule())


def needs(*permissions: str, fragment: bool = False) -> Callable[[View], View]:
    """Only who has this permission; of several, any one.

    A `fragment` is asked for by a script, not a person: it answers 401 instead of leading to the login, and does not count
    as use of the session, which would otherwise never end while a page stays open.
    """
    return lambda view: _marked(view, _Rule(permissions=permissions, fragment=fragment))


def _marked(view: View, rule: _Rule) -> View:
    view.door = rule  # type: ignore[attr-defined]
    return view


def pages(name: str, module: str, prefix: str) -> Blueprint:
    """A blueprint behind this door."""
    blueprint = Blueprint(name, module, url_prefix=prefix)
    blueprint.before_request(_enter)
    blueprint.after_request(_leave)
    blueprint.register_error_handler(HTTPException, _on_http)
    blueprint.register_error_handler(Refused, _on_refused)
    blueprint.register_error_handler(StoreUnavailable, _on_store)
    return blueprint


def viewer() -> Viewer:
    """Who is asking; behind a door that lets only signed-in people pass."""
    who = sessions.viewer()
    if who is None:
        abort(HTTPStatus.UNAUTHORIZED)
    return who


def viewer_or_none() -> Viewer | None:
    """Who is asking, as far as it was looked up: pages outside this door ask nothing."""
    who: Viewer | None = g.get("viewer")
    return who


def _enter() -> ResponseReturnValue | None:
    rule = getattr(current_app.view_functions[request.endpoint or ""], "door", None)
    if not isinstance(rule, _Rule):
        raise RuntimeError(f"{request.endpoint} does not say who may call it")
    changes = request.method not in SAFE
    if changes and not _is_from_here():
        abort(HTTPStatus.FORBIDDEN, "cross_origin")
    who = sessions.viewer()
    if who is None and not rule.anonymous:
        if rule.fragment:
            return Response(status=HTTPStatus.UNAUTHORIZED)
        return redirect(url_for("login.show", next=_wanted()), HTTPStatus.SEE_OTHER)
    if changes:
        current_app.extensions["csrf"].protect()
    if who is not None and rule.permissions and not any(who.may(permission) for permission in rule.permissions):
        abort(HTTPStatus.FORBIDDEN)
    if who is not None and not rule.fragment:
        sessions.touch(who)
    return None


def _wanted() -> str | None:
    if request.method != "GET" or request.endpoint == "home.index":
        return None
    return request.full_path.rstrip("?")


def _is_from_here() -> bool:
    """Whether a form was sent from our own page. Browsers send Origin with every POST; what sends none is no browser.

    (`Sec-Fetch-Site` is missing on plain-HTTP LANs, so it can refuse but not vouch.)
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    ours = {request.host_url.rstrip("/").lower(), sessions.public_origin()}
    return origin.lower() in ours - {""}


def _leave(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")  # after signing out, "back" shows nothing
    return response


def path_within(target: str | None) -> str | None:
    """`target` where it is a path of these pages, else None: a login must not lead to somebody else's site."""
    if not target or not target.startswith(("/admin", "/setup")) or "\\" in target or any(ord(sign) < 33 for sign in target):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def notice(text: str, tone: str = "success") -> None:
    """Say something on the next page shown: `success`, `warning` or `danger`. A text with numbers in it comes translated."""
    flash(_(text), tone)


def forget_language() -> None:
    """The viewer has chosen another language: what is said from now on in this request is asked for anew."""
    g.pop("language", None)
    g.pop("viewer", None)


def error_page(refused: Refused) -> ResponseReturnValue:
    """The page for an error outside any blueprint (no such address, wrong method, a bug): for the application's own handlers."""
    return render_template("layout/error.html", cause=str(refused.status), status=refused.status), refused.status


def _on_http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response
    status = error.code or 500
    cause = "form_expired" if isinstance(error, CSRFError) else str(error.description or "")
    known = cause if cause in ("cross_origin", "form_expired") else str(status)
    return render_template("layout/error.html", cause=known, status=status), status


def _on_refused(error: Refused) -> ResponseReturnValue:
    gone = error.status == HTTPStatus.NOT_FOUND and error.code not in REFUSALS
    cause, detail = (str(error.status), None) if gone else (error.code, refusals.told(error))
    return render_template("layout/error.html", cause=cause, status=error.status, detail=detail), error.status


def _on_store(error: StoreUnavailable) -> ResponseReturnValue:
    current_app.logger.error("path=%s outcome=store_unavailable error=%s", request.path, error)
    return render_template("layout/error.html", cause="store", status=503), 503, {"Retry-After": "10"}
