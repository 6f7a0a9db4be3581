"""Webhooks: tells every endpoint what happened, at least once, in order per stream, signed (Standard Webhooks).

One dispatcher thread reads and writes the store; each endpoint has a lane of a few threads that only talk HTTP, so that
a slow endpoint delays nobody else and no transaction ever waits for the network:

    event ──fan out──▶ delivery 'waiting' ──lane──▶ result ──settle, in batches──▶ 'delivered' | later | 'dead'

- Order: only the first waiting delivery of a stream may leave; a lane takes up to a run of them one after another.
- Retry: after 1 s, 5 s, 30 s, 2 min … with jitter, for 72 h; then it is dead, frees its stream, and can be replayed.
- Breaker: when several streams in a row fail, the endpoint is left alone; then one probe at a time, until one succeeds.
- A crash between sending and settling sends again, with the same webhook-id: receivers drop what they have seen.

Refuses to know: what the events mean.
"""

import base64
import hashlib
import hmac
import json
import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.clock import Clock, rfc3339
from gateway.flows.endpoints import TEST_TYPE, open_secret
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction, View

if TYPE_CHECKING:
    from gateway.outward.http import Answer

log = logging.getLogger(__name__)

RETRY_S = (1, 5, 30, 120, 600, 1800, 3600, 7200, 14400)
GIVE_UP_MS = 72 * 3600 * 1000
POLL_S = 5.0
"""A lost nudge costs no more than this."""
LOCK = 0x52_50_484F_4F4B  # "RPHOOK": on PostgreSQL one dispatcher of the fleet works at a time

_THREADS = 4  # per endpoint
_LANE = 64  # streams given to a lane at once
_RUN = 20  # deliveries of one stream sent before their results are committed
_PAGE = 500  # events fanned out in one transaction
_BREAK_AFTER = 5  # different streams failed since the last success
_PAUSE_MS = (30_000, 900_000)
_SWEEP_MS = 60_000
_SETTLE_S = 0.25  # while a lane is busy its results are gathered for so long
_LONGEST_RETRY_AFTER_S = 3600.0


def sign(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """The signature `v1,<base64 HMAC-SHA256 of id.timestamp.body>` (Standard Webhooks, "Signature scheme")."""
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def envelope(kind: str, at: int, data: str) -> bytes:
    """The body that is sent; `data` is JSON already. The same bytes on every try."""
    return f'{{"type":{json.dumps(kind)},"timestamp":"{rfc3339(at)}","data":{data}}}'.encode()


def retry_after_ms(attempts: int, chance: random.Random, asked_s: float | None = None) -> int:
    """How long to wait after so many failed attempts (1 or more): the table, ±20 %, and what the endpoint asked for."""
    base = RETRY_S[min(attempts, len(RETRY_S)) - 1]
    wait = base * chance.uniform(0.8, 1.2)
    return round(1000 * max(wait, min(asked_s or 0.0, _LONGEST_RETRY_AFTER_S)))


@dataclass(frozen=True)
class _Letter:
    delivery_id: str
    event_id: str
    attempts: int
    first_at: int
    body: bytes


@dataclass(frozen=True)
class _Job:
    stream: str
    url: str
    keys: tuple[bytes, ...]
    letters: Sequence[_Letter]


@dataclass(frozen=True)
class _Result:
    endpoint_id: str
    stream: str
    letter: _Letter
    answer: "Answer"

    @property
    def accepted(self) -> bool:
        return self.answer.status is not None and 200 <= self.answer.status < 300


class _Lane:
    """The few threads that talk to one endpoint. They end by themselves when there is nothing to say."""

    _LINGER_S = 2.0

    def __init__(self, endpoint_id: str, outbox: "_Outbox") -> None:
        self.endpoint_id = endpoint_id
        self.streams: set[str] = set()
        """Streams in the lane or with results not yet committed: touched by the dispatcher's thread only."""
        self.failed: set[str] = set()
        """Streams that failed since the last success."""
        self.after = ""
        """Streams take turns: the last one given to the lane."""
        self._outbox = outbox
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._pending = 0

    def put(self, job: _Job) -> None:
        self.streams.add(job.stream)
        with self._lock:
            self._pending += 1
            self._jobs.put(job)
            if self._threads < min(_THREADS, self._pending):
                self._threads += 1
                threading.Thread(target=self._work, name=f"webhook-{self.endpoint_id[-6:]}", daemon=True).start()

    def withdraw(self) -> None:
        """Take back what no thread has begun."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                self._pending -= 1
            self._outbox.leave(self.endpoint_id, job.stream)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._LINGER_S)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            try:
                self._outbox.send(self.endpoint_id, job)
            finally:
                with self._lock:
                    self._pending -= 1
                    hungry = self._pending < _THREADS
                self._outbox.leave(self.endpoint_id, job.stream, ring=hungry)


class _Outbox:
    """Sends, and gathers results until the dispatcher commits them."""

    def __init__(self, clock: Clock, bell: threading.Event) -> None:
        self._clock = clock
        self._bell = bell
        self.closed = False
        self.results: deque[_Result] = deque()
        self.left: deque[tuple[str, str]] = deque()
        """Streams that have left their lane. A stream's results stand in `results` before it stands here."""
        self.idle = threading.Condition()

    def send(self, endpoint_id: str, job: _Job) -> None:
        for letter in job.letters:
            if self.closed:
                return
            result = _Result(endpoint_id, job.stream, letter, self._post(endpoint_id, job, letter))
            self.results.append(result)
            if not result.accepted:
                return

    def _post(self, endpoint_id: str, job: _Job, letter: _Letter) -> "Answer":
        from gateway.outward import http

        timestamp = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": letter.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(key, letter.event_id, timestamp, letter.body) for key in job.keys),
        }
        try:
            return http.post(job.url, letter.body, headers)
        except Exception as error:  # one endpoint's odd answer must not end the lane; the delivery shows it
            log.exception("webhook delivery=%s endpoint=%s", letter.delivery_id, endpoint_id)
            return http.Answer(None, f"{type(error).__name__}: {error}"[:200])

    def leave(self, endpoint_id: str, stream: str, *, ring: bool = True) -> None:
        """A stream has left its lane; the dispatcher is woken if that lane will soon have nothing to do."""
        with self.idle:
            self.left.append((endpoint_id, stream))
            self.idle.notify_all()
        if ring:
            self._bell.set()


@dataclass
class _Endpoint:
    """What the dispatcher needs of an endpoint's row."""

    id: str
    organisation_id: str
    url: str
    events: frozenset[str]
    keys: tuple[bytes, ...]
    cursor: int
    failing_since: int | None
    paused_until: int | None

    def wants(self, event: Row) -> bool:
        if event["type"] == TEST_TYPE:
            return bool(event["stream"] == self.id)
        return "*" in self.events or event["type"] in self.events


@dataclass
class _Tally:
    """What a batch of results says about one endpoint."""

    gone: bool = False
    dead: list[str] = field(default_factory=list)


class Dispatcher:
    """The webhook thread of the gateway process: `run` it, `nudge` it after commits that made events.

    `seal_key` is the Fernet key that opens the endpoints' secrets. On PostgreSQL any number of gateways may run one
    each: a session's advisory lock lets one work, and another takes over when that one's connection ends.
    """

    def __init__(self, database: Database, clock: Clock, seal_key: bytes, *, chance: random.Random | None = None) -> None:
        self._database = database
        self._clock = clock
        self._seal_key = seal_key
        self._chance = chance or random.Random()  # noqa: S311  # jitter
        self._bell = threading.Event()
        self._outbox = _Outbox(clock, self._bell)
        self._lanes: dict[str, _Lane] = {}
        self._opened: dict[str, bytes] = {}
        self._swept = 0

    def nudge(self) -> None:
        """There may be something to tell (or, with `stop` set, it is time to end). From any thread."""
        self._bell.set()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, seen at the next nudge or within 5 s. What is on the air then may be sent again."""
        try:
            while not stop.is_set():
                self._bell.clear()
                wait_s = POLL_S
                try:
                    now = self._clock.now_ms()
                    self._settle(now)
                    due = self._start(now)
                    if due is not None:
                        wait_s = min(POLL_S, max(0, due - self._clock.now_ms()) / 1000)
                    if any(lane.streams for lane in self._lanes.values()):
                        wait_s = min(wait_s, _SETTLE_S)
                except Exception:  # a full disk or a restarting server must not end the thread: results wait here
                    log.exception("webhooks pause for %g s", POLL_S)
                    self._bell.clear()
                self._bell.wait(self._clock.real_seconds(wait_s))
            self._stop()
        finally:
            self._outbox.closed = True
            self._database.close()

    def turn(self, now: int) -> int:
        """One round with everything waited for: fan out, send what is due, commit the results; how many were sent."""
        self._settle(now)
        self._start(now)
        self._wait_for_lanes(None)
        return self._settle(now)

    def _stop(self) -> None:
        self._outbox.closed = True
        for lane in self._lanes.values():
            lane.withdraw()
        self._wait_for_lanes(2.0)
        self._settle(self._clock.now_ms())

    def _wait_for_lanes(self, timeout_s: float | None) -> None:
        with self._outbox.idle:
            busy = sum(len(lane.streams) for lane in self._lanes.values())
            self._outbox.idle.wait_for(lambda: len(self._outbox.left) >= busy, timeout_s)

    # Telling what is due

    def _start(self, now: int) -> int | None:
        """Fan out and fill the lanes; when to look again, None if nothing waits."""
        with self._database.read() as view:
            if self._database.is_postgresql and not view.value("SELECT pg_try_advisory_lock(?)", LOCK):
                return None
            endpoints = [self._endpoint(row, now) for row in view.all("SELECT * FROM endpoint WHERE active = 1 ORDER BY id")]
            head = view.value("SELECT MAX(position) FROM event") or 0 if endpoints else 0
        self._forget_lanes({endpoint.id for endpoint in endpoints})
        if not endpoints:
            return None
        while any(endpoint.cursor < head for endpoint in endpoints):
            self._fan_out(endpoints, head, now)
        if any(endpoint.paused_until is not None for endpoint in endpoints) and now - self._swept >= _SWEEP_MS:
            self._sweep(endpoints, now)
        with self._database.read() as view:
            for endpoint in endpoints:
                self._fill_lane(view, endpoint, now)
            return self._next_due(view, endpoints, now)

    def _endpoint(self, row: Row, now: int) -> _Endpoint:
        sealed = [row["secret_sealed"]]
        if row["old_secret_sealed"] is not None and (row["old_secret_until"] or 0) > now:
            sealed.append(row["old_secret_sealed"])
        return _Endpoint(
            row["id"],
            row["organisation_id"],
            row["url"],
            frozenset(json.loads(row["events"])),
            tuple(key for key in map(self._key, sealed) if key),
            row["cursor"],
            row["failing_since"],
            row["paused_until"],
        )

    def _key(self, sealed: str) -> bytes:
        key = self._opened.get(sealed)
        if key is None:
            try:
                key = open_secret(sealed, self._seal_key)
            except ValueError as error:  # said once; this endpoint waits, the others go on
                log.error("webhook secret cannot be opened, rotate it: %s", error)
                key = b""
            self._opened[sealed] = key
        return key

    def _forget_lanes(self, active: set[str]) -> None:
        for endpoint_id, lane in list(self._lanes.items()):
            if endpoint_id not in active:
                lane.withdraw()
                if not lane.streams:
                    del self._lanes[endpoint_id]

    def _fan_out(self, endpoints: Sequence[_Endpoint], head: int, now: int) -> None:
        """Make deliveries of one page of events per endpoint and move its cursor, all in one transaction."""

        def step(tx: Transaction) -> dict[str, int]:
            cursors = {}
            for endpoint in endpoints:
                if endpoint.cursor >= head:
                    continue
                until = min(endpoint.cursor + _PAGE, head)
                moved = tx.execute(
                    "UPDATE endpoint SET cursor = ? WHERE id = ? AND cursor = ?", until, endpoint.id, endpoint.cursor
                )
                cursors[endpoint.id] = until
                if not moved:  # deleted in the meantime, or another dispatcher was faster
                    continue
                for event in tx.all(
                    "SELECT id, position, type, stream FROM event WHERE position > ? AND position <= ?"
                    " AND (organisation_id = ? OR organisation_id IS NULL) ORDER BY position",
                    endpoint.cursor,
                    until,
                    endpoint.organisation_id,
                ):
                    if endpoint.wants(event):
                        tx.insert(
                            "delivery",
                            id=ids.new("dlv"),
                            endpoint_id=endpoint.id,
                            event_id=event["id"],
                            position=event["position"],
                            stream=event["stream"],
                            state="waiting",
                            next_at=now,
                            first_at=now,
                        )
            return cursors

        cursors = self._database.transact(step)
        for endpoint in endpoints:
            endpoint.cursor = cursors.get(endpoint.id, endpoint.cursor)

    def _fill_lane(self, view: View, endpoint: _Endpoint, now: int) -> None:
        if not endpoint.keys:
            return  # nothing leaves unsigned
        lane = self._lanes.get(endpoint.id)
        if lane is None:
            lane = self._lanes[endpoint.id] = _Lane(endpoint.id, self._outbox)
        probe = endpoint.paused_until is not None
        if probe and (now < (endpoint.paused_until or 0) or lane.streams):
            return
        room = 1 if probe else _LANE - len(lane.streams)
        # A probe need not be due: when the endpoint is back, nobody should wait for an old backoff to end.
        for stream in self._due_streams(view, endpoint.id, lane, 2**62 if probe else now, room):
            letters = _letters(view, endpoint.id, stream, probe)
            if letters:
                lane.after = stream
                lane.put(_Job(stream, endpoint.url, endpoint.keys, letters))

    def _due_streams(self, view: View, endpoint_id: str, lane: _Lane, due: int, room: int) -> list[str]:
        if room <= 0:
            return []
        found: list[str] = []
        for start in dict.fromkeys((lane.after, "")):
            rows = view.all(_DUE_STREAMS, endpoint_id, start, endpoint_id, endpoint_id, due, _LANE + room)
            fresh = (row["stream"] for row in rows)
            found += [stream for stream in fresh if stream not in lane.streams and stream not in found]
            if len(found) >= room:
                break
        return found[:room]

    def _next_due(self, view: View, endpoints: Iterable[_Endpoint], now: int) -> int | None:
        retry = view.value("SELECT MIN(next_at) FROM delivery WHERE state = 'waiting' AND next_at > ?", now)
        probes = [endpoint.paused_until for endpoint in endpoints if (endpoint.paused_until or 0) > now]
        moments = [moment for moment in (retry, *probes) if moment is not None]
        return min(moments) if moments else None

    # Keeping the results

    def _settle(self, now: int) -> int:
        """Commit the results so far in one transaction, then let their streams go on; how many results."""
        left = len(self._outbox.left)  # first: whatever a stream sent before it left is among the results then
        results = list(self._outbox.results)
        if results:
            broken = self._database.transact(lambda tx: self._write(tx, results, now))
            for _ in results:
                self._outbox.results.popleft()
            for endpoint_id in broken:
                self._lanes[endpoint_id].withdraw()
        for _ in range(left):
            endpoint_id, stream = self._outbox.left.popleft()
            if endpoint_id in self._lanes:
                self._lanes[endpoint_id].streams.discard(stream)
        return len(results)

    def _write(self, tx: Transaction, results: Sequence[_Result], now: int) -> list[str]:
        """The endpoints that are left alone from now on."""
        by_endpoint: dict[str, list[_Result]] = {}
        for result in results:
            by_endpoint.setdefault(result.endpoint_id, []).append(result)
        broken = []
        for endpoint_id in sorted(by_endpoint):
            row = tx.one("SELECT * FROM endpoint WHERE id = ?" + tx.for_update, endpoint_id)
            if row is not None and self._write_endpoint(tx, row, by_endpoint[endpoint_id], now):
                broken.append(endpoint_id)
        return broken

    def _write_endpoint(self, tx: Transaction, row: Row, results: Sequence[_Result], now: int) -> bool:
        endpoint_id, failed = row["id"], set(self._lanes[row["id"]].failed)
        failing_since, paused_until = row["failing_since"], row["paused_until"]
        tally = _Tally()
        for result in results:
            self._write_delivery(tx, result, tally, now)
            if result.accepted:
                failed.clear()
                failing_since = paused_until = None
                continue
            failed.add(result.stream)
            failing_since = failing_since if failing_since is not None else now
            if paused_until is not None or len(failed) >= _BREAK_AFTER:
                paused_until = now + self._pause_ms(now - failing_since)
        self._lanes[endpoint_id].failed = failed
        if (failing_since, paused_until) != (row["failing_since"], row["paused_until"]):
            tx.execute(
                "UPDATE endpoint SET failing_since = ?, paused_until = ? WHERE id = ?",
                failing_since,
                paused_until,
                endpoint_id,
            )
        if row["paused_until"] is not None and paused_until is None:
            log.info("webhook endpoint=%s is back", endpoint_id)
            tx.execute(
                "UPDATE delivery SET next_at = ? WHERE endpoint_id = ? AND state = 'waiting' AND next_at > ?",
                now,
                endpoint_id,
                now,
            )
        if tally.dead:
            facts = {"deliveries": len(tally.dead), "first": tally.dead[0]}
            tx.audit(now, "gateway:webhooks", "webhook.fail", endpoint_id, facts)
        if tally.gone and row["active"]:
            log.warning("webhook endpoint=%s answered 410 Gone and was switched off", endpoint_id)
            tx.execute("UPDATE endpoint SET active = 0 WHERE id = ?", endpoint_id)
            tx.audit(now, "gateway:webhooks", "webhook.disable", endpoint_id, {"reason": "410 Gone"})
        if paused_until is not None and row["paused_until"] is None:
            log.warning("webhook endpoint=%s failing, paused for %d s", endpoint_id, (paused_until - now) // 1000)
        return paused_until is not None or tally.gone

    def _write_delivery(self, tx: Transaction, result: _Result, tally: _Tally, now: int) -> None:
        letter, answer = result.letter, result.answer
        attempts = letter.attempts + 1
        if result.accepted:
            state, next_at, done_at = "delivered", now, now
        elif answer.status != 410 and now - letter.first_at >= GIVE_UP_MS:
            state, next_at, done_at = "dead", now, now
            tally.dead.append(letter.delivery_id)
        else:
            next_at = now + retry_after_ms(attempts, self._chance, answer.retry_after_s)
            # The last try falls on the last minute: without this a delivery would hang on for up to four hours more.
            state, next_at, done_at = "waiting", max(now + 1, min(next_at, letter.first_at + GIVE_UP_MS)), None
        tx.execute(
            "UPDATE delivery SET state = ?, attempts = ?, next_at = ?, done_at = ?, answer = ?"
            " WHERE id = ? AND state = 'waiting'",
            state,
            attempts,
            next_at,
            done_at,
            answer.reason,
            letter.delivery_id,
        )
        log.log(
            logging.DEBUG if result.accepted else logging.INFO,
            "webhook delivery=%s endpoint=%s attempt=%d answer=%r state=%s",
            letter.delivery_id,
            result.endpoint_id,
            attempts,
            answer.reason,
            state,
        )
        tally.gone = tally.gone or answer.status == 410

    def _pause_ms(self, failing_ms: int) -> int:
        """A quarter of the time it has failed for, between 30 s and 15 min: no counter, so a restart forgets nothing."""
        least, most = _PAUSE_MS
        return round(min(max(failing_ms / 4, least), most) * self._chance.uniform(0.8, 1.2))

    def _sweep(self, endpoints: Sequence[_Endpoint], now: int) -> None:
        """Bury what an endpoint that is down has not been offered within 72 h: its probes failed on behalf of all."""
        self._swept = now

        def step(tx: Transaction) -> None:
            for endpoint in endpoints:
                if endpoint.paused_until is None or now - (endpoint.failing_since or now) < GIVE_UP_MS:
                    continue  # not down: each delivery gets a try of its own
                count = tx.execute(
                    "UPDATE delivery SET state = 'dead', done_at = ?, answer = COALESCE(answer, 'endpoint down')"
                    " WHERE endpoint_id = ? AND state = 'waiting' AND first_at <= ?",
                    now,
                    endpoint.id,
                    now - GIVE_UP_MS,
                )
                if count:
                    tx.audit(now, "gateway:webhooks", "webhook.fail", endpoint.id, {"deliveries": count})

        self._database.transact(step)


_DUE_STREAMS = """
WITH RECURSIVE head(stream) AS (
    SELECT MIN(stream) FROM delivery WHERE endpoint_id = ? AND state = 'waiting' AND stream > ?
    UNION ALL
    SELECT (SELECT MIN(stream) FROM delivery WHERE endpoint_id = ? AND state = 'waiting' AND stream > head.stream)
    FROM head WHERE head.stream IS NOT NULL)
SELECT stream FROM head WHERE stream IS NOT NULL AND (
    SELECT next_at FROM delivery WHERE endpoint_id = ? AND state = 'waiting' AND stream = head.stream
    ORDER BY position LIMIT 1) <= ?
LIMIT ?"""
"""Streams whose first waiting delivery is due: hops along the index from one stream to the next."""


def _letters(view: View, endpoint_id: str, stream: str, probe: bool) -> list[_Letter]:
    """The stream's first waiting deliveries, as many as may go in one run; a probe is one."""
    rows = view.all(
        "SELECT d.id, d.event_id, d.attempts, d.first_at, e.type, e.at, e.body"
        " FROM delivery d JOIN event e ON e.id = d.event_id"
        " WHERE d.endpoint_id = ? AND d.stream = ? AND d.state = 'waiting' ORDER BY d.position LIMIT ?",
        endpoint_id,
        stream,
        1 if probe else _RUN,
    )
    return [
        _Letter(row["id"], row["event_id"], row["attempts"], row["first_at"], envelope(row["type"], row["at"], row["body"]))
        for row in rows
    ]
