"""What a message costs the processor and the disk, and whether a long queue makes choosing slower."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.box import TEXT, Box, Client, cpu_s, family, now_ms, written
from benchmarks.figures import Figure, median, quantile
from gateway.flows.claim import Claimed, Station, claim
from gateway.flows.sign_in import hash_password
from gateway.store import setup
from tests.office import ICCID, IMEI

KIB = 1024


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    yield from costs(directory, quick)
    yield from _choosing(directory, quick)


# What a message costs.


def costs(directory: Path, quick: bool) -> Iterator[Figure]:
    """From accept to delivered: one by one, and a burst of 500 (over 8 connections, and as one batch)."""
    cases: list[tuple[str, str, int, float, Callable[[Box, int], None]]] = [
        ("singly", "one by one", 30 if quick else 120, 64, _one_by_one),
        ("burst", "burst of 500 over 8 connections", 500, 16, _burst),
    ]
    if not quick:
        cases.append(("batch", "burst of 500 as one batch", 500, 16, _batch))
    for name, what, count, goal, post in cases:
        with Box(directory / f"cost-{name}") as box:
            box.simulator(latency_s=0.01, options=("--report-delay", "0.03"))
            box.bind_senders()
            gateway, web = box.gateway(), box.web()
            box.wait_ready()
            _one_by_one(box, 4)  # a warm start
            box.checkpoint()
            sides = {"gateway": family(gateway), "web": family(web)}
            before = {side: (cpu_s(pids), written(*pids)) for side, pids in sides.items()}
            post(box, count)
            box.wait_delivered(4 + count)
            time.sleep(0.1)  # what follows a delivery (events handed on, locks given back) belongs to its cost
            cpu = {side: (cpu_s(pids) - before[side][0]) * 100 / count for side, pids in sides.items()}
            wrote = {side: (written(*pids) - before[side][1]) / KIB / count for side, pids in sides.items()}
            wrote["last checkpoint"] = box.checkpoint() / KIB / count
        note = ", ".join(f"{side} {value:.1f}" for side, value in wrote.items())
        yield Figure(
            f"bytes_{name}",
            f"written per message, {what}",
            sum(wrote.values()),
            "KiB",
            goal,
            noise=f"{count} messages",
            note=note,
        )
        note = ", ".join(f"{side} {value:.2f}" for side, value in cpu.items())
        yield Figure(
            f"cpu_{name}",
            f"CPU per 100 sent and reported, {what}",
            sum(cpu.values()),
            "s",
            0.5,
            noise=f"{count} messages",
            note=note,
        )


def _one_by_one(box: Box, count: int) -> None:
    """Each one delivered before the next is accepted."""
    client, before = Client(box), box.count("delivered")
    for number in range(1, count + 1):
        assert client.post("/api/v1/messages", box.body())[0] == 202
        box.wait_delivered(before + number)
    client.close()


def _burst(box: Box, count: int) -> None:
    def some(bodies: list[dict[str, str]]) -> None:
        client = Client(box)
        for body in bodies:
            assert client.post("/api/v1/messages", body)[0] == 202
        client.close()

    bodies = [box.body() for _ in range(count)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(some, [bodies[start::8] for start in range(8)]))


def _batch(box: Box, count: int) -> None:
    client = Client(box)
    assert client.post("/api/v1/messages/batch", {"messages": [box.body() for _ in range(count)]})[0] == 207
    client.close()


# Choosing the next message.


def _choosing(directory: Path, quick: bool) -> Iterator[Figure]:
    """The time of `claim`, turn about on a short and on long queues; each message goes back to the end of its queue."""
    sizes = (10, 100_000) if quick else (10, 100_000, 1_000_000)
    rounds = 200 if quick else 400
    boxes = [Box(directory / f"queue-{size}", candidates=10) for size in sizes]
    try:
        for box, size in zip(boxes, sizes, strict=True):
            _fill(box, size)
        times: list[list[float]] = [[] for _ in boxes]
        for _ in range(rounds):
            for box, own in zip(boxes, times, strict=True):
                own.append(_claim_once(box))
        pages = pages_of(boxes[-1], 10 if quick else 40)
    finally:
        for box in boxes:
            box.close()
    short = median(times[0])
    yield Figure("claim_10", "choosing the next of 10", short, "µs", note=f"{rounds} claims, p95 {quantile(times[0], 0.95):.0f}")
    for size, own in zip(sizes[1:], times[1:], strict=True):
        percent = 100 * (median(own) / short - 1)
        note = f"{median(own):.0f} µs, p95 {quantile(own, 0.95):.0f}"
        yield Figure(
            f"claim_{size}", f"choosing the next of {size:,}: slower by", percent, "%", 5, noise=f"{rounds} claims", note=note
        )
    worst = max(pages, key=lambda path: quantile(pages[path], 0.95))
    what = f"queue pages and lists, {sizes[-1]:,} messages stored, p95 of the slowest"
    note = f"{worst}; " + ", ".join(f"{path} {median(own):.0f}" for path, own in pages.items())
    yield Figure("pages", what, quantile(pages[worst], 0.95), "ms", 50, noise=f"{len(pages[worst])} requests each", note=note)


LISTS = (
    "/admin/messages",
    "/admin/messages?state=waiting",
    "/admin/messages?state=delivered",
    "/api/v1/messages?limit=50",
    "/api/v1/messages?limit=50&state=delivered",
)
"""Nothing is delivered there: the filter that finds nothing must not look at everything."""


MOST_S = 12


def pages_of(box: Box, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each page for a recruiter of one case's team, over one kept connection."""
    password = "a long password for the bench"
    with box.store.write() as tx:
        user = setup.find_user(tx, "eva@acme.example")
        setup.set_password(tx, user, hash_password(password), "cli:bench", now_ms())
    box.web()
    connection = HTTPConnection("127.0.0.1", box.port, timeout=60)
    cookies: dict[str, str] = {}
    headers: dict[str, str] = {"Authorization": f"Bearer {box.key}"}

    def ask(method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        if form is None:
            connection.request(method, path, headers=headers)
        else:
            own = {**headers, "Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{box.port}"}
            connection.request(method, path, urlencode(form), own)
        answer = connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            cookies[name] = value
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return answer.status, text

    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', ask("GET", "/admin/login")[1])
    assert token is not None
    status, text = ask("POST", "/admin/login", {"csrf_token": token[1], "email": "eva@acme.example", "password": password})
    assert status == 303, (status, text[:500])
    times: dict[str, list[float]] = {path: [] for path in LISTS}
    enough = time.monotonic() + MOST_S
    for number in range(rounds + 2):
        if time.monotonic() > enough and number > 4:
            break
        for path, own in times.items():
            before = time.perf_counter()
            status, text = ask("GET", path)
            took = (time.perf_counter() - before) * 1000
            assert status == 200, (path, status, text[:500])
            if number >= 2:
                own.append(took)
    connection.close()
    return times


def _claim_once(box: Box) -> float:
    """Microseconds of a claim; its commit, which is the disk's affair, comes after."""
    station = Station("box", 0, "stick1", IMEI, ICCID, (box.office.sender_id,))
    with box.store.write() as tx:
        before = time.perf_counter()
        claimed = claim(tx, station, (0, 1, 2), now_ms())
        took = time.perf_counter() - before
        assert isinstance(claimed, Claimed)
    with box.store.write() as tx:
        last = tx.value(
            "SELECT MAX(due_at) FROM message WHERE state = 'queued' AND sender_id = ? AND lane = 1", box.office.sender_id
        )
        tx.execute("UPDATE message SET state = 'queued', due_at = ? WHERE id = ?", last + 1, claimed.message["id"])
    return took * 1e6


def _fill(box: Box, count: int) -> None:
    """A queue of `count` one-part messages, ten to a candidate, made by SQLite itself."""
    box.queue(1)
    box.store.close()
    people = max(10, count // 10)
    now = now_ms()
    with closing(sqlite3.connect(box.database_url, isolation_level=None)) as connection:
        run = connection.execute
        run("PRAGMA synchronous = off")
        run("PRAGMA cache_size = -200000")
        run("PRAGMA foreign_keys = 0")
        run("BEGIN IMMEDIATE")
        run("INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES ('box', 0, '', 0, 0, '')")
        run(
            "CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS"
            " (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < ? - 1) SELECT i FROM c",
            (count,),
        )
        run("CREATE TEMP TABLE one AS SELECT * FROM message LIMIT 1")
        run("CREATE TEMP TABLE who AS SELECT * FROM candidate WHERE id = (SELECT candidate_id FROM one)")
        run("CREATE TEMP TABLE agreed AS SELECT * FROM consent WHERE candidate_id = (SELECT candidate_id FROM one)")
        run("DELETE FROM part")
        run("DELETE FROM message")
        _clone(
            connection,
            "candidate",
            "who",
            people,
            {"id": "printf('cand_%012d', i)", "ref": "printf('crowd-%d', i)", "last_seq": "10"},
        )
        _clone(connection, "consent", "agreed", people, {"id": "agreed.id || i", "candidate_id": "printf('cand_%012d', i)"})
        own = {
            "id": "printf('msg_%012d', i)",
            "candidate_id": f"printf('cand_%012d', i % {people})",
            "seq": f"i / {people}",
            "due_at": f"{now - 10 * count} + i",
            "accepted_at": f"{now - 10 * count} + i",
        }
        _clone(connection, "message", "one", count, own)
        run(
            "INSERT INTO part (message_id, number, total, text, alphabet, address_tail)"
            " SELECT printf('msg_%012d', i), 1, 1, ?, 'gsm7', '01740001' FROM n",
            (TEXT,),
        )
        run("COMMIT")
        run("PRAGMA wal_checkpoint(TRUNCATE)")


def _clone(connection: sqlite3.Connection, table: str, model: str, count: int, changes: dict[str, str]) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changes.get(column, f"{model}.{column}") for column in columns)
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n, {model} WHERE i < {count}")
