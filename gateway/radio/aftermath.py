"""Parts whose outcome nobody saw: how long to be silent, what is proved, and when to call them unknown (design.md §4)."""

import logging
import random
from collections.abc import Callable

from gateway.clock import Clock
from gateway.flows import settle, stations
from gateway.flows.claim import Station
from gateway.radio.evidence import REPORT_WAIT_S, SILENCE_MAX_S, Evidence, Verdict, moved_to, silence_s, weigh
from gateway.rules.retry import after
from gateway.store.database import Database, Transaction
from gateway.store.parts import Part, parts_on_air
from modem.events import LateResult

log = logging.getLogger(__name__)

Transact = Callable[[Callable[[Transaction, int], object]], None]
_LONG_AGO_S = 0.5


class Aftermath:
    """The open parts of one modem, over all its lives. `transact` runs a step in a transaction of the worker's epoch."""

    def __init__(self, gateway: str, modem: str, database: Database, clock: Clock, transact: Transact) -> None:
        self._gateway = gateway
        self._modem = modem
        self._database = database
        self._clock = clock
        self._transact = transact
        self._chance = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._awaited: dict[tuple[str, int], float] = {}

    def unresolved(self) -> list[Part]:
        """Parts this modem left on the air that nobody has weighed yet."""
        with self._database.read() as view:
            return [part for part in parts_on_air(view, self._gateway, self._modem) if part.error is None]

    def silence_needed(self) -> float:
        """For how many seconds nothing may be written to the port; 0 when nothing was left on the air."""
        left = self.unresolved()
        if not left:
            return 0.0
        with self._database.read() as view:
            slowest = max(stations.sim_memory(view, part.iccid or "").slowest_ms for part in left)
        needed = silence_s(slowest)
        age_s = (self._clock.now_ms() - max(part.submitted_at or 0 for part in left)) / 1000
        return _LONG_AGO_S if age_s > SILENCE_MAX_S + needed else needed  # then only what waits in the tty is read

    def settle_late(self, part: Part, result: LateResult) -> None:
        """The final result of the one part left on the air, heard after all; a report may have been faster."""
        try:
            self._settle(part, result)
        except settle.IntentLost:
            log.info("message=%s part=%d already_settled", part.message_id, part.number)

    def _settle(self, part: Part, result: LateResult) -> None:
        if result.tp_mr is not None:
            self._transact(lambda tx, now: settle.sent(tx, part, result.tp_mr, now))
        elif result.fault is not None and not result.fault.may_have_been_sent:
            fault = result.fault
            verdict = after(fault, max(part.attempt, 1), self._chance.random())
            self._transact(lambda tx, now: settle.refused(tx, part, verdict, str(fault), now))

    def weigh_all(self, station: Station, restarted: bool | None, reference_now: int | None) -> None:
        """Weigh the evidence for every open part of this modem and its card; those without proof wait for a report."""
        with self._database.read() as view:
            parts = parts_on_air(view, station.gateway, station.modem, station.iccid)
        for part in parts:
            if part.error is None and self._is_proved_unsent(part, station, restarted, reference_now):
                continue
            self._awaited.setdefault((part.message_id, part.number), self._clock.monotonic() + REPORT_WAIT_S)

    def _is_proved_unsent(self, part: Part, station: Station, restarted: bool | None, reference_now: int | None) -> bool:
        evidence = Evidence(
            baseline=part.smss_baseline,
            trusted=part.smss_trusted,
            same_stick_and_card=(part.imei, part.iccid) == (station.imei, station.iccid),
            restarted=restarted,
            reference_now=reference_now,
        )
        verdict = weigh(evidence)
        log.warning("message=%s part=%d evidence=%s", part.message_id, part.number, verdict)
        if verdict is Verdict.NEVER_LEFT:
            self._transact(lambda tx, now: settle.returned(tx, part, now))
            return True
        self._transact(lambda tx, now: settle.await_report(tx, part, moved_to(evidence), now))
        return False

    def look_again(self, station: Station | None, epoch: int) -> None:
        """Parts that wait for a report: proved sent meanwhile, or unknown when they waited long enough."""
        if not self._awaited or station is None:
            return
        with self._database.read() as view:
            on_air = parts_on_air(view, station.gateway, station.modem, station.iccid)
        waiting = {(part.message_id, part.number): part for part in on_air}
        for key, until in list(self._awaited.items()):
            part = waiting.get(key)
            if part is not None and self._clock.monotonic() < until:
                continue
            del self._awaited[key]
            if part is None:  # a report proved it sent: what is left of its message goes on
                self._transact(lambda tx, now: stations.requeue_strays(tx, station.gateway, epoch, station.modem, now))
            else:
                self._give_up(part)

    def _give_up(self, part: Part) -> None:
        self._transact(lambda tx, now: settle.unknown(tx, part, "no_proof", now))
