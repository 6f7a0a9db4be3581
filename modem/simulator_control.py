"""The other end of a simulated modem's control socket: typed methods instead of JSON by hand.

One JSON object per line each way; the verbs are described in `modem.simulator`. Refuses to know what the verbs mean:
the simulator answers, a refusal becomes a `ControlRefused`.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any


class ControlRefused(RuntimeError):
    """The simulator did not obey; the text says why."""


class Control:
    """A connection to the control socket `path`; opened at the first use, again after the simulator came back.

    May be shared by threads. `timeout_s` bounds every call but `wait`. Raises ControlRefused, OSError.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = 10.0) -> None:
        self.path = os.fspath(path)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._rest = b""

    def __enter__(self) -> Control:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, verb: str, *, patience_s: float | None = None, **facts: Any) -> dict[str, Any]:
        """Any verb by name; facts that are None are left out. The answer without its `ok`."""
        given = {key: value for key, value in facts.items() if value is not None}
        return self._request({"do": verb, **given}, patience_s)

    def _request(self, request: Mapping[str, Any], patience_s: float | None = None) -> dict[str, Any]:
        with self._lock:
            try:
                answer = self._exchange(request, self._timeout_s if patience_s is None else patience_s)
            except OSError:
                self.close()
                raise
        if not answer.pop("ok", False):
            raise ControlRefused(str(answer.get("error", "no reason given")))
        return answer

    def _exchange(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        if self._socket is None:
            self._rest = b""
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(timeout_s)
            self._socket.connect(self.path)
        self._socket.settimeout(timeout_s)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self._rest:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionResetError("the simulator closed its control socket")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    # --- inbound ------------------------------------------------------------------------------------------

    def deliver(
        self,
        sender: str,
        text: str,
        *,
        parts_order: Sequence[int] | None = None,
        reference: int | None = None,
        bits: int = 8,
        double: Iterable[int] | bool | None = None,
        at: datetime | None = None,
        gap_s: float | None = None,
    ) -> dict[str, Any]:
        """Let `sender` write to this SIM. Answers `parts`, `reference` and how many TPDUs were `sent`."""
        facts: dict[str, Any] = {
            "from": sender,
            "text": text,
            "parts_order": None if parts_order is None else list(parts_order),
            "reference": reference,
            "bits": bits,
            "double": double if isinstance(double, bool) or double is None else list(double),
            "at": None if at is None else at.isoformat(),
            "gap_s": gap_s,
        }
        return self.ask("deliver", **facts)

    def deliver_pdu(self, tpdu: bytes | str, *, as_report: bool = False) -> None:
        """Any octets as a TPDU for this SIM, however hostile."""
        text = tpdu if isinstance(tpdu, str) else tpdu.hex()
        facts: dict[str, Any] = {"hex": text, "as": "report" if as_report else None}
        self.ask("deliver_pdu", **facts)

    def report(
        self,
        *,
        tp_mr: int | None = None,
        to: str | None = None,
        status: int = 0,
        count: int = 1,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """A status report for the newest part taken, or for the one named; `count` of them."""
        when = None if at is None else at.isoformat()
        return self.ask("report", tp_mr=tp_mr, to=to, status=status, count=count, at=when)

    def hold_reports(self) -> int:
        """Keep all reports back from now on; how many are held already."""
        return int(self.ask("hold_reports")["held"])

    def release_reports(self, *, reverse: bool = False, drop: bool = False) -> int:
        """Let the held reports go (or drop them); how many they were."""
        answer = self.ask("release_reports", order="reverse" if reverse else None, drop=drop or None)
        return int(answer["released"])

    def ring(self, number: str = "", *, count: int = 3) -> None:
        facts: dict[str, Any] = {"from": number, "count": count}
        self.ask("ring", **facts)

    # --- faults -------------------------------------------------------------------------------------------

    def fault(self, kind: str, *, count: int | None = None, **facts: Any) -> int:
        """Order a fault of any kind; how many wait in the queue now."""
        return int(self.ask("fault", kind=kind, count=count, **facts)["queued"])

    def cms(self, code: int, *, count: int = 1, to: str | None = None, at: str | None = None) -> None:
        """The next sends are refused with +CMS ERROR; the network does not take them. `at="prompt"`: instead of it."""
        self.fault("cms", code=code, count=count, to=to, at=at)

    def cms_after(self, code: int = 332, *, count: int = 1) -> None:
        """The network takes the next sends, and the modem says +CMS ERROR all the same."""
        self.fault("cms_after", code=code, count=count)

    def cme(self, code: int, *, on: str = "+CMGS", count: int = 1) -> None:
        """+CME ERROR as the answer to the next commands beginning with `on`."""
        self.fault("cme", code=code, on=on, count=count)

    def lose_answer(self, *, count: int = 1, on: str | None = None) -> None:
        """The network takes it, the answer never comes (with `on`: no answer to that command)."""
        self.fault("lose_answer", count=count, on=on)

    def late_answer(self, seconds: float, *, count: int = 1, on: str | None = None) -> None:
        self.fault("late_answer", seconds=seconds, count=count, on=on)

    def drop(self, *, count: int = 1) -> None:
        """Lost on the air: the network never gets it, and no answer comes."""
        self.fault("drop", count=count)

    def bare_ok(self, *, count: int = 1) -> None:
        self.fault("bare_ok", count=count)

    def no_ok(self, *, count: int = 1) -> None:
        self.fault("no_ok", count=count)

    def no_prompt(self, *, count: int = 1, entered: bool = True) -> None:
        """No prompt; `entered` says whether the modem waits for a PDU nevertheless."""
        self.fault("no_prompt", count=count, entered=entered)

    def stray(self, lines: Sequence[str] | None = None, *, glue: bool = False, count: int | None = None) -> None:
        """These lines before, between and behind every answer, until `clear("stray")` or for `count` answers."""
        self.fault("stray", lines=None if lines is None else list(lines), glue=glue, count=count)

    def noise(self, octets: bytes = b"\xff\xfe\x00", *, count: int = 1) -> None:
        """These octets now, and before each of the next `count` answers."""
        self.fault("noise", hex=octets.hex(), count=count)

    def sim_busy(self, seconds: float) -> None:
        self.fault("sim_busy", seconds=seconds)

    def no_network(self, seconds: float | None = None) -> None:
        self.fault("no_network", seconds=seconds)

    def silence(self, seconds: float | None = None) -> None:
        """Nothing is heard and nothing answered; lines the modem prints unasked still come."""
        self.fault("silence", seconds=seconds)

    def storage_full(self) -> None:
        self.fault("storage_full")

    def reboot(self, *, boot_s: float | None = None) -> None:
        self.fault("reboot", boot_s=boot_s)

    def reboot_mid_send(
        self, at: str = "after_ctrl_z", *, taken: bool = False, boot_s: float | None = None, count: int = 1
    ) -> None:
        """Reboot during the next send: `at` "prompt", "pdu" or "after_ctrl_z" (`taken`: the network has it by then)."""
        self.fault("reboot_mid_send", at=at, taken=taken, boot_s=boot_s, count=count)

    def unplug(
        self,
        seconds: float | None = 5.0,
        *,
        at: str = "now",
        taken: bool = False,
        new_link: str | os.PathLike[str] | None = None,
    ) -> None:
        """Close the pty; another one comes after `seconds` (None: by `plug`). `at` as in `reboot_mid_send`."""
        link = None if new_link is None else os.fspath(new_link)
        self.fault("unplug", seconds=seconds, at=at, taken=taken, new_link=link)

    def plug(self) -> None:
        self.ask("plug")

    def clear(self, kind: str | None = None) -> None:
        """End the faults of one kind, or all of them."""
        self.ask("clear", kind=kind)

    # --- looking and setting --------------------------------------------------------------------------------

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change settings (`Behaviour`; the suffix `_s` may be left out); all of them as they are now."""
        found: dict[str, Any] = self._request({"do": "set", **settings})["settings"]
        return found

    def print(self, *lines: str) -> None:
        """Let the modem print these lines at once."""
        self.ask("print", lines=list(lines))

    def stats(self) -> dict[str, Any]:
        return self.ask("stats")

    def counter(self, name: str) -> int:
        return int(self.stats()["counters"].get(name, 0))

    def stored(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("stored")["stored"]
        return found

    def heard(self, since: float | None = None) -> list[str]:
        """The command lines of the last while, PINs masked."""
        return [str(line["line"]) for line in self.ask("heard", since=since)["lines"]]

    def clock(self) -> tuple[float, int]:
        """The simulator's monotonic seconds and wall time in ms."""
        answer = self.ask("clock")
        return float(answer["monotonic_s"]), int(answer["wall_ms"])

    def wait(self, counter: str, at_least: int = 1, *, timeout_s: float = 10.0) -> int:
        """Block until a counter of `stats` has reached a number; its value. Raises ControlRefused after `timeout_s`."""
        answer = self.ask("wait", patience_s=timeout_s + 5.0, counter=counter, at_least=at_least, timeout_s=timeout_s)
        return int(answer["value"])
