"""What a candidate's page shows beside messages and interviews: their cases, live consent requests, tasks, an erasure."""

from collections.abc import Sequence

from gateway.store.database import Row, View


def cases_of(view: View, candidate_id: str) -> list[Row]:
    """The cases in which this candidate was written to or invited, as whole rows, the newest first."""
    return view.all(
        "SELECT k.* FROM hiring_case k WHERE k.id IN (SELECT case_id FROM thread WHERE candidate_id = ? AND case_id IS NOT NULL"
        " UNION SELECT case_id FROM interview WHERE candidate_id = ?"
        " UNION SELECT case_id FROM consent_request WHERE candidate_id = ? AND case_id IS NOT NULL) ORDER BY k.id DESC",
        candidate_id,
        candidate_id,
        candidate_id,
    )


def threads_of(view: View, candidate_id: str, reader: str) -> list[Row]:
    """Their conversations: each with its case's unit, what the reader has seen, and its title."""
    return view.all(
        "SELECT t.*, k.unit_id, k.ref AS case_ref, k.title AS case_title, COALESCE(r.place, 0) AS seen FROM thread t"
        " LEFT JOIN hiring_case k ON k.id = t.case_id LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
        " WHERE t.candidate_id = ? ORDER BY t.last_at DESC, t.id DESC LIMIT 500",
        reader,
        candidate_id,
    )


def live_requests(view: View, candidate: Row, now: int) -> list[Row]:
    """Consent requests that wait for the candidate's answer, for the number of today."""
    return view.all(
        "SELECT q.*, u.name AS asked_by FROM consent_request q LEFT JOIN app_user u ON u.id = q.user_id"
        " WHERE q.candidate_id = ? AND q.phone_hash = ? AND q.state = 'live' AND q.expires_at > ? ORDER BY q.created_at",
        candidate["id"],
        candidate["phone_hash"],
        now,
    )


def suppressions(view: View, phone_hash: str | None) -> list[Row]:
    """What stands against writing to a number at all, by channel."""
    return view.all("SELECT channel, source, since_at FROM suppression WHERE phone_hash = ? ORDER BY channel", phone_hash)


def pauses(view: View, candidate_id: str) -> list[Row]:
    """Channels on which a colleague must look first."""
    return view.all("SELECT channel, since_at FROM thread_pause WHERE candidate_id = ? ORDER BY channel", candidate_id)


def erasure_of(view: View, candidate_id: str) -> Row | None:
    """The erasure of a candidate, where one was asked for."""
    return view.one("SELECT * FROM erasure WHERE candidate_id = ?", candidate_id)


def erasure(view: View, organisation_id: str, erasure_id: str) -> Row | None:
    """An erasure by its id."""
    return view.one("SELECT * FROM erasure WHERE id = ? AND organisation_id = ?", erasure_id, organisation_id)


def hold_of(view: View, candidate_id: str) -> Row | None:
    """When a legal hold was last set or lifted, by whom (`actor`, and `who` for a person), and why (`reason`)."""
    return view.one(
        "SELECT a.at, a.actor, u.name AS who, p.value AS reason FROM audit a"
        " LEFT JOIN audit_private p ON p.subject = a.subject AND p.mac = a.private_mac"
        " LEFT JOIN app_user u ON a.actor = 'user:' || u.id"
        " WHERE a.subject = ? AND a.action = 'legal_hold.set' ORDER BY a.position DESC LIMIT 1",
        candidate_id,
    )


def deleted_reminders(view: View, interview_id: str) -> list[Row]:
    """Reminders that were taken back, the newest first: what one may want to make again."""
    return view.all(
        "SELECT * FROM reminder WHERE interview_id = ? AND state = 'deleted' ORDER BY updated_at DESC LIMIT 5", interview_id
    )


def message_texts(view: View, message_ids: Sequence[str]) -> dict[str, str]:
    """The text of each message, as the candidate reads it."""
    texts: dict[str, str] = {}
    if message_ids:
        marks = ", ".join("?" * len(message_ids))
        sql = f"SELECT message_id, text FROM part WHERE message_id IN ({marks}) ORDER BY message_id, number"
        for part in view.all(sql, *message_ids):
            texts[part["message_id"]] = texts.get(part["message_id"], "") + part["text"]
    return texts


def template_names(view: View, template_ids: Sequence[str]) -> dict[str, str]:
    """Templates by id, with their names."""
    if not template_ids:
        return {}
    marks = ", ".join("?" * len(template_ids))
    return {row["id"]: row["name"] for row in view.all(f"SELECT id, name FROM template WHERE id IN ({marks})", *template_ids)}


def people(view: View, user_ids: Sequence[str]) -> dict[str, str]:
    """Users by id, with their names."""
    if not user_ids:
        return {}
    marks = ", ".join("?" * len(user_ids))
    return {row["id"]: row["name"] for row in view.all(f"SELECT id, name FROM app_user WHERE id IN ({marks})", *user_ids)}
