"""What the gateway does on the side: holds that are due, messages that expired, partial inbound messages, its own heartbeat."""

import logging
import threading
from collections.abc import Callable

from gateway.appliance.clock_watch import ClockWatch
from gateway.clock import Clock
from gateway.errors import LeaseLost
from gateway.flows import awaited, calls, consent_sweep, countries, receive, release, reminders, stations, threads
from gateway.store.database import Database, StoreUnavailable

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
PARTIALS_S = 60.0
REVIEW_MS = 60_000


class Housekeeping(threading.Thread):
    """One thread; `nudge` makes it look now, otherwise it looks every second or when a hold is due."""

    def __init__(self, database: Database, clock: Clock, desk: receive.Desk, gateway: str, epoch: int) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._database = database
        self._clock = clock
        self._desk = desk
        self._gateway = gateway
        self._epoch = epoch
        self._bell = threading.Event()
        self._stopping = False
        self.send_notices: Callable[[int], object] = lambda now: None
        """Mails about replies; the gateway sets it where it has a mail server."""
        self.upkeep: Callable[[int], object] = lambda now: None
        """Erasures, retention and the files outside the database; the gateway sets it."""
        self._clock_watch = ClockWatch(database, clock, gateway)
        self._clock_watch.look()
        self._reviewed_at = 0

    def nudge(self) -> None:
        """Something changed."""
        self._bell.set()

    def stop(self) -> None:
        """End soon."""
        self._stopping = True
        self._bell.set()

    def run(self) -> None:
        """Round after round until stopped."""
        next_beat = next_partials = next_look = self._clock.monotonic()
        while not self._stopping:
            mono = self._clock.monotonic()
            try:
                if self._bell.is_set() or mono >= next_look:
                    self._bell.clear()
                    self.round()
                    next_look = mono + 1.0
                self._clock_watch.look()
                if mono >= next_partials:
                    self._database.transact(lambda tx: receive.show_partials(tx, self._desk, self._clock.now_ms()))
                    threads.sweep(self._database, self._clock.now_ms())
                    next_partials = mono + PARTIALS_S
                if mono >= next_beat:
                    self._database.transact(lambda tx: stations.beat(tx, self._gateway, self._epoch, self._clock.now_ms()))
                    next_beat = mono + HEARTBEAT_S
            except StoreUnavailable as error:
                log.error("housekeeping=%s", error)
            except LeaseLost:
                return  # the workers meet it too and end the process
            except Exception:  # one row that trips a rule must not stop holds and expiries for good
                log.exception("housekeeping")
                next_look = self._clock.monotonic() + 5.0
            self._bell.wait(self._clock.real_seconds(1.0))
        self._database.close()

    def round(self) -> None:
        """Whatever is due now: stored PDUs nobody processed, holds, expiries."""
        now = self._clock.now_ms()
        for row_id in receive.pending(self._database):
            self._process(row_id, now)
        release.sweep(self._database, now)
        self.upkeep(now)
        calls.sweep(self._database, now)
        self.send_notices(now)
        consent_sweep.sweep(self._database, now)
        awaited.sweep(self._database, now)
        if not 0 <= now - self._reviewed_at < REVIEW_MS:
            self._reviewed_at = now
            self._database.transact(lambda tx: countries.tell_overdue(tx, now))
        reminders.sweep(self._database, self._desk.interviews, now)

    def _process(self, row_id: str, now: int) -> None:
        self._database.transact(lambda tx: receive.process(tx, row_id, self._desk, now))
