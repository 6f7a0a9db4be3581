"""A busy queue: messages that wait for every reason, two numbers, a batch half way, unclear ones."""

from gateway.store.database import Database, Transaction
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_gateway, add_message, add_modem

MINUTE, HOUR = 60_000, 3_600_000
BATCH_AT = 1_772_445_600_000 - 10 * MINUTE
"""The clock of the tests starts at the first figure."""
BATCH = f"{BATCH_AT}-usr_recruiter"


def queue_id(number: int) -> str:
    """The id of the n-th message of this family."""
    return f"msg_90e0{number:028x}"


PAGES = {
    "queued": ("admin", "/admin/queue"),
    "queued-recruiter": ("recruiter", "/admin/queue"),
    "queued-one-number": ("admin", "/admin/queue?sender=snd_q2"),
    "held": ("admin", "/admin/queue?show=held"),
    "held-one-reason": ("recruiter", "/admin/queue?show=held&reason=quiet_hours"),
    "sending": ("admin", "/admin/queue?show=sending"),
    "unclear": ("recruiter", "/admin/queue?show=unknown"),
    "further-back": ("admin", f"/admin/queue?after={queue_id(60)}"),
    "nothing": ("viewer", "/admin/queue"),
    "cancel-one": ("recruiter", f"/admin/queue/cancel?id={queue_id(1)}"),
    "cancel-many": ("recruiter", f"/admin/queue/cancel?id={queue_id(1)}&id={queue_id(2)}&id={queue_id(3)}"),
    "batch": ("recruiter", f"/admin/queue/batches/{BATCH}"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add it all."""
    now = clock.now_ms()
    with store.write() as tx:
        _stations(tx, now)
        _people(tx, now)
        reasons = ("pending_opt_in", "waits_for", "thread_paused", "quiet_hours", "scheduled", "sim_budget", "no_modem")
        for number, reason in enumerate((*reasons, "clock_untrusted"), 20):
            known = reason in ("quiet_hours", "scheduled", "sim_budget")
            until = now + number * 7 * MINUTE if known else None
            _put(tx, number, "held", now - HOUR, hold_reason=reason, not_before=until, candidate_id=f"cand_q{number % 4}")
        for number in range(1, 7):
            lane = 0 if number < 3 else 1
            _put(tx, number, "queued", now - 3 * MINUTE, lane=lane, candidate_id=f"cand_q{number % 4}")
        _put(tx, 7, "queued", now - MINUTE, sender_id="snd_q2", candidate_id="cand_q1")
        _put(tx, 8, "queued", now - MINUTE, error="CMS 42", due_at=now + 4 * MINUTE, candidate_id="cand_q2")
        for number in (30, 31):
            _put(tx, number, "unknown", now - 20 * MINUTE, candidate_id=f"cand_q{number % 4}")
        for number in range(40, 110):
            state = "delivered" if number < 58 else "sending" if number == 58 else "failed" if number == 59 else "queued"
            _put(tx, number, state, BATCH_AT, lane=2, kind="contact", candidate_id=f"cand_q{number % 4}")
        tx.execute("INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 500, 300) ON CONFLICT DO NOTHING", ORG)


def _put(tx: Transaction, number: int, state: str, at: int, **columns: object) -> None:
    add_message(tx, 900_000 + number, state, at, id=queue_id(number), case_id="case_1", **columns)


def _stations(tx: Transaction, now: int) -> None:
    if tx.one("SELECT 1 AS yes FROM gateway WHERE name = 'box'") is None:
        add_gateway(tx, now)
    tx.execute("UPDATE sender SET gap_ms = 6000, iccid = '8946071111' WHERE id = 'snd_1'")
    if tx.one("SELECT 1 AS yes FROM modem WHERE iccid = '8946071111'") is None:
        add_modem(tx, "stick-1q", "ready", now, iccid="8946071111", operator="Telia", signal_dbm=-67)
    tx.insert("sender", id="snd_q2", organisation_id=ORG, number="+46701740691", iccid="8946075555", gap_ms=12000, updated_at=now)
    add_modem(tx, "stick-9q", "silent", now, iccid="8946075555")
    tx.flush()


def _people(tx: Transaction, now: int) -> None:
    names = (("Amina", "Hassan"), ("Björn", "Ångström"), ("Chloé", "Dubois-Lindström"), ("Dragan", "Petrović"))
    for number, (first, last) in enumerate(names):
        tx.insert(
            "candidate",
            id=f"cand_q{number}",
            organisation_id=ORG,
            ref=f"q-{number}",
            first_name=first,
            last_name=last,
            phone=f"+4670174069{number}",
            phone_state="ok",
            created_at=now,
            updated_at=now,
        )
        tx.flush()
        tx.insert(
            "thread",
            id=f"thr_90e0{number:028x}",
            organisation_id=ORG,
            candidate_id=f"cand_q{number}",
            channel="sms",
            context="case:case_1",
            case_id="case_1",
            state="active",
            last_at=now - HOUR,
            created_at=now - HOUR,
        )
    tx.flush()
