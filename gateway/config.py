"""The configuration: one TOML file, read once, into frozen values that are passed down as arguments.

It holds only what must be known before the database is opened; everything else lives in the store. `config/ringpost.toml`
documents every key. A wrong key or value raises ConfigError with file, line, what was found and what is allowed.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from gateway.errors import ConfigError
from gateway.toml_tables import Document, Table

__all__ = [
    "Backup",
    "Config",
    "Gateway",
    "Listen",
    "Modem",
    "Panel",
    "Power",
    "Sim",
    "Smtp",
    "Tls",
    "Web",
    "Whatsapp",
    "find",
    "load",
    "read",
]

T = TypeVar("T")

DEFAULT_FILE = Path("/etc/ringpost/ringpost.toml")
DEFAULT_STATE_DIR = Path("/var/lib/ringpost")
DIALECTS = ("auto", "generic", "huawei", "quectel", "sierra", "simcom", "telit", "ublox", "zte")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: an address of this machine and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Only programs on this machine can reach it."""
        return self.host == "localhost" or (_is_address(self.host) and ipaddress.ip_address(self.host).is_loopback)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """How the web speaks: `auto` (a certificate of Ringpost's own), `off`, or `files` (certificate and key given)."""

    mode: str
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """The daemon and what it shares with the web: `[gateway]`."""

    name: str
    database: str
    """A path, or a `postgresql://` URL; what `store.database.Database` takes."""
    state_dir: Path
    log_level: str
    test_clock: Path | None

    @property
    def is_postgresql(self) -> bool:
        return self.database.startswith(("postgresql:", "postgres:"))

    @property
    def database_shown(self) -> str:
        """The database without its password."""
        if not self.is_postgresql:
            return self.database
        parts = urlsplit(self.database)
        if parts.password is None:
            return self.database
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


@dataclass(frozen=True, slots=True)
class Web:
    """The web process: `[web]`."""

    listen: Listen
    candidate_listen: Listen | None
    tls: Tls
    public_url: str | None
    threads: int
    processes: int
    candidate_url: str | None = None

    @property
    def candidate_base(self) -> str:
        """What links for candidates begin with: `candidate_url`, what can be made of `candidate_listen`, or else `url`."""
        if self.candidate_url is not None or self.candidate_listen is None:
            return self.candidate_url or self.url
        scheme = "http" if self.tls.mode == "off" else "https"
        return f"{scheme}://{self.candidate_listen}"

    @property
    def url(self) -> str:
        """The address to tell people: `public_url`, or what can be made of `listen`."""
        if self.public_url is not None:
            return self.public_url
        scheme = "http" if self.tls.mode == "off" else "https"
        host = "localhost" if self.listen.host in ("0.0.0.0", "::") else self.listen.host  # noqa: S104  # compared only
        return f"{scheme}://{Listen(host, self.listen.port)}"


@dataclass(frozen=True, slots=True)
class Power:
    """How a stick's power is cut: a relay on a GPIO pin, or a switchable USB port."""

    gpio: int | None = None
    uhubctl: str | None = None


@dataclass(frozen=True, slots=True)
class Modem:
    """One stick: `[[modem]]`."""

    name: str
    port: str
    imei: str | None
    dialect: str
    power: Power | None


@dataclass(frozen=True, slots=True)
class Sim:
    """One card's PIN: `[[sim]]`."""

    iccid: str
    pin_file: Path | None


@dataclass(frozen=True, slots=True)
class Panel:
    """Lights and button, by BCM number: `[panel]`."""

    led_ok: int | None = None
    led_fault: int | None = None
    led_traffic: int | None = None
    button: int | None = None


@dataclass(frozen=True, slots=True)
class Smtp:
    """The mail server: `[smtp]`."""

    host: str
    port: int
    security: str
    sender: str
    username: str | None
    password_file: Path | None


@dataclass(frozen=True, slots=True)
class Whatsapp:
    """The WhatsApp Cloud API: `[whatsapp]`."""

    phone_number_id: str
    business_account_id: str
    api_version: str
    token_file: Path
    app_secret_file: Path
    verify_token_file: Path


@dataclass(frozen=True, slots=True)
class Backup:
    """Where backups go: `[backup]`."""

    target: Path
    every_hours: int
    keep_days: int
    passphrase_file: Path


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the file says, with its defaults filled in."""

    gateway: Gateway
    web: Web
    modems: tuple[Modem, ...] = ()
    sims: tuple[Sim, ...] = ()
    panel: Panel = Panel()
    smtp: Smtp | None = None
    whatsapp: Whatsapp | None = None
    backup: Backup | None = None
    file: Path | None = None
    _document: Document | None = field(default=None, repr=False, compare=False)

    def line(self, *path: str | int) -> int | None:
        """The line of a table, row or key in the file, for complaints that come later than loading."""
        return None if self._document is None else self._document.line(*path)

    def wrong(self, path: tuple[str | int, ...], message: str) -> ConfigError:
        """A complaint at `path`, to raise."""
        return ConfigError("the configuration" if self.file is None else str(self.file), self.line(*path), message)


def find(given: str | os.PathLike[str] | None = None) -> Path:
    """The file to use: the one given, else RINGPOST_CONFIG, else /etc/ringpost/ringpost.toml.

    Never one that merely lies in the working directory. Raises ConfigError where there is none.
    """
    chosen = given or os.environ.get("RINGPOST_CONFIG")
    if chosen:
        return Path(chosen)
    if DEFAULT_FILE.exists():
        return DEFAULT_FILE
    raise ConfigError(
        str(DEFAULT_FILE),
        None,
        "there is no configuration here, and none was named by -c FILE or RINGPOST_CONFIG. "
        "`ringpost check --example` prints one to start from; `ringpost demo` needs none",
    )


def load(path: str | os.PathLike[str]) -> Config:
    """Read the file. Raises ConfigError."""
    return _config(Document.load(Path(path).absolute()))


def read(text: str, file: str = "ringpost.toml") -> Config:
    """The same from a text. Raises ConfigError."""
    return _config(Document(file, text))


def _config(document: Document) -> Config:
    document.allow(("gateway", "web", "modem", "sim", "panel", "smtp", "whatsapp", "backup"))
    return Config(
        gateway=_gateway(document.table("gateway", _names(Gateway))),
        web=_web(document.table("web", _names(Web))),
        modems=_modems(document),
        sims=_sims(document),
        panel=_panel(document.table("panel", _names(Panel))),
        smtp=_optional(document, "smtp", ("host", "port", "security", "from", "username", "password_file"), _smtp),
        whatsapp=_optional(document, "whatsapp", _names(Whatsapp), _whatsapp),
        backup=_optional(document, "backup", _names(Backup), _backup),
        file=Path(document.file),
        _document=document,
    )


def _names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _optional(document: Document, name: str, keys: tuple[str, ...], make: Callable[[Table], T]) -> T | None:
    return make(document.table(name, keys)) if name in document.values else None


def _gateway(table: Table) -> Gateway:
    name_rule = "letters, digits, dots and dashes, at most 64"
    name = table.text("name", "ringpost", allowed=name_rule)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        table.refuse("name", name_rule)
    state_dir = table.path_of("state_dir", DEFAULT_STATE_DIR)
    return Gateway(
        name=name,
        database=_database(table, state_dir),
        state_dir=state_dir,
        log_level=table.choice("log_level", LOG_LEVELS, "info"),
        test_clock=table.maybe_path("test_clock"),
    )


def _database(table: Table, state_dir: Path) -> str:
    allowed = 'the path of an SQLite file, or a URL such as "postgresql://ringpost@db.example/ringpost"'
    text = table.text("database", str(state_dir / "ringpost.db"), allowed=allowed)
    if text.startswith(("postgresql:", "postgres:")):
        return text
    if text.startswith("sqlite:"):
        text = text.removeprefix("sqlite:///")
    if re.match(r"[a-z+]+://", text) or text.startswith("sqlite:"):
        table.wrong("database", f'found "{text.split(":")[0]}:…"; allowed is {allowed}')
    return str(Path(table.document.file).resolve().parent / Path(text).expanduser())


def _web(table: Table) -> Web:
    # Reachable from the LAN, because a box that nobody can reach is no use to a newcomer, and encrypted from the first byte,
    # because passwords and candidates' names cross that LAN. Plain HTTP needs to be asked for, and only on this machine.
    listen = _listen(table, "listen") or Listen("0.0.0.0", 8443)  # noqa: S104
    candidate_listen = _listen(table, "candidate_listen")
    tls = _tls(table)
    public_url = _public_url(table, "public_url", "https://sms.acme.example")
    behind_proxy = public_url is not None and public_url.startswith("https://")
    for key, place in (("listen", listen), ("candidate_listen", candidate_listen)):
        if tls.mode == "off" and place is not None and not place.is_loopback and not behind_proxy:
            table.wrong(
                "tls",
                f'found "off" while {key} is "{place}": passwords would cross the network in clear; allowed is "auto", or '
                f'"off" with a {key} such as "127.0.0.1:{place.port}", or "off" behind a proxy with an https:// public_url',
            )
    if candidate_listen is not None and candidate_listen == listen:
        table.refuse("candidate_listen", "another port than that of listen")
    return Web(
        listen=listen,
        candidate_listen=candidate_listen,
        tls=tls,
        public_url=public_url,
        threads=table.number("threads", 12, least=2, most=200),
        processes=table.number("processes", 1, least=1, most=16),
        candidate_url=_public_url(table, "candidate_url", "https://jobs.acme.example"),
    )


def _listen(table: Table, key: str) -> Listen | None:
    if key not in table:
        return None
    allowed = 'an address and a port such as "0.0.0.0:8443" (the whole LAN) or "127.0.0.1:8443" (this machine only)'
    text = table.text(key, allowed=allowed)
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", text)
    if found is None or int(found[3]) > 65535:
        table.refuse(key, allowed)
    host = found[1] or found[2]
    if re.fullmatch(r"[0-9.]+", host) and not _is_address(host):
        table.refuse(key, allowed)
    return Listen(host, int(found[3]))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _tls(table: Table) -> Tls:
    allowed = '"auto", "off" or { certificate = "FILE", key = "FILE" }'
    value = table.values.get("tls", "auto")
    if value in ("auto", "off"):
        return Tls(str(value))
    if not isinstance(value, dict):
        table.refuse("tls", allowed)
    files = Table(table.document, (*table.path, "tls"), "[web] tls", value, ("certificate", "key"))
    for key in ("certificate", "key"):
        files.need(key, allowed)
    return Tls("files", files.path_of("certificate"), files.path_of("key"))


def _public_url(table: Table, key: str, example: str) -> str | None:
    if key not in table:
        return None
    allowed = f'the address people use, such as "{example}"'
    text = table.text(key, allowed=allowed).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        table.refuse(key, allowed)
    return text


def _modems(document: Document) -> tuple[Modem, ...]:
    modems: list[Modem] = []
    for number, row in enumerate(document.rows("modem", _names(Modem)), 1):
        port_rule = '"auto" or the path of a serial port such as "/dev/serial/by-id/usb-…"'
        row.need("port", port_rule)
        port = row.text("port", allowed=port_rule)
        if port != "auto" and not port.startswith("/"):
            row.refuse("port", port_rule)
        name = row.text("name", f"modem{number}", allowed="a short name")
        if any(name == other.name for other in modems):
            row.wrong("name" if "name" in row else None, f'found "{name}" for a second time; each modem has a name of its own')
        if port != "auto" and any(port == other.port for other in modems):
            row.wrong("port", f'found "{port}" for a second time; each modem has a port of its own')
        modems.append(Modem(name, port, _digits(row, "imei", 15, 15), row.choice("dialect", DIALECTS, "auto"), _power(row)))
    return tuple(modems)


def _digits(row: Table, key: str, least: int, most: int) -> str | None:
    if key not in row:
        return None
    count = str(least) if least == most else f"{least} to {most}"
    allowed = f'{count} digits in quotes, such as "{"8" * least}"'
    digits = row.text(key, allowed=allowed).replace(" ", "")
    if not re.fullmatch(rf"[0-9]{{{least},{most}}}", digits):
        row.refuse(key, allowed)
    return digits


def _power(row: Table) -> Power | None:
    if "power" not in row:
        return None
    allowed = '{ gpio = 17 } (BCM number of a relay) or { uhubctl = "1-1:2" } (hub and port)'
    value = row.values["power"]
    if not isinstance(value, dict) or len(value) != 1:
        row.refuse("power", allowed)
    table = Table(row.document, (*row.path, "power"), "[[modem]] power", value, ("gpio", "uhubctl"))
    if "gpio" in table:
        return Power(gpio=table.number("gpio", least=0, most=27))
    place = table.text("uhubctl", allowed=allowed)
    if not re.fullmatch(r"\d+(-\d+(\.\d+)*)?:\d+", place):
        table.refuse("uhubctl", allowed)
    return Power(uhubctl=place)


def _sims(document: Document) -> tuple[Sim, ...]:
    sims: list[Sim] = []
    for row in document.rows("sim", _names(Sim)):
        row.need("iccid", "the 18 to 20 digits printed on the card")
        iccid = _digits(row, "iccid", 18, 20)
        assert iccid is not None
        if any(iccid == other.iccid for other in sims):
            row.wrong("iccid", f'found "{iccid}" for a second time; each card has one [[sim]]')
        sims.append(Sim(iccid, row.maybe_path("pin_file")))
    return tuple(sims)


def _panel(table: Table) -> Panel:
    pins: dict[str, int | None] = {}
    for key in _names(Panel):
        pin = table.maybe_number(key, least=0, most=27)
        if pin is not None and pin in pins.values():
            table.refuse(key, "a pin that no other key of [panel] uses")
        pins[key] = pin
    return Panel(**pins)


def _smtp(table: Table) -> Smtp:
    security = table.choice("security", ("starttls", "tls", "none"), "starttls")
    sender = table.text("from", allowed="an e-mail address")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", sender):
        table.refuse("from", "an e-mail address")
    if "username" in table:
        table.need("password_file", "a file that holds the password of username")
    return Smtp(
        host=table.text("host", allowed="the name of the mail server"),
        port=table.number("port", {"starttls": 587, "tls": 465, "none": 25}[security], least=1, most=65535),
        security=security,
        sender=sender,
        username=table.maybe_text("username"),
        password_file=table.maybe_path("password_file"),
    )


def _whatsapp(table: Table) -> Whatsapp:
    version = table.text("api_version", "v25.0")
    if not re.fullmatch(r"v\d+\.\d", version):
        table.refuse("api_version", 'a version such as "v25.0"')
    return Whatsapp(
        phone_number_id=table.text("phone_number_id"),
        business_account_id=table.text("business_account_id"),
        api_version=version,
        token_file=table.path_of("token_file"),
        app_secret_file=table.path_of("app_secret_file"),
        verify_token_file=table.path_of("verify_token_file"),
    )


def _backup(table: Table) -> Backup:
    return Backup(
        target=table.path_of("target"),
        every_hours=table.number("every_hours", 24, least=1, most=168),
        keep_days=table.number("keep_days", 35, least=1, most=400),
        passphrase_file=table.path_of("passphrase_file"),
    )
