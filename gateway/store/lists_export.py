"""What an export tells of a candidate, oldest first. Never anything of another person."""

from typing import Any

from gateway.store.database import Row, View


def messages(view: View, candidate_id: str) -> list[dict[str, Any]]:
    """Messages to the candidate with their text."""
    rows = view.all(
        "SELECT m.id, m.channel, m.kind, m.state, k.ref AS case_ref, s.number AS sender, m.address AS number, m.parts,"
        " m.accepted_at AS accepted_at, m.sent_at, m.done_at, m.error FROM message m"
        " LEFT JOIN hiring_case k ON k.id = m.case_id LEFT JOIN sender s ON s.id = m.sender_id"
        " WHERE m.candidate_id = ? ORDER BY m.seq, m.id",
        candidate_id,
    )
    texts: dict[str, str] = {}
    for part in view.all(
        "SELECT p.message_id, p.text FROM part p JOIN message m ON m.id = p.message_id WHERE m.candidate_id = ?"
        " ORDER BY p.message_id, p.number",
        candidate_id,
    ):
        texts[part["message_id"]] = texts.get(part["message_id"], "") + part["text"]
    return [{**dict(row), "text": texts.get(row["id"], "")} for row in rows]


def answers(view: View, candidate_id: str) -> list[Row]:
    """What the candidate wrote."""
    return view.all(
        "SELECT r.id, r.address AS number, s.number AS recipient, r.text, r.keyword, r.received_at FROM received r"
        " LEFT JOIN sender s ON s.id = r.sender_id WHERE r.candidate_id = ? ORDER BY r.received_at, r.id",
        candidate_id,
    )


def consents(view: View, candidate_id: str) -> list[Row]:
    """Every version of every consent, with wording and evidence."""
    return view.all(
        "SELECT id, channel, purpose, version, status, mode, source, actor, phone_e164, wording_id, wording_version,"
        " wording_text, privacy_notice_version, source_url, ip, user_agent, lawful_basis, lang, keyword_raw, evidence,"
        " captured_at, recorded_at, expires_at FROM consent WHERE candidate_id = ? ORDER BY recorded_at, id",
        candidate_id,
    )


def requests(view: View, candidate_id: str) -> list[Row]:
    """Consents that were asked for."""
    return view.all(
        "SELECT id, channels, purpose, lang, delivery, state, created_at, expires_at, answered_at FROM consent_request"
        " WHERE candidate_id = ? ORDER BY created_at, id",
        candidate_id,
    )


def interviews(view: View, candidate_id: str) -> list[Row]:
    """Interviews."""
    return view.all(
        "SELECT i.id, i.type, i.state, i.channel, k.ref AS case_ref, i.starts_at AS starts_at, i.ends_at AS ends_at, i.zone,"
        " i.location, i.answered_at, i.created_at FROM interview i JOIN hiring_case k ON k.id = i.case_id"
        " WHERE i.candidate_id = ? ORDER BY i.created_at, i.id",
        candidate_id,
    )


def audit(view: View, candidate_id: str) -> list[Row]:
    """What was done about the candidate and their messages, answers and interviews."""
    return view.all(
        "SELECT at AS happened_at, actor, action, subject FROM audit WHERE subject = ?"
        " OR subject IN (SELECT id FROM message WHERE candidate_id = ?)"
        " OR subject IN (SELECT id FROM received WHERE candidate_id = ?)"
        " OR subject IN (SELECT id FROM interview WHERE candidate_id = ?) ORDER BY serial",
        candidate_id,
        candidate_id,
        candidate_id,
        candidate_id,
    )
