"""Which ttys belong to which stick, and which of them to open for the configuration's `port`.

A stick is known by its IMEI, never by a device number: ttyUSB2 becomes ttyUSB3 after an unplug, and twins share one
name in /dev/serial/by-id (modems.md §4). Looking (`ttys`, `sticks`) reads /sys and /dev and touches no port; asking for
an IMEI writes to a port, so the caller decides when (design.md §4, "Silence first"). `root` lets tests bring their own
file system. Refuses to know the database: what was learned (`Found`) is handed back to be remembered.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from modem import commands
from modem.clock import Clock
from modem.errors import ModemError, PortLost, PortUnavailable
from modem.link import Link

_NAMES = re.compile(r"tty(USB|ACM)\d+$")
_NO_MODEM = {
    ("12d1", "14db"): "a Huawei HiLink stick: a network card without AT port; it must be switched to serial mode",
    ("12d1", "14dc"): "a Huawei HiLink stick: a network card without AT port; it must be switched to serial mode",
    ("12d1", "1f01"): "a Huawei stick still in CD-ROM mode: install usb-modeswitch",
    ("3566", "2001"): "a Huawei stick still in CD-ROM mode: install usb-modeswitch",
    ("19d2", "2000"): "a ZTE stick still in CD-ROM mode: install usb-modeswitch",
}
"""Ids that are sticks all right, but have no AT port (modems.md §1)."""

_AT_INTERFACES: dict[tuple[str, str], tuple[int, ...]] = {
    ("2c7c", ""): (2, 3),
    ("1e0e", "9001"): (2, 3),
    ("1e0e", "9011"): (4, 2, 5),
    ("1e0e", "9205"): (2,),
    ("1e0e", "9206"): (2,),
    ("12d1", ""): (2, 1, 0),
    ("19d2", "0031"): (3, 1),
    ("19d2", ""): (2, 1),
    ("1199", ""): (3,),
    ("1bc7", "1201"): (4, 5),
    ("1bc7", "1204"): (5, 4),
    ("1bc7", ""): (1, 0),
    ("1546", "1010"): (6,),
    ("1546", ""): (0, 2, 4),
    ("05c6", "908b"): (1, 2),
    ("1e2d", "0061"): (2,),
    ("1e2d", ""): (0, 2),
}
"""USB ids → interfaces that speak AT, best first; product "" is the maker's other sticks (modems.md §1)."""

_PCUI = frozenset({("ff", "01", "02"), ("ff", "02", "02")})
"""Huawei says by its interface triple which port is the one for AT and announcements."""


@dataclass(frozen=True, slots=True)
class Tty:
    """One serial device. `stick` is the USB device's place in /sys: the same for all ports of one stick."""

    path: str
    stick: str = ""
    vendor: str = ""
    product: str = ""
    interface: int | None = None
    triple: tuple[str, str, str] = ("", "", "")
    by_id: str = ""
    by_path: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        """Where to try first: smaller is likelier to speak AT."""
        number = 99 if self.interface is None else self.interface
        if self.triple in _PCUI:
            return (0, number)
        likely = _AT_INTERFACES.get((self.vendor, self.product)) or _AT_INTERFACES.get((self.vendor, ""), ())
        return (1 + likely.index(number), number) if number in likely else (50, number)


@dataclass(frozen=True, slots=True)
class Stick:
    """One USB device and its ttys, likeliest first."""

    place: str
    ttys: tuple[Tty, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The port to open. `stable` is a name that survives a new device number, where there is one."""

    path: str
    imei: str | None
    stable: str


def ttys(root: Path = Path("/")) -> tuple[Tty, ...]:
    """Every USB tty there is now, by name."""
    links = {kind: _links(root / "dev/serial" / kind) for kind in ("by-id", "by-path")}
    found: list[Tty] = []
    for node in sorted((root / "sys/class/tty").glob("tty*")):
        if not _NAMES.match(node.name):
            continue
        interface, device = _usb(node / "device")
        found.append(
            Tty(
                path=str(root / "dev" / node.name),
                stick=device.name if device else node.name,
                vendor=_text(device, "idVendor"),
                product=_text(device, "idProduct"),
                interface=_hex(_text(interface, "bInterfaceNumber")),
                triple=(
                    _text(interface, "bInterfaceClass"),
                    _text(interface, "bInterfaceSubClass"),
                    _text(interface, "bInterfaceProtocol"),
                ),
                by_id=links["by-id"].get(node.name, ""),
                by_path=links["by-path"].get(node.name, ""),
            )
        )
    return tuple(found)


def sticks(found: Iterable[Tty]) -> tuple[Stick, ...]:
    """The ttys grouped by USB device."""
    places: dict[str, list[Tty]] = {}
    for tty in found:
        places.setdefault(tty.stick, []).append(tty)
    return tuple(Stick(place, tuple(sorted(group, key=lambda t: t.rank))) for place, group in sorted(places.items()))


def without_port(root: Path = Path("/")) -> tuple[str, ...]:
    """One plain sentence for each stick that is plugged in but offers no AT port."""
    said: list[str] = []
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        reason = _NO_MODEM.get((_text(device, "idVendor"), _text(device, "idProduct")))
        if reason:
            said.append(f"{device.name}: {reason}")
    return tuple(said)


def candidates(port: str, root: Path = Path("/"), *, known: str | None = None) -> Iterator[Tty]:
    """The ttys to try for the configured `port`, best first: what it names, the place it was last seen, the rest.

    A `port` that names a device also yields the other ttys of that stick and then all others, because the IMEI decides;
    the caller stops where no IMEI is configured. `known` is the `stable` name remembered from the last time.
    """
    present = ttys(root)
    ordered: list[Tty] = []
    if port != "auto":
        ordered += _named(port, present)
    if known:
        ordered += [tty for tty in present if known in (tty.path, tty.by_path, tty.by_id)]
    first = {tty.stick for tty in ordered}
    groups = sorted(sticks(present), key=lambda stick: stick.place not in first)
    ordered += [tty for stick in groups for tty in stick.ttys]
    yield from dict.fromkeys(ordered)


def find(
    port: str,
    imei: str | None,
    ask: Callable[[str], str | None],
    *,
    root: Path = Path("/"),
    known: str | None = None,
    taken: frozenset[str] = frozenset(),
) -> Found:
    """The tty of the stick the configuration means.

    `ask(path)` gives the IMEI behind a port, None when nothing there speaks AT; `taken` are IMEIs and paths other
    workers own. Without a configured `imei` a named port is taken as it is and asked nothing, and "auto" takes the
    first stick that answers. Raises PortUnavailable naming what was looked at.
    """
    if port != "auto" and imei is None:
        if not Path(port).exists():
            raise PortUnavailable(port, "no such device")
        return Found(port, None, port)
    looked: list[str] = []
    answered: set[str] = set()
    for tty in candidates(port, root, known=known):
        if tty.path in taken or tty.stick in answered:
            continue
        found = ask(tty.path)
        looked.append(f"{tty.path} ({found or 'no answer'})")
        if found is None:
            continue
        answered.add(tty.stick)  # its other ports belong to the same stick
        if found not in taken and imei in (None, found):
            return Found(tty.path, found, tty.by_path or tty.by_id or tty.path)
    wanted = f"IMEI {imei}" if imei else "a modem"
    detail = ", ".join(looked) if looked else "no serial device is plugged in"
    raise PortUnavailable(port, "; ".join([f"{wanted} not found: {detail}", *without_port(root)]))


def ask_imei(path: str, clock: Clock | None = None) -> str | None:
    """The IMEI behind a port; None when it cannot be opened or nothing there speaks AT. Writes ESC, AT and AT+CGSN."""
    try:
        with closing(Link(path, clock=clock)) as link:
            link.open()
            link.dialogue.escape(link.clock.monotonic())
            lines = link.perform(commands.IMEI).lines
    except (PortLost, ModemError):
        return None
    match = re.search(r"\d{14,17}", lines[0]) if lines else None
    return match[0] if match else None


def _named(port: str, present: Iterable[Tty]) -> list[Tty]:
    """The ttys a configured path means; a path outside /sys (a pty, a bridge) is taken at its word."""
    if not Path(port).exists():
        return [tty for tty in present if port in (tty.by_id, tty.by_path)]
    real = str(Path(port).resolve())
    return [tty for tty in present if str(Path(tty.path).resolve()) == real] or [Tty(port)]


def _links(directory: Path) -> dict[str, str]:
    """Device name → the link that points to it."""
    if not directory.is_dir():
        return {}
    return {link.resolve().name: str(link) for link in sorted(directory.iterdir())}


def _usb(device: Path) -> tuple[Path | None, Path | None]:
    """The USB interface and the USB device a tty hangs on, found by walking up in /sys."""
    try:
        place = device.resolve(strict=True)
    except OSError:
        return None, None
    interface: Path | None = None
    for directory in (place, *place.parents):
        if interface is None and (directory / "bInterfaceNumber").is_file():
            interface = directory
        if (directory / "idVendor").is_file():
            return interface, directory
    return interface, None


def _text(directory: Path | None, name: str) -> str:
    if directory is None:
        return ""
    try:
        return (directory / name).read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
