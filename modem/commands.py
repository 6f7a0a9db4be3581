"""Each AT command as a value: its text, the shape of its answer, how long it may take.

Sources: V.250, 3GPP TS 27.007, 3GPP TS 27.005; times from the vendors' manuals collected in modems.md §2–§3.
Refuses to know whether a command is waiting or what was answered: that is the dialogue.
"""

import re
from dataclasses import dataclass, field

from modem.lines import looks_unasked

_NOTHING = re.compile(r"(?!)")

ESCAPE = b"\x1b\r"
"""Leaves a stuck prompt (27.005 §3.5.1); the CR ends whatever half line the modem may hold."""

PROMPT_TIMEOUT_S = 10.0
SOFT_TIMEOUT_S = 60.0
HARD_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Command:
    """One command line and what to expect of it.

    `answer` matches the lines that belong to the answer; `free` means unprefixed text, where a line that looks
    unasked is never taken. `informative`: OK alone is no full answer, so one points to a late OK of something else.
    `paired`: each answer line is a header whose PDU follows. `payload` is written at the prompt.
    """

    text: str
    timeout_s: float = 5.0
    answer: re.Pattern[str] = field(default=_NOTHING)
    free: bool = False
    informative: bool = False
    paired: bool = False
    message_service: bool = False  # may end in +CMS ERROR (27.005)
    payload: bytes | None = None
    secret: bool = False

    def __post_init__(self) -> None:
        if not self.text.isascii() or not self.text.isprintable():
            raise ValueError("a command line is printable ASCII")

    @property
    def line(self) -> bytes:
        """What goes on the wire."""
        return self.text.encode("ascii") + b"\r"

    @property
    def shown(self) -> str:
        """The command as a log may show it."""
        return self.text.partition("=")[0] + "=…" if self.secret else self.text

    def claims(self, line: str) -> bool:
        """True when `line` belongs to this command's answer."""
        if self.free and looks_unasked(line) and not self._names(line):
            return False
        return self.answer.match(line) is not None

    def _names(self, line: str) -> bool:
        """True when `line` starts with this command's own name, as `+CGMI: "maker"` does."""
        name = self.text[2:].rstrip("=?")
        return len(name) > 1 and line.upper().startswith(name.upper() + ":")


def setting(text: str, timeout_s: float = 5.0, *, message_service: bool = False) -> Command:
    """A command that is answered by a result alone."""
    return Command(text, timeout_s, message_service=message_service)


def question(text: str, answer: str, timeout_s: float = 5.0, *, informative: bool = True) -> Command:
    """A command answered by lines matching `answer`."""
    return Command(text, timeout_s, re.compile(answer, re.IGNORECASE), informative=informative)


def free(text: str, answer: str = r".", timeout_s: float = 5.0) -> Command:
    """A command answered by unprefixed text."""
    return Command(text, timeout_s, re.compile(answer, re.DOTALL), free=True, informative=True)


def anything(text: str, timeout_s: float = 10.0) -> Command:
    """A command of which we know nothing: its own prefix where it has one, else free text."""
    name = re.match(r"AT([+^*#$%&!][A-Z0-9_]+)", text, re.IGNORECASE)
    if name is None:
        return Command(text, timeout_s, re.compile(r"."), free=True)
    own = re.compile(re.escape(name[1]) + r"\b ?:|(?![+^*#$%&!][A-Za-z0-9_]+ ?:).", re.IGNORECASE)
    return Command(text, timeout_s, own, free=True)


ATTENTION = setting("AT", 2.0)
ECHO_OFF = setting("ATE0", 2.0)
VERBOSE = setting("ATV1", 2.0)
NUMERIC_ERRORS = setting("AT+CMEE=1", 2.0)
PDU_MODE = setting("AT+CMGF=0", message_service=True)
GSM_CHARACTERS = setting('AT+CSCS="GSM"')
ACKNOWLEDGE = setting("AT+CNMA", message_service=True)

MANUFACTURER = free("AT+CGMI")
MODEL = free("AT+CGMM")
REVISION = free("AT+CGMR")
IMEI = free("AT+CGSN", r'(?:\+CGSN: ?)?"?\d{14,17}\b')
IMSI = free("AT+CIMI", r'(?:\+CIMI: ?)?"?\d{6,15}\b')

PIN_STATE = question("AT+CPIN?", r"\+CPIN ?:", 10.0)
SMS_CENTRE = question("AT+CSCA?", r"\+CSCA ?:", 10.0)
SIGNAL = question("AT+CSQ", r"\+CSQ ?:")
# The answer is <n>,<stat>; the unasked form is <stat>[,<lac>…] with a longer or quoted second field (27.007 §7.2).
REGISTRATION = question("AT+CREG?", r"\+CREG ?: ?\d ?, ?\d{1,2}(?: ?,|$)")
PACKET_REGISTRATION = question("AT+CGREG?", r"\+CGREG ?: ?\d ?, ?\d{1,2}(?: ?,|$)")
EPS_REGISTRATION = question("AT+CEREG?", r"\+CEREG ?: ?\d ?, ?\d{1,2}(?: ?,|$)")
ERROR_FORM = question("AT+CMEE?", r"\+CMEE ?:")
OPERATOR = question("AT+COPS?", r"\+COPS ?:", 30.0)
FUNCTION = question("AT+CFUN?", r"\+CFUN ?:", informative=False)
RADIO_ON = setting("AT+CFUN=1", 15.0)
SERVICE_RANGE = question("AT+CSMS=?", r"\+CSMS ?:", informative=False)
STORAGE_RANGE = question("AT+CPMS=?", r"\+CPMS ?:", informative=False)
INDICATION_RANGE = question("AT+CNMI=?", r"\+CNMI ?:", informative=False)

# EF_SMSS, first octet: the last TP-MR used (3GPP TS 31.102 §4.2.28); EF_ICCID (ETSI TS 102 221 §13.2).
LAST_REFERENCE = question("AT+CRSM=176,28483,0,0,2", r"\+CRSM ?:")
ICCID_RECORD = question("AT+CRSM=176,12258,0,0,10", r"\+CRSM ?:")


def service(number: int) -> Command:
    """AT+CSMS (27.005 §3.2.1): 0 is phase 2, 1 is phase 2+ with acknowledgements. Answered by three capabilities."""
    return Command(f"AT+CSMS={number}", 5.0, re.compile(r"\+CSMS ?:"), message_service=True)


def storages(names: str) -> Command:
    """AT+CPMS (27.005 §3.2.2); `names` as on the wire. Answered by counters, on some phones by OK alone."""
    return Command(f"AT+CPMS={names}", 20.0, re.compile(r"\+CPMS ?:"), message_service=True)


def indications(numbers: str) -> Command:
    """AT+CNMI (27.005 §3.4.1)."""
    return setting(f"AT+CNMI={numbers}", message_service=True)


def list_all() -> Command:
    """AT+CMGL=4 in PDU mode (27.005 §4.1): all messages, header and PDU in turn."""
    return Command("AT+CMGL=4", 30.0, re.compile(r"\+CMGL ?:"), paired=True, message_service=True)


def read(index: int) -> Command:
    """AT+CMGR in PDU mode (27.005 §4.2); an empty slot is answered by OK alone, by length 0, or by +CMS 321."""
    return Command(f"AT+CMGR={index:d}", 10.0, re.compile(r"\+CMGR ?:"), paired=True, message_service=True)


def delete(index: int) -> Command:
    """AT+CMGD (27.005 §3.5.4), one message only; the form that deletes all is never sent."""
    return setting(f"AT+CMGD={index:d}", 25.0, message_service=True)


def keep_link(mode: int) -> Command:
    """AT+CMMS (27.005 §3.5.6): 1 keeps the relay link for the next message and falls back to 0 by itself."""
    return setting(f"AT+CMMS={mode:d}", message_service=True)


def submit(tpdu: bytes) -> Command:
    """AT+CMGS in PDU mode (27.005 §4.3). The length leaves out the SMSC octets; `00` asks for the card's own SMSC."""
    return Command(
        f"AT+CMGS={len(tpdu)}",
        PROMPT_TIMEOUT_S,
        re.compile(r"\+CMGS ?:"),
        message_service=True,
        payload=b"00" + tpdu.hex().upper().encode("ascii") + b"\x1a",
    )


def enter_pin(pin: str) -> Command:
    """AT+CPIN= (27.007 §8.3). The driver alone decides whether it may be written. Raises ValueError for no PIN."""
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise ValueError("a PIN is 4 to 8 digits")
    return Command(f'AT+CPIN="{pin}"', 20.0, secret=True)


_CHANGES = re.compile(
    r"\*{1,2}0[0-9]{1,2}\*|\*\*|##|[*#]0[3-5]"  # PIN, PIN2 and PUK; registering and erasing services; a new barring password
    r"|[*#](?:21|61|62|67|002|004|33|331|332|35|351|330|333|353|43|30|31|76|77)[*#](?!$)"  # with a number or password
    r"|[*#](?:21|61|62|67|002|004|43)#"  # without one; barring wants its password, so *333# is an operator's own
)
"""MMI codes that a modem may act on by itself instead of passing them on (TS 22.030 §6.5.2, §6.6; TS 31.101 PIN handling)."""


def ussd(code: str, dcs: int = 15) -> Command:
    """AT+CUSD (27.007 §7.15); the answer comes unasked, later.

    Raises ValueError for a code with other than 0-9*#+, and for one that changes the card's PIN or the subscription: `*#21#`
    (a question) is taken, `**21*number#` and `*21#` are not.
    """
    if not re.fullmatch(r"[0-9*#+]{1,80}", code):
        raise ValueError("a USSD code is made of digits, *, # and +")
    if changes_something(code):
        raise ValueError("this code changes the SIM card or the subscription")
    return setting(f'AT+CUSD=1,"{code}",{dcs:d}', 20.0)


def changes_something(code: str) -> bool:
    """Whether a code is one for supplementary services or the PIN that changes something; `*#…#` only asks."""
    return not code.startswith("*#") and _CHANGES.match(code) is not None


USSD_CANCEL = setting("AT+CUSD=2")

_SAFE_QUERY = re.compile(r"AT(?:I\d?|[+^*#$%&][A-Z0-9_]{1,16}(?:\?|=\?))", re.IGNORECASE)
_NEVER = re.compile(r"AT(?:\+CMG[SWCD]|\+CMSS|\+CNMA|\+CGDATA|\^RESET|\+CRESET)\?", re.IGNORECASE)


def query(text: str, allowed: frozenset[str] = frozenset()) -> Command | None:
    """The command for a person's question at the console, None when it is not a plain question.

    Allowed are `?`, `=?`, ATI and what `allowed` lists word for word; one command, no `;`, nothing quoted.
    """
    wanted = text.strip()
    if _NEVER.fullmatch(wanted):
        return None
    if wanted.upper() in allowed or _SAFE_QUERY.fullmatch(wanted):
        return anything(wanted, 30.0)
    return None
