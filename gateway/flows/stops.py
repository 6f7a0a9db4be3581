"""STOP and START: what candidates say about being written to, by text or where else a withdrawal reaches us.

A STOP binds every candidate with that number and all purposes of the channel, cancels what waits, is confirmed once, and can be
undone only by START from that number.
"""

from collections.abc import Mapping
from typing import Any

from gateway.flows import escorting, followers, usage
from gateway.flows.cancel import cancel_waiting
from gateway.flows.consent_rows import REQUEST_FOR_MS, change, needs_start
from gateway.flows.endings import message_row, move
from gateway.flows.facts import consent_status
from gateway.flows.onward import queue_or_schedule
from gateway.flows.replies import reply
from gateway.rules.consent import GRANTING_SOURCES, PURPOSES, Act, Status, step
from gateway.rules.lifecycle import Hold
from gateway.store.database import Row, Transaction, View, compact


def stop(tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int) -> int:
    """STOP from a number: revoke, suppress, cancel what waits, confirm once. The number of messages cancelled."""
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    candidates = with_number(tx, phone_hash)
    first = _suppress(tx, phone_hash, channel, "keyword", {"inbound_message_id": received_id}, now)
    cancelled = _revoke_all(tx, candidates, channel, "inbound_keyword", "candidate", evidence, now)
    if first:
        tx.audit(now, "candidate", "suppression.add", received_id, {"channel": channel})
        if not candidates:
            usage.stranger_opted_out(tx, phone, iccid, now)
        reply(tx, "stop_confirmation", phone=phone, candidate=candidates[0] if candidates else None, iccid=iccid, now=now)
    return cancelled


def withdraw(
    tx: Transaction, candidate: Row, channel: str, source: str, actor: str, evidence: Mapping[str, Any], now: int
) -> int:
    """Consent withdrawn elsewhere than by SMS (page, ATS, a colleague's note): as wide as a STOP, confirmed once."""
    was_live = any(consent_status(tx, candidate, channel, purpose) in (Status.GRANTED, Status.PENDING) for purpose in PURPOSES)
    told = {**evidence}
    cancelled = _revoke_all(tx, with_number(tx, candidate["phone_hash"]), channel, source, actor, told, now)
    first = _suppress(tx, candidate["phone_hash"], channel, source, {"by": actor}, now)
    if first:
        tx.audit(now, actor, "suppression.add", candidate["id"], {"channel": channel, "source": source})
        iccid = tx.value(
            "SELECT s.iccid FROM message m JOIN sender s ON s.id = m.sender_id WHERE m.candidate_id = ? AND m.sent_at IS NOT NULL"
            " ORDER BY m.seq DESC LIMIT 1",
            candidate["id"],
        )
        if was_live and channel == "sms" and iccid is not None:  # whoever never heard from us needs no text that we stop
            reply(tx, "stop_confirmation", phone=candidate["phone"], candidate=candidate, iccid=iccid, now=now)
    return cancelled


def suppress_again(tx: Transaction, phone_hash: str, channel: str, at: int, now: int) -> bool:
    """After a restore: a STOP that the backup does not know. Nobody is told again. Whether it was news."""
    if not _suppress(tx, phone_hash, channel, "restore", {"at": at}, now):
        return False
    _revoke_all(tx, with_number(tx, phone_hash), channel, "restore", "gateway", {}, now)
    tx.audit(now, "gateway", "suppression.add", "setting", {"channel": channel, "source": "restore"})
    return True


def _suppress(tx: Transaction, phone_hash: str, channel: str, source: str, evidence: Mapping[str, Any], now: int) -> bool:
    return bool(
        tx.execute(
            "INSERT INTO suppression (phone_hash, channel, source, evidence, since_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (phone_hash, channel) DO NOTHING",
            phone_hash,
            channel,
            source,
            compact(dict(evidence)),
            now,
        )
    )


def _revoke_all(
    tx: Transaction, candidates: list[Row], channel: str, source: str, actor: str, evidence: dict[str, Any], now: int
) -> int:
    cancelled = 0
    for candidate in candidates:
        for purpose in PURPOSES:
            before = consent_status(tx, candidate, channel, purpose)
            outcome = step(before, Act.STOP)
            if outcome.changed:
                told: dict[str, Any] = {"source": source, "actor": actor, "evidence": evidence, "captured_at": now, "now": now}
                change(tx, candidate, channel, purpose, before, outcome.after, **told)
        tx.flush()
        cancelled += cancel_waiting(tx, candidate["id"], channel, "opted_out", now, actor=actor)
    return cancelled


def start(
    tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int
) -> bool:
    """START from a number: complete a pending double opt-in, undo a STOP. True if anything changed.

    A consent withdrawn before it was ever granted is only asked for again (requested): START alone grants nothing. The
    STOP itself is lifted in any case, or nobody could ever consent for this number again.
    """
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    changed = asked = False
    candidates = with_number(tx, phone_hash)
    for candidate in candidates:
        for purpose in PURPOSES:
            before = consent_status(tx, candidate, channel, purpose)
            if before not in (Status.PENDING, Status.REVOKED):
                continue
            after = step(before, Act.START).after
            if before == Status.REVOKED and not _once_granted(tx, candidate, channel, purpose):
                after, asked = Status.REQUESTED, True
            # Also where a STOP came between: START from the number itself is what the country asks for, and asked for once.
            confirms = before == Status.PENDING or (after == Status.GRANTED and needs_start(tx, candidate, channel))
            stamps: dict[str, Any] = {"doi_confirmed_at": now} if confirms else {}
            change(
                tx,
                candidate,
                channel,
                purpose,
                before,
                after,
                source="inbound_keyword",
                mode="double" if confirms else "single",
                actor="candidate",
                evidence=evidence,
                captured_at=now,
                now=now,
                expires_at=now + REQUEST_FOR_MS if after == Status.REQUESTED else None,
                **stamps,
            )
            changed = True
        _let_go(tx, candidate, channel, now)
    if tx.execute("DELETE FROM suppression WHERE phone_hash = ? AND channel = ?", phone_hash, channel):
        tx.audit(now, "candidate", "suppression.lift", received_id, {"channel": channel})
        changed = True
    if asked:
        reply(tx, "start_confirm", phone=phone, candidate=candidates[0], iccid=iccid, now=now)
    elif not candidates and not _answered_lately(tx, phone, now):
        reply(tx, "how_to_apply", phone=phone, candidate=None, iccid=iccid, now=now)
    return changed


def _once_granted(view: View, candidate: Row, channel: str, purpose: str) -> bool:
    rows = view.all(
        "SELECT DISTINCT source FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
        " AND status IN ('granted', 'pending_double_opt_in')",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )
    return any(row["source"] in GRANTING_SOURCES for row in rows)


def _answered_lately(view: View, phone: str, now: int) -> bool:
    """Whether a stranger's START was answered within a day: two machines must not talk to each other for ever."""
    found = view.one(
        "SELECT 1 AS yes FROM message WHERE origin = 'keyword_reply' AND kind = 'how_to_apply' AND address = ?"
        " AND accepted_at > ?",
        phone,
        now - 86_400_000,
    )
    return found is not None


def _let_go(tx: Transaction, candidate: Row, channel: str, now: int) -> None:
    """What waited for this START goes to the queue in its order, now, before anything accepted after it; or at its hour.

    An invitation that has not left need not leave any more. It would have said who writes: now an identification does.
    """
    held = tx.all(
        "SELECT id FROM message WHERE candidate_id = ? AND channel = ? AND state = 'held' AND hold_reason = ? ORDER BY seq",
        candidate["id"],
        channel,
        Hold.PENDING_OPT_IN,
    )
    tx.execute("UPDATE companion SET remind_at = NULL WHERE candidate_id = ? AND channel = ?", candidate["id"], channel)
    followers.drop_invitations(tx, candidate["id"], channel, "already_granted", "candidate", now, move)
    for row in held:
        message = message_row(tx, row["id"])
        if escorting.introduce(tx, message, now):
            queue_or_schedule(tx, message, now, "candidate", move)


def with_number(tx: Transaction, phone_hash: str) -> list[Row]:
    """Every candidate who has this number, locked in id order."""
    return tx.all("SELECT * FROM candidate WHERE phone_hash = ? AND erased_at IS NULL ORDER BY id" + tx.for_update, phone_hash)
