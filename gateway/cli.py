"""The `ringpost` command: a page of help, and each command loaded only when it is called.

Exit codes: 0 done, 1 refused or failed, 2 wrong configuration or usage, 3 another schema version. Starts `python -m gateway`
and `python -m web` as processes of their own; imports nothing of web.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from gateway.errors import ConfigError, RingpostError, SchemaMismatch

SECTIONS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Start",
        (
            ("demo", "demo:demo", "Try it now: simulated modem, sample people, no set-up."),
            ("run", "service:run", "Run the gateway and the web together, in the foreground."),
            ("gateway", "service:gateway", "Run the gateway alone: the one that talks to the modems."),
            ("web", "service:web", "Run the web alone: HTTP API and admin pages."),
        ),
    ),
    (
        "Set up",
        (
            ("init", "setting_up:init", "Make the database, the keys and the first administrator."),
            ("setup-code", "setting_up:setup_code", "Print a new one-time code for the set-up pages."),
            ("check", "setting_up:check", "Check the configuration; names file and line of a fault."),
            ("apply", "setting_up:apply", "Set up people, countries, SIMs … as a file says."),
            ("migrate", "setting_up:migrate", "Bring the database to this version, after a snapshot."),
            ("user", "people:user", "List, add and change people; set passwords."),
            ("key", "people:key", "List, add and revoke keys of the HTTP API."),
            ("credit", "people:credit", "Grant credits; show the balance and the ledger."),
        ),
    ),
    (
        "Work",
        (
            ("send", "traffic:send", "Send a message to a candidate, through every rule."),
            ("queue", "traffic:queue", "Show messages, and what each one waits for."),
            ("modems", "traffic:modems", "Show modems, their SIMs, signal and state."),
        ),
    ),
    (
        "Look inside",
        (
            ("audit", "audit:audit", "Walk the audit's chain; names the first broken link."),
            ("pdu", "pdu:pdu", "Take an SMS PDU apart, or make one."),
            ("simulate-modem", "service:simulate_modem", "Offer a simulated modem to any AT program."),
            ("dev-fill", "dev_fill:dev_fill", "For development: fill a fresh store with a million messages."),
        ),
    ),
)


class Ringpost(click.Group):
    """Knows every command's name and sentence without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for _, commands in SECTIONS for name, _, _ in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for _, commands in SECTIONS:
            for name, place, _ in commands:
                if name == cmd_name:
                    module, attribute = place.split(":")
                    command: click.Command = getattr(import_module(f"gateway.commands.{module}"), attribute)
                    _take_config(command)
                    return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            meant = f' Did you mean "{close[0]}"?' if close else " `ringpost --help` lists the commands."
            ctx.fail(f'There is no command "{args[0]}".{meant}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(name.ljust(14), words) for name, _, words in commands])


def _take_config(command: click.Command) -> None:
    """Let `-c FILE` stand after the command as well as before it."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _take_config(inner)
    elif not any(parameter.name == "config" for parameter in command.params):
        command.params.append(_config_option())


def _config_option() -> click.Option:
    return click.Option(
        ["-c", "--config"],
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help="The configuration (default: RINGPOST_CONFIG, else /etc/ringpost/ringpost.toml).",
    )


def _remember(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    from gateway.commands.common import Session

    session = ctx.ensure_object(Session)
    if value is not None:
        session.given = value


@click.command(
    cls=Ringpost,
    params=[_config_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A first look needs nothing: ringpost demo. `ringpost COMMAND --help` tells more about each.",
)
@click.version_option(package_name="ringpost", prog_name="ringpost", message="%(prog)s %(version)s")
def ringpost() -> None:
    """Ringpost: the SMS gateway that stands in a recruiter's own office."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    os.umask(0o007)  # what the box writes is nobody else's business
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit code. What goes wrong on purpose is one plain line on stderr."""
    try:
        answer = ringpost.main(list(arguments), prog_name="ringpost", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) has seen enough
        return 0
    except ConfigError as error:
        return _complain(str(error), 2)
    except SchemaMismatch as error:
        return _complain(str(error), 3)
    except RingpostError as error:
        return _complain(getattr(error, "detail", None) or str(error), 1)


def _complain(words: str, code: int) -> int:
    click.echo(f"ringpost: {words}", err=True)
    return code


if __name__ == "__main__":
    main()
