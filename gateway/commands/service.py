"""run, gateway, web, simulate-modem: commands that become or start processes."""

import logging
import sys

import click

from gateway.commands.common import Session, pass_session


@click.command()
@pass_session
def run(session: Session) -> None:
    """Run the gateway and the web together, in the foreground, until Ctrl-C or SIGTERM.

    Brings the database to this version first (after a snapshot), and makes it where there is none.
    """
    from gateway.supervise import replace_process

    settings = session.config.gateway
    log_to_stdout(settings.log_level)
    _prepare(session)
    replace_process("gateway.supervise", str(session.config.file), settings.log_level)


def _prepare(session: Session) -> None:
    from gateway.store import setup

    with session.database(check=False) as database:
        for name in setup.prepare(session.config, database):
            logging.getLogger(__name__).info("migrated to %s", name)
        with database.read() as view:
            if view.one("SELECT 1 AS yes FROM app_user WHERE password_hash IS NOT NULL LIMIT 1") is None:
                click.echo("Nobody can log in yet: the code below opens the set-up, or ringpost init --admin EMAIL.", err=True)


def log_to_stdout(level: str) -> None:
    """One line per event on stdout; journald adds the time."""
    logging.basicConfig(stream=sys.stdout, level=level.upper(), format="%(levelname)s %(name)s %(message)s", force=True)


def log_to_stderr(level: str) -> None:
    """The same, where stdout is for people or programs."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="ringpost: %(message)s", force=True)


@click.command()
@pass_session
def gateway(session: Session) -> None:
    """Run the gateway alone: it owns the modems and must be the only one of its name."""
    from gateway.supervise import replace_process

    replace_process("gateway", "-c", str(session.config.file))


@click.command()
@pass_session
def web(session: Session) -> None:
    """Run the web alone: HTTP API and admin pages. It never touches a modem."""
    from gateway.supervise import replace_process

    replace_process("web", "-c", str(session.config.file))


@click.command(
    "simulate-modem",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate_modem(arguments: tuple[str, ...]) -> None:
    """Offer a simulated modem on a pty to any AT program.

    Takes what `python -m modem.simulator` takes: --link PATH, --air-log FILE, --control SOCKET, --latency S and more.
    """
    from gateway.supervise import replace_process

    replace_process("modem.simulator", *arguments)
