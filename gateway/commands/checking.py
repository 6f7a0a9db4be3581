"""What `ringpost check` looks at beyond the text: the files, ports and addresses that the configuration names.

A program may start without them (a stick may be plugged in later, a secret be restored), so only `check` complains.
"""

from collections.abc import Iterator
from pathlib import Path

from gateway.config import Config

PORTS = ("/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*")


def check_files(config: Config) -> list[str]:
    """Notes worth reading. Raises ConfigError at the first file or port that is not there."""
    for number, modem in enumerate(config.modems):
        if modem.port != "auto" and not Path(modem.port).exists():
            raise config.wrong(
                ("modem", number, "port"),
                f'[[modem]] port: found "{modem.port}", but nothing is there; allowed is "auto" or a port of this machine'
                f": {_ports()}",
            )
    for path, what, file in _secrets(config):
        if not file.is_file():
            raise config.wrong(
                path, f'{what}: found "{file}", but there is no such file; allowed is a file that this user may read'
            )
    return list(_notes(config))


def _ports() -> str:
    found = sorted(str(path) for pattern in PORTS for path in Path("/").glob(pattern.lstrip("/")))
    return ", ".join(found) or "none is plugged in"


def _secrets(config: Config) -> Iterator[tuple[tuple[str | int, ...], str, Path]]:
    for number, sim in enumerate(config.sims):
        if sim.pin_file is not None:
            yield ("sim", number, "pin_file"), "[[sim]] pin_file", sim.pin_file
    if config.web.tls.certificate is not None and config.web.tls.key is not None:
        yield ("web", "tls", "certificate"), "[web] tls certificate", config.web.tls.certificate
        yield ("web", "tls", "key"), "[web] tls key", config.web.tls.key
    if config.smtp is not None and config.smtp.password_file is not None:
        yield ("smtp", "password_file"), "[smtp] password_file", config.smtp.password_file
    if config.backup is not None:
        yield ("backup", "passphrase_file"), "[backup] passphrase_file", config.backup.passphrase_file
    if config.whatsapp is not None:
        for key in ("token_file", "app_secret_file", "verify_token_file"):
            yield ("whatsapp", key), f"[whatsapp] {key}", getattr(config.whatsapp, key)
    if config.gateway.test_clock is not None:
        yield ("gateway", "test_clock"), "[gateway] test_clock", config.gateway.test_clock


def _notes(config: Config) -> Iterator[str]:
    if not config.modems:
        yield "no [[modem]] is named: messages are accepted and wait"
    if config.gateway.is_postgresql and config.modems and config.gateway.name == "ringpost":
        yield 'several gateways may share this database: give each its own [gateway] name (this one is "ringpost")'
    if not config.gateway.is_postgresql and not Path(config.gateway.database).exists():
        yield "there is no database yet: ringpost init makes it"
