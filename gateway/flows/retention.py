"""Retention: once a day everything that was kept long enough goes, and the audit says how much (requirements §3.6).

Each step takes a page at a time, in a transaction of its own. A legal hold keeps what belongs to a candidate. The ledger is
never touched: it holds amounts and ids, nobody's name.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import config
from gateway.errors import Refused
from gateway.flows import audit, usage_days
from gateway.flows.own_texts import put_setting
from gateway.rules.retention import DAY_MS, LIMITS, MONTH_MS, body_days, merged
from gateway.store.database import Database, Transaction, View, compact

SETTING = "retention"
LAST_RUN = "retention.last_run"
_PAGE = 500

Step = Callable[[Transaction, Mapping[str, int], int], int]


def own_settings(view: View) -> dict[str, Any]:
    """What this box has set for itself."""
    value = view.value("SELECT value FROM setting WHERE name = ?", SETTING)
    return {} if value is None else dict(json.loads(value))


def policy(view: View) -> dict[str, int]:
    """How long what is kept on this box."""
    return merged(config.table("retention.toml"), own_settings(view))


def change(tx: Transaction, wanted: Mapping[str, int], actor: str, now: int) -> dict[str, int]:
    """Set some of the periods; all as they are now. Raises Refused `out_of_range` or `unknown_setting`."""
    for name, value in wanted.items():
        if name not in LIMITS:
            raise Refused("unknown_setting", 422, f"There is no setting {name[:64]}.", field=name[:64])
        least, most = LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Refused("out_of_range", 422, f"{name} must be a whole number from {least} to {most}.", field=name)
    before = policy(tx)
    put_setting(tx, SETTING, compact({**own_settings(tx), **wanted}))
    after = policy(tx)
    changed = {name: [before[name], after[name]] for name in after if after[name] != before[name]}
    if changed:
        tx.audit(now, actor, "config.change", "setting", {"setting": SETTING, "changed": changed})
    return after


def last_run(view: View) -> int | None:
    """When the job last ran; None before the first time."""
    last = view.value("SELECT value FROM setting WHERE name = ?", LAST_RUN)
    return None if last is None else int(last)


def is_due(view: View, now: int) -> bool:
    """Whether a day has passed since the last run."""
    last = last_run(view)
    return last is None or not 0 <= now - last < DAY_MS


def run(database: Database, key: bytes, now: int, actor: str = "gateway") -> dict[str, int]:
    """Let go of whatever was kept long enough; how many rows of each kind. Proves itself in the audit as `retention.run`."""
    with database.read() as view:
        rules = policy(view)
    counts = {}
    for name, step in STEPS.items():
        counts[name] = 0
        while page := database.transact(partial(_page, step, rules, now)):
            counts[name] += page
    counts["audit"] = database.transact(lambda tx: audit.prune(tx, key, now - rules["audit_months"] * MONTH_MS, now))

    def prove(tx: Transaction) -> None:
        put_setting(tx, LAST_RUN, str(now))
        tx.audit(now, actor, "retention.run", "setting", {"removed": counts, "policy": rules})

    database.transact(prove)
    if any(counts.values()):
        database.truncate_log()
    return counts


def _page(step: Step, rules: Mapping[str, int], now: int, tx: Transaction) -> int:
    return step(tx, rules, now)


_FREE = " AND NOT EXISTS (SELECT 1 FROM candidate h WHERE h.id = {table}.candidate_id AND h.legal_hold = 1)"
_ENDED = "settled_at IS NOT NULL AND state IN ('sent', 'delivered', 'undelivered', 'failed', 'expired', 'cancelled', 'unknown')"


def _bodies(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    """Texts and numbers of messages and answers whose case has been closed for long enough."""
    found = 0
    shorter = body_days(rules, config.table("retention.toml")["country"])
    for countries, days in ((None, rules["bodies_days"]), *(((iso,), days) for iso, days in shorter.items())):
        before = now - days * DAY_MS
        only = "" if countries is None else " AND country = ?"
        values = () if countries is None else countries
        rows = tx.all(
            f"SELECT id FROM message WHERE wiped_at IS NULL AND accepted_at < ? AND {_ENDED}{only}{_FREE.format(table='message')}"
            " AND (case_id IS NULL OR EXISTS (SELECT 1 FROM hiring_case k WHERE k.id = message.case_id AND k.closed_at < ?))"
            f" LIMIT {_PAGE}",
            before,
            *values,
            before,
        )
        wipe_messages(tx, [row["id"] for row in rows], now)
        found += len(rows)
        only = only.replace("country", "from_country")
        rows = tx.all(
            f"SELECT id FROM received WHERE wiped_at IS NULL AND received_at < ? AND missing = 0{only}"
            f"{_FREE.format(table='received')} AND (answers_case_id IS NULL"
            f" OR EXISTS (SELECT 1 FROM hiring_case k WHERE k.id = received.answers_case_id AND k.closed_at < ?)) LIMIT {_PAGE}",
            before,
            *values,
            before,
        )
        wipe_received(tx, [row["id"] for row in rows], now)
        found += len(rows)
    return found


def wipe_messages(tx: Transaction, message_ids: list[str], now: int) -> None:
    """Take text and number from messages; what stays says only that there was one."""
    for message_id in message_ids:
        tx.execute("UPDATE part SET text = '', address_tail = NULL WHERE message_id = ?", message_id)
        tx.execute("UPDATE message SET address = '', client_ref = NULL, wiped_at = ? WHERE id = ?", now, message_id)


def wipe_received(tx: Transaction, received_ids: list[str], now: int) -> None:
    """Take text and number from what came in."""
    for received_id in received_ids:
        tx.execute(
            "UPDATE received SET text = '', address = '', phone_hash = NULL, group_key = NULL, wiped_at = ? WHERE id = ?",
            now,
            received_id,
        )


def _metadata(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    before = now - rules["metadata_months"] * MONTH_MS
    rows = tx.all(
        "SELECT id, organisation_id, settled_at FROM message"
        f" WHERE accepted_at < ? AND wiped_at IS NOT NULL AND {_ENDED}{_FREE.format(table='message')} LIMIT {_PAGE}",
        before,
    )
    for row in rows:
        tx.execute("DELETE FROM part WHERE message_id = ?", row["id"])
        tx.execute("DELETE FROM message WHERE id = ?", row["id"])
    heard = tx.all(
        "SELECT id, organisation_id, received_at FROM received WHERE received_at < ? AND wiped_at IS NOT NULL LIMIT ?",
        before,
        _PAGE,
    )
    for row in heard:
        tx.execute("DELETE FROM received WHERE id = ?", row["id"])
    usage_days.all_changed(tx, [(row["organisation_id"], row["settled_at"]) for row in rows], now)
    usage_days.all_changed(tx, [(row["organisation_id"], row["received_at"]) for row in heard], now)
    return len(rows)


def _consents(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    """Whole chains of versions whose end lies far enough back; a live consent keeps its history."""
    before = now - rules["consent_months"] * MONTH_MS
    rows = tx.all(
        "SELECT DISTINCT candidate_id, channel, purpose, phone_hash FROM consent WHERE recorded_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM consent n WHERE n.candidate_id = consent.candidate_id AND n.channel = consent.channel"
        " AND n.purpose = consent.purpose AND n.phone_hash = consent.phone_hash AND n.recorded_at >= ?)"
        " AND EXISTS (SELECT 1 FROM candidate c WHERE c.id = consent.candidate_id AND c.legal_hold = 0 AND (c.erased_at < ?"
        " OR (consent.status IN ('revoked', 'refused', 'expired') AND NOT EXISTS (SELECT 1 FROM consent n"
        " WHERE n.candidate_id = consent.candidate_id AND n.channel = consent.channel AND n.purpose = consent.purpose"
        " AND n.phone_hash = consent.phone_hash AND n.version > consent.version))))"
        f" LIMIT {_PAGE}",
        before,
        before,
        before,
    )
    return sum(
        tx.execute(
            "DELETE FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?",
            *(row[name] for name in ("candidate_id", "channel", "purpose", "phone_hash")),
        )
        for row in rows
    )


def _raw(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    page = f"SELECT id FROM inbound_pdu WHERE received_at < ? AND state <> 'new' LIMIT {_PAGE}"
    return tx.execute(f"DELETE FROM inbound_pdu WHERE id IN ({page})", now - rules["raw_days"] * DAY_MS)


def _events(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    """Bodies of the outbox; the rows stay, so that positions have no gap. What still waits is told without its body."""
    before = now - rules["api_days"] * DAY_MS
    page = f"SELECT serial FROM event WHERE wiped_at IS NULL AND at < ? AND position IS NOT NULL LIMIT {_PAGE}"
    found = tx.execute(f"UPDATE event SET body = ?, wiped_at = ? WHERE serial IN ({page})", WIPED, now, before)
    done = f"SELECT id FROM delivery WHERE state = 'delivered' AND done_at < ? LIMIT {_PAGE}"
    return found + tx.execute(f"DELETE FROM delivery WHERE id IN ({done})", before)


WIPED = '{"erased":true}'


def _answers(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    page = "SELECT key_id, token FROM idempotency WHERE created_at < ? LIMIT ?"
    rows = tx.all(page, now - rules["api_days"] * DAY_MS, _PAGE)
    return sum(tx.execute("DELETE FROM idempotency WHERE key_id = ? AND token = ?", row["key_id"], row["token"]) for row in rows)


def _tokens(tx: Transaction, rules: Mapping[str, int], now: int) -> int:
    """Links whose time is over. Those of requests and interviews are blunted, for their rows tell what was asked and answered."""
    before = now - rules["tokens_days"] * DAY_MS
    gone = 0
    for table in ("password_link", "export_link"):
        gone += tx.execute(f"DELETE FROM {table} WHERE expires_at < ?", before)
    gone += tx.execute("DELETE FROM web_session WHERE seen_at < ?", before)
    gone += tx.execute("DELETE FROM login_failure WHERE at < ?", before)
    gone += tx.execute(
        "UPDATE consent_request SET token_hash = 'gone-' || id WHERE expires_at < ? AND token_hash NOT LIKE 'gone-%'", before
    )
    gone += tx.execute(
        "UPDATE interview SET token_hash = 'gone-' || id WHERE token_expires_at < ? AND token_hash NOT LIKE 'gone-%'", before
    )
    tx.execute("DELETE FROM erased_number WHERE until_at < ?", now)
    return gone


STEPS: dict[str, Step] = {
    "bodies": _bodies,
    "metadata": _metadata,
    "consents": _consents,
    "raw_pdus": _raw,
    "event_bodies": _events,
    "answers": _answers,
    "tokens": _tokens,
}
