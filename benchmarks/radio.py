"""From the queue to the air: how soon, how densely, and how soon again after a pulled plug."""

import ctypes
import os
import random
import select
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.box import Box, Client
from benchmarks.figures import Figure, median, quantile, spread
from tests.processes import until


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    yield from _wake(directory / "wake", samples=40 if quick else 150)
    yield from _open(directory / "open", runs=3 if quick else 5)
    yield from _line_use(directory, quick)
    if not quick:
        yield from _unplug(directory)


def _wake(directory: Path, samples: int) -> Iterator[Figure]:
    """From the 202 in the client's hands to AT+CMGS in the modem's, on an idle modem."""
    chance, waits, whole = random.Random(1), [], []
    with Box(directory) as box:
        stick = box.simulator(latency_s=0.02, options=("--report-delay", "0.02"))
        box.bind_senders()
        box.gateway()
        box.web()
        box.wait_ready()
        client = Client(box)
        for _ in range(5):  # a warm start: imports, statements, trust in EF_SMSS
            client.post("/api/v1/messages", box.body())
            time.sleep(0.2)  # sent and reported: the next one meets an idle modem
        for _ in range(samples):
            status, sent, came = client.post("/api/v1/messages", box.body())
            assert status == 202, status
            time.sleep(chance.uniform(0.1, 0.2))  # sent, and the next comes at no particular moment
            line = stick.control.ask("heard", since=sent)["lines"]
            first = next(each["t"] for each in line if each["line"].startswith("AT+CMGS"))
            waits.append((first - came) * 1000)
            whole.append((first - sent) * 1000)
        client.close()
    noise = f"{samples} messages, {min(waits):.1f} to {max(waits):.1f}"
    yield Figure("wake_p50", "202 → AT+CMGS, idle modem, p50", quantile(waits, 0.5), "ms", 5, noise=noise)
    yield Figure("wake_p99", "202 → AT+CMGS, idle modem, p99", quantile(waits, 0.99), "ms", 50)
    yield Figure("wake_whole", "   request sent → AT+CMGS, p50", quantile(whole, 0.5), "ms")


def _open(directory: Path, runs: int) -> Iterator[Figure]:
    """From open(2) of the tty to the first message on the air, where every answer takes the modem 5 ms."""
    times = []
    with Box(directory) as box:
        stick = box.simulator(latency_s=0.005, options=("--answer-delay", "0.005", "--report-delay", "0.02"))
        for run in range(runs):
            box.queue(1)
            if not run:
                box.bind_senders()
            watch = _Openings(os.path.realpath(stick.link))
            box.module("gateway")
            opened = watch.wait(20)
            watch.close()
            box.wait_delivered(run + 1)
            times.append(stick.air("submit")[-1]["t"] - opened)
            box.programs["gateway"].stop()
    yield Figure("open_first", "port open → first message sent, 5 ms answers", median(times), "s", 0.6, noise=spread(times))


def _line_use(directory: Path, quick: bool) -> Iterator[Figure]:
    """Messages the network took, against what the modem's own latency would allow."""
    for modems, latency_s, count, goal in (
        (1, 1.0, 6 if quick else 20, 99),
        (1, 0.05, 100 if quick else 300, 90),
        *(() if quick else ((8, 1.0, 12, 99), (8, 0.05, 100, 90))),
    ):
        with Box(directory / f"line-{modems}-{latency_s}", sticks=modems) as box:
            for _ in range(modems):
                box.simulator(latency_s=latency_s, options=("--report-delay", "0.05"))
            box.queue(count * modems)
            box.bind_senders()
            box.gateway()
            box.wait_delivered(count * modems, timeout_s=60 + 3 * count * latency_s)
            uses, own = [], []
            for stick in box.sticks:
                taken = [entry["t"] for entry in stick.air("submit")]
                assert len(taken) == count, len(taken)
                uses.append(100 * (count - 1) * latency_s / (taken[-1] - taken[0]))
                own += [(after - before - latency_s) * 1000 for before, after in pairwise(taken)]
        name = f"line_{modems}_{int(latency_s * 1000)}"
        what = f"line use, {modems} modem{'s' if modems > 1 else ''}, latency {latency_s:g} s"
        note = f"own time per message {median(own):.1f} ms, p95 {quantile(own, 0.95):.1f}"
        yield Figure(name, what, sum(uses) / modems, "%", goal, True, f"{count * modems} messages", note)


def _unplug(directory: Path) -> Iterator[Figure]:
    """Pulled in the middle of a submission, back 2 s later under another pty: until something goes out again.

    After Ctrl-Z nobody knows whether it left, so the gateway first keeps its silence (design.md §4); at the prompt it is sure.
    """
    cases = ("after_ctrl_z", "after_ctrl_z", "prompt")
    with ThreadPoolExecutor(len(cases)) as pool:  # side by side: they mostly wait
        times = list(pool.map(_pull, (directory / f"unplug-{number}" for number in range(len(cases))), cases))
    yield Figure(
        "unplug", "unplugged mid-send and back → sending again", max(times), "s", 20, noise=spread(times), note="the worst"
    )


def _pull(directory: Path, at: str) -> float:
    with Box(directory) as box:
        stick = box.simulator(latency_s=1.0, options=("--report-delay", "0.1"))
        box.queue(8)
        box.bind_senders()
        box.gateway()
        until(lambda: len(stick.air("submit")) >= 2, about="sending")
        stick.control.ask("unplug", seconds=2, at=at)
        return until(lambda: _again(stick), timeout_s=120, about="sending again") or 0.0


def _again(stick: Any) -> float | None:
    back = [entry["t"] for entry in stick.air("plug")]
    after = [entry["t"] for entry in stick.air("submit") if back and entry["t"] > back[-1]]
    return after[0] - back[-1] if after else None


class _Openings:
    """Says when a file is next opened: inotify(7) through libc."""

    _OPEN = 0x20

    def __init__(self, path: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), self._OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify", path)

    def wait(self, timeout_s: float) -> float:
        """Until it is opened; the monotonic time."""
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        now = time.monotonic()
        assert ready, "the port was not opened"
        return now

    def close(self) -> None:
        os.close(self._fd)
