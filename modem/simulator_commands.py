"""What the simulated stick says about itself: settings, the card and its PIN, registration, operator, clock, USSD.

Source: 3GPP TS 27.007, and 27.005 §3.4 for +CNMI and +CNMA; TS 31.102 §4.2.28 for EF_SMSS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from modem.simulator_line import PARAMETERS, Answer, Handler, Line, digit_in, is_within, number_in, refusal, unquoted
from modem.simulator_model import Refused, Registered

EF_SMSS = 28483  # 6F43, TS 31.102 §4.2.28
EF_ICCID = 12258  # 2FE2


class Commands(Line):
    """Every command but those about messages."""

    def _table(self) -> dict[str, Handler]:
        table: dict[str, Handler] = {
            "E": self._ate, "V": self._atv, "Q": self._atq, "Z": self._atz, "&F": self._atz, "I": self._ati,
            "H": self._ath, "D": self._atd, "+CHUP": self._ath,
            "+CMEE": self._cmee_, "+CMGF": self._cmgf_, "+CNMI": self._cnmi_,
            "+CMMS": self._cmms_,
            "+CSCA": self._csca_, "+CSCS": self._cscs_, "+COPS": self._cops, "+CSQ": self._csq, "+CFUN": self._cfun_,
            "+CPIN": self._cpin, "+CLCK": self._clck, "+CCLK": self._cclk, "+CUSD": self._cusd, "+CRSM": self._crsm,
            "+CNUM": self._cnum, "+CPAS": self._cpas, "+CLAC": self._clac,
        }  # fmt: skip
        for letters in ("X", "S", "L", "M", "&C", "&D", "&W", "&K", "A", "+CPBS"):
            table[letters] = self._nothing
        for name in ("+CREG", "+CGREG", "+CEREG"):
            table[name] = partial(self._registration, name)
        facts = {
            "MI": self.profile.manufacturer,
            "MM": self.profile.model,
            "MR": self.profile.revision,
            "SN": self.identity.imei,
        }
        for name, value in facts.items():
            table["+CG" + name] = table["+G" + name] = partial(self._fact, value)
        table["+CIMI"] = self._cimi
        for name in ("+CCID", "+ICCID", "+QCCID", "^ICCID"):
            table[name] = partial(self._iccid, name)
        table[self.profile.pin_counter[0]] = self._pin_counter
        for name in self.profile.reset_commands:
            table[name] = self._restart
        return table

    def _fact(self, value: str, operator: str, arguments: str) -> Answer:
        return () if operator == "=?" else (value,)

    def _nothing(self, operator: str, arguments: str) -> Answer:
        return ()

    def _ate(self, operator: str, arguments: str) -> Answer:
        self._echo = digit_in(arguments) == 1
        return ()

    def _atv(self, operator: str, arguments: str) -> Answer:
        self._verbose = digit_in(arguments) == 1
        return ()

    def _atq(self, operator: str, arguments: str) -> Answer:
        self._quiet = digit_in(arguments) == 1
        return ()

    def _atz(self, operator: str, arguments: str) -> Answer:
        self._defaults()
        return ()

    def _ati(self, operator: str, arguments: str) -> Answer:
        return (
            f"Manufacturer: {self.profile.manufacturer}",
            f"Model: {self.profile.model}",
            f"Revision: {self.profile.revision}",
            f"IMEI: {self.identity.imei}",
        )

    def _ath(self, operator: str, arguments: str) -> Answer:
        self._calling = 0
        return ()

    def _atd(self, operator: str, arguments: str) -> Answer:
        raise Refused("raw:NO CARRIER")

    def _restart(self, operator: str, arguments: str) -> Answer:
        self._afterwards = self.reboot
        return ()

    def _cpas(self, operator: str, arguments: str) -> Answer:
        return ("+CPAS: 3" if self._calling else "+CPAS: 0",)

    def _clac(self, operator: str, arguments: str) -> Answer:
        return sorted(name for name in (*self._handlers, *PARAMETERS) if name[0] in "+^")

    def _ranged(self, name: str, operator: str, arguments: str, current: int, allowed: str) -> int | Answer:
        """The three forms of a command with one number; the number when it is being set."""
        if operator == "=?":
            return (f"{name}: ({allowed})",)
        if operator == "?":
            return (f"{name}: {current}",)
        value = number_in(arguments)
        if value is None or not is_within(value, allowed):
            raise Refused("cme", 50)
        return value

    def _cmee_(self, operator: str, arguments: str) -> Answer:
        value = self._ranged("+CMEE", operator, arguments or "0", self._cmee, "0-2")
        if not isinstance(value, int):
            return value
        self._cmee = value
        return ()

    def _cmgf_(self, operator: str, arguments: str) -> Answer:
        value = self._ranged("+CMGF", operator, arguments or "0", self._cmgf, "0,1")
        if not isinstance(value, int):
            return value
        self._cmgf = value
        return ()

    def _cmms_(self, operator: str, arguments: str) -> Answer:
        value = self._ranged("+CMMS", operator, arguments or "0", self._cmms, "0-2")
        if not isinstance(value, int):
            return value
        if value == 2 and not self.profile.cmms_two:
            raise Refused("cms", 500)
        self._cmms = value
        return ()

    def _cnmi_(self, operator: str, arguments: str) -> Answer:
        ranges = self.profile.cnmi
        if operator == "=?":
            return ("+CNMI: " + ",".join(f"({r})" for r in ranges),)
        if operator == "?":
            return ("+CNMI: " + ",".join(map(str, self._cnmi)),)
        given = [number_in(part) if part.strip() else 0 for part in arguments.split(",")] if arguments else []
        values = (given + [0] * 5)[:5]
        if len(given) > 5:
            raise Refused(*refusal(self.profile.cnmi_refusal))
        settled = []
        for position, (value, allowed) in enumerate(zip(values, ranges, strict=True)):
            if position >= len(given) and not is_within(0, allowed):
                value = int(allowed[0])  # left out: the first value this family knows
            if value is None or not is_within(value, allowed):
                raise Refused(*refusal(self.profile.cnmi_refusal))
            settled.append(value)
        self._cnmi = (settled[0], settled[1], settled[2], settled[3], settled[4])
        self._after(0.0, self._pump)
        return ()

    def _cscs_(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ('+CSCS: ("GSM","IRA","UCS2")',)
        if operator == "?":
            return (f'+CSCS: "{self._cscs}"',)
        name = unquoted(arguments).upper()
        if name not in ("GSM", "IRA", "UCS2"):
            raise Refused("cme", 50)
        self._cscs = name
        return ()

    def _text(self, text: str) -> str:
        """A string parameter in the character set of +CSCS."""
        return text.encode("utf-16-be").hex().upper() if self._cscs == "UCS2" else text

    # --- the card ---------------------------------------------------------------------------------------------

    def _pin_state(self) -> str:
        if self.pin_tries == 0:
            return "SIM PUK"
        return "READY" if self._pin_entered else "SIM PIN"

    def _need_card(self, kind: str = "cme") -> None:
        codes = {"cme": (10, 14, 11, 12), "cms": (310, 314, 311, 316)}[kind]
        absent, busy, pin, puk = codes
        if not self.identity.sim:
            raise Refused(kind, absent)
        if self._sim_busy_until > self.now:
            raise Refused(kind, busy)
        state = self._pin_state()
        if state != "READY":
            raise Refused(kind, puk if state == "SIM PUK" else pin)

    def _cpin(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        if not self.identity.sim:
            raise Refused("cme", 10)
        if self._sim_busy_until > self.now:
            raise Refused("cme", 14)
        if operator == "?":
            return (f"+CPIN: {self._pin_state()}",)
        given = [unquoted(part) for part in arguments.split(",")]
        if self._pin_state() == "SIM PUK":
            self._unblock(given)
        elif self._pin_state() == "READY":
            raise Refused("cme", 3)
        else:
            self._try_pin(given[0])
        self._pin_entered = True
        self._sim_busy_until = self.now + self.behaviour.pin_settle_s if self.behaviour.pin_settle_s else 0.0
        self._after(0.0, self._pump)
        return ()

    def _try_pin(self, pin: str) -> None:
        self.counters["pin_attempts"] += 1
        if pin != self.identity.pin:
            self.pin_tries -= 1
            self._save()
            raise Refused("cme", 16 if self.pin_tries else 12)
        self.pin_tries = 3
        self._save()

    def _unblock(self, given: Sequence[str]) -> None:
        if len(given) != 2:
            raise Refused("cme", 12)
        self.counters["puk_attempts"] += 1
        if self.puk_tries == 0 or given[0] != self.identity.puk:
            self.puk_tries = max(0, self.puk_tries - 1)
            self._save()
            raise Refused("cme", 16 if self.puk_tries else 13)
        self.pin_tries, self.puk_tries, self.identity.pin = 3, 10, given[1]
        self._save()

    def _pin_counter(self, operator: str, arguments: str) -> Answer:
        """How many attempts are left, in this family's words."""
        if not self.identity.sim:
            raise Refused("cme", 10)
        state = self._pin_state()
        left = {"READY": "", "SIM PIN": self.pin_tries, "SIM PUK": self.puk_tries}[state]
        words = self.profile.pin_counter[1]
        return words.format(state=state, left=left, pin=self.pin_tries, puk=self.puk_tries).split("\n")

    def _clck(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ('+CLCK: ("SC")',)
        self._need_card()
        given = [unquoted(part) for part in arguments.split(",")]
        if given[0].upper() != "SC" or len(given) < 2:
            raise Refused("cme", 4)
        if given[1] == "2":
            return (f"+CLCK: {0 if self.identity.pin is None else 1}",)
        raise Refused("cme", 4)

    def _cimi(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        self._need_card()
        return (self.identity.imsi,)

    def _iccid(self, name: str, operator: str, arguments: str) -> Answer:
        if not self.identity.sim:
            raise Refused("cme", 10)
        if self._sim_busy_until > self.now:
            raise Refused("cme", 14)
        return (f"{name}: {self.identity.iccid}",)

    def _crsm(self, operator: str, arguments: str) -> Answer:
        """READ BINARY of EF_SMSS and EF_ICCID (27.007 §8.18); other files are not found, writing is refused."""
        if operator == "=?":
            return ()
        if not self.identity.smss:
            raise Refused("cme", 4)
        self._need_card()
        numbers = [number_in(part) for part in arguments.split(",")]
        command, file_id, high, low, wanted = [*numbers, *[None] * 5][:5]
        if command != 176:
            return ("+CRSM: 105,130",)  # security status not satisfied
        offset, wanted = 256 * (high or 0) + (low or 0), wanted or 0
        if file_id == EF_SMSS:
            content = bytes((self.smss, 0xFF))  # TS 31.102 §4.2.28: last used TP-MR, memory capacity flag unset
        elif file_id == EF_ICCID:
            digits = self.identity.iccid.ljust(20, "F")
            content = bytes.fromhex("".join(digits[i + 1] + digits[i] for i in range(0, 20, 2)))
        else:
            return ("+CRSM: 106,130",)
        if offset + wanted > len(content):
            return (f"+CRSM: 103,{len(content):d}",)
        data = content[offset : offset + wanted] if wanted else content[offset:]
        return (f'+CRSM: 144,0,"{data.hex().upper()}"',)

    def _csca_(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ()
        self._need_card("cme")
        if operator == "?":
            smsc = self._csca if self._csca is not None else self.behaviour.smsc
            return (f'+CSCA: "{self._text(smsc)}",{145 if smsc.startswith("+") else 129}',)
        self._csca = unquoted(arguments.split(",")[0])
        return ()

    def _cnum(self, operator: str, arguments: str) -> Answer:
        self._need_card()
        number = self.behaviour.msisdn
        return (f'+CNUM: "","{number}",{145 if number.startswith("+") else 129}',) if number else ()

    # --- the network ------------------------------------------------------------------------------------------

    @property
    def registration(self) -> int:
        """<stat> of +CREG now."""
        card = self.identity.sim and self._sim_busy_until <= self.now and self._pin_state() == "READY"
        if self._cfun != 1 or not card:
            return Registered.OFF.value
        if self._no_network_until > self.now:
            return Registered.SEARCHING.value
        return self.behaviour.registration

    @property
    def is_registered(self) -> bool:
        return self.registration in (Registered.HOME.value, Registered.ROAMING.value, 6, 7)

    def _place(self) -> str:
        return f',"00C3","0001A2B4",{self.behaviour.technology}' if self.is_registered else ""

    def _registration(self, name: str, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return (f"{name}: (0-2)",)
        if operator == "?":
            mode = self._creg[name]
            return (f"{name}: {mode},{self.registration}" + (self._place() if mode == 2 else ""),)
        value = number_in(arguments or "0")
        if value not in (0, 1, 2):
            raise Refused("cme", 50)
        self._creg[name] = value
        return ()

    def _registration_changed(self) -> None:
        for name, mode in self._creg.items():
            if mode:
                self._urc(f"{name}: {self.registration}" + (self._place() if mode == 2 else ""))
        self._pump()

    def _cops(self, operator: str, arguments: str) -> Answer:
        behaviour = self.behaviour
        if operator == "=?":
            listed = f'(2,"{self._text(behaviour.operator)}","SIM","{behaviour.plmn}",{behaviour.technology})'
            return self._later(3.0, (f"+COPS: {listed},,(0-4),(0-2)",))
        if operator == "=":
            numbers = [number_in(part) for part in arguments.split(",")]
            if numbers[0] == 3 and len(numbers) > 1 and numbers[1] in (0, 1, 2):
                self._cops_format = numbers[1]
            return ()
        if not self.is_registered:
            return ("+COPS: 0",)
        names = (self._text(behaviour.operator), self._text(behaviour.operator[:8]), behaviour.plmn)
        return (f'+COPS: 0,{self._cops_format},"{names[self._cops_format]}",{behaviour.technology}',)

    def _csq(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ("+CSQ: (0-31,99),(0-7,99)",)
        rssi = self.behaviour.signal if self._cfun == 1 and self._no_network_until <= self.now else 99
        return (f"+CSQ: {rssi},{self.behaviour.ber}",)

    def _cfun_(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ("+CFUN: (0,1,4),(0,1)",)
        if operator == "?":
            return (f"+CFUN: {self._cfun}",)
        given = [number_in(part) for part in arguments.split(",")]
        if given[0] not in (0, 1, 4, 16):
            raise Refused("cme", 50)
        if given[0] == 16 or given[1:] == [1]:
            self._afterwards = self.reboot
            return ()
        changed = self._cfun != given[0]
        self._cfun = given[0]
        if changed:
            self._after(0.0, self._registration_changed)
        return ()

    def _cclk(self, operator: str, arguments: str) -> Answer:
        if operator != "?":
            return ()
        local = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        return (f'+CCLK: "{local:%y/%m/%d,%H:%M:%S}+00"',)

    def _cusd(self, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return ("+CUSD: (0-2)",)
        if operator == "?":
            return ("+CUSD: 1",)
        given = [unquoted(part) for part in arguments.split(",")]
        if given[0] == "2" or len(given) < 2:
            return ()
        if not self.is_registered:
            raise Refused("cme", 30)
        code = given[1]
        if self._cscs == "UCS2":
            try:
                code = bytes.fromhex(code).decode("utf-16-be")
            except ValueError:
                raise Refused("cme", 50) from None
        answer = self.behaviour.ussd.get(code)
        line = "+CUSD: 4" if answer is None else f'+CUSD: 0,"{self._text(answer)}",15'
        self._after(self.behaviour.ussd_delay_s, lambda: self._urc(line))
        return ()
