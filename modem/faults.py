"""What +CMS ERROR and +CME ERROR codes mean, and what helps.

A table, and refuses to be more: counting tries, waiting, parking a SIM after several recipients are the caller's.
Sources: 3GPP TS 27.005 §3.2.5 (+CMS 300 to 511), TS 24.011 §8.2.5.4 table 8.4 and annex E-2 (0 to 127, the
network's RP causes), TS 23.040 §9.2.3.22 (128 to 255, TP-FCS), TS 27.007 §9.2 (+CME); 512 and up are the maker's
own, read as the field reports they come with.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

Kind = Literal["cms", "cme"]


class Remedy(StrEnum):
    """What the caller does next with the message, the modem or the card."""

    FAIL = "fail"  # this message fails at once; it holds up no other
    RETRY_SOON = "retry_soon"  # again in seconds, a few times
    RETRY_LATER = "retry_later"  # again in minutes, with growing pauses
    WAIT = "wait"  # the card or modem is not ready yet: ask again every two seconds or so
    MODEM = "modem"  # the modem is at fault: recover it; the message stays queued, the try is not counted
    PARK_SIM = "park_sim"  # nothing more through this card until somebody looks
    CONFIG = "config"  # a setting is wrong: tell the operator, hold the message
    HOLD = "hold"  # wait until the modem is registered again
    UNKNOWN = "unknown"  # it may have gone out: never send again by itself
    ACCEPTED = "accepted"  # the network has it already
    IGNORE = "ignore"  # says nothing about a message


@dataclass(frozen=True, slots=True)
class Fault:
    """One error code. `tries` is how often to try again before `then`; None is until the message expires.

    `suspects_sim`: seen on blocked, unpaid or misconfigured cards; the same from several recipients in a row is
    the card's fault and not theirs. `empty_storage`: first delete what is stored. `resend_without`: the feature of
    the TPDU the network turned down.
    """

    code: int
    kind: Kind
    meaning: str
    remedy: Remedy
    tries: int | None = 0
    min_delay_s: float = 0.0
    then: Remedy = Remedy.FAIL
    suspects_sim: bool = False
    empty_storage: bool = False
    resend_without: Literal["validity format", "validity"] | None = None

    @property
    def is_permanent(self) -> bool:
        """Whether trying again cannot help this message."""
        return self.remedy is Remedy.FAIL

    @property
    def may_have_been_sent(self) -> bool:
        return self.remedy in (Remedy.UNKNOWN, Remedy.ACCEPTED)

    def __str__(self) -> str:
        return f"+{self.kind.upper()} ERROR {self.code}: {self.meaning}" if self.code >= 0 else self.meaning


def cms(code: int) -> Fault:
    """What +CMS ERROR: `code` means; a code nobody listed is read by the range it stands in."""
    known = _CMS.get(code)
    if known is not None:
        return known
    if 0 <= code <= 127:
        return replace(_SOON_TWICE, code=code, meaning="the network turned it down for a reason not listed")
    if 128 <= code <= 255:
        return replace(_FAIL, code=code, meaning="the service centre turned it down for a reason not listed")
    return replace(_SOON_THEN_MODEM, code=code, meaning="an error of the modem maker's own")


def cme(code: int) -> Fault:
    """What +CME ERROR: `code` means."""
    known = _CME.get(code)
    if known is not None:
        return known
    return replace(_SOON_THEN_MODEM, kind="cme", code=code, meaning="an error not listed")


def named(kind: Kind, words: str) -> Fault | None:
    """The fault of an error printed in words (AT+CMEE=2, or firmware that does so anyway); None if unknown."""
    words = " ".join(words.lower().replace("_", " ").replace("-", " ").split())
    if words.isascii() and words.isdigit() and len(words) < 6:
        code: int | None = int(words)
    else:
        code = (_CMS_WORDS if kind == "cms" else _CME_WORDS).get(words)
    if code is None:
        return None
    return cms(code) if kind == "cms" else cme(code)


# ----------------------------------------------------------------------------------------------------------------
# Rows of the tables differ in little: the templates below carry what they share.

_FAIL = Fault(0, "cms", "", Remedy.FAIL)
_FAIL_SUSPECT = replace(_FAIL, suspects_sim=True)
_SOON = Fault(0, "cms", "", Remedy.RETRY_SOON, 3, 5.0)
_SOON_ONCE_SUSPECT = replace(_SOON, tries=1, suspects_sim=True)
_SOON_TWICE = replace(_SOON, tries=2)
_SOON_THEN_LATER = replace(_SOON, tries=2, then=Remedy.RETRY_LATER)
_SOON_THEN_MODEM = replace(_SOON, tries=2, then=Remedy.MODEM)
_SOON_THEN_CONFIG = replace(_SOON, tries=1, then=Remedy.CONFIG)
_SOON_WHEN_EMPTIED = replace(_SOON, empty_storage=True)
_LATER = Fault(0, "cms", "", Remedy.RETRY_LATER, None, 60.0)
_MODEM = Fault(0, "cms", "", Remedy.MODEM, None)
_MODEM_THEN_PARK = Fault(0, "cms", "", Remedy.MODEM, 1, then=Remedy.PARK_SIM)
_PARK_SIM = Fault(0, "cms", "", Remedy.PARK_SIM, suspects_sim=True)
_CONFIG = Fault(0, "cms", "", Remedy.CONFIG)
_HOLD = Fault(0, "cms", "", Remedy.HOLD, None)
_UNKNOWN = Fault(0, "cms", "", Remedy.UNKNOWN)
_IGNORE = Fault(0, "cms", "", Remedy.IGNORE)
_WAIT = Fault(0, "cms", "", Remedy.WAIT, 20, 2.0, Remedy.MODEM)


def _table(kind: Kind, rows: Iterable[tuple[int, str, Fault]]) -> dict[int, Fault]:
    table: dict[int, Fault] = {}
    for code, meaning, template in rows:
        assert code not in table, code
        table[code] = replace(template, kind=kind, code=code, meaning=meaning)
    return table


_CMS = _table(
    "cms",
    (
        # The network's answer (24.011). 21 and 28 fail their message at once: 21 is what an anti-spam filter and a
        # card without an SMS plan say as well, which only a row of recipients can tell apart (`suspects_sim`).
        (1, "the number is not assigned", _FAIL),
        (8, "barred by the operator, often for want of credit", _SOON_ONCE_SUSPECT),
        (10, "calls from this card are barred, often for want of credit", _SOON_ONCE_SUSPECT),
        (17, "network failure", _SOON_THEN_LATER),
        (21, "the network rejected the message", _FAIL_SUSPECT),
        (22, "the network is congested", _SOON_THEN_LATER),
        (27, "the destination is out of order", _LATER),
        (28, "the sender is not identified in the network, or the service centre is a wrong one", _FAIL_SUSPECT),
        (29, "the network rejected the facility", _FAIL_SUSPECT),
        (30, "the subscriber is unknown", _FAIL_SUSPECT),
        (38, "the network is out of order, and not for a moment only", replace(_LATER, min_delay_s=300.0)),
        (41, "a temporary failure, mostly short", _SOON_THEN_LATER),
        (42, "the network is congested", _LATER),
        (47, "the network lacks resources", _LATER),
        (50, "this facility is not subscribed", _FAIL_SUSPECT),
        (69, "the network does not offer SMS over this radio technology", _SOON_THEN_CONFIG),
        (81, "transfer reference mixed up, mostly by a message arriving meanwhile", _SOON),
        (95, "the message is semantically wrong", _FAIL),
        (96, "mandatory information is wrong, mostly the number", _FAIL),
        (97, "the message type is not known", _FAIL),
        (98, "not possible in the present state, mostly by a message arriving meanwhile", _SOON),
        (99, "an information element is not known", _FAIL),
        (111, "protocol error, unspecified", _SOON_TWICE),
        (127, "interworking error, unspecified", _SOON_TWICE),
        # The service centre's answer (23.040 TP-FCS).
        (128, "telematic interworking is not supported", _FAIL),
        (129, "short message type 0 is not supported", _FAIL),
        (130, "the short message cannot be replaced", _FAIL),
        (143, "TP-PID error, unspecified", _FAIL),
        (144, "the data coding scheme is not supported", _FAIL),
        (145, "the message class is not supported", _FAIL),
        (159, "TP-DCS error, unspecified", _FAIL),
        (160, "the command cannot be acted on", _FAIL),
        (161, "the command is not supported", _FAIL),
        (175, "TP-Command error, unspecified", _FAIL),
        (176, "the TPDU is not supported", _FAIL),
        (192, "the service centre is busy", _LATER),
        (193, "the card has no subscription with this service centre", _PARK_SIM),
        (194, "system failure of the service centre", _LATER),
        (195, "invalid address", _FAIL),
        (196, "the destination is barred", _FAIL),
        (197, "rejected as a duplicate: the service centre has it already", Fault(0, "cms", "", Remedy.ACCEPTED)),
        (198, "the validity period format is not supported", replace(_FAIL, resend_without="validity format")),
        (199, "the validity period is not supported", replace(_FAIL, resend_without="validity")),
        (208, "the SMS storage of the card is full", _SOON_WHEN_EMPTIED),
        (209, "the card has no SMS storage: use the modem's own", _CONFIG),
        (210, "error in the modem", _MODEM),
        (211, "memory capacity exceeded", _SOON_WHEN_EMPTIED),
        (212, "the SIM application toolkit is busy", _SOON),
        (213, "SIM data download error", _IGNORE),
        (255, "unspecified", _SOON_THEN_LATER),
        # The modem's own answer (27.005).
        (300, "the modem failed", _MODEM),
        (301, "the SMS service of the modem is reserved: another program holds it", _CONFIG),
        (302, "not allowed, typically because the modem is still starting", _SOON_THEN_MODEM),
        (303, "not supported by the modem", _CONFIG),
        (304, "the modem did not understand the PDU, or has forgotten PDU mode", _SOON_THEN_MODEM),
        (305, "a text mode parameter is wrong: the modem has forgotten PDU mode", _SOON_THEN_MODEM),
        (310, "no SIM card", _PARK_SIM),
        (311, "the SIM card wants its PIN", _PARK_SIM),
        (312, "the phone-to-SIM PIN is required", _PARK_SIM),
        (313, "SIM failure", _MODEM_THEN_PARK),
        (314, "the SIM card is busy", _WAIT),
        (315, "wrong SIM card", _PARK_SIM),
        (316, "the SIM card wants its PUK", _PARK_SIM),
        (317, "the SIM card wants its PIN2", _PARK_SIM),
        (318, "the SIM card wants its PUK2", _PARK_SIM),
        (320, "memory failure", _MODEM),
        (321, "invalid storage index: the slot is empty", _IGNORE),
        (322, "the SMS storage is full", _SOON_WHEN_EMPTIED),
        (330, "the service centre's address is not known", _SOON_THEN_CONFIG),
        (331, "no network service", _HOLD),
        (332, "network timeout: the message may have gone out", _UNKNOWN),
        (340, "no acknowledgement was expected", _IGNORE),
        (500, "unknown error", _SOON_THEN_MODEM),
        # The makers' own, by what they were seen with (modems.md §3).
        (512, "no connection for the message, mostly because one was arriving", replace(_SOON, min_delay_s=10.0)),
        (513, "lower layer lost: the message may have gone out", _UNKNOWN),
        (514, "network error below the message, mostly because one was arriving", replace(_SOON, min_delay_s=10.0)),
        (515, "the modem is still starting", _WAIT),
        (517, "the text has characters or a length the modem does not take", _FAIL),
        (519, "the number has characters or a length the modem does not take", _FAIL),
        (520, "the message has a length the modem does not take", _FAIL),
        (521, "a timer of the modem ran out: the message may have gone out", _UNKNOWN),
        (531, "the number is not in the card's fixed dialling list", _FAIL),
        (538, "an invalid parameter", _FAIL),
        *((code, "an invalid parameter or length", _FAIL) for code in range(549, 555)),
        (604, "the modem is confused by an earlier command", _SOON_THEN_MODEM),
    ),
)

_CME = _table(
    "cme",
    (
        (0, "the modem failed", _MODEM),
        (1, "no connection to the modem", _MODEM),
        (3, "not allowed, right after start: not yet", _SOON_THEN_MODEM),
        (4, "not supported by the modem", _CONFIG),
        *((code, "the modem is locked to another SIM card or network", _PARK_SIM) for code in (5, 6, 7)),
        (10, "no SIM card", _PARK_SIM),
        (11, "the SIM card wants its PIN", _PARK_SIM),
        (12, "the SIM card wants its PUK", _PARK_SIM),
        (13, "SIM failure", _MODEM_THEN_PARK),
        (14, "the SIM card is busy", _WAIT),
        (15, "wrong SIM card", _PARK_SIM),
        (16, "wrong PIN: never to be tried again by itself", _PARK_SIM),
        (17, "the SIM card wants its PIN2", _PARK_SIM),
        (18, "the SIM card wants its PUK2", _PARK_SIM),
        (20, "memory full", _SOON_WHEN_EMPTIED),
        (21, "invalid index: the slot is empty", _IGNORE),
        (22, "not found", _IGNORE),
        (23, "memory failure", _MODEM),
        (24, "a text is too long", _FAIL),
        (25, "a text has invalid characters", _FAIL),
        (26, "a number is too long", _FAIL),
        (27, "a number has invalid characters", _FAIL),
        (30, "no network service", _HOLD),
        (31, "network timeout", _SOON),
        (32, "emergency calls only: the card is not accepted", replace(_HOLD, suspects_sim=True, then=Remedy.PARK_SIM)),
        *((code, "the modem is locked to another network", _PARK_SIM) for code in range(40, 49)),
        (50, "incorrect parameters", _FAIL),
        (100, "unknown error", _SOON_THEN_MODEM),
        (103, "the network does not accept this card", _PARK_SIM),
        (106, "the network does not accept this modem", _PARK_SIM),
        (107, "packet service is not allowed", _CONFIG),
        (111, "this network is not allowed for the card", _PARK_SIM),
        (112, "this area is not allowed for the card", _PARK_SIM),
        (113, "roaming is not allowed here", _PARK_SIM),
        (132, "the service option is not supported", _CONFIG),
        (133, "the service option is not subscribed", _PARK_SIM),
        (134, "the service option is out of order for now", _SOON_THEN_LATER),
        (148, "unspecified error of the packet service", _SOON_THEN_LATER),
        (149, "packet service authentication failed", _PARK_SIM),
        (256, "not possible for now", _WAIT),
        (257, "busy with a call", _WAIT),
        (258, "the modem is busy", _WAIT),
        (259, "the command was aborted", _SOON),
        (260, "the last of a row of attempts", _SOON),
        (261, "reset by the modem", _SOON_THEN_MODEM),
        (262, "the SIM card is blocked", _PARK_SIM),
        (263, "invalid block", _SOON_THEN_MODEM),
        (515, "the modem is still starting", _WAIT),
        (772, "the SIM card is powered down", _MODEM),
    ),
)

# A bare ERROR: the modem has forgotten AT+CMEE=1, or never says more. It did refuse, so nothing went out.
BARE_ERROR = Fault(-1, "cms", "the modem answered ERROR and did not say why", Remedy.RETRY_SOON, 3, 5.0, Remedy.MODEM)

# 27.005 §3.2.5 and 27.007 §9.2 as printed by AT+CMEE=2, lower case, hyphens read as spaces.
_CMS_WORDS = {
    "unassigned (unallocated) number": 1,
    "operator determined barring": 8,
    "call barred": 10,
    "short message transfer rejected": 21,
    "destination out of service": 27,
    "destination out of order": 27,
    "unidentified subscriber": 28,
    "facility rejected": 29,
    "unknown subscriber": 30,
    "network out of order": 38,
    "temporary failure": 41,
    "congestion": 42,
    "resources unavailable, unspecified": 47,
    "requested facility not subscribed": 50,
    "requested facility not implemented": 69,
    "invalid short message transfer reference value": 81,
    "invalid message, unspecified": 95,
    "invalid mandatory information": 96,
    "protocol error, unspecified": 111,
    "interworking, unspecified": 127,
    "unspecified error cause": 255,
    "me failure": 300,
    "sms service of me reserved": 301,
    "sms me reserved": 301,
    "operation not allowed": 302,
    "operation not supported": 303,
    "invalid pdu mode parameter": 304,
    "invalid text mode parameter": 305,
    "sim not inserted": 310,
    "(u)sim not inserted": 310,
    "sim pin required": 311,
    "sim pin necessary": 311,
    "(u)sim pin required": 311,
    "ph sim pin required": 312,
    "ph sim pin necessary": 312,
    "sim failure": 313,
    "(u)sim failure": 313,
    "sim busy": 314,
    "(u)sim busy": 314,
    "sim wrong": 315,
    "(u)sim wrong": 315,
    "sim puk required": 316,
    "(u)sim puk required": 316,
    "sim pin2 required": 317,
    "(u)sim pin2 required": 317,
    "sim puk2 required": 318,
    "(u)sim puk2 required": 318,
    "memory failure": 320,
    "invalid memory index": 321,
    "memory full": 322,
    "smsc address unknown": 330,
    "sca address unknown": 330,
    "no network service": 331,
    "no network": 331,
    "network timeout": 332,
    "no +cnma acknowledgement expected": 340,
    "no cnma acknowledgement expected": 340,
    "unknown": 500,
    "unknown error": 500,
}

_CME_WORDS = {
    "phone failure": 0,
    "me failure": 0,
    "no connection to phone": 1,
    "operation not allowed": 3,
    "operation not supported": 4,
    "ph sim pin required": 5,
    "ph fsim pin required": 6,
    "ph fsim puk required": 7,
    "sim not inserted": 10,
    "sim pin required": 11,
    "sim pin necessary": 11,
    "sim puk required": 12,
    "sim puk necessary": 12,
    "sim failure": 13,
    "sim busy": 14,
    "sim wrong": 15,
    "incorrect password": 16,
    "sim pin2 required": 17,
    "sim puk2 required": 18,
    "memory full": 20,
    "invalid index": 21,
    "not found": 22,
    "memory failure": 23,
    "text string too long": 24,
    "invalid characters in text string": 25,
    "dial string too long": 26,
    "invalid characters in dial string": 27,
    "no network service": 30,
    "network timeout": 31,
    "network not allowed emergency calls only": 32,
    "network not allowed, emergency calls only": 32,
    "emergency calls only": 32,
    "network personalization pin required": 40,
    "network personalisation pin required": 40,
    "incorrect parameters": 50,
    "invalid parameter": 50,
    "unknown": 100,
    "unknown error": 100,
    "illegal ms": 103,
    "illegal me": 106,
    "plmn not allowed": 111,
    "location area not allowed": 112,
    "roaming not allowed in this location area": 113,
    "sim blocked": 262,
    "sim powered down": 772,
}
