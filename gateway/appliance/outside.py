"""What must outlive the database: STOPs (keyed hash and time) and erasures, appended to two small files in `state_dir`.

A restored backup knows neither; `flows.restore` reads them again. One line of JSON each, on disk before it counts as written;
after a crash a line may stand there twice, which says the same.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.flows import restore
from gateway.store import lists_outside
from gateway.store.database import Database

log = logging.getLogger(__name__)

STOPS = "stops.jsonl"
ERASURES = "erasures.jsonl"
_ANYWAY_MS = 3_600_000
"""The audit tells when there is something to write; once an hour it is looked for without being told."""


class Outside:
    """The two files beside the database."""

    def __init__(self, database: Database, state_dir: Path) -> None:
        self._database = database
        self._state_dir = state_dir
        self._seen = 0
        self._next_at = 0

    def copy(self, now: int) -> int:
        """Append what is new; how many lines."""
        with self._database.read() as view:
            newest = lists_outside.newest_audit(view)
            told = lists_outside.says_something(view, self._seen)
            if not told and now < self._next_at:
                self._seen = newest
                return 0
            stops, starts, erasures = lists_outside.unwritten(view)
        lines = [{"at": row["since_at"], "act": "stop", "number": row["phone_hash"], "channel": row["channel"]} for row in stops]
        lines += [{"at": now, "act": "start", "number": row["phone_hash"], "channel": row["channel"]} for row in starts]
        self._append(STOPS, lines)
        self._append(ERASURES, [{"at": row["done_at"], "candidate": row["candidate_id"]} for row in erasures])
        if stops or starts or erasures:
            self._database.transact(lambda tx: lists_outside.written(tx, stops, starts, erasures, now))
        self._seen, self._next_at = newest, now + _ANYWAY_MS
        return len(lines) + len(erasures)

    def read_again(self, now: int) -> bool:
        """After a restore: apply both lists, once. Whether that was asked for."""
        with self._database.read() as view:
            told = restore.pending(view)
        if told is None or told["lists_read_at"] is not None:
            return False
        stops, erasures = self._lines(STOPS), self._lines(ERASURES)
        self._database.transact(lambda tx: restore.apply_lists(tx, stops, erasures, now))
        self._database.truncate_log()
        log.warning(
            "restore=lists_read stops=%d erasures=%d: sending waits for the queue to be confirmed", len(stops), len(erasures)
        )
        return True

    def _append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        if not text:
            return
        path = self._state_dir / name
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            directory = os.open(self._state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            os.fsync(directory)
            os.close(directory)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        """Every whole line; one that a power cut has torn is passed over and told."""
        path = self._state_dir / name
        if not path.exists():
            return []
        found = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                found.append(dict(json.loads(line)))
            except ValueError:
                log.error("file=%s line=%d torn", name, number)
        return found
