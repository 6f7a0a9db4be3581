"""Accounts: somebody with a second step and few recovery codes left, and somebody signed in at several places."""

from gateway.flows import sign_in
from gateway.store.database import Database
from tests.support import ManualClock

PAGES = {
    "own": ("viewer", "/admin/account"),
    "with-second-step": ("compliance", "/admin/account"),
    "second-step": ("admin", "/admin/account/second-step"),
    "second-step-on": ("compliance", "/admin/account/second-step"),
    "somebody-on": ("admin", "/admin/account/people/usr_compliance/second-step"),
    "somebody-off": ("admin", "/admin/account/people/usr_recruiter/second-step"),
    "set-up-done": ("admin", "/setup/done"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add codes and sessions."""
    now = clock.now_ms()
    with store.write() as tx:
        tx.execute(
            "UPDATE app_user SET totp_sealed = 'sealed', totp_since = ?, totp_step = 1 WHERE id = 'usr_compliance'",
            now - 9_000_000,
        )
        for number in range(10):
            used = None if number < 2 else now - number * 86_400_000
            tx.insert("recovery_code", user_id="usr_compliance", code_hash=f"{number:064x}", used_at=used)
        for address in ("192.168.1.44", "2001:db8:40:1::17"):
            sign_in.open_session(tx, "usr_viewer", address, now - 900_000)
