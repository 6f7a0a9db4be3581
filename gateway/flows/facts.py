"""Loading what the gates look at: one place that turns names in a request into rows, inside the deciding transaction.

Organisation-wide rows (users, cases, countries, senders) are kept in the transaction's memo, so that a batch or a shared commit
reads each once; a candidate's own rows are read for every message.
"""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows.sender_choice import pick
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.gates import Facts
from gateway.rules.rights import rights_at
from gateway.store.database import Row, View


def kept(view: View, key: tuple[Any, ...], sql: str, *values: Any) -> Row | None:
    """One row, remembered for the rest of the transaction."""
    if key not in view.memo:
        view.memo[key] = view.one(sql, *values)
    row: Row | None = view.memo[key]
    return row


def kept_all(view: View, key: tuple[Any, ...], sql: str, *values: Any) -> list[Row]:
    """Rows, remembered for the rest of the transaction."""
    if key not in view.memo:
        view.memo[key] = view.all(sql, *values)
    rows: list[Row] = view.memo[key]
    return rows


SETUP_PENDING = "setup.pending"
"""The setting that stands while a box set up by the wizard is not ready; other boxes never have it."""


def is_set_up(view: View) -> bool:
    """Whether the wizard's checklist is done, or was never begun."""
    return kept(view, ("setting", SETUP_PENDING), "SELECT 1 AS yes FROM setting WHERE name = ?", SETUP_PENDING) is None


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


def tree(view: View, organisation_id: str) -> dict[str, Row]:
    """Every node of the organisation by id, the main organisation included."""
    key = ("tree", organisation_id)
    if key not in view.memo:
        sql = "SELECT id, parent_id, root_id, ref, name, language, zone, region FROM organisation WHERE root_id = ? ORDER BY ref"
        view.memo[key] = {row["id"]: row for row in view.all(sql, organisation_id)}
    nodes: dict[str, Row] = view.memo[key]
    return nodes


def path_of(view: View, organisation_id: str, unit_id: str) -> list[str]:
    """A node and everything above it, nearest first."""
    nodes = tree(view, organisation_id)
    path: list[str] = []
    while unit_id in nodes and unit_id not in path:
        path.append(unit_id)
        unit_id = nodes[unit_id]["parent_id"] or ""
    return path


def grants_of(view: View, organisation_id: str) -> list[Row]:
    """Every permission granted singly in the organisation."""
    return kept_all(
        view, ("grants", organisation_id), "SELECT * FROM right_grant WHERE organisation_id = ? ORDER BY id", organisation_id
    )


def rights_of(view: View, user: Row, unit_id: str, *, on_team: bool = False) -> frozenset[str]:
    """All permissions of a user at a node."""
    organisation_id = user["organisation_id"]
    path = path_of(view, organisation_id, unit_id)
    return rights_at(user, path, grants_of(view, organisation_id), on_team=on_team)


def rights_in(view: View, user: Row, case: Row | None) -> frozenset[str]:
    """All permissions of a user in a case; without one (prospect pool), those of their own unit."""
    key = ("rights", user["id"], None if case is None else case["id"])
    if key not in view.memo:
        unit_id = user["unit_id"] if case is None else case["unit_id"]
        view.memo[key] = rights_of(view, user, unit_id, on_team=case is not None and is_on_team(view, case, user))
    found: frozenset[str] = view.memo[key]
    return found


def is_kind_allowed(view: View, organisation_id: str, kind: str, channel: str) -> bool:
    """What the organisation's own kind × channel matrix says; what it does not mention is allowed."""
    rules = kept_all(view, ("kinds", organisation_id), "SELECT * FROM kind_rule WHERE organisation_id = ?", organisation_id)
    return all(bool(rule["allowed"]) for rule in rules if (rule["kind"], rule["channel"]) == (kind, channel))


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


def consent_row(view: View, candidate: Row, channel: str, purpose: str) -> Row | None:
    """The newest consent version for the candidate's present number."""
    return view.one(
        "SELECT id, candidate_id, channel, status, mode, source, version FROM consent"
        " WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ? ORDER BY version DESC LIMIT 1",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )


def consent_status(view: View, candidate: Row, channel: str, purpose: str) -> str:
    """The newest consent version for the candidate's present number; "none" without one."""
    row = consent_row(view, candidate, channel, purpose)
    return Status.NONE if row is None else str(row["status"])


def starts_pending(view: View, consent: Row | None, country: Row | None) -> bool:
    """S40: granted while the country was single, by now it is double, and nobody has written yet: the new thread waits."""
    if consent is None or consent["status"] != Status.GRANTED or consent["mode"] != "single":
        return False
    if country is None or country["opt_in"] == "single":
        return False
    written = view.one(
        "SELECT 1 AS yes FROM message WHERE candidate_id = ? AND channel = ? AND origin = 'user'"
        " AND sender_id IS NOT NULL LIMIT 1",  # what waits for a sender has told nobody anything
        consent["candidate_id"],
        consent["channel"],
    )
    return written is None


def is_paused(view: View, candidate_id: str, channel: str) -> bool:
    """Whether a colleague must look first, because the candidate seems to have asked for no more messages (requirements §3.3)."""
    found = view.one("SELECT 1 AS yes FROM thread_pause WHERE candidate_id = ? AND channel = ?", candidate_id, channel)
    return found is not None


def is_suppressed(view: View, phone_hash: str | None, channel: str) -> bool:
    """Whether a STOP stands for this number on this channel."""
    if phone_hash is None:
        return False
    return view.one("SELECT 1 AS yes FROM suppression WHERE phone_hash = ? AND channel = ?", phone_hash, channel) is not None


def last_inbound(view: View, candidate: Row) -> int | None:
    """When the candidate last wrote on WhatsApp, in ms; None before the first message (S43)."""
    last: int | None = view.value(
        "SELECT MAX(last_in_at) AS last FROM thread WHERE candidate_id = ? AND channel = 'whatsapp'", candidate["id"]
    )
    return last


def facts_for(
    view: View,
    *,
    org: Row,
    user: Row,
    case: Row | None,
    candidate: Row,
    channel: str,
    kind: str,
    now: int,
    urgent: bool = False,
) -> Facts:
    """Everything the gates look at for one message."""
    choice = pick(view, senders_of(view, org["id"]), candidate, country_of(view, candidate["country"], channel))
    consent = consent_row(view, candidate, channel, PURPOSE_OF_KIND[kind])
    pends = starts_pending(view, consent, country_of(view, candidate["country"], channel))
    return Facts(
        channel=channel,
        kind=kind,
        user=user,
        on_team=is_on_team(view, case, user),
        sms_enabled=bool(org["sms_enabled"]),
        candidate=candidate,
        country=country_of(view, candidate["country"], channel),
        suppressed=is_suppressed(view, candidate["phone_hash"], channel),
        consent=Status.PENDING if pends else Status.NONE if consent is None else consent["status"],
        consent_row=consent,
        pends=pends,
        is_paused=is_paused(view, candidate["id"], channel),
        sender=choice.sender,
        sender_is_down=choice.is_down,
        stands_in_for=choice.instead_of,
        urgent=urgent,
        rights=rights_in(view, user, case),
        is_kind_allowed=is_kind_allowed(view, org["id"], kind, channel),
        is_set_up=is_set_up(view),
        last_inbound_at=last_inbound(view, candidate) if channel == "whatsapp" else None,
        now=now,
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
        consent=consent_status(view, candidate, message["channel"], message["purpose"] or PURPOSE_OF_KIND[message["kind"]]),
        is_paused=is_paused(view, candidate["id"], message["channel"]),
        sender=None,
    )
