"""Loading what the gates look at: one place that turns names in a request into rows, inside the deciding transaction.

Organisation-wide rows (users, cases, countries, senders) are kept in the transaction's memo, so that a batch or a shared commit
reads each once; a candidate's own rows are read for every message.
"""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.gates import Facts
from gateway.rules.routing import choose
from gateway.store.database import Row, View


def kept(view: View, key: tuple[Any, ...], sql: str, *values: Any) -> Row | None:
    """One row, remembered for the rest of the transaction."""
    memo: dict[Any, Any] | None = getattr(view, "memo", None)
    if memo is None:
        return view.one(sql, *values)
    if key not in memo:
        memo[key] = view.one(sql, *values)
    row: Row | None = memo[key]
    return row


def kept_all(view: View, key: tuple[Any, ...], sql: str, *values: Any) -> list[Row]:
    """Rows, remembered for the rest of the transaction."""
    memo: dict[Any, Any] | None = getattr(view, "memo", None)
    if memo is None:
        return view.all(sql, *values)
    if key not in memo:
        memo[key] = view.all(sql, *values)
    rows: list[Row] = memo[key]
    return rows


def find_user(view: View, organisation_id: str, user: str) -> Row:
    """A user by e-mail address or id. Raises Refused `user_not_found`."""
    column = "id" if user.startswith("usr_") and "@" not in user else "email"
    row = kept(
        view,
        ("user", organisation_id, user),
        f"SELECT * FROM app_user WHERE {column} = ? AND organisation_id = ?",
        user if column == "id" else user.strip().lower(),
        organisation_id,
    )
    if row is None:
        raise Refused("user_not_found", 404, "No user with this e-mail address or id.", field="user")
    return row


def find_case(view: View, organisation_id: str, case_ref: str) -> Row:
    """A case by its reference in the ATS. Raises Refused `case_not_found`."""
    row = kept(
        view,
        ("case", organisation_id, case_ref),
        "SELECT * FROM hiring_case WHERE organisation_id = ? AND ref = ?",
        organisation_id,
        case_ref,
    )
    if row is None:
        raise Refused("case_not_found", 404, "No case with this reference; create it with PUT /cases/{ref}.", field="case_ref")
    return row


def candidate_not_found() -> Refused:
    """The refusal for a candidate reference that nobody has."""
    return Refused(
        "candidate_not_found",
        404,
        "No candidate with this reference; create one with PUT /candidates/{ref}.",
        field="candidate_ref",
    )


def find_candidate(view: View, organisation_id: str, ref: str) -> Row:
    """A candidate by the reference in the ATS. Raises Refused `candidate_not_found`."""
    row = view.one("SELECT * FROM candidate WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL", organisation_id, ref)
    if row is None:
        raise candidate_not_found()
    return row


def organisation(view: View, organisation_id: str) -> Row:
    """The main organisation."""
    row = kept(view, ("organisation", organisation_id), "SELECT * FROM organisation WHERE id = ?", organisation_id)
    if row is None:
        raise Refused("organisation_not_found", 404, "No such organisation.", field="organisation")
    return row


def is_on_team(view: View, case: Row | None, user: Row) -> bool:
    """Whether the user belongs to the case's hiring team; without a case (prospect pool) everybody does."""
    if case is None:
        return True
    key = ("member", case["id"], user["id"])
    return (
        kept(view, key, "SELECT 1 AS yes FROM case_member WHERE case_id = ? AND user_id = ?", case["id"], user["id"]) is not None
    )


def country_of(view: View, iso: str | None, channel: str) -> Row | None:
    """The country's row for a channel, or None where it was never commissioned."""
    return kept(view, ("country", iso, channel), "SELECT * FROM country WHERE iso = ? AND channel = ?", iso, channel)


def senders_of(view: View, organisation_id: str) -> list[Row]:
    """All sender numbers of an organisation."""
    return kept_all(
        view,
        ("senders", organisation_id),
        "SELECT * FROM sender WHERE organisation_id = ? ORDER BY id",
        organisation_id,
    )


def consent_status(view: View, candidate: Row, channel: str, purpose: str) -> str:
    """The newest consent version for the candidate's present number; "none" without one."""
    status = view.value(
        "SELECT status FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
        " ORDER BY version DESC LIMIT 1",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )
    return Status.NONE if status is None else str(status)


def is_suppressed(view: View, phone_hash: str | None, channel: str) -> bool:
    """Whether a STOP stands for this number on this channel."""
    if phone_hash is None:
        return False
    return view.one("SELECT 1 AS yes FROM suppression WHERE phone_hash = ? AND channel = ?", phone_hash, channel) is not None


def facts_for(view: View, *, org: Row, user: Row, case: Row | None, candidate: Row, channel: str, kind: str) -> Facts:
    """Everything the gates look at for one message."""
    senders = senders_of(view, org["id"])
    sticky = None
    if len(senders) > 1:
        sticky = view.value(
            "SELECT sender_id FROM message WHERE candidate_id = ? AND sender_id IS NOT NULL ORDER BY seq DESC LIMIT 1",
            candidate["id"],
        )
    return Facts(
        channel=channel,
        kind=kind,
        user=user,
        on_team=is_on_team(view, case, user),
        sms_enabled=bool(org["sms_enabled"]),
        candidate=candidate,
        country=country_of(view, candidate["country"], channel),
        suppressed=is_suppressed(view, candidate["phone_hash"], channel),
        consent=consent_status(view, candidate, channel, PURPOSE_OF_KIND[kind]),
        sender=choose(senders, candidate["country"] or "", candidate["id"], sticky),
    )


def standing_facts(view: View, message: Mapping[str, Any], candidate: Row) -> Facts:
    """The facts of a message accepted earlier, as they stand now (design.md §3.5); rights were decided at accept."""
    org = organisation(view, message["organisation_id"])
    return Facts(
        channel=message["channel"],
        kind=message["kind"],
        user={},
        on_team=True,
        sms_enabled=bool(org["sms_enabled"]),
        candidate=candidate,
        country=country_of(view, candidate["country"], message["channel"]),
        suppressed=is_suppressed(view, candidate["phone_hash"], message["channel"]),
        consent=consent_status(view, candidate, message["channel"], PURPOSE_OF_KIND[message["kind"]]),
        sender=None,
    )
