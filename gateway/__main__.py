"""The gateway daemon: configuration → database → lease → fleet → signals. `python -m gateway -c FILE`.

Sole owner of ttys and GPIO; may be killed at any instruction. Exit codes: 2 wrong configuration, 3 another schema version, 4 the
name is taken.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from functools import partial
from types import FrameType
from typing import Any

from gateway import __version__, keys, wake
from gateway import clock as clocks
from gateway import config as configs
from gateway.config import Config
from gateway.errors import ConfigError, NameTaken, RingpostError, SchemaMismatch
from gateway.store import schema

log = logging.getLogger("gateway")

POLL_S = 1.0
STOP_S = 200.0
"""A part on the air may take this long; whoever wants less kills us, and that is safe."""


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description="The Ringpost gateway daemon.")
    parser.add_argument("-c", "--config", metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        config = configs.load(configs.find(options.config))
        logging.basicConfig(
            level=config.gateway.log_level.upper(), format="%(levelname)s %(name)s %(message)s", stream=sys.stdout
        )
        for library in ("httpx", "httpcore", "peewee"):
            logging.getLogger(library).setLevel(logging.WARNING)
        return Daemon(config).run()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except SchemaMismatch as error:
        print(error, file=sys.stderr)
        return 3
    except NameTaken as error:
        print(error, file=sys.stderr)
        return 4
    except RingpostError as error:
        print(error, file=sys.stderr)
        return 1


class Daemon:
    """The wiring of one gateway process."""

    def __init__(self, config: Config) -> None:
        schema.choose_engine(config)  # before what imports the store: psycopg is 12 MB and a tenth of a second
        from gateway import desk
        from gateway.appliance.housekeeping import Housekeeping
        from gateway.appliance.upkeep import Upkeep
        from gateway.outward.webhooks import Dispatcher
        from gateway.radio.fleet import Fleet
        from gateway.store.lease import Lease

        self._config = config
        self._clock = clocks.choose(config.gateway.test_clock)
        state_dir = config.gateway.state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self._database = schema.open_database(config)
        self._database.ring = self._ring
        secrets = keys.load(state_dir)
        name = config.gateway.name
        self._lease = Lease(self._database, name, state_dir, __version__, self._clock.now_ms())
        inbound = desk.open_desk(secrets.phone, desk.open_interviews(config.web.candidate_base, secrets.token))
        epoch = self._lease.epoch
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake = wake.listen(state_dir)
        self._stop = threading.Event()
        self._failed = False
        self._fleet = Fleet(config, self._database, self._clock, inbound, epoch, on_failure=self._fail)
        self._housekeeping = Housekeeping(self._database, self._clock, inbound, name, epoch)
        self._housekeeping.upkeep = Upkeep(self._database, state_dir, secrets).look
        self._dispatcher = Dispatcher(self._database, self._clock, secrets.seal)
        self._threads = [threading.Thread(target=self._dispatcher.run, args=(self._stop,), name="webhooks", daemon=True)]
        self._mailer: Any = None
        if config.smtp is not None:
            from gateway.flows import notices
            from gateway.outward.mail import Mailer

            self._mailer = Mailer(self._database, self._clock, config.smtp, secrets.seal)
            self._threads.append(self._mailer)
            self._housekeeping.send_notices = partial(notices.sweep, self._database, secrets.seal, config.web.public_url)
        if self._database.is_postgresql:
            from gateway.store.seal import keep_sealing

            sealer = threading.Thread(
                target=keep_sealing, args=(self._database, self._stop, self._dispatcher.nudge), name="seal", daemon=True
            )
            self._threads.append(sealer)

    def run(self) -> int:
        """Serve until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        self._fleet.start()
        self._housekeeping.start()
        for thread in self._threads:
            thread.start()
        log.info("gateway=%s epoch=%d modems=%d ready", self._config.gateway.name, self._lease.epoch, len(self._fleet.workers))
        self._announce()
        seen = self._database.changes()
        while not self._stop.is_set():
            ready = self._clock.wait((self._wake.fileno(), self._bell), POLL_S)
            if self._wake.fileno() in ready:
                wake.drain(self._wake)
            if self._bell in ready:
                os.eventfd_read(self._bell)
            now = self._database.changes()
            if ready or now != seen or now is None:
                seen = now
                self._fleet.poke()
                self._housekeeping.nudge()
                self._dispatcher.nudge()
                if self._mailer is not None:
                    self._mailer.nudge()
        log.info("gateway=%s stopping", self._config.gateway.name)
        self._housekeeping.stop()
        self._fleet.stop(STOP_S)
        self._dispatcher.nudge()
        if self._mailer is not None:
            self._mailer.stop()
        for thread in self._threads:
            thread.join(5)
        self._lease.give_up()
        self._database.close()
        return 1 if self._failed else 0

    def _announce(self) -> None:
        """On a box where nobody can sign in yet: the set-up's code, on the console."""
        from gateway.flows import setting_up

        code = setting_up.announce(self._database, f"gateway:{self._config.gateway.name}", self._clock.now_ms())
        if code is not None:
            print(setting_up.on_the_console(code, self._config.web.url), flush=True)

    def _ring(self) -> None:
        """Work made by this process itself."""
        os.eventfd_write(self._bell, 1)

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()
        self._ring()

    def _fail(self) -> None:
        """Another gateway took over, or a thread met a bug: end, so that whoever watches starts anew."""
        self._failed = True
        self._stop.set()
        self._ring()


if __name__ == "__main__":
    sys.exit(main())
