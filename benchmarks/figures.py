"""What a figure is, how samples become one, and the machine it was taken on."""

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("peewee", "Flask", "cheroot", "pydantic", "flask-openapi3", "pyserial", "python-gsmmodem-new", "smspdudecoder")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `goal` None: told for comparison only. `at_least`: whether more is better."""

    name: str
    what: str
    reached: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    noise: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the goal; below 1 it is missed."""
        if self.goal is None:
            return None
        if self.at_least:
            return self.reached / self.goal
        return self.goal / self.reached if self.reached > 0 else float("inf")

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        ratio = self.ratio
        return {
            **asdict(self),
            "ratio": None if ratio is None else round(min(ratio, 1e6), 3),
            "holds": None if ratio is None else ratio >= 1,
        }


def spread(samples: Sequence[float], digits: int = 3) -> str:
    """The noise of a median: how many runs, and the least and the most of them."""
    if len(samples) < 2:
        return "1 run"
    return f"{len(samples)} runs, {min(samples):.{digits}g} to {max(samples):.{digits}g}"


def median(samples: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(samples)


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample below which `share` of all lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_table(figures: Sequence[Figure]) -> None:
    """The table of design.md §9."""
    width = max(len(figure.what) for figure in figures)
    print(f"{'':6} {'figure':{width}}  {'goal':>14}  {'reached':>14}  {'ratio':>6}  noise, notes")
    for figure in figures:
        ratio = figure.ratio
        mark = "" if ratio is None else "ok" if ratio >= 1 else "MISSED"
        goal = "" if figure.goal is None else f"{'≥' if figure.at_least else '≤'} {_short(figure.goal)} {figure.unit}"
        shown = "" if ratio is None else f"{min(ratio, 999):.2f}"
        rest = "; ".join(text for text in (figure.noise, figure.note) if text)
        print(f"{mark:6} {figure.what:{width}}  {goal:>14}  {_short(figure.reached) + ' ' + figure.unit:>14}  {shown:>6}  {rest}")


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine(directory: Path) -> dict[str, Any]:
    """Where and with what this was measured."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "filesystem": filesystem(directory),
        "fsync_ms": round(_fsync_ms(directory), 2),
        "busy_with_others": round(others(), 2),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def filesystem(path: Path) -> str:
    """The type of the file system that holds `path`."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, found, *_ = line.split()
        if str(path.resolve()).startswith(place) and len(place) >= len(best):
            best, kind = place, found
    return kind


def _fsync_ms(directory: Path) -> float:
    """The median of a 4 KiB write with fdatasync: what durability costs here."""
    samples, path = [], directory / "fsync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        for _ in range(100):
            before = time.perf_counter()
            os.pwrite(descriptor, os.urandom(4096), 0)
            os.fdatasync(descriptor)
            samples.append((time.perf_counter() - before) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return median(samples)


def others(seconds: float = 1.0) -> float:
    """How many cores somebody else keeps busy while we do nothing."""
    before = _busy_ticks()
    time.sleep(seconds)  # the machine is measured while this program does nothing
    return (_busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


def _busy_ticks() -> int:
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return user + nice + system + irq + softirq + steal


@contextmanager
def working_directory() -> Iterator[Path]:
    """A temporary directory on a real disk: on a tmpfs neither fsync nor written bytes would mean anything."""
    import tempfile

    place = Path(tempfile.gettempdir())
    if filesystem(place) == "tmpfs":
        place = Path("/var/tmp")
    with tempfile.TemporaryDirectory(prefix="ringpost-bench-", dir=place) as directory:
        yield Path(directory)
