"""The simulated stick and its network, without I/O: bytes in, bytes out with due times, a deadline, and the air log.

`Simulator.feed(data)` takes what the program at the other end wrote, `take()` gives what the modem prints by now,
`deadline` says when to call `run()` again, `perform` obeys one control request. The clock is an argument and only ever
read, so a test can turn it by hand. The shell around it (pty, control socket) is `modem.simulator`, which also tells the
user what this is good for. Refuses to know ptys, sockets and threads.

Four layers, each in its file: `simulator_line` (bytes), `…_commands`, `…_messages`, and here power and control.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from modem.pdu import Address, BadNumber, StatusReport
from modem.segments import split
from modem.simulator_messages import Messages, deliver_tpdu
from modem.simulator_model import (
    ALL_FAULTS,
    Behaviour,
    ControlError,
    Fault,
    Incoming,
    Slot,
    State,
    seconds_of,
    status_of,
)


class Simulator(Messages):
    """One stick with one SIM card in one network. Not thread-safe: one owner calls everything."""

    # --- power ------------------------------------------------------------------------------------------------

    def _start(self, *, boot: bool) -> None:
        self._load()
        if boot:
            self._boot()
        else:
            self._card_starts()

    def _card_starts(self) -> None:
        if self.behaviour.sim_busy_s > 0:
            self._start_sim_busy(self.behaviour.sim_busy_s)
        else:
            self._sim_busy_until = 0.0

    def _power_off(self) -> None:
        """Whatever the modem was doing is gone; the network's own business (reports) goes on."""
        self._epoch += 1
        waiting, self._unacknowledged = self._unacknowledged, None
        if waiting is not None:
            self._queue.appendleft(waiting)
        now = self.now
        self._out = deque(entry for entry in self._out if entry[0] <= now)  # what it had said is said
        self._reset()
        self._state = State.OFF

    def reboot(self, boot_s: float | None = None) -> None:
        """The modem restarts by itself: silence, then its banner; echo on, CMGF, CNMI, CMEE, CSMS, CREG forgotten."""
        if not self.plugged:
            return
        self.counters["reboots"] += 1
        self._power_off()
        self._log("reboot")
        self._boot(boot_s)

    def _boot(self, boot_s: float | None = None) -> None:
        self._state = State.OFF
        self._after(self.behaviour.boot_s if boot_s is None else boot_s, self._booted)

    def _booted(self) -> None:
        self._state = State.COMMAND
        self._card_starts()
        for delay_s, line in self.profile.banner:
            self._after(delay_s, partial(self._banner, line))
        self._after(0.0, self._pump)

    def _banner(self, line: str) -> None:
        self._urc(line.format(cpin=self._pin_state()))

    def unplug(self, seconds: float | None, new_link: str | None = None) -> None:
        """Pull the plug: the pty goes away at once and another one comes after `seconds` (None: by the verb `plug`)."""
        if not self.plugged:
            return
        self.counters["unplugs"] += 1
        self._power_off()
        self._out.clear()
        self.plugged = False
        if new_link is not None:
            self.link_name = new_link
        self._log("unplug")
        if seconds is not None:
            self._after(seconds, self.plug)

    def plug(self) -> None:
        if self.plugged:
            return
        self.plugged = True
        self._log("plug")
        self._boot(0.0)

    # --- keeping ----------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write what a real stick and its network keep without power; whole or not at all."""
        if self._state_path is None:
            return
        waiting = [self._unacknowledged] if self._unacknowledged is not None else []
        kept = {
            "smss": self.smss,
            "tp_mr": self._tp_mr,
            "pin": self.identity.pin,
            "pin_tries": self.pin_tries,
            "puk_tries": self.puk_tries,
            "storages": {
                name: {str(index): asdict(slot) for index, slot in storage.slots.items()}
                for name, storage in self.storages.items()
            },
            "waiting": [{"event": i.event, "tpdu": i.tpdu, "facts": i.facts} for i in [*waiting, *self._queue]],
        }
        fresh = self._state_path.with_name(self._state_path.name + ".new")
        fresh.write_text(json.dumps(kept), encoding="utf-8")
        fresh.replace(self._state_path)

    def _load(self) -> None:
        if self._state_path is None or not self._state_path.exists():
            return
        kept = json.loads(self._state_path.read_text(encoding="utf-8"))
        self.smss, self._tp_mr = kept["smss"], kept["tp_mr"]
        self.pin_tries, self.puk_tries = kept["pin_tries"], kept["puk_tries"]
        if self.identity.pin is not None:
            self.identity.pin = kept["pin"]
        for name, slots in kept["storages"].items():
            if name in self.storages:
                self.storages[name].slots = {int(index): Slot(**slot) for index, slot in slots.items()}
        self._queue.extend(Incoming(**waiting) for waiting in kept["waiting"])
        if self._queue:
            self._after(0.0, self._pump)

    # --- control ----------------------------------------------------------------------------------------------

    def perform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Obey one control request; the verbs are described in `modem.simulator`. Raises ControlError."""
        verb = request.get("do")
        act = {
            "deliver": self._do_deliver,
            "deliver_pdu": self._do_deliver_pdu,
            "report": self._do_report,
            "hold_reports": self._do_hold_reports,
            "release_reports": self._do_release_reports,
            "fault": self._do_fault,
            "clear": self._do_clear,
            "set": self._do_set,
            "stats": self._do_stats,
            "heard": self._do_heard,
            "stored": self._do_stored,
            "ring": self._do_ring,
            "print": self._do_print,
            "unplug": self._do_named_fault,
            "plug": self._do_plug,
            "reboot": self._do_named_fault,
            "clock": self._do_clock,
            "ping": self._do_ping,
        }.get(str(verb))
        if act is None:
            raise ControlError(f"unknown verb {verb!r}")
        try:
            return act(request)
        except ControlError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ControlError(f"{verb}: {type(error).__name__}: {error}") from error

    def _do_deliver(self, request: Mapping[str, Any]) -> dict[str, Any]:
        text = str(request["text"])
        originator = _originator(str(request["from"]))
        bits = int(request.get("bits", 8))
        pieces = split(text, reference_bits=bits)
        reference = request.get("reference")
        if reference is None:
            self._reference = (self._reference + 1) % 256
            reference = self._reference
        at = datetime.fromisoformat(str(request["at"])) if "at" in request else self._wall()
        tpdus = {piece.number: deliver_tpdu(originator, piece, int(reference), bits, at) for piece in pieces}
        order = [int(number) for number in request.get("parts_order", sorted(tpdus))]
        if not set(order) <= set(tpdus):
            raise ControlError(f"deliver: this text has {len(pieces)} part(s), parts_order says {order}")
        doubled = request.get("double", [])
        twice = set(tpdus) if doubled is True else {int(number) for number in doubled or []}
        gap_s = float(request.get("gap_s", 0.0))
        sent = 0
        for number in order:
            for _ in range(2 if number in twice else 1):
                facts = {"from": originator.number, "part": number, "of": len(pieces)}
                incoming = Incoming("deliver", tpdus[number].hex().upper(), facts)
                self._after(sent * gap_s, partial(self._arrive, incoming), survives_reboot=True)
                sent += 1
        self.run()
        return {"parts": len(pieces), "reference": int(reference), "sent": sent}

    def _do_deliver_pdu(self, request: Mapping[str, Any]) -> dict[str, Any]:
        tpdu = bytes.fromhex(str(request["hex"])).hex().upper()  # any octets: hostile ones are the point
        event = "report" if request.get("as") == "report" else "deliver"
        self._arrive(Incoming(event, tpdu, {"raw": True}))
        return {}

    def _do_report(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A report for a part that was taken: the newest, or the one with this `tp_mr` / `to`."""
        fits = [
            known
            for known in self._reports
            if request.get("tp_mr", known.facts["tp_mr"]) == known.facts["tp_mr"]
            and request.get("to", known.facts["to"]) == known.facts["to"]
        ]
        tp_mr = request.get("tp_mr", fits[-1].facts["tp_mr"] if fits else None)
        number = request.get("to", fits[-1].facts["to"] if fits else None)
        if tp_mr is None or number is None:
            raise ControlError("report: nothing was taken yet; give tp_mr and to")
        sent_at = datetime.fromisoformat(str(request["at"])) if "at" in request else self._wall()
        status = status_of(request.get("status", 0))
        report = StatusReport(
            tp_mr=int(tp_mr),
            recipient=Address.parse(str(number)),
            sent_at=sent_at,
            discharged_at=sent_at,
            status=status,
        )
        facts = {"tp_mr": int(tp_mr), "to": str(number), "status": status}
        for _ in range(int(request.get("count", 1))):
            self._arrive(Incoming("report", report.encode().hex().upper(), facts))
        return {"tp_mr": int(tp_mr), "to": str(number)}

    def _do_hold_reports(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._held_reports is None:
            self._held_reports = []
        return {"held": len(self._held_reports)}

    def _do_release_reports(self, request: Mapping[str, Any]) -> dict[str, Any]:
        held, self._held_reports = self._held_reports or [], None
        if request.get("order") == "reverse":
            held.reverse()
        if request.get("drop"):
            held = []
        for incoming in held:
            self._arrive(incoming)
        return {"released": len(held)}

    def _do_fault(self, request: Mapping[str, Any]) -> dict[str, Any]:
        kind = str(request["kind"])
        if kind not in ALL_FAULTS:
            raise ControlError(f"unknown fault {kind!r}; known: {', '.join(sorted(ALL_FAULTS))}")
        facts = {key: value for key, value in request.items() if key not in ("do", "kind", "count")}
        count = request.get("count", None if "rate" in facts else 1)
        at_once: dict[str, Callable[[], None]] = {
            "stray": lambda: self._start_stray(facts, request.get("count")),
            "noise": lambda: self._start_noise(facts, int(request.get("count", 1))),
            "sim_busy": lambda: self._start_sim_busy(float(facts.get("seconds", 5.0))),
            "reboot": lambda: self.reboot(seconds_of(facts.get("boot_s"))),
            "storage_full": self._fill_storage,
            "no_network": lambda: self._lose_network(seconds_of(facts.get("seconds"))),
            "echo": self._turn_echo_on,
        }
        if kind == "silence" and "on" not in facts:
            at_once["silence"] = lambda: self._fall_silent(seconds_of(facts.get("seconds")))
        if kind == "unplug" and facts.get("at", "now") == "now":
            at_once["unplug"] = lambda: self.unplug(seconds_of(facts.get("seconds")), facts.get("new_link"))
        if kind in at_once:
            self._log("fault", kind=kind, **facts)
            at_once[kind]()
        else:
            if kind == "cme" and "on" not in facts:
                facts["on"] = "+CMGS"
            if kind == "reboot_mid_send":
                facts.setdefault("at", "after_ctrl_z")
            self._faults.append(Fault(kind, None if count is None else int(count), facts))
        return {"queued": len(self._faults)}

    def _do_named_fault(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._do_fault({**request, "kind": request["do"]})

    def _do_ping(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def _start_stray(self, facts: Mapping[str, Any], count: int | None) -> None:
        lines = facts.get("lines", self.profile.chatter or ("^RSSI:17",))
        self._stray = [str(line) for line in lines]
        self._stray_glue = bool(facts.get("glue", False))
        self._stray_left = count

    def _start_noise(self, facts: Mapping[str, Any], count: int) -> None:
        self._noise = bytes.fromhex(str(facts.get("hex", "FFFE00")))
        self._noise_left = count
        self._print(self._noise)

    def _start_sim_busy(self, seconds: float) -> None:
        self._sim_busy_until = self.now + seconds
        self._at(self._sim_busy_until, self._registration_changed)

    def _lose_network(self, seconds: float | None) -> None:
        self._no_network_until = float("inf") if seconds is None else self.now + seconds
        self._registration_changed()
        if seconds is not None:
            self._at(self._no_network_until, self._registration_changed, survives_reboot=True)

    def _fall_silent(self, seconds: float | None) -> None:
        self._silent_until = float("inf") if seconds is None else self.now + seconds

    def _turn_echo_on(self) -> None:
        self._echo = True

    def _fill_storage(self) -> None:
        """Fill the storage for received messages to the brim with old ones."""
        name = self._mem[2]
        number = 0
        while self.storages[name].free_index() is not None:
            number += 1
            piece = split(f"filler {number}")[0]
            tpdu = deliver_tpdu(Address.parse("+46701740609"), piece, 0, 8, self._wall() - timedelta(days=1))
            self._store(name, 1, tpdu.hex().upper())

    def _do_clear(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End faults: of one kind, or all; the modem also comes out of its silence and finds its network."""
        kind = request.get("kind")
        self._faults = [fault for fault in self._faults if kind is not None and fault.kind != kind]
        if kind in (None, "stray"):
            self._stray = []
        if kind in (None, "noise"):
            self._noise_left = 0
        if kind in (None, "silence"):
            self._silent_until = 0.0
        if kind in (None, "sim_busy"):
            self._sim_busy_until = 0.0
        if kind in (None, "no_network") and self._no_network_until > self.now:
            self._no_network_until = 0.0
            self._registration_changed()
        self._pump()
        return {}

    def _do_set(self, request: Mapping[str, Any]) -> dict[str, Any]:
        known = {f.name for f in fields(Behaviour)}
        for key, value in request.items():
            if key == "do":
                continue
            name = key if key in known else key + "_s"
            if name not in known:
                raise ControlError(f"unknown setting {key!r}; known: {', '.join(sorted(known))}")
            self._set(name, value)
        return {"settings": asdict(self.behaviour)}

    def _set(self, name: str, value: Any) -> None:
        before = getattr(self.behaviour, name)
        if isinstance(before, StrEnum):
            value = type(before)(value)
        elif name == "report_status":
            value = {**before, **{str(number): status_of(status) for number, status in dict(value).items()}}
        elif name in ("ussd", "answers"):
            value = {**before, **dict(value)} if value else {}
        elif isinstance(before, bool):
            value = bool(value)
        elif isinstance(before, float) or name == "more_latency_s":
            value = None if value is None else float(value)
        elif isinstance(before, int):
            value = int(value)
        setattr(self.behaviour, name, value)
        if name == "registration" and value != before:
            self._registration_changed()

    def _do_stats(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "counters": dict(self.counters),
            "state": self._state.value,
            "plugged": self.plugged,
            "smss": self.smss,
            "registration": self.registration,
            "pin": {"state": self._pin_state(), "tries": self.pin_tries, "puk_tries": self.puk_tries},
            "settings": {
                "echo": self._echo,
                "cmee": self._cmee,
                "cmgf": self._cmgf,
                "csms": self._csms,
                "cmms": self._cmms,
                "cnmi": list(self._cnmi),
                "creg": self._creg["+CREG"],
                "cscs": self._cscs,
                "cpms": list(self._mem),
                "cfun": self._cfun,
            },
            "waiting": len(self._queue),
            "unacknowledged": self._unacknowledged is not None,
            "held_reports": None if self._held_reports is None else len(self._held_reports),
            "faults": [{"kind": fault.kind, "left": fault.left, **fault.facts} for fault in self._faults],
            "iccid": self.identity.iccid,
            "imei": self.identity.imei,
            "profile": self.profile.name,
        }

    def _do_heard(self, request: Mapping[str, Any]) -> dict[str, Any]:
        since = float(request.get("since", float("-inf")))
        return {"lines": [line for line in self.heard if line["t"] >= since]}

    def _do_stored(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "stored": [
                {"storage": name, "index": index, **asdict(slot)}
                for name, storage in self.storages.items()
                for index, slot in sorted(storage.slots.items())
            ]
        }

    def _do_ring(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._calling = int(request.get("count", 3))
        self._ring_once(str(request.get("from", "")))
        return {}

    def _ring_once(self, number: str) -> None:
        if self._calling <= 0:
            return
        self._calling -= 1
        self._urc("RING")
        if self._parameters["+CLIP"].startswith("1"):
            self._urc(f'+CLIP: "{number}",{145 if number.startswith("+") else 129},,,,0')
        if self._calling:
            self._after(3.0, lambda: self._ring_once(number))
        else:
            self._urc("NO CARRIER")

    def _do_print(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Print lines at once, in CR LF framing, or raw octets with `hex`."""
        if "hex" in request:
            self._print(bytes.fromhex(str(request["hex"])))
        for line in request.get("lines", []):
            self._print(b"\r\n" + str(line).encode("latin-1", "replace") + b"\r\n")
        return {}

    def _do_plug(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.plug()
        return {}

    def _do_clock(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"monotonic_s": self.now, "wall_ms": self.clock.now_ms()}


def _originator(name: str) -> Address:
    """A number, or else a sender name such as "Ringpost"."""
    try:
        return Address.parse(name)
    except BadNumber:
        return Address.alphanumeric(name)
