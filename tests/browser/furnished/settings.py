"""API keys with many and few scopes, used and not, one revoked; the settings of an ordinary box."""

from gateway.store import setup
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG

PAGES = {
    "settings": ("admin", "/admin/settings"),
    "keys": ("admin", "/admin/settings/keys"),
    "new-key": ("admin", "/admin/settings/keys/new"),
    "forbidden": ("operator", "/admin/settings"),
}


def furnish(store: Database, clock: ManualClock) -> None:
    """Add keys."""
    now, day = clock.now_ms(), 86_400_000
    with store.write() as tx:
        setup.create_key(tx, ORG, "ATS", setup.ATS_SCOPES, "cli:root", now - 40 * day, allow=("192.168.1.0/24",), per_minute=600)
        row, _ = setup.create_key(tx, ORG, "Reports for the board", ("reports:read", "credits:read"), "user:usr_admin", now - day)
        setup.create_key(tx, ORG, "Old system", ("*",), "cli:root", now - 300 * day)
        tx.execute("UPDATE api_key SET last_used_at = ? WHERE id = ?", now - 60_000, row["id"])
        setup.revoke_key(tx, ORG, "Old system", "user:usr_admin", now)
