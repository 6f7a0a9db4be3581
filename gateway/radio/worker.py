"""One modem's thread: it owns the port, claims, sends and settles; `arrivals` takes in, `aftermath` clears up.

Nothing is written to a port whose modem may still be busy with a part of an earlier life; every part's intent is on disk before
its first byte leaves; the outcome of one part and the intent of the next share a commit (design.md §3.7, §4). A lost port, a
restarted modem or a busy SIM is normal life: the thread reopens, initialises again and goes on.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gateway import keys
from gateway.clock import Clock
from gateway.errors import LeaseLost
from gateway.flows import pins, settle, stations
from gateway.flows.claim import Claimed, Station, check_epoch, claim
from gateway.flows.endings import StateMoved
from gateway.flows.receive import Desk
from gateway.radio import commands
from gateway.radio.aftermath import Aftermath
from gateway.radio.arrivals import Arrivals
from gateway.radio.evidence import TRUST_AFTER, streak_after
from gateway.radio.pin_guard import OncePerCard
from gateway.rules.retry import after
from gateway.rules.routing import Lanes
from gateway.store.database import Database, Row, StoreUnavailable, Transaction
from gateway.store.parts import Part, parts_of
from modem import discovery
from modem.driver import Modem
from modem.errors import (
    CommandRefused,
    ModemError,
    ModemRestarted,
    ModemSilent,
    NotSent,
    OutcomeUnknown,
    PortLost,
    Rejected,
    SimProblem,
)
from modem.faults import Remedy
from modem.pdu import Address, Concat, Submit
from modem.profiles import named as profile_named
from modem.segments import Alphabet

log = logging.getLogger(__name__)

POLL_S = 1.0
GAUGE_S = 10.0
SWEEP_S = 60.0
REOPEN_S = 1.0
SIM_AGAIN_S = 10.0
SAMPLE_MS = 60_000
LONGEST_VALIDITY_MIN = 63 * 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Post:
    """Where a worker stands: the gateway's name and epoch, the configured modem, and how many of them there are."""

    gateway: str
    epoch: int
    name: str
    port: str
    imei: str | None
    dialect: str
    modems: int
    pin_files: dict[str, Path]
    own_key: bytes | None = None
    """Opens PINs that were typed on a page."""


@dataclass(slots=True)
class _OnAir:
    """The part that is leaving now, with the message it belongs to."""

    claimed: Claimed
    part: Part


class Worker(threading.Thread):
    """The thread of one modem. `poke` wakes it, `stop` ends it after the part that is on the air."""

    def __init__(self, post: Post, database: Database, clock: Clock, desk: Desk, *, on_failure: Callable[[], None]) -> None:
        super().__init__(name=f"modem-{post.name}", daemon=True)
        self.post = post
        self._database = database
        self._clock = clock
        self._desk = desk
        self._on_failure = on_failure
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._lanes = Lanes()
        self._chance = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._modem: Modem | None = None
        self._station: Station | None = None
        self._gap_ms = 0
        self._jitter_ms = 0
        self._spacing_ms = 0.0
        self._last_submit = float("-inf")
        self._streak = 0
        self._slowest_ms = 0
        self._reference: int | None = None  # what EF_SMSS stands at
        self._arrivals = Arrivals(post.name, post.gateway, database, clock, desk, self.poke)
        self._aftermath = Aftermath(post.gateway, post.name, database, clock, self._transact)
        self._no_network_until = float("-inf")
        self._next_gauge = float("-inf")
        self._silence_kept = False
        self._sampled_at = 0
        self._stable: str | None = None
        self.beat = clock.monotonic()
        """When the thread last came round; the watchdog looks at it."""

    # From other threads.

    def poke(self) -> None:
        """There may be work: look now."""
        os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """End after the part that is on the air."""
        self._stopping.set()
        self.poke()

    # The life of the thread.

    def run(self) -> None:
        """Open, initialise, serve; and again after whatever ends that, until stopped."""
        while not self._stopping.is_set():
            pause = REOPEN_S
            try:
                self._connect()
                self._serve()
            except LeaseLost as error:
                log.error("modem=%s %s", self.post.name, error)
                self._on_failure()
                return
            except SimProblem as error:
                self._set_state(
                    "sim", f"{error.kind.value}: {error.detail}", locked_iccid=error.iccid, pin_tries=error.tries_left
                )
                self._pause(SIM_AGAIN_S, unless=partial(self._has_fresh_pin, error.iccid))
                continue
            except PortLost as error:
                self._set_state("absent", error.reason)
            except ModemRestarted as error:
                self._set_state("starting", str(error))
                pause = 0.2
            except ModemError as error:
                self._set_state("silent", str(error))
                self._close()
            except StoreUnavailable as error:
                log.error("modem=%s %s", self.post.name, error)
            except (settle.IntentLost, StateMoved) as error:
                log.warning("modem=%s somebody_was_faster=%s", self.post.name, error)
                pause = 0.2
            except Exception:  # a bug: the process ends and is started again, rather than live on without this modem
                log.exception("modem=%s", self.post.name)
                self._on_failure()
                return
            self._pause(pause)
        self._close()
        self._database.close()

    def _pause(self, seconds: float, *, unless: Callable[[], bool] | None = None) -> None:
        """Wait without a port; a stop ends it at once, and so does what `unless` finds when somebody rings."""
        until = self._clock.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - self._clock.monotonic()) > 0:
            if self._clock.wait((self._bell,), left):
                self._hush()
                if unless is not None and unless():
                    break
        self.beat = self._clock.monotonic()

    def _hush(self) -> None:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            pass  # somebody else's ring was read with ours

    # Opening.

    def _connect(self) -> None:
        """Open the port, let an earlier life's submission end, initialise, resolve what it left, and sweep the storage."""
        modem = self._modem
        if modem is None or not modem.is_open:
            modem = self._open()
        self._modem = modem
        self._keep_silence(modem)
        restarted: bool | None = True
        if self._aftermath.unresolved():
            modem.reset_prompt()
            restarted = modem.restarted_since_init()
        identity = modem.start()
        self._reference = modem.last_reference()
        now = self._clock.now_ms()
        with self._database.write() as tx:
            check_epoch(tx, self.post.gateway, self.post.epoch)
            stations.sim_seen(tx, identity.iccid, identity.imsi, now)
            senders = stations.bind_sender(tx, identity.iccid, self.post.modems, now)
            memory = stations.sim_memory(tx, identity.iccid)
            stations.set_modem(
                tx,
                self.post.gateway,
                self.post.name,
                now,
                port=modem.port,
                imei=identity.imei,
                iccid=identity.iccid,
                imsi=identity.imsi,
                manufacturer=identity.manufacturer,
                model=identity.model,
                revision=identity.revision,
                smsc=identity.smsc,
                pin_tries=None,
                locked_iccid=None,
                state="ready",
                reason="",
                seen_at=now,
            )
        self._streak = memory.smss_streak if memory.smss_imei == identity.imei else 0
        self._slowest_ms = memory.slowest_ms
        self._station = Station(self.post.gateway, self.post.epoch, self.post.name, identity.imei, identity.iccid, ())
        self._take_senders(senders)
        self._arrivals.comes_from(identity.imei, identity.iccid, wants_acks=identity.acknowledges)
        self._aftermath.weigh_all(self._station, restarted, self._reference)
        self._transact(lambda tx, now: stations.requeue_strays(tx, self.post.gateway, self.post.epoch, self.post.name, now))
        self._arrivals.fetch(modem)

    def _take_senders(self, senders: Sequence[Row]) -> None:
        """The numbers that live on this card, and how far apart its messages must be; an administrator may change them."""
        assert self._station is not None
        self._gap_ms, self._jitter_ms = stations.pacing(senders)
        self._station = replace(self._station, sender_ids=tuple(sender["id"] for sender in senders))

    @property
    def _iccid(self) -> str:
        assert self._station is not None
        return self._station.iccid

    def _open(self) -> Modem:
        path = self.post.port
        self._silence_kept = False
        if self.post.port == "auto" or self.post.imei is not None:
            if needed := self._aftermath.silence_needed():  # asking ports for their IMEI writes to them
                self._pause(needed)
                self._silence_kept = True
            found = discovery.find(
                self.post.port, self.post.imei, lambda tty: discovery.ask_imei(tty, self._clock), known=self._stable
            )
            path, self._stable = found.path, found.stable
        profile = None if self.post.dialect == "auto" else profile_named(self.post.dialect)
        modem = Modem(
            path,
            clock=self._clock,
            on_event=self._arrivals.noticed,
            profile=profile,
            pin=self._pin,
            pin_guard=OncePerCard(self._transact),
        )
        modem.open()
        return modem

    def _keep_silence(self, modem: Modem) -> None:
        """Write nothing while a part may still be leaving: until its result is seen, or nobody can be speaking any more."""
        arrivals = self._arrivals
        arrivals.late = None
        needed = 0.2 if self._silence_kept else self._aftermath.silence_needed()
        left = self._aftermath.unresolved()
        if not left:
            return
        self._set_state("resolving", "an earlier submission may still be on the air")
        until = self._clock.monotonic() + needed
        while arrivals.late is None and not self._stopping.is_set() and (wait := until - self._clock.monotonic()) > 0:
            if modem.listen(wait, self._bell):
                self._hush()
        if arrivals.late is not None and len(left) == 1:
            self._aftermath.settle_late(left[0], arrivals.late)

    # Serving.

    def _serve(self) -> None:
        modem = self._modem
        assert modem is not None
        self._next_gauge = next_sweep = self._clock.monotonic()
        while not self._stopping.is_set():
            self.beat = mono = self._clock.monotonic()
            if modem.needs_start:
                raise ModemRestarted("idle", "settings lost")
            self._arrivals.store_routed()
            self._arrivals.acknowledge(modem)
            self._arrivals.reject_call(modem)
            if mono >= self._next_gauge:
                self._measure()
                self._next_gauge = mono + GAUGE_S
            if self._arrivals.to_fetch or mono >= next_sweep:
                self._arrivals.fetch(modem)
                next_sweep = self._clock.monotonic() + SWEEP_S
            self._aftermath.look_again(self._station, self.post.epoch)
            if commands.run_waiting(self._database, self._clock, self.post.gateway, self.post.name, modem):
                continue
            on_air = self._next(None)
            while on_air is not None:
                on_air = self._send(modem, on_air)
            if not self._arrivals.is_waiting and modem.listen(self._idle_s(), self._bell):
                self._hush()

    def _idle_s(self) -> float:
        """How long there is nothing to do: until a gauge, the end of a pause, or the next due message."""
        mono = self._clock.monotonic()
        wait = min(POLL_S, max(0.0, self._next_gauge - mono))
        gap = self._gap_left_s()
        if gap > 0:
            wait = min(wait, gap)
        station = self._station
        if station is not None and not self._is_paused():
            with self._database.read() as view:
                parked = stations.is_parked(view, station.gateway, station.modem)
                due = None if parked else stations.next_due(view, station.sender_ids)
            if due is not None:
                wait = min(wait, max(0.0, (due - self._clock.now_ms()) / 1000) + 0.001)
        return wait

    def _gap_left_s(self) -> float:
        return self._last_submit + self._spacing_ms / 1000 - self._clock.monotonic()

    def _is_busy(self) -> bool:
        """Something comes before the next message: a stop, a gauge, the storage, a pause."""
        if self._stopping.is_set() or self._arrivals.is_waiting:
            return True
        return self._is_paused() or self._clock.monotonic() >= self._next_gauge

    def _is_paused(self) -> bool:
        return self._gap_left_s() > 0 or self._clock.monotonic() < self._no_network_until

    def _next(self, finish: Callable[[Transaction, int], object] | None) -> _OnAir | None:
        """Commit `finish` (the outcome of the last part) together with the claim and intent of what leaves next."""
        station = self._station
        assert station is not None
        may_claim = bool(station.sender_ids) and not self._is_busy()
        if finish is None:
            if not may_claim:
                return None
            with self._database.read() as view:
                parked = stations.is_parked(view, station.gateway, station.modem)
                due = stations.next_due(view, station.sender_ids)
            if parked or due is None or due > self._clock.now_ms():
                return None

        def step(tx: Transaction) -> _OnAir | None:
            now = self._clock.now_ms()
            check_epoch(tx, station.gateway, station.epoch)
            if finish is not None:
                finish(tx, now)
            if not may_claim or stations.is_parked(tx, station.gateway, station.modem):
                return None
            claimed = claim(tx, station, self._lanes.order(), now)
            return None if claimed is None else self._intend(tx, claimed, claimed.parts[0], now)

        on_air = self._database.transact(step)
        if on_air is not None:
            self._lanes.took()
        return on_air

    def _intend(self, tx: Transaction, claimed: Claimed, part: Part, now: int) -> _OnAir:
        station = self._station
        assert station is not None
        reference = part.reference
        if part.total > 1 and reference is None:
            known = [other.reference for other in parts_of(tx, part.message_id) if other.reference is not None]
            reference = known[0] if known else settle.next_reference(tx, station.iccid)
        trusted = self._streak >= TRUST_AFTER and self._reference is not None
        settle.intend(tx, part, station, reference=reference, baseline=self._reference, trusted=trusted, now=now)
        return _OnAir(claimed, replace(part, reference=reference, attempt=part.attempt + 1, state="submitting"))

    # Sending one part.

    def _send(self, modem: Modem, on_air: _OnAir) -> _OnAir | None:
        """Send a part and commit what became of it; the next part to send, if any."""
        part = on_air.part
        tpdu = self._tpdu(on_air)
        try:
            submitted = modem.submit(tpdu, more=part.number < part.total)
        except NotSent as error:
            log.warning("message=%s part=%d not_sent=%s", part.message_id, part.number, error)
            self._transact(lambda tx, now: settle.returned(tx, part, now, delay_ms=1000, reason=None))
            if modem.is_open and not modem.needs_start:
                modem.probe()
            raise_for(modem)
            return None
        except Rejected as error:
            return self._refused(modem, on_air, error)
        except OutcomeUnknown as error:
            self._unsure(modem, part, error)
            return None
        finally:
            self._last_submit = self._clock.monotonic()
            self._spacing_ms = self._gap_ms + self._chance.random() * self._jitter_ms
        return self._taken(modem, on_air, submitted.tp_mr)

    def _tpdu(self, on_air: _OnAir) -> bytes:
        part, message = on_air.part, on_air.claimed.message
        concat = None
        if part.total > 1:
            assert part.reference is not None
            concat = Concat(part.reference, part.total, part.number, 8)
        minutes = max(5, min((message["valid_until"] - self._clock.now_ms()) // 60_000, LONGEST_VALIDITY_MIN))
        submit = Submit(
            Address.parse(message["address"]), part.text, Alphabet(part.alphabet), concat=concat, validity_min=minutes
        )
        return submit.encode()

    def _taken(self, modem: Modem, on_air: _OnAir, tp_mr: int) -> _OnAir | None:
        """The network took the part: settle it, and commit the next intent with it."""
        station = self._station
        assert station is not None
        part = on_air.part
        memory = self._learn(modem, station, tp_mr)

        def finish(tx: Transaction, now: int) -> None:
            if memory:
                stations.remember_sim(tx, station.iccid, **memory)
            settle.sent(tx, part, tp_mr, now)

        rest = [other for other in on_air.claimed.parts if other.number > part.number]
        if not rest:
            return self._next(finish)

        def step(tx: Transaction) -> _OnAir:
            now = self._clock.now_ms()
            check_epoch(tx, station.gateway, station.epoch)
            finish(tx, now)
            return self._intend(tx, on_air.claimed, replace(rest[0], reference=part.reference), now)

        return self._database.transact(step)

    def _learn(self, modem: Modem, station: Station, tp_mr: int) -> dict[str, object]:
        """Compare EF_SMSS with the reference just given, and note how slow the modem was; what the card's row must keep."""
        streak, slowest = self._streak, self._slowest_ms
        if self._reference is not None:
            try:
                self._reference = modem.last_reference()
            except ModemError:
                self._reference = None  # the part is settled first; the next command meets the trouble again
            self._streak = streak_after(streak, self._reference, tp_mr)
        self._slowest_ms = max(slowest, int(modem.slowest_submission_s * 1000))
        if self._streak == streak and self._slowest_ms <= slowest * 1.2:
            return {}
        return {"smss_streak": self._streak, "smss_imei": station.imei, "slowest_ms": self._slowest_ms}

    def _refused(self, modem: Modem, on_air: _OnAir, error: Rejected) -> _OnAir | None:
        part, fault = on_air.part, error.fault
        log.info("message=%s part=%d refused=%s remedy=%s", part.message_id, part.number, fault.code, fault.remedy)
        if fault.remedy is Remedy.ACCEPTED:  # a duplicate of what it already has (TP-RD): taken, but without a reference
            return self._next(lambda tx, now: settle.sent(tx, part, None, now))
        verdict = after(fault, part.attempt, self._chance.random())
        self._reference = self._reread(modem)
        if fault.remedy is Remedy.HOLD:
            self._no_network_until = self._clock.monotonic() + 5.0
        if fault.empty_storage:
            self._arrivals.fetch_soon()
        name, gateway = self.post.name, self.post.gateway

        def finish(tx: Transaction, now: int) -> None:
            settle.refused(tx, part, verdict, str(fault), now)
            if fault.remedy is Remedy.PARK_SIM:
                stations.park(tx, gateway, name, str(fault), now)

        following = self._next(finish)
        if fault.remedy is Remedy.MODEM and following is None:
            modem.start()
        return following

    def _unsure(self, modem: Modem, part: Part, error: OutcomeUnknown) -> None:
        """It may have left: look for proof; without any, wait for a report."""
        log.warning("message=%s part=%d outcome_unknown=%s", part.message_id, part.number, error)
        if not modem.is_open or modem.needs_start:
            raise_for(modem)
        restarted = modem.restarted_since_init()
        self._reference = self._reread(modem)
        assert self._station is not None
        self._aftermath.weigh_all(self._station, restarted, self._reference)

    def _reread(self, modem: Modem) -> int | None:
        try:
            return modem.last_reference() if modem.is_open and not modem.needs_start else self._reference
        except (ModemSilent, ModemRestarted, PortLost):
            return None

    # Telling.

    def _measure(self) -> None:
        """Signal, registration and operator to the store, every 10 s."""
        modem = self._modem
        assert modem is not None
        try:
            signal, registration = modem.signal(), modem.registration()
            operator = modem.network() if registration.is_registered else ""
        except CommandRefused as error:
            log.debug("modem=%s gauge=%s", self.post.name, error)
            return
        now = self._clock.now_ms()
        if registration.is_registered:
            self._no_network_until = float("-inf")
        sample = now - self._sampled_at >= SAMPLE_MS
        if sample:
            self._sampled_at = now

        def step(tx: Transaction, now: int) -> None:
            self._take_senders(stations.bind_sender(tx, self._iccid, self.post.modems, now))
            stations.set_modem(
                tx,
                self.post.gateway,
                self.post.name,
                now,
                signal_dbm=signal.dbm,
                registration=_REGISTRATION.get(registration.stat, str(registration.stat)),
                technology=registration.technology or "",
                operator=operator or "",
                seen_at=now,
            )
            if sample:
                row_id = stations.modem_id(tx, self.post.gateway, self.post.name, now)
                tx.insert("signal_sample", modem_id=row_id, at=now, dbm=signal.dbm)

        self._transact(step)

    def _set_state(self, state: str, reason: str, **columns: object) -> None:
        told = {"state": state, "reason": reason, **columns}
        try:
            self._transact(lambda tx, now: stations.set_modem(tx, self.post.gateway, self.post.name, now, **told))
        except (StoreUnavailable, LeaseLost) as error:
            log.error("modem=%s state=%s not_stored=%s", self.post.name, state, error)

    def _transact(self, step: Callable[[Transaction, int], object]) -> None:
        """A short write transaction of this gateway's own epoch."""

        def checked(tx: Transaction) -> object:
            check_epoch(tx, self.post.gateway, self.post.epoch)
            return step(tx, self._clock.now_ms())

        self._database.transact(checked)

    def _pin(self, iccid: str | None) -> str | None:
        """The PIN for this very card: the one last typed on a page, else the configured one."""
        with self._database.read() as view:
            sealed = None if iccid is None else pins.sealed_for(view, iccid, self.post.gateway)
        if sealed is not None and self.post.own_key is not None:
            try:
                return keys.unseal_own(self.post.own_key, sealed)
            except keys.NotSealedHere as error:
                log.error("modem=%s pin=unreadable %s", self.post.name, error)
        file = self.post.pin_files.get(iccid or "")
        return None if file is None else file.read_text().strip()

    def _has_fresh_pin(self, iccid: str | None) -> bool:
        """Whether somebody has typed a PIN for the card that was found locked."""
        try:
            with self._database.read() as view:
                return iccid is not None and pins.is_fresh(view, iccid)
        except StoreUnavailable:
            return False

    def _close(self) -> None:
        self._station = None
        if self._modem is not None:
            with closing(self._modem):
                self._modem = None


_REGISTRATION = {0: "off", 1: "home", 2: "searching", 3: "denied", 4: "unknown", 5: "roaming", 6: "home", 7: "roaming"}


def raise_for(modem: Modem) -> None:
    """Let the outer loop reopen or initialise again where the modem needs it."""
    if not modem.is_open:
        raise PortLost(modem.port, "lost during a submission")
    if modem.needs_start:
        raise ModemRestarted("AT+CMGS", "restarted during a submission")
