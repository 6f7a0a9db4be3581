"""What a modem hands over: PDUs are committed before they are acknowledged or deleted, and in the same commit become messages.

Called by the driver in the worker's own thread, in the middle of whatever verb runs: store first, act later.
"""

import logging
from collections.abc import Callable

from gateway.clock import Clock
from gateway.flows import calls
from gateway.flows.receive import Desk, process, store_raw
from gateway.store.database import Database, StoreUnavailable, Transaction
from modem.driver import Modem
from modem.events import Event, LateResult, MessageArrived, MessageStored, Noise, ReportArrived, ReportStored, Ring, StorageFull

log = logging.getLogger(__name__)


class Arrivals:
    """The in-tray of one modem. `poke` ends the worker's idle wait."""

    def __init__(self, name: str, gateway: str, database: Database, clock: Clock, desk: Desk, poke: Callable[[], None]) -> None:
        self._name = name
        self._gateway = gateway
        self._database = database
        self._clock = clock
        self._desk = desk
        self._poke = poke
        self._identity: tuple[str, str] | None = None
        self._routed: list[str] = []
        self._stored_reports: list[tuple[str, int]] = []
        self._acks = 0
        self._rings = 0
        self._is_caller_known = False
        self._wants_acks = True
        self.to_fetch = False
        """The modem's storage holds something for us."""
        self.late: LateResult | None = None
        """The final result of a submission that nobody waited for any more."""

    @property
    def is_waiting(self) -> bool:
        """Something must be fetched or acknowledged before the next message leaves."""
        return self.to_fetch or self._acks > 0

    def comes_from(self, imei: str, iccid: str, *, wants_acks: bool) -> None:
        """Who stands at the port now, and whether what it routes to us must be acknowledged (CSMS=1)."""
        self._identity = (imei, iccid)
        self._wants_acks = wants_acks

    def noticed(self, event: Event) -> None:
        """One thing the modem said unasked."""
        match event:
            case ReportArrived(pdu_hex=pdu) | MessageArrived(pdu_hex=pdu):
                self._routed.append(pdu)
                self.store_routed()
            case ReportStored(storage=storage, index=index):
                self._stored_reports.append((storage, index))
                self.fetch_soon()
            case MessageStored() | StorageFull():
                self.fetch_soon()
            case LateResult(tp_mr=tp_mr, fault=fault):
                if tp_mr is not None or fault is not None:  # a bare OK says nothing of how it ended
                    self.late = event
            case Ring(number=number):
                self._rings += 1
                self._is_caller_known = self._is_caller_known or number is not None
                self._missed_call(number)
            case Noise():
                log.debug("modem=%s noise", self._name)
            case _:
                pass

    def fetch_soon(self) -> None:
        """Fetch as soon as the line is free."""
        self.to_fetch = True
        self._poke()

    def store_routed(self) -> None:
        """Commit what the modem handed over without keeping a copy; while the disk is full it waits here, unacknowledged."""
        while self._routed:
            try:
                self._take_in(self._routed[0])
            except StoreUnavailable as error:
                log.error("modem=%s inbound=waits count=%d %s", self._name, len(self._routed), error)
                return
            del self._routed[0]
            self._acks += int(self._wants_acks)

    def acknowledge(self, modem: Modem) -> None:
        """Tell the network that what it routed to us is safe."""
        while self._acks:
            self._acks -= 1
            modem.acknowledge()

    def reject_call(self, modem: Modem) -> None:
        """Hang up on whoever rings (S18): once the number is known, or with the second ring, when it will not come any more."""
        if self._is_caller_known or self._rings > 1:
            self._rings, self._is_caller_known = 0, False
            modem.hang_up()

    def fetch(self, modem: Modem) -> None:
        """Sweep the modem's storage: commit each PDU, then delete it."""
        self.to_fetch = False
        reports, self._stored_reports = self._stored_reports, []
        for storage, index in reports:
            found = modem.fetch_one(index, storage)
            if found is not None:
                self._take_in(found.pdu_hex)
                modem.delete(index, storage)
        for stored in modem.fetch():
            if stored.status in (2, 3):
                continue  # a draft or a copy of something sent by another program: not ours to touch
            if stored.pdu_hex:
                self._take_in(stored.pdu_hex)
            modem.delete(stored.index, stored.storage)

    def _take_in(self, pdu_hex: str) -> None:
        """Commit a PDU, and in the same transaction make of it what it is."""
        imei, iccid = self._identity or self._last_identity()
        now = self._clock.now_ms()

        def keep(tx: Transaction) -> str:
            return store_raw(tx, gateway=self._gateway, imei=imei, iccid=iccid, pdu_hex=pdu_hex, now=now)

        try:
            self._database.transact(lambda tx: process(tx, keep(tx), self._desk, now))
        except StoreUnavailable:
            raise
        except Exception:  # a bug in a rule must not lose what a candidate wrote: raw now, and again by housekeeping
            log.exception("modem=%s inbound=unprocessed", self._name)
            self._database.transact(keep)

    def _missed_call(self, number: str | None) -> None:
        """Somebody rings: told as an event, never answered (S18). A call is worth no crash: what cannot be stored is logged."""
        log.info("modem=%s missed_call=%s", self._name, "known" if number else "hidden")
        _, iccid = self._identity or self._last_identity()
        now = self._clock.now_ms()
        try:
            self._database.transact(lambda tx: calls.rang(tx, iccid, number, self._desk.hash_number, now))
        except Exception:
            log.exception("modem=%s missed_call=unstored", self._name)

    def _last_identity(self) -> tuple[str, str]:
        """Before the first initialisation of this life: who stood at this post last."""
        with self._database.read() as view:
            row = view.one("SELECT imei, iccid FROM modem WHERE gateway = ? AND name = ?", self._gateway, self._name)
        return ("", "") if row is None else (row["imei"], row["iccid"])
