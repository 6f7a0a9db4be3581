"""/i/<token>: an interview invitation, answered by the candidate. GET shows (link scanners open every link), POST decides.

A POST answers with the page itself and not with a redirect: sent again it changes nothing, and a refusal keeps its status.
"""

from flask import Blueprint, current_app, render_template, request

from gateway.desk import open_interviews
from gateway.flows import interview_page
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.interview_page import InterviewPage
from gateway.keys import Keys
from web.services import Services

blueprint = Blueprint("candidate_interview", __name__)


def _services() -> Services:
    found: Services = current_app.extensions["ringpost"]
    return found


def _desk() -> InterviewDesk:
    secrets: Keys = current_app.extensions["ringpost.secrets"]
    return open_interviews(_services().config.web.candidate_base, secrets.token)


@blueprint.get("/i/<token>")
def show(token: str) -> str:
    """The invitation as it stands."""
    services = _services()
    with services.database.read() as view:
        return _shown(interview_page.look(view, token, _desk(), services.clock.now_ms()))


@blueprint.post("/i/<token>")
def decide(token: str) -> tuple[str, int]:
    """Yes, no, or one of the slots."""
    services, desk = _services(), _desk()
    said, slot = request.form.get("answer", ""), request.form.get("slot", "")
    page, status = services.database.transact(
        lambda tx: interview_page.answer(tx, token, said, slot, desk, services.clock.now_ms())
    )
    return _shown(page), status


def _shown(page: InterviewPage) -> str:
    return render_template("candidate/interview.html", page=page, texts=page.texts, lang=page.lang, title=page.texts["title"])
