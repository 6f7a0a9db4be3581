"""What the gateway does so that the box forgets and remembers: erasures, the daily retention, the files outside."""

import logging
from pathlib import Path

from gateway import keys
from gateway.appliance.outside import Outside
from gateway.flows import audit, erase, retention, usage_days
from gateway.flows.timing import is_untrusted
from gateway.store.database import Database

log = logging.getLogger(__name__)

LOOK_MS = 60_000
DAYS_AT_ONCE = 30
"""So many busy days of usage are added up in one look: a box may be years old when it learns to."""


class Upkeep:
    """Called from housekeeping's rounds; each call is short unless a day has passed."""

    def __init__(self, database: Database, state_dir: Path, secrets: keys.Keys) -> None:
        self._database = database
        self._outside = Outside(database, state_dir)
        self._anchor_key = audit.anchor_key(secrets.token)
        self._next_at = 0

    def look(self, now: int) -> None:
        """Whatever is due now."""
        erase.sweep(self._database, now)
        try:
            self._outside.read_again(now)
            self._outside.copy(now)
        except OSError as error:  # a full disk: the rows wait, unwritten
            log.error("outside=%s", error)
        if not now - LOOK_MS < self._next_at <= now + LOOK_MS:  # also after the clock was set back
            self._next_at = now
        if now >= self._next_at:
            self._next_at = now + LOOK_MS
            self._daily(now)

    def _daily(self, now: int) -> None:
        with self._database.read() as view:
            if is_untrusted(view):  # a clock gone wrong must not make the box forget
                return
            due = retention.is_due(view, now)
        if due:
            counts = retention.run(self._database, self._anchor_key, now)
            log.info("retention=%s", " ".join(f"{name}:{count}" for name, count in counts.items()))
        usage_days.count(self._database, now, DAYS_AT_ONCE)
