"""What the simulated stick stores, sends and receives, and the network at its other end.

The moment of truth is `_taken`: EF_SMSS moves, the air log gets its line, and only then the answer is printed.
Source: 3GPP TS 27.005 §3 and §4, TS 23.040 §9.2.3.6 (TP-MR).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from modem.pdu import Address, Concat, Deliver, PduError, StatusReport, Submit, decode
from modem.segments import Piece
from modem.simulator_commands import Commands
from modem.simulator_line import Answer, Handler, is_within, number_in, unquoted
from modem.simulator_model import (
    Fault,
    Incoming,
    Outcome,
    Refused,
    Sending,
    Slot,
    SmssHabit,
    State,
    acts_at_prompt,
    acts_on_send,
    seconds_of,
)


class Messages(Commands):
    """The commands about messages, and the network."""

    def _table(self) -> dict[str, Handler]:
        return {
            **super()._table(),
            "+CSMS": self._csms_,
            "+CNMA": self._cnma,
            "+CPMS": self._cpms,
            "+CMGL": self._cmgl,
            "+CMGR": self._cmgr,
            "+CMGD": self._cmgd,
            "+CMGS": self._cmgs,
            "+CMGW": self._cmgw,
            "+CMSS": self._cmss,
        }

    def _csms_(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return (f"+CSMS: ({self.profile.csms})",)
        if operator == "?":
            return (f"+CSMS: {self._csms},1,1,1",)
        value = number_in(arguments)
        if value is None or not is_within(value, self.profile.csms):
            raise Refused("cms", 303)
        self._csms = value
        waiting = self._unacknowledged
        if value == 0 and waiting is not None:  # nobody will ask for an acknowledgement any more
            self._unacknowledged = None
            self._handed_over(waiting, routed=True)
            self._after(0.0, self._pump)
        return ("+CSMS: 1,1,1",)

    def _cnma(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ("+CNMA: (0-2)",)
        waiting = self._unacknowledged
        if waiting is None or self._csms == 0:
            raise Refused("cms", 340)
        self._unacknowledged = None
        if arguments.startswith("2"):
            self._resend(waiting)
        else:
            self._handed_over(waiting, routed=True)
        self._after(0.0, self._pump)
        return ()

    def _usage(self, name: str) -> str:
        storage = self.storages[name]
        return f"{len(storage.slots)},{storage.total}"

    def _cpms(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            names = ",".join(f'"{name}"' for name in self.storages)
            return (f"+CPMS: ({names}),({names}),({names})",)
        self._need_card("cms")
        if operator == "?":
            return ("+CPMS: " + ",".join(f'"{name}",{self._usage(name)}' for name in self._mem),)
        given = [unquoted(part).upper() for part in arguments.split(",")]
        if len(given) not in self.profile.cpms_arguments or any(name not in self.storages for name in given):
            raise Refused("cms", 302)
        self._mem[: len(given)] = given
        self._after(0.0, self._pump)
        return ("+CPMS: " + ",".join(self._usage(name) for name in self._mem),)

    def _cmgl(self, operator: str, arguments: str) -> Answer:
        words = {"REC UNREAD": 0, "REC READ": 1, "STO UNSENT": 2, "STO SENT": 3, "ALL": 4}
        if operator == "=?":
            listed = ",".join(f'"{word}"' for word in words) if self._cmgf else "0-4"
            return (f"+CMGL: ({listed})",)
        self._need_card("cms")
        word = unquoted(arguments.split(",")[0])
        status = words.get(word, -1) if self._cmgf else (number_in(word or "0"))
        if self._cmgf and not word:
            status = 0
        if status is None or not 0 <= status <= 4:
            raise Refused("cms", 305 if self._cmgf else 304)
        lines: list[str] = []
        for index, slot in sorted(self.storages[self._mem[0]].slots.items()):
            if status in (4, slot.status):
                lines += self._shown(f"+CMGL: {index},", slot, listing=True)
                slot.status = 1 if slot.status == 0 else slot.status
        self._save()
        return lines

    def _cmgr(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        self._need_card("cms")
        index = number_in(arguments.split(",")[0])
        storage = self.storages[self._mem[0]]
        if index is None or not storage.first <= index < storage.first + storage.total:
            raise Refused("cms", 321)
        slot = storage.slots.get(index)
        if slot is None:
            if self.profile.empty_slot == "error":
                raise Refused("cms", 321)
            return ("+CMGR: 0,,0",) if self.profile.empty_slot == "zero" else ()
        lines = self._shown("+CMGR: ", slot, listing=False)
        slot.status = 1 if slot.status == 0 else slot.status
        self._save()
        return lines

    def _shown(self, head: str, slot: Slot, *, listing: bool) -> list[str]:
        if not self._cmgf:
            return [f"{head}{slot.status},,{slot.length}", slot.pdu]
        word = ("REC UNREAD", "REC READ", "STO UNSENT", "STO SENT")[slot.status]
        number, when, text = self._readable(slot)
        return [f'{head}"{word}","{self._text(number)}",,"{when}"', text]

    def _readable(self, slot: Slot) -> tuple[str, str, str]:
        """Number, time and text of a slot for text mode; text outside the GSM alphabet as UCS2 in hex."""
        tpdu = bytes.fromhex(slot.pdu)[-slot.length :]
        try:
            message = decode(tpdu, from_network=slot.status in (0, 1))
        except PduError:
            return "", "", slot.pdu
        if isinstance(message, StatusReport):
            return message.recipient.number, "", f"TP-MR {message.tp_mr} TP-ST {message.status}"
        address = message.originator if isinstance(message, Deliver) else message.destination
        sent_at = message.sent_at if isinstance(message, Deliver) else None
        when = f"{sent_at:%y/%m/%d,%H:%M:%S}+00" if sent_at is not None else ""
        plain = message.text.isascii() and self._cscs != "UCS2"
        return address.number, when, message.text if plain else message.text.encode("utf-16-be").hex().upper()

    def _cmgd(self, operator: str, arguments: str) -> Answer:
        storage = self.storages[self._mem[0]]
        if operator == "=?":
            return (f"+CMGD: ({','.join(map(str, sorted(storage.slots)))}),(0-4)",)
        self._need_card("cms")
        numbers = [number_in(part) for part in arguments.split(",")]
        index, flag = [*numbers, 0][:2]
        if index is None or flag is None or not 0 <= flag <= 4:
            raise Refused("cms", 321)
        if flag == 0:
            if not storage.first <= index < storage.first + storage.total:
                raise Refused("cms", 321)
            storage.slots.pop(index, None)
        else:
            doomed = {1: {1}, 2: {1, 3}, 3: {1, 2, 3}, 4: {0, 1, 2, 3}}[flag]
            storage.slots = {i: s for i, s in storage.slots.items() if s.status not in doomed}
        self._save()
        self._after(0.0, self._pump)
        return ()

    def _store(self, name: str, status: int, tpdu: str) -> int | None:
        storage = self.storages[name]
        index = storage.free_index()
        if index is None:
            return None
        storage.slots[index] = Slot(status, self._with_smsc(tpdu), len(tpdu) // 2)
        self._save()
        return index

    def _with_smsc(self, tpdu: str) -> str:
        """The SMSC address that modems print before a TPDU (27.005 §3.1, 24.011 §8.2.5.1)."""
        digits = self.behaviour.smsc.removeprefix("+")
        padded = digits + "F" * (len(digits) % 2)
        swapped = "".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2))
        return f"{len(swapped) // 2 + 1:02X}91{swapped}{tpdu}"

    # --- sending ----------------------------------------------------------------------------------------------

    def _cmgs(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        return self._open_prompt("+CMGS", arguments)

    def _cmgw(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        return self._open_prompt("+CMGW", arguments)

    def _open_prompt(self, verb: str, arguments: str) -> Answer:
        self._need_card("cms")
        if self._cfun != 1:
            raise Refused("cms", 302)
        if self._cmgf:
            raise Refused("cms", 303)  # text mode sending is not modelled
        given = [number_in(part) for part in arguments.split(",")]
        length = given[0]
        if length is None or not 1 <= length <= 232:
            raise Refused("cms", 304)
        self._prompt_for = (verb, length)
        self._prompt_status = given[1] if len(given) > 1 and given[1] is not None else 2
        fault = self._take_fault(acts_at_prompt) if verb == "+CMGS" else None
        self._prompt_fault = fault
        self._state = State.PROMPT
        if fault is not None and fault.kind in ("cms", "no_prompt"):
            self._note(fault)
            if fault.kind == "no_prompt" and fault.facts.get("entered", True):
                return Outcome.LATER
            self._state = State.COMMAND
            if fault.kind == "no_prompt":
                return Outcome.LATER
            raise Refused("cms", int(fault.facts.get("code", 500)))
        if fault is not None and fault.facts.get("at") == "prompt":
            self._break(fault)
            return Outcome.LATER
        if self.behaviour.prompt_delay_s > 0:
            self._after(self.behaviour.prompt_delay_s, self._prompt)
        else:
            self._prompt()
        return Outcome.LATER

    def _prompt(self) -> None:
        if self._state is not State.PROMPT:
            return
        stray = "".join(self._stray_lines())
        prompt = "\r\n> "
        if self._stray_glue and stray:
            stray, prompt = stray.removesuffix("\r\n"), "> "
        self._print((stray + prompt).encode("latin-1", "replace"))

    def _break(self, fault: Fault) -> None:
        """Reboot or unplug in the middle of a submission."""
        self._prompt_fault = None
        self._note(fault)
        if fault.kind == "unplug":
            self.unplug(seconds_of(fault.facts.get("seconds")), fault.facts.get("new_link"))
        else:
            self.reboot(seconds_of(fault.facts.get("boot_s")))

    def _pdu_entered(self, data: bytes) -> None:
        verb, length = self._prompt_for
        self._state = State.COMMAND
        self.heard.append({"t": self.now, "line": f"<pdu {len(data)}>"})
        try:
            octets = bytes.fromhex(data.decode("ascii").strip())
            tpdu = octets[1 + octets[0] :] if octets else b""
            if len(tpdu) != length:
                raise Refused("cms", 304)
            submit = decode(tpdu, from_network=False)
            if not isinstance(submit, Submit):
                raise Refused("cms", 304)
            if verb == "+CMGW":
                self._write_to_memory(tpdu)
                return
        except Refused as refused:
            self._reply((), self._words(refused))
            return
        except ValueError:  # not hex, not ASCII, not a SUBMIT
            self._reply((), self._words(Refused("cms", 304)))
            return
        self._send(verb, tpdu, submit)

    def _write_to_memory(self, tpdu: bytes) -> None:
        index = self._store(self._mem[1], self._prompt_status, tpdu.hex().upper())
        if index is None:
            raise Refused("cms", 322)
        self._reply((f"+CMGW: {index}",), "OK")

    def _cmss(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        self._need_card("cms")
        slot = self.storages[self._mem[1]].slots.get(number_in(arguments.split(",")[0]) or 0)
        if slot is None or slot.status < 2:
            raise Refused("cms", 321)
        tpdu = bytes.fromhex(slot.pdu)[-slot.length :]
        submit = decode(tpdu, from_network=False)
        assert isinstance(submit, Submit)
        slot.status = 3
        self._send("+CMSS", tpdu, submit)
        return Outcome.LATER

    def _send(self, verb: str, tpdu: bytes, submit: Submit) -> None:
        self.counters["submits"] += 1
        number = submit.destination.number
        fault = self._take_fault(lambda f: acts_on_send(f) and f.facts.get("to", number) == number)
        sending = Sending(tpdu, submit, verb, fault)
        self._sending = sending
        self._state = State.SENDING
        behaviour = self.behaviour
        if behaviour.smss_habit is SmssHabit.EARLY:
            self.smss = (self._tp_mr + 1) % 256
            self._save()
        latency_s = behaviour.latency_s
        if behaviour.more_latency_s is not None and self._cmms and self._link_open_until >= self.now:
            latency_s = behaviour.more_latency_s
        start = max(self.now, self._radio_free_at)
        self._radio_free_at = start + latency_s
        if fault is not None and fault.kind in ("reboot_mid_send", "unplug") and not fault.facts.get("taken"):
            self._at(start + latency_s / 2, lambda: self._break(fault))
            return
        self._at(start + latency_s, lambda: self._leaves(sending))

    def _leaves(self, sending: Sending) -> None:
        """The moment of truth: the network takes the TPDU, or refuses it."""
        if sending.over:
            return
        sending.over = True
        fault = sending.fault
        if not self.is_registered:
            self._refused_by_network(sending, 331)
            return
        if fault is not None and fault.kind == "cms":
            self._note(fault)
            self._refused_by_network(sending, int(fault.facts.get("code", 500)))
            return
        if fault is not None and fault.kind == "drop":  # lost on the air: never there, no answer
            self._note(fault, tpdu=sending.tpdu.hex().upper())
            self.counters["answers_lost"] += 1
            self._free(sending)
            return
        tp_mr = self._taken(sending)
        if self.behaviour.report_before_answer:
            self.run()
        if fault is None:
            self._answer_send(sending, (f"{sending.verb}: {tp_mr}",), "OK")
        else:
            self._answer_faultily(sending, fault, tp_mr)

    def _taken(self, sending: Sending) -> int:
        """TP-MR is the modem's: last used + 1; EF_SMSS moves when the SMS leaves (23.040 §9.2.3.6)."""
        tp_mr = self._use_reference()
        tpdu = bytes((sending.tpdu[0], tp_mr)) + sending.tpdu[2:]
        number = sending.submit.destination.number
        self.counters["taken"] += 1
        self._log("submit", tpdu=tpdu.hex().upper(), tp_mr=tp_mr, to=number, report=sending.submit.report)
        self._link_open_until = self.now + 5.0
        if sending.submit.report:
            self._promise_report(tp_mr, sending.submit.destination)
        return tp_mr

    def _use_reference(self) -> int:
        """The next TP-MR; the card is told."""
        self._tp_mr = (self._tp_mr + 1) % 256
        if self.behaviour.smss_habit is not SmssHabit.NEVER:
            self.smss = self._tp_mr
        self._save()
        return self._tp_mr

    def _refused_by_network(self, sending: Sending, code: int) -> None:
        # A refusal by the network (RP and TP causes) used up a TP-MR; one by the stick itself (300 and above) did not.
        if code < 256:
            self._use_reference()
        self.counters["rejected"] += 1
        self._log("reject", code=code, tpdu=sending.tpdu.hex().upper(), to=sending.submit.destination.number)
        self._answer_send(sending, (), self._words(Refused("cms", code)))

    def _answer_faultily(self, sending: Sending, fault: Fault, tp_mr: int) -> None:
        if fault.kind in ("reboot_mid_send", "unplug"):
            self._break(fault)
            return
        self._note(fault, tp_mr=tp_mr)
        line = f"{sending.verb}: {tp_mr}"
        if fault.kind == "cms_after":
            self._answer_send(sending, (), self._words(Refused("cms", int(fault.facts.get("code", 332)))))
        elif fault.kind == "bare_ok":
            self._answer_send(sending, (), "OK")
        elif fault.kind == "no_ok":
            self._answer_send(sending, (line,), "")
        elif fault.kind == "late_answer":
            self._free(sending)
            late_s = float(fault.facts.get("seconds", 20.0))
            self._after(late_s, lambda: self._finish((line,), "OK"))
        else:
            self.counters["answers_lost"] += 1
            self._free(sending)

    def _answer_send(self, sending: Sending, lines: Sequence[str], final: str) -> None:
        if not sending.heard:
            self.counters["answers_lost"] += 1
            return
        self._free(sending)
        self._finish(lines, final)
        self._work()

    def _free(self, sending: Sending) -> None:
        if self._sending is sending:
            self._sending = None
            self._state = State.COMMAND

    # --- receiving --------------------------------------------------------------------------------------------

    def _promise_report(self, tp_mr: int, recipient: Address) -> None:
        statuses = self.behaviour.report_status
        status = statuses.get(recipient.number, statuses.get("*", 0))
        if status < 0:  # this recipient's reports never come
            return
        sent_at = self._wall()
        report = StatusReport(
            tp_mr=tp_mr,
            recipient=recipient,
            sent_at=sent_at,
            discharged_at=sent_at + timedelta(seconds=round(self.behaviour.report_delay_s)),
            status=status,
        )
        incoming = Incoming(
            "report",
            report.encode().hex().upper(),
            {"tp_mr": tp_mr, "to": recipient.number, "status": status},
        )
        self._reports.append(incoming)
        del self._reports[:-512]
        if self._held_reports is not None:
            self._held_reports.append(incoming)
        else:
            self._after(self.behaviour.report_delay_s, lambda: self._arrive(incoming), survives_reboot=True)

    def _wall(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() // 1000, UTC)

    def _arrive(self, incoming: Incoming) -> None:
        """Something for this SIM reached the service centre."""
        self._queue.append(incoming)
        self._save()
        self._pump()

    def _pump(self) -> None:
        """Hand over what the network holds, one after the other, as long as the modem takes it."""
        while self._queue and self._state is not State.OFF and self.is_registered:
            if self._unacknowledged is not None:
                return
            incoming = self._queue[0]
            if incoming.not_before > self.now:
                self._at(incoming.not_before, self._pump)
                return
            if not self._hand_over(incoming):
                return

    def _hand_over(self, incoming: Incoming) -> bool:
        mt, ds = self._cnmi[1], self._cnmi[3]
        is_report = incoming.event == "report"
        routed = ds == 1 if is_report else mt in (2, 3)
        if is_report and ds == 0:
            self._queue.popleft()
            self._handed_over(incoming, routed=False, dropped=True)
            return True
        if routed:
            return self._route(incoming)
        name = "SR" if is_report and "SR" in self.storages else self._mem[2]
        index = self._store(name, 0, incoming.tpdu)
        if index is None:
            if self.profile.full_line is not None and incoming.tries == 0:
                self._urc(self.profile.full_line)
            incoming.tries += 1
            return False
        self._queue.popleft()
        self._handed_over(incoming, routed=False, storage=name, index=index)
        if is_report:
            shown = ("SM", 0) if self.profile.cdsi_lie else (name, index)
            self._urc(f'+CDSI: "{shown[0]}",{shown[1]}')
        elif mt == 1:
            self._urc(f'+CMTI: "{name}",{index}')
        return True

    def _route(self, incoming: Incoming) -> bool:
        self._queue.popleft()
        incoming.tries += 1
        if self._csms == 1:
            self._unacknowledged = incoming
            self._after(self.behaviour.ack_s, lambda: self._not_acknowledged(incoming, incoming.tries))
        else:
            self._handed_over(incoming, routed=True)
        length = len(incoming.tpdu) // 2
        if incoming.event == "report":
            head = f"+CDS: ,{length}" if self.profile.cds_comma else f"+CDS: {length}"
        else:
            head = f"+CMT: ,{length}"
        self._urc(head, self._with_smsc(incoming.tpdu))
        return True

    def _not_acknowledged(self, incoming: Incoming, tries: int) -> None:
        """No AT+CNMA in time: routing is switched off and the network tries again (27.005 §3.4.4)."""
        if self._unacknowledged is not incoming or incoming.tries != tries:
            return
        self._unacknowledged = None
        mode, _, bm, _, bfr = self._cnmi
        self._cnmi = (mode, 0, bm, 0, bfr)
        self.counters["not_acknowledged"] += 1
        self._resend(incoming)
        self._pump()

    def _resend(self, incoming: Incoming) -> None:
        incoming.not_before = self.now + self.behaviour.resend_s
        self._queue.appendleft(incoming)
        self._at(incoming.not_before, self._pump)

    def _handed_over(self, incoming: Incoming, **how: Any) -> None:
        self.counters["reports" if incoming.event == "report" else "delivered"] += 1
        self._save()
        self._log(incoming.event, tpdu=incoming.tpdu, **incoming.facts, **how)


def deliver_tpdu(originator: Address, piece: Piece, reference: int, bits: int, at: datetime) -> bytes:
    concat = None
    if piece.total > 1:
        concat = Concat(reference=reference, total=piece.total, number=piece.number, bits=16 if bits == 16 else 8)
    deliver = Deliver(originator, piece.text, piece.alphabet, concat, at, table=piece.table)
    return deliver.encode()
