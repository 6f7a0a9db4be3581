"""/c/<token>: a consent request, answered by the candidate. GET shows, POST decides."""

import hashlib

from flask import Blueprint, current_app, render_template, request

from gateway.errors import Refused
from gateway.flows import consent_requests
from gateway.flows.consent_requests import CHANNEL_NAMES, Page
from web.services import Services

blueprint = Blueprint("candidate_consent", __name__)


def _services() -> Services:
    found: Services = current_app.extensions["ringpost"]
    return found


@blueprint.get("/c/<token>")
def show(token: str) -> str:
    """The question, or where the request stands."""
    services = _services()
    with services.database.read() as view:
        return _shown(consent_requests.look(view, token, services.clock.now_ms()))


@blueprint.post("/c/<token>")
def decide(token: str) -> tuple[str, int]:
    """Yes, no, or a consent withdrawn."""
    services = _services()
    now = services.clock.now_ms()
    with services.database.read() as view:
        asked = consent_requests.look(view, token, now)
    form = _shown(asked)
    try:
        page = services.database.transact(
            lambda tx: consent_requests.answer(
                tx,
                token,
                request.form.get("answer", ""),
                request.form.getlist("channels"),
                ip=request.remote_addr or "",
                user_agent=request.user_agent.string,
                url=request.base_url,
                form_hash=hashlib.sha256(form.encode()).hexdigest(),
                now=now,
            )
        )
    except Refused as refused:
        if refused.code not in ("nothing_ticked", "unknown_answer"):
            raise
        return _shown(asked, refused.detail), refused.status  # the question again, with what is missing
    return _shown(page), 200


def _shown(page: Page, missing: str | None = None) -> str:
    names = {channel: CHANNEL_NAMES[channel] for channel in page.channels}
    return render_template("candidate/consent.html", page=page, texts=page.texts, names=names, lang=page.lang, missing=missing)
