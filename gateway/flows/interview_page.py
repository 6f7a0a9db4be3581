"""The page behind `/i/<token>`: what a candidate sees of an invitation, and what pressing a button does."""

from dataclasses import dataclass, field

from gateway.errors import Refused
from gateway.flows.interview_answers import by_token, choose, respond
from gateway.flows.interview_desk import InterviewDesk, zone_for
from gateway.flows.interview_rows import locked, remaining
from gateway.rules.interviews import Answer, InterviewState, zone_of
from gateway.rules.speech import moment_text
from gateway.store import lists_interviews
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class InterviewPage:
    """All the page shows, in the language of the job ad; `slots` are (ref, time) in the candidate's zone."""

    lang: str
    company: str
    title: str
    when: str
    location: str
    zone: str
    said: str
    may_confirm: bool
    may_decline: bool
    texts: dict[str, str] = field(default_factory=dict)
    slots: tuple[tuple[str, str], ...] = ()


_LABELS = ("title", "confirm", "decline", "choose", "free", "unknown", "expired")


def look(view: View, token: str, desk: InterviewDesk, now: int) -> InterviewPage:
    """What the link shows now. Raises Refused `link_unknown` (404) or `link_expired` (410)."""
    return _page(view, _found(view, token, desk, now), desk, now)


def answer(tx: Transaction, token: str, said: str, slot: str, desk: InterviewDesk, now: int) -> tuple[InterviewPage, int]:
    """Take a button's answer (`confirm`, `decline`, or a slot); the page after it and its HTTP status."""
    row = locked(tx, None, _found(tx, token, desk, now)["id"])
    try:
        if slot:
            done = choose(tx, row, slot, "page", "candidate", desk, now)
            outcome = done.code if isinstance(done, Refused) else done.outcome
        elif said in list(Answer):
            outcome = respond(tx, row, Answer(said), "page", "candidate", desk, now).outcome
        else:
            raise Refused("answer_missing", 422, "Choose one of the buttons.", field="answer")
    except Refused as refused:
        if refused.code != "interview_cancelled":
            raise
        return _page(tx, row, desk, now), refused.status
    tx.flush()
    fresh = tx.one("SELECT * FROM interview WHERE id = ?", row["id"])
    assert fresh is not None
    taken = outcome == "slot_taken"
    return _page(tx, fresh, desk, now, late=outcome == "late", taken=taken), 409 if taken else 200


def _found(view: View, token: str, desk: InterviewDesk, now: int) -> Row:
    try:
        return by_token(view, token, now)
    except Refused as refused:
        language = "en"
        if "interview" in refused.facts:
            row = view.one("SELECT * FROM interview WHERE id = ?", refused.facts["interview"])
            assert row is not None
            language = lists_interviews.context(view, row)[1]["language"]
        name = "page_expired" if refused.status == 410 else "page_unknown"
        raise Refused(refused.code, refused.status, desk.phrases.text(name, language), facts={"lang": language}) from refused


def _page(view: View, row: Row, desk: InterviewDesk, now: int, *, late: bool = False, taken: bool = False) -> InterviewPage:
    candidate, case, organisation = lists_interviews.context(view, row)
    language = str(case["language"])
    own_zone = zone_of(row["zone"])
    theirs = zone_for(candidate, row["zone"]) if row["type"] == "self_schedule" else own_zone
    begun = now >= (row["starts_at"] or row["last_start_at"])
    is_open = not begun and row["state"] != InterviewState.CANCELLED
    when = "" if row["starts_at"] is None else moment_text(row["starts_at"], theirs, language)
    slots: tuple[tuple[str, str], ...] = ()
    if row["type"] == "self_schedule" and is_open:
        left = remaining(view, row["id"], now)
        slots = tuple(
            (slot["ref"], moment_text(slot["starts_at"], theirs, language)) for slot in left if slot["id"] != row["slot_id"]
        )

    def text(name: str) -> str:
        return desk.phrases.text(f"page_{name}", language, when=when, zone=theirs.key)

    said = ""
    if row["state"] == InterviewState.CANCELLED:
        said = text("cancelled")
    elif late or begun:
        said = text("late") if late else ""
    elif taken:
        said = text("taken") if slots else text("none")
    elif row["state"] == InterviewState.CONFIRMED:
        said = text("booked" if row["type"] == "self_schedule" else "confirmed")
    elif row["state"] == InterviewState.DECLINED:
        said = text("declined")
    elif row["type"] == "self_schedule" and not slots:
        said = text("none")
    return InterviewPage(
        lang=language,
        company=organisation["name"],
        title=case["title"],
        when=when,
        location=row["location"],
        zone=text("times"),
        said=said,
        may_confirm=is_open and row["type"] == "scheduled" and row["state"] != InterviewState.CONFIRMED,
        may_decline=is_open and row["state"] != InterviewState.DECLINED,
        texts={name: text(name) for name in _LABELS},
        slots=slots,
    )
