"""Sticks of an office in the north: one in service for a week, with tests, questions and answers; one whose card is locked."""

import json
import math
from typing import Any

from gateway.store.database import Database, Transaction, compact
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_modem

GATEWAY, GOOD, LOCKED, EMPTY = "north", "mdm_umea-1", "mdm_umea-2", "mdm_umea-3"
ICCID = "8946079460000000111"
PAGES = {
    "list": ("operator", "/admin/modems"),
    "one": ("operator", f"/admin/modems/{GOOD}"),
    "one-week": ("operator", f"/admin/modems/{GOOD}?span=7d"),
    "one-seen-by-admin": ("admin", f"/admin/modems/{GOOD}"),
    "locked": ("operator", f"/admin/modems/{LOCKED}"),
    "parked": ("operator", f"/admin/modems/{EMPTY}"),
    "tests": ("operator", f"/admin/modems/{GOOD}/tests"),
    "tests-empty": ("operator", f"/admin/modems/{EMPTY}/tests"),
    "ussd": ("operator", f"/admin/modems/{GOOD}/ussd"),
    "ussd-empty": ("operator", f"/admin/modems/{EMPTY}/ussd"),
    "console": ("operator", f"/admin/modems/{GOOD}/console"),
    "console-empty": ("operator", f"/admin/modems/{EMPTY}/console"),
    "log": ("admin", f"/admin/modems/{GOOD}/log"),
    "log-empty": ("admin", f"/admin/modems/{EMPTY}/log"),
}
STEPS = [
    {"name": "answers", "result": "good", "found": "AT: OK"},
    {"name": "card", "result": "good", "found": "+CPIN: READY"},
    {"name": "centre", "result": "good", "found": "+46705008999"},
    {"name": "network", "result": "good", "found": "Telia 4G"},
    {"name": "signal", "result": "weak", "found": "-105 dBm"},
    {"name": "reports", "result": "good", "found": ""},
]


def furnish(store: Database, clock: ManualClock) -> None:
    """Add them, with what a week leaves behind."""
    now = clock.now_ms()
    with store.write() as tx:
        tx.insert(
            "gateway", name=GATEWAY, epoch=1, holder="pid 7", started_at=now, heartbeat_at=now, version="0.1.0", pin_key="00" * 32
        )
        good = {"operator": "Telia", "technology": "4G", "signal_dbm": -79, "registration": "home", "smsc": "+46705008999"}
        device = {"gateway": GATEWAY, "revision": "EC25EFAR06A04M4G", "port": "/dev/ttyUSB2"}
        add_modem(
            tx, "umea-1", "ready", now, **good, **device, iccid=ICCID, sent_at=now - 240_000, storage_used=1, storage_total=50
        )
        locked = {"locked_iccid": "8946079460000000222", "pin_tries": 2, "imei": "861234567890456"}
        add_modem(tx, "umea-2", "sim", now, **device, **locked, reason="pin_refused: incorrect password")
        add_modem(tx, "umea-3", "ready", now, **device, parked=1, signal_dbm=-97, operator="Tre", imei="861234567890789")
        budgets = compact({"minute": 10, "hour": 100, "day": 200, "month": 4000, "recipients": 250})
        sender = {"organisation_id": ORG, "number": "+46701740690", "iccid": ICCID, "budgets": budgets, "gap_ms": 6000}
        tx.insert("sender", id="snd_umea", updated_at=now, **sender)
        tx.flush()
        _budget(tx, now)
        for minute in range(0, 7 * 24 * 60, 6):
            if not 1500 < minute < 1900:
                wave = round(9 * math.sin(minute / 140) + 5 * math.sin(minute / 33))
                tx.insert("signal_sample", modem_id=GOOD, at=now - minute * 60_000, dbm=-80 + wave)
        _log(tx, now)
        _asked(tx, now)
        _tests(tx, now)


def _budget(tx: Transaction, now: int) -> None:
    from gateway.rules.budgets import periods_at

    starts = periods_at(now, "Europe/Stockholm")
    used = {"minute": 3, "hour": 41, "day": 172, "month": 2210}
    columns = {f"{name}_{what}": found[name] for name in used for what, found in (("from", starts), ("used", used))}
    tx.execute(
        f"INSERT INTO sim_budget (iccid, recipients_used, {', '.join(columns)}) VALUES (?, 118{', ?' * len(columns)})",
        ICCID,
        *columns.values(),
    )


def _log(tx: Transaction, now: int) -> None:
    story = [
        (300, "absent", "[Errno 19] No such device"),
        (298, "starting", "boot"),
        (297, "ready", ""),
        (180, "silent", "no answer to AT"),
        (179, "ready", ""),
        (60, "sim", "pin_required: no PIN is configured"),
        (55, "resolving", "an earlier submission may still be on the air"),
        (54, "ready", ""),
    ]
    for minutes, state, reason in story:
        told = {"modem": "umea-1", "gateway": GATEWAY, "state": state, "reason": reason}
        tx.audit(now - minutes * 60_000, f"gateway:{GATEWAY}", "modem.state", GOOD, told)
    for minutes, verb in ((40, "park"), (38, "unpark"), (5, "test")):
        tx.audit(now - minutes * 60_000, "user:usr_operator", "modem.command", GOOD, {"command": "cmd_x", "verb": verb})


def _asked(tx: Transaction, now: int) -> None:
    asked: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
        ("query", {"command": "AT+COPS?"}, "done", {"lines": ['+COPS: 0,0,"Telia",7', "OK"]}),
        (
            "query",
            {"command": "AT+CPMS=?"},
            "done",
            {"lines": ['+CPMS: ("ME","MT","SM","SR"),("ME","MT","SM","SR"),("ME","MT","SM","SR")', "OK"]},
        ),
        ("query", {"command": "AT+CSQ"}, "failed", {"error": "a message may still be leaving"}),
        ("ussd", {"code": "*120#"}, "done", {"text": "Hej! Ditt saldo är 120,50 kr och gäller till 2026-12-31.", "status": 0}),
        ("ussd", {"code": "*111#"}, "expired", {"error": "nobody could run it in time"}),
        ("test", {}, "done", {"steps": STEPS, "of": 6}),
    ]
    for number, (verb, args, state, result) in enumerate(asked):
        tx.insert(
            "command",
            id=f"cmd_modems{number:04}",
            gateway=GATEWAY,
            modem="umea-1",
            verb=verb,
            args=json.dumps(args),
            state=state,
            actor="user:usr_operator",
            created_at=now - (20 - number) * 60_000,
            expires_at=now,
            result=json.dumps(result),
        )


def _tests(tx: Transaction, now: int) -> None:
    tx.insert(
        "staff_number",
        id="stf_umea",
        organisation_id=ORG,
        number="+46701740691",
        actor="user:usr_operator",
        code_hash="x",
        code_at=now,
    )
    for number, (state, done) in enumerate((("delivered", True), ("sent", False))):
        at = now - (9 - 5 * number) * 60_000
        message = {
            "id": f"msg_{0xA0DE0000 + number:032x}",
            "organisation_id": ORG,
            "origin": "test",
            "channel": "sms",
            "kind": "test",
            "lane": 0,
            "state": state,
            "due_at": at,
            "seq": 0,
            "address": "+46701740691",
            "country": "SE",
            "parts": 1,
            "sender_id": "snd_umea",
            "alphabet": "gsm7",
            "price": 0,
            "credits": 0,
            "month": "",
            "valid_until": now + 9_999_999,
            "accepted_at": at,
            "sent_at": at + 3000,
            "done_at": at + 6000 if done else None,
        }
        tx.insert("message", **message)
        tx.insert("modem_test", message_id=message["id"], modem_id=GOOD, staff_number_id="stf_umea", created_at=at)
