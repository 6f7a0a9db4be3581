"""The air log: one JSON line for everything that passed between the simulated modem and the pretended network.

The referee of every crash test: what stands here as `submit` reached the network, what does not stand here never did.
So a line is one write on a descriptor opened for appending, made at the very moment of the event: whoever is killed,
lines are whole and in order. Knows nothing of AT commands or clocks; times are handed in.

    {"t": 4711.25, "at": "2026-03-01T10:00:00.250Z", "event": "submit", "tpdu": "21…", "tp_mr": 7, "to": "+46701740605",
     "report": true, "iccid": "…", "imei": "…"}

Other events: `report` and `deliver` (handed to the modem), `reject` (the network refused it), `fault`, `reboot`,
`unplug`, `plug`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class AirLog:
    """Append entries to a file, keep the entries of this run in ``entries``, and tell ``watch`` about each one.

    Without a path only the memory is used. ``entries`` may be read from any thread (it only grows).
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, watch: Callable[[Entry], None] | None = None) -> None:
        self.entries: list[Entry] = []
        self._watch = watch
        self._fd: int | None = None
        if path is not None:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, event: str, *, t: float, wall: float, facts: Mapping[str, Any]) -> None:
        """Add one entry; ``t`` is monotonic seconds, ``wall`` POSIX seconds."""
        at = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry: Entry = {"t": t, "at": at, "event": event, **facts}
        if self._fd is not None:
            os.write(self._fd, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self.entries.append(entry)
        if self._watch is not None:
            self._watch(entry)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_air_log(path: str | os.PathLike[str], event: str | None = None) -> list[Entry]:
    """All entries of an air log, or those of one event; an unfinished last line is left out."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    entries: list[Entry] = [json.loads(line) for line in whole.splitlines()]
    return [entry for entry in entries if event is None or entry["event"] == event]
