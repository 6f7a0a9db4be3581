"""The admin pages over a store of a million messages: what a list costs the server, what travels, and the first page of all."""

import gzip
import re
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from benchmarks.box import now_ms
from benchmarks.figures import Figure, median, quantile, spread
from gateway.flows import sign_in
from gateway.store.database import Transaction
from tests.processes import Site

KIB = 1024
OF_TEAMS = (
    "/admin/inbox",
    "/admin/inbox?show=awaiting",
    "/admin/inbox?show=unread",
    "/admin/cases",
    "/admin/queue",
    "/admin/messages",
)
"""Those that are another question where somebody sees only their own and their hiring teams'."""
LISTS = (
    *OF_TEAMS,
    "/admin/messages?state=problems",
    "/admin/messages?state=delivered",
    "/admin/templates",
    "/admin/organisation",
    "/admin/organisation/credits",
    "/admin/users",
    "/admin/compliance",
    "/admin/reports",
    "/admin/modems",
    "/admin/webhooks",
    "/admin/audit",
    "/admin/settings",
)
"""Every list page, and the filters that are hardest."""
WHO, RECRUITER = "looks@bench.example", "crowd-1@acme.example"
GOAL_MS, GOAL_BYTES, FIRST_MS = 50, 100_000, 300


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    size = (20_000, 1_000, 2_000) if quick else (1_000_000, 50_000, 100_000)
    messages, threads, audit = (str(count) for count in size)
    with Site(directory / "pages") as site:
        site.ringpost("init")
        began = time.monotonic()
        site.ringpost("dev-fill", "--messages", messages, "--threads", threads, "--audit", audit, timeout_s=1_800)
        yield Figure("fill", f"{messages} messages, {threads} threads, {audit} audit rows made", time.monotonic() - began, "s")
        site.ringpost("user", "add", WHO, "--role", "admin", "--role", "recruiting_manager", "--seat")
        with site.store.write() as tx:
            cookie, recruiters = (_session(tx, email) for email in (WHO, RECRUITER))
        yield from _first(site, cookie, 2 if quick else 5)
        site.web()
        connection = HTTPConnection("127.0.0.1", site.port, timeout=60)
        for path in LISTS:
            yield from _list(connection, path, cookie, 10 if quick else 60)
        for path in OF_TEAMS:
            yield from _list(connection, path, recruiters, 10 if quick else 60, whose="a recruiter's ")
        connection.close()


def _session(tx: Transaction, email: str) -> str:
    user_id = str(tx.value("SELECT id FROM app_user WHERE email = ?", email))
    return "ringpost=" + sign_in.open_session(tx, user_id, "127.0.0.1", now_ms())


def _list(connection: HTTPConnection, path: str, cookie: str, runs: int, whose: str = "") -> Iterator[Figure]:
    """One list: time to the last byte on the loopback, which the server's own time is a part of, and what travelled."""
    samples, travelled, drawn = [], 0, 0
    for run in range(runs + 2):
        began = time.perf_counter()
        answer = _get(connection, path, cookie)
        body = answer.read()
        took = (time.perf_counter() - began) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        travelled = len(body)
        drawn = len(gzip.decompress(body)) if answer.headers.get("Content-Encoding") == "gzip" else len(body)
        if run >= 2:  # the first ones compile the template
            samples.append(took)
    name = re.sub(r"\W+", "_", whose + path).strip("_")
    what = f"{whose}page {path.removeprefix('/admin/')} over a full store"
    yield Figure(f"{name}_p95", f"{what}, p95", quantile(samples, 0.95), "ms", GOAL_MS, noise=spread(samples))
    yield Figure(
        f"{name}_size", f"{what}, transferred", travelled / KIB, "KiB", GOAL_BYTES / KIB, note=f"{drawn / KIB:.0f} unpacked"
    )


def _first(site: Site, cookie: str, runs: int) -> Iterator[Figure]:
    """The first page a fresh process shows."""
    samples = []
    for _ in range(runs):
        web = site.web()
        connection = HTTPConnection("127.0.0.1", site.port, timeout=60)
        began = time.perf_counter()
        answer = _get(connection, "/admin/inbox", cookie)
        answer.read()
        samples.append((time.perf_counter() - began) * 1e3)
        connection.close()
        web.stop()
    yield Figure("first_page", "first page after a cold start", median(samples), "ms", FIRST_MS, noise=spread(samples))


def _get(connection: HTTPConnection, path: str, cookie: str) -> HTTPResponse:
    connection.request("GET", path, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
    return connection.getresponse()
