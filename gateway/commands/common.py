"""What the commands share: configuration, database and clock of one call, printing, passwords."""

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.config import Config
    from gateway.store.database import Database

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """One call of the command line: what `-c` named, and what is opened from it when first needed."""

    given: str | None = None

    @cached_property
    def config(self) -> "Config":
        """The configuration. Raises ConfigError."""
        from gateway import config
        from gateway.store.schema import choose_engine

        loaded = config.load(config.find(self.given))
        choose_engine(loaded)
        return loaded

    @cached_property
    def clock(self) -> "Clock":
        """The clock the configuration asks for."""
        from gateway import clock

        return clock.choose(self.config.gateway.test_clock)

    @property
    def actor(self) -> str:
        """As the audit names whoever runs this command."""
        return f"cli:{getpass.getuser()}"

    @contextmanager
    def database(self, *, check: bool = True) -> Iterator["Database"]:
        """The open database. Raises SchemaMismatch, ConfigError, DatabaseUnreachable."""
        from gateway.store import schema

        opened = schema.open_database(self.config, check=check)
        try:
            yield opened
        finally:
            opened.close()


pass_session = click.make_pass_decorator(Session, ensure=True)


def json_option(command: F) -> F:
    """`--json`: print for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def organisation_option(command: F) -> F:
    """`--organisation REF`, needed only where there are several."""
    return click.option("--organisation", metavar="REF", help="Which organisation, where there are several.")(command)


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs and for reading."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Print rows in columns as wide as they need to be; `empty` is said where there is none."""
    if not rows:
        click.echo(empty)
        return
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    titles = [column.replace("_", " ").upper() for column in columns]
    widths = [max(len(line[index]) for line in (titles, *cells)) for index in range(len(columns))]
    for line in (titles, *cells):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "-"
    return str(value)


def moment(milliseconds: int | None) -> str | None:
    """A stored time as printed: RFC 3339, UTC."""
    from gateway.clock import rfc3339

    return None if milliseconds is None else rfc3339(milliseconds)


def words_of(text: str) -> list[str]:
    """A JSON list out of a text column."""
    words: list[str] = json.loads(text)
    return words


def read_password(file: str | None, email: str) -> str:
    """A new password from a file (`-`: stdin), or asked for on the terminal. Raises a usage error for a weak one."""
    from gateway.flows.sign_in import PASSWORD_LEAST, PASSWORD_MOST, weakness

    if file is not None:
        try:
            with click.open_file(file, encoding="utf-8") as lines:
                password = str(lines.readline()).rstrip("\r\n")
        except OSError as error:
            raise click.UsageError(f"The password file {file} cannot be read: {error.strerror}.") from error
    elif sys.stdin.isatty():
        password = str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
    else:
        raise click.UsageError("Without a terminal to ask on, the password comes from --password-file FILE (or - for stdin).")
    cure = {
        "short": f"it needs at least {PASSWORD_LEAST} characters",
        "long": f"it may have at most {PASSWORD_MOST} characters",
        "email": "it is the e-mail address",
        "plain": "it repeats too few characters",
    }
    fault = weakness(password, email)
    if fault is not None:
        raise click.UsageError(f"This password will not do: {cure.get(fault, fault)}.")
    return password


def plain(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Database rows as dictionaries."""
    return [dict(row) for row in rows]
