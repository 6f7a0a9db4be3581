"""How each family of sticks differs, as a table of differences; and the ladders built from what a stick says it can.

A stick is first asked (`+CNMI=?`, `+CPMS=?`, `+CSMS=?`); the profile only prefers, adds or forbids. All parsing is
defensive: lists come with and without parentheses, blanks, quotation marks, as ranges and mixed (modems.md §1).
Sources: 3GPP TS 27.005 §3.1-§3.4, modems.md §1 and §5. Facts here are second-hand until a trace proves them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_QUERIES: frozenset[str] = frozenset(
    {"AT", "AT+CSQ", "AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+CIMI", "AT+CCID", "AT+CNUM", "AT+CLAC", "AT+CEER"}
)


@dataclass(frozen=True, slots=True)
class TriesQuestion:
    """How to ask for the PIN attempts left: the command, and the pattern whose group 1 is their number."""

    command: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One family. Every field has the meaning that fits a stick nobody has seen."""

    name: str = "generic"
    maker: str = ""  # matched in "manufacturer model revision", any case; "" matches nothing
    modes: tuple[int, ...] = (2, 1, 3)  # +CNMI <mode>, in order of preference
    report_routes: tuple[int, ...] = (1, 2, 0)  # +CNMI <ds>: routed, stored, none
    message_routes: tuple[int, ...] = (1, 2)  # +CNMI <mt>: stored and told, routed
    storages: tuple[str, ...] = ("SM", "ME", "MT")  # where received messages go, in order of preference
    storage_forms: tuple[int, ...] = (3, 2, 1)  # numbers of arguments AT+CPMS is tried with
    link_mode: int | None = 1  # AT+CMMS in a burst; None: never
    iccid: tuple[str, ...] = ("AT+CCID", "AT+ICCID", "AT+QCCID", "AT^ICCID?", "AT+CCID?")
    tries: tuple[TriesQuestion, ...] = ()
    settings: tuple[str, ...] = ()  # sent after the identity is known; a refusal is ignored
    acknowledges: bool = True  # AT+CNMA works once CSMS=1 (oFono found it broken on several cores)
    ussd_packed: bool = False  # AT+CUSD wants packed septets as hex
    ready_timeout_s: float = 40.0  # +CME ERROR: 14 "SIM busy" is asked again this long
    queries: frozenset[str] = _QUERIES


_CPINR = TriesQuestion("AT+CPINR", r'\+CPINR: ?"?SIM PIN"?, ?(\d+)')

GENERIC = Profile(tries=(_CPINR,))

PROFILES: tuple[Profile, ...] = (
    Profile(
        name="quectel",
        maker=r"quectel",
        report_routes=(1, 0),  # ds=2 announces reports in SM while they lie in SR [CQ#75]
        iccid=("AT+QCCID", "AT+CCID"),
        tries=(TriesQuestion('AT+QPINC="SC"', r'\+QPINC: ?"?SC"?, ?(\d+)'),),
    ),
    Profile(
        name="a7670",
        maker=r"(?<![A-Z])A76\d\d",
        tries=(TriesQuestion("AT+SPIC", r"\+SPIC: ?(\d+)"),),
    ),
    Profile(
        name="sim7600",
        maker=r"SIM7[56]\d\d",
        modes=(2, 1, 3),
        tries=(TriesQuestion("AT+SPIC", r"\+SPIC: ?(\d+)"),),
    ),
    Profile(
        name="sim800",
        maker=r"SIM[89]\d\d",
        report_routes=(1, 0),  # ds=2 is an error [PG#60]
        tries=(TriesQuestion("AT+SPIC", r"\+SPIC: ?(\d+)"),),
    ),
    Profile(
        name="simcom",
        maker=r"simcom",
        tries=(TriesQuestion("AT+SPIC", r"\+SPIC: ?(\d+)"),),
    ),
    Profile(
        name="brovi",
        maker=r"zowee|brovi|E3372-325",
        storage_forms=(3,),  # accepts nothing else [G#908]
        iccid=("AT^ICCID?", "AT+CCID"),
        tries=(TriesQuestion("AT^CPIN?", r"\^CPIN: ?[^,]*,[^,]*,\d*,\d*,(\d+)"),),
    ),
    Profile(
        name="huawei",
        maker=r"huawei",
        modes=(1, 2),
        iccid=("AT^ICCID?", "AT+CCID"),
        tries=(TriesQuestion("AT^CPIN?", r"\^CPIN: ?[^,]*,[^,]*,\d*,\d*,(\d+)"),),
        settings=("AT^CURC=0",),  # mutes ^RSSI, ^BOOT and the like
        acknowledges=False,
    ),
    Profile(
        name="zte",
        maker=r"\bzte\b",
        modes=(1, 2),
        tries=(TriesQuestion("AT+ZPINPUK=?", r"\+ZPINPUK: ?(\d+)"),),
        acknowledges=False,
    ),
    Profile(
        name="telit",
        maker=r"telit",
        tries=(TriesQuestion("AT#PCT", r"#PCT: ?(\d+)"),),
    ),
    Profile(
        name="ublox",
        maker=r"u-?blox",
        tries=(TriesQuestion("AT+UPINCNT", r"\+UPINCNT: ?(\d+)"),),
    ),
    Profile(
        name="cinterion",
        maker=r"cinterion|thales|siemens|gemalto",
        tries=(TriesQuestion('AT^SPIC="SC"', r"\^SPIC: ?(\d+)"),),
        settings=("AT^SM20=0,0",),  # otherwise a failed send answers OK [SIE]
    ),
    Profile(
        name="sierra",
        maker=r"sierra",
        modes=(1, 2),
    ),
    GENERIC,
)
"""Ordered: the first whose `maker` is found wins, so narrow rows stand above wide ones."""


def choose(manufacturer: str, model: str, revision: str = "") -> Profile:
    """The profile of a stick; `GENERIC` for one nobody has told us of."""
    text = f"{manufacturer} {model} {revision}"
    for profile in PROFILES:
        if profile.maker and re.search(profile.maker, text, re.IGNORECASE):
            return profile
    return GENERIC


def named(name: str) -> Profile:
    """The profile called `name` (the `dialect` of the configuration). Raises KeyError."""
    return {profile.name: profile for profile in PROFILES}[name]


# What the `=?` answers say.

Ranges = tuple[frozenset[int], ...]

_GROUP = re.compile(r"\(([^()]*)\)|([^(),]+)")
_LARGEST = 255


def numbers(text: str) -> frozenset[int]:
    """`0-3`, `0,1,3`, `0-1,3` as numbers; what is none is left out."""
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.strip().isdecimal() or not low.isascii():
            continue
        first = int(low.strip()[:4])
        last = int(high.strip()[:4]) if dash and high.strip().isdecimal() and high.isascii() else first
        found.update(range(first, min(last, _LARGEST) + 1))
    return frozenset(found)


def ranges(answer: str) -> Ranges:
    """The groups of a test answer such as `+CNMI: (0-3),(0,1),(0,2),(0,1),(1)`; empty when it is unreadable."""
    rest = answer.partition(":")[2]
    groups = (match[1] if match[1] is not None else match[2].strip() or None for match in _GROUP.finditer(rest))
    return tuple(numbers(group) for group in groups if group is not None)


def storages(answer: str) -> tuple[tuple[str, ...], ...]:
    """The storages `+CPMS=?` offers for reading, writing and receiving; empty when it is unreadable.

    Copes with `("SM","ME"),("SM"),…`, `"SM","SM","SM"`, `(),(),()`, no parentheses, blanks and a lost quotation mark.
    """
    _, colon, rest = answer.partition(":")
    if not colon:
        return ()
    if "(" not in rest:
        return tuple((name,) for name in _names(rest))
    groups: list[tuple[str, ...]] = []
    for match in re.finditer(r"\(([^()]*)\)|([^(),]+)", rest):
        inner = match[1] if match[1] is not None else match[2]
        if match[1] is not None or inner.strip():
            groups.append(tuple(_names(inner)))
    return tuple(groups)


def _names(text: str) -> Iterator[str]:
    for part in text.split(","):
        name = part.strip().strip('"').strip().upper()
        if re.fullmatch(r"[A-Z]{2}", name):
            yield name


# The ladders.

_BLIND: tuple[tuple[int, ...], ...] = ((2, 1, 0, 1, 0), (2, 1, 0, 1), (1, 1, 0, 1, 0), (2, 1, 0, 2, 0), (2, 1, 0, 0, 0))
_LAST_RESORT: tuple[tuple[int, ...], ...] = ((2, 1), (1, 1))


@dataclass(frozen=True, slots=True)
class Indication:
    """One rung of the +CNMI ladder; `numbers` as they go on the wire."""

    numbers: tuple[int, ...]

    @property
    def text(self) -> str:
        return ",".join(map(str, self.numbers))

    @property
    def messages_routed(self) -> bool:
        """+CMT instead of +CMTI."""
        return len(self.numbers) > 1 and self.numbers[1] in (2, 3)

    @property
    def reports(self) -> int:
        """0 none, 1 routed as +CDS, 2 stored with +CDSI."""
        return self.numbers[3] if len(self.numbers) > 3 else 0


def indication_ladder(answer: str, profile: Profile = GENERIC) -> tuple[Indication, ...]:
    """The +CNMI settings to try, best first: what the stick offers in the order the profile prefers.

    Always ends in rungs that nearly every stick takes. Sticks that offer ds=1 and refuse it are why there is a ladder.
    """
    offered = ranges(answer)
    rungs: list[tuple[int, ...]] = []
    if len(offered) >= 2 and offered[0] and offered[1]:
        for route in profile.report_routes if len(offered) > 3 else (0,):
            if len(offered) > 3 and route not in offered[3]:
                continue
            for messages in profile.message_routes:
                for mode in profile.modes:
                    if mode in offered[0] and messages in offered[1]:
                        rungs.append(_indication(mode, messages, route, offered))
    else:
        rungs += _BLIND
    rungs += [rung for rung in _LAST_RESORT if rung not in rungs]
    return tuple(Indication(rung) for rung in dict.fromkeys(rungs))


def _indication(mode: int, messages: int, route: int, offered: Ranges) -> tuple[int, ...]:
    """As many numbers as the stick knows: mode, mt, bm (no broadcasts), ds, bfr (0: keep what is buffered)."""
    wanted = (mode, messages, 0, route, 0)
    return tuple(
        number if not allowed or number in allowed else min(allowed) for number, allowed in zip(wanted, offered[:5], strict=False)
    )


@dataclass(frozen=True, slots=True)
class Storing:
    """One rung of the +CPMS ladder."""

    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return ",".join(f'"{name}"' for name in self.names)


def storage_ladder(answer: str, profile: Profile = GENERIC) -> tuple[Storing, ...]:
    """The +CPMS settings to try: three equal arguments first, then two, then one (modems.md §1)."""
    offered = storages(answer)
    everywhere = [n for n in profile.storages if all(n in group for group in offered if group)] if offered else []
    readable = [n for n in profile.storages if offered and n in offered[0]]
    wanted = list(dict.fromkeys([*everywhere, *readable])) or list(profile.storages[:2])
    rungs: list[Storing] = []
    for name in wanted:
        rungs += [Storing((name,) * count) for count in profile.storage_forms]
    return tuple(rungs)


def readable_storages(answer: str, chosen: str) -> tuple[str, ...]:
    """The storages worth sweeping: the chosen one first, then card and stick memory where they can be read.

    MT is SM and ME together, SR holds reports only where +CDSI says so, BM is broadcasts: none of them is swept.
    """
    offered = storages(answer)
    others: Sequence[str] = offered[0] if offered else ()
    return tuple(dict.fromkeys([chosen, *(name for name in others if name in ("SM", "ME") and chosen != "MT")]))
