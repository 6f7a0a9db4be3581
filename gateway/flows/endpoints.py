"""Webhook endpoints: create, change, delete, rotate the secret, replay dead letters, send a test.

Secrets lie in the database only sealed (Fernet, key in `state_dir/keys/seal.key`); whoever creates or rotates one sees
it once. The key is handed in. Refuses to know: HTTP and the dispatcher; it writes rows and rings.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway import keys
from gateway.errors import Refused
from gateway.store import ids
from gateway.store.database import Row, Transaction, View, compact

EVENT_TYPES = (
    "message.state",
    "message.received",
    "call.missed",
    "consent.changed",
    "interview.responded",
    "interview.no_slots",
    "interview.reminder_skipped",
    "credits.low",
    "modem.state",
    "compliance.review_due",
    "sender.budget",
)
"""What an endpoint may ask for (design.md §6); `*` asks for all of them, those of later versions included."""
TEST_TYPE = "webhook.test"
"""The event of `send_test`: it goes to that endpoint alone, whatever the endpoint asked for."""
OVERLAP_MS = 24 * 3600 * 1000
"""How long a rotated secret still signs beside the new one."""
_MOST_URL = 2048


def create_endpoint(
    tx: Transaction,
    organisation_id: str,
    url: str,
    events: Sequence[str],
    actor: str,
    now: int,
    *,
    seal_key: bytes,
    secret: str | None = None,
) -> tuple[Row, str]:
    """A new endpoint that is told everything from now on; its row, and its secret (shown this once).

    `events` are types of EVENT_TYPES or `*`. Without `secret` (`whsec_` and base64 of 24 to 64 bytes) one is made.
    Raises Refused `invalid_url`, `unknown_event`, `invalid_secret` (422) and `duplicate_endpoint` (409).
    """
    url, wanted = _checked_url(url), _checked_events(events)
    secret = new_secret() if secret is None else _checked_secret(secret)
    endpoint_id = ids.new("ep")
    made = tx.execute(
        "INSERT INTO endpoint (id, organisation_id, url, events, secret_sealed, cursor, active, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (organisation_id, url) DO NOTHING",
        endpoint_id,
        organisation_id,
        url,
        compact(wanted),
        seal_secret(secret, seal_key),
        tx.value("SELECT MAX(position) FROM event") or 0,
        now,
    )
    if not made:
        raise _duplicate()
    tx.audit(now, actor, "webhook.create", endpoint_id, {"events": wanted})
    return get_endpoint(tx, organisation_id, endpoint_id), secret


def get_endpoint(view: View, organisation_id: str, endpoint_id: str) -> Row:
    """The endpoint's row. Raises Refused `endpoint_not_found` (404)."""
    return _found(view.one("SELECT * FROM endpoint WHERE id = ? AND organisation_id = ?", endpoint_id, organisation_id))


def update_endpoint(
    tx: Transaction,
    organisation_id: str,
    endpoint_id: str,
    actor: str,
    now: int,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    active: bool | None = None,
) -> Row:
    """Change what is given; the row. A new URL and a fresh start clear the breaker and try waiting deliveries at once.

    An endpoint switched on again gets what happened in the meantime. Raises as `create_endpoint` and `get_endpoint`.
    """
    before = _locked(tx, organisation_id, endpoint_id)
    new_url = before["url"] if url is None else _checked_url(url)
    new_events = json.loads(before["events"]) if events is None else _checked_events(events)
    new_active = before["active"] if active is None else int(active)
    changed = [
        name
        for name, old, new in (
            ("url", before["url"], new_url),
            ("events", json.loads(before["events"]), new_events),
            ("active", before["active"], new_active),
        )
        if old != new
    ]
    if not changed:
        return before
    if "url" in changed and tx.value("SELECT id FROM endpoint WHERE organisation_id = ? AND url = ?", organisation_id, new_url):
        raise _duplicate()
    tx.execute(
        "UPDATE endpoint SET url = ?, events = ?, active = ? WHERE id = ?",
        new_url,
        compact(new_events),
        new_active,
        endpoint_id,
    )
    if new_active and ("url" in changed or "active" in changed):
        tx.execute("UPDATE endpoint SET failing_since = NULL, paused_until = NULL WHERE id = ?", endpoint_id)
        tx.execute("UPDATE delivery SET next_at = ? WHERE endpoint_id = ? AND state = 'waiting'", now, endpoint_id)
        tx.wake = True
    tx.audit(now, actor, "webhook.update", endpoint_id, {"changed": changed, "active": bool(new_active)})
    return get_endpoint(tx, organisation_id, endpoint_id)


def delete_endpoint(tx: Transaction, organisation_id: str, endpoint_id: str, actor: str, now: int) -> None:
    """Remove the endpoint with all its deliveries, waiting ones included. Raises Refused `endpoint_not_found` (404)."""
    _locked(tx, organisation_id, endpoint_id)
    tx.execute("DELETE FROM delivery WHERE endpoint_id = ?", endpoint_id)
    tx.execute("DELETE FROM endpoint WHERE id = ?", endpoint_id)
    tx.audit(now, actor, "webhook.delete", endpoint_id)


def rotate_secret(
    tx: Transaction,
    organisation_id: str,
    endpoint_id: str,
    actor: str,
    now: int,
    *,
    seal_key: bytes,
    secret: str | None = None,
    overlap_ms: int = OVERLAP_MS,
) -> str:
    """Give the endpoint a new secret, shown this once; the old one signs beside it for `overlap_ms` (0: not at all)."""
    before = _locked(tx, organisation_id, endpoint_id)
    secret = new_secret() if secret is None else _checked_secret(secret)
    tx.execute(
        "UPDATE endpoint SET secret_sealed = ?, old_secret_sealed = ?, old_secret_until = ? WHERE id = ?",
        seal_secret(secret, seal_key),
        before["secret_sealed"] if overlap_ms > 0 else None,
        now + overlap_ms if overlap_ms > 0 else None,
        endpoint_id,
    )
    tx.audit(now, actor, "webhook.rotate", endpoint_id, {"overlap_ms": overlap_ms})
    return secret


def replay(
    tx: Transaction,
    organisation_id: str,
    endpoint_id: str,
    actor: str,
    now: int,
    *,
    delivery_ids: Sequence[str] | None = None,
    since: int | None = None,
    until: int | None = None,
) -> int:
    """Send dead letters again, those named or those whose event happened in [since, until); how many.

    With neither, all of the endpoint's. They start anew, with another 72 h, under their old event ids.
    """
    _locked(tx, organisation_id, endpoint_id)
    again = (
        "UPDATE delivery SET state = 'waiting', attempts = 0, next_at = ?, first_at = ?, done_at = NULL"
        " WHERE endpoint_id = ? AND state = 'dead'"
    )
    if delivery_ids is not None:
        count = sum(tx.execute(f"{again} AND id = ?", now, now, endpoint_id, each) for each in delivery_ids)
    else:
        count = tx.execute(
            f"{again} AND event_id IN (SELECT id FROM event WHERE at >= ? AND at < ?)",
            now,
            now,
            endpoint_id,
            since if since is not None else 0,
            until if until is not None else 2**62,
        )
    if count:
        tx.audit(now, actor, "webhook.replay", endpoint_id, {"deliveries": count})
        tx.wake = True
    return count


def send_test(tx: Transaction, organisation_id: str, endpoint_id: str, actor: str, now: int) -> str:
    """Send a `webhook.test` event to this endpoint alone, on the same way as every other; its event id.

    Raises Refused `endpoint_inactive` (409): a switched-off endpoint would never get it.
    """
    endpoint = get_endpoint(tx, organisation_id, endpoint_id)
    if not endpoint["active"]:
        raise Refused("endpoint_inactive", 409, "This endpoint is switched off. Switch it on first.")
    event_id = tx.event(now, organisation_id, TEST_TYPE, endpoint_id, {"endpoint_id": endpoint_id})
    tx.audit(now, actor, "webhook.test", endpoint_id, {"event": event_id})
    tx.wake = True
    return event_id


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key inside a `whsec_…` secret. Raises ValueError when it is none of 24 to 64 bytes.

    Source: Standard Webhooks, "Signature scheme".
    """
    if not secret.startswith("whsec_"):
        raise ValueError("a webhook secret starts with whsec_")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ is not base64") from error
    if not 24 <= len(key) <= 64:
        raise ValueError(f"a webhook secret holds 24 to 64 bytes, not {len(key)}")
    return key


def seal_secret(secret: str, seal_key: bytes) -> str:
    """The secret as it lies in the database; `seal_key` is `Keys.seal`."""
    return keys.seal(seal_key, secret)


def open_secret(sealed: str, seal_key: bytes) -> bytes:
    """The signing key in a sealed secret. Raises ValueError when it was sealed with another key, or altered."""
    try:
        return secret_bytes(keys.unseal(seal_key, sealed))
    except keys.NotSealedHere as error:
        raise ValueError("the secret was sealed with another seal.key") from error


def _locked(tx: Transaction, organisation_id: str, endpoint_id: str) -> Row:
    # Endpoint first, its deliveries after: the dispatcher locks in the same order.
    return _found(
        tx.one("SELECT * FROM endpoint WHERE id = ? AND organisation_id = ?" + tx.for_update, endpoint_id, organisation_id)
    )


def _found(row: Row | None) -> Row:
    if row is None:
        raise Refused("endpoint_not_found", 404, "There is no such webhook endpoint.")
    return row


def _duplicate() -> Refused:
    return Refused("duplicate_endpoint", 409, "There is already an endpoint with this URL.", field="url")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or not url.isprintable() or " " in url or not url.isascii() or len(url) > _MOST_URL:
        raise Refused("invalid_url", 422, "A webhook URL starts with http:// or https:// and names a host.", field="url")
    if parts.username is not None or parts.fragment:
        detail = "A webhook URL holds no user name, password or fragment: the signature tells who is calling."
        raise Refused("invalid_url", 422, detail, field="url")
    return url


def _checked_events(events: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(events))
    unknown = [name for name in wanted if name != "*" and name not in EVENT_TYPES]
    if unknown or not wanted:
        found = f"{unknown[0]!r} is not an event" if unknown else "An endpoint wants at least one event"
        raise Refused("unknown_event", 422, f"{found}. Allowed: *, {', '.join(EVENT_TYPES)}.", field="events")
    return ["*"] if "*" in wanted else wanted


def _checked_secret(secret: str) -> str:
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise Refused("invalid_secret", 422, f"{error}.", field="secret") from error
    return secret
