"""What the box costs while nothing happens, and how soon it is there."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.box import Box, Client, cpu_s, family, pss_mib, written
from benchmarks.figures import Figure, median, spread


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    yield from _idle(directory / "idle", seconds=10 if quick else 60)
    yield from _cold(directory / "cold", runs=2 if quick else 5)


def _idle(directory: Path, seconds: float) -> Iterator[Figure]:
    with Box(directory) as box:
        box.simulator(latency_s=0.05)
        box.bind_senders()
        gateway, web = box.gateway(), box.web()
        box.wait_ready()
        client = Client(box)
        for _ in range(3):  # a box that has worked, not one that has never been used
            client.post("/api/v1/messages", box.body())
        client.close()
        box.get("/admin/login")
        box.wait_delivered(3)
        box.store.close()
        time.sleep(2)  # reports, webhooks and the last commits have ended: from here on it is idle
        pids = {"gateway": family(gateway), "web": family(web)}
        everything = [pid for own in pids.values() for pid in own]
        before = {name: cpu_s(own) for name, own in pids.items()}
        bytes_before, began = written(*everything), time.monotonic()
        time.sleep(seconds)  # idleness itself is what is measured
        minutes = (time.monotonic() - began) / 60
        cpu = {name: (cpu_s(own) - before[name]) / minutes for name, own in pids.items()}
        wrote = (written(*everything) - bytes_before) / 1024 / minutes
        memory = {name: pss_mib(own) for name, own in pids.items()}
    note = ", ".join(f"{name} {value:.0f}" for name, value in memory.items())
    yield Figure("idle_pss", "idle: memory (PSS), gateway and web", sum(memory.values()), "MiB", 110, note=note)
    note = ", ".join(f"{name} {value:.3f}" for name, value in cpu.items()) + f"; over {seconds:g} s, one modem plugged in"
    yield Figure("idle_cpu", "idle: CPU a minute, gateway and web", sum(cpu.values()), "s", 0.2, note=note)
    yield Figure("idle_bytes", "   idle: written to disk a minute", wrote, "KiB")


def _cold(directory: Path, runs: int) -> Iterator[Figure]:
    """From the start of the processes to the first 202 in a client's hands (files in the page cache)."""
    alone, both = [], []
    with Box(directory) as box:
        for times, command in ((alone, ("web",)), (both, ("gateway.cli", "run"))):
            for _ in range(runs):
                began = time.monotonic()
                program = box.module(*command)
                times.append(_first_accept(box) - began)
                program.stop()
                program.kill()
    yield Figure("cold_start", "cold start → first accept, `ringpost run`", median(both), "s", 1.5, noise=spread(both))
    yield Figure("cold_start_web", "   the web alone", median(alone), "s", noise=spread(alone))


def _first_accept(box: Box) -> float:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", box.port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "the web did not start"
            time.sleep(0.005)  # nothing tells that a port is open but trying; as fine as the figure needs
    client = Client(box)
    status, _, came = client.post("/api/v1/messages", box.body())
    client.close()
    assert status == 202, status
    return came
