"""Messages in every state, modems, a balance and a ledger: what most pages show something of."""

from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_gateway, add_ledger, add_modem, message_id

PAGES = {
    "login": (None, "/admin/login"),
    "messages": ("admin", "/admin/messages"),
    "messages-filtered": ("admin", "/admin/messages?state=problems"),
    "message-waiting": ("admin", f"/admin/messages/{message_id(1)}"),
    "message-delivered": ("admin", f"/admin/messages/{message_id(5)}"),
    "message-failed": ("admin", f"/admin/messages/{message_id(7)}"),
    "message-unclear": ("admin", f"/admin/messages/{message_id(10)}"),
    "account": ("admin", "/admin/account"),
    "nothing": ("nobody", "/admin"),
    "lost": ("admin", "/admin/lost"),
}
"""Every page of this family: name → (role, path). tests/browser/test_every_page.py opens them all."""


def furnish(store: Database, clock: ManualClock) -> None:
    """Add modems, a balance and four weeks of ledger."""
    now, day = clock.now_ms(), 86_400_000
    with store.write() as tx:
        add_gateway(tx, now)
        good = {"operator": "Telia", "technology": "LTE", "signal_dbm": -67, "iccid": "8946071111", "registration": "home"}
        add_modem(tx, "stick-1", "ready", now, **good, storage_used=2, storage_total=30, sent_at=now - 60_000)
        add_modem(tx, "stick-2", "sim", now, reason="pin_refused: incorrect password")
        add_modem(tx, "stick-3", "resolving", now, registration="searching", signal_dbm=-104, iccid="8946072222")
        add_modem(tx, "stick-4", "ready", now, parked=1, signal_dbm=-88, operator="Tre", technology="UMTS")
        balance = 1500
        add_ledger(tx, "grant", 1500, now - 28 * day, reference="PO-2026-17")
        for back in range(27, 0, -1):
            used = 20 + back * 7 % 31
            balance -= used
            spent = {"message_id": message_id(back % 10 + 1), "actor": "user:usr_recruiter"}
            add_ledger(tx, "reserve", -used, now - back * day, **spent)
        add_ledger(tx, "settle", 0, now - 3000, message_id=message_id(5), charged=2, actor="gateway")
        add_ledger(tx, "grant", 500, now - 2000, reference="PO-2026-31", actor="user:usr_operator")
        tx.insert("balance", organisation_id=ORG, available=balance + 500, reserved=6)
