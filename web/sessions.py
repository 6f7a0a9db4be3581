"""Sessions of the admin pages: a random token in a cookie, its hash in the store.

Two cookies. The login cookie names a row of `web_session` (gateway/flows/sign_in.py), so that a session can be ended from
here. The other is Flask's own signed one and holds only the CSRF token and notices to show once. Both are HttpOnly and
SameSite=Lax, and Secure wherever the page itself came over TLS (on a plain-HTTP LAN a Secure cookie would never come back).
"""

from flask import Flask, Response, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface

from gateway.flows import sign_in
from gateway.flows.sign_in import Viewer
from gateway.store.database import StoreUnavailable
from web.services import Services

FORM_COOKIE = "ringpost_form"


class _FormSessions(SecureCookieSessionInterface):
    def get_cookie_secure(self, app: Flask) -> bool:
        return is_over_tls()

    def get_cookie_httponly(self, app: Flask) -> bool:
        return True

    def get_cookie_samesite(self, app: Flask) -> str:
        return "Lax"


def install(app: Flask) -> None:
    """Let this application's form cookie follow the rules above. `app.secret_key` must be set by then."""
    if not app.secret_key:
        raise RuntimeError("the application needs its session key before the pages are registered")
    app.config["SESSION_COOKIE_NAME"] = FORM_COOKIE
    app.session_interface = _FormSessions()


def services() -> Services:
    """The services of the running application."""
    found: Services = current_app.extensions["ringpost"]
    return found


def is_over_tls() -> bool:
    """Whether the browser speaks TLS: to us, or to the proxy in front of us named by `public_url`."""
    return request.is_secure or request.host_url.replace("http://", "https://", 1).rstrip("/") == public_origin()


def public_origin() -> str:
    """Scheme and host of `[web] public_url`, or an empty text."""
    web = getattr(services().config, "web", None)
    url = str(getattr(web, "public_url", "") or "")
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower() if separator else ""


def cookie_name() -> str:
    """With TLS the `__Host-` prefix: no other host or plain-HTTP page can then plant a cookie of this name."""
    return "__Host-ringpost" if is_over_tls() else "ringpost"


def address() -> str:
    """Where the request came from."""
    return request.remote_addr or "unknown"


def viewer() -> Viewer | None:
    """Who is asking: looked up once a request."""
    if "viewer" not in g:
        token = request.cookies.get(cookie_name(), "")
        g.viewer = None
        if token:
            with services().database.read() as view:
                g.viewer = sign_in.resume(view, token, services().clock.now_ms())
    found: Viewer | None = g.viewer
    return found


def touch(who: Viewer) -> None:
    """Note that the session is in use; a store that cannot be written now does not stop anybody from reading."""
    now = services().clock.now_ms()
    if now - who.seen_at >= sign_in.TOUCH_MS:
        try:
            services().database.transact(lambda tx: sign_in.touch(tx, who, now))
        except StoreUnavailable:
            current_app.logger.warning("session=%s outcome=not_touched", who.session[:8])


def start(response: Response, token: str) -> None:
    """Put a fresh session into the browser. The form cookie starts afresh too: nothing from before the login survives."""
    session.clear()
    response.set_cookie(
        cookie_name(),
        token,
        max_age=sign_in.ABSOLUTE_MS // 1000,
        secure=is_over_tls(),
        httponly=True,
        samesite="Lax",
        path="/",
    )


def end(response: Response) -> None:
    """Take the session out of the browser."""
    session.clear()
    response.delete_cookie(cookie_name(), path="/", secure=is_over_tls(), httponly=True, samesite="Lax")
