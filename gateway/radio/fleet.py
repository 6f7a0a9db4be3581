"""All modems of this gateway: one worker each, poked when there may be work."""

from collections.abc import Callable

from gateway import keys
from gateway.clock import Clock
from gateway.config import Config
from gateway.flows import stations
from gateway.flows.receive import Desk
from gateway.radio.worker import Post, Worker
from gateway.store.database import Database


class Fleet:
    """The workers of a gateway. `start`, `poke` whenever something changed, `stop` at the end."""

    def __init__(
        self, config: Config, database: Database, clock: Clock, desk: Desk, epoch: int, *, on_failure: Callable[[], None]
    ) -> None:
        pins = {sim.iccid: sim.pin_file for sim in config.sims if sim.pin_file is not None}
        name = config.gateway.name
        own_key = keys.gateway_key(config.gateway.state_dir)
        with database.write() as tx:
            stations.publish_key(tx, name, keys.public_half(own_key))
            stations.forget_absent(tx, name, [modem.name for modem in config.modems], clock.now_ms())
        self.workers = [
            Worker(
                Post(name, epoch, modem.name, modem.port, modem.imei, modem.dialect, len(config.modems), pins, own_key),
                database,
                clock,
                desk,
                on_failure=on_failure,
            )
            for modem in config.modems
        ]

    def start(self) -> None:
        """Start every worker."""
        for worker in self.workers:
            worker.start()

    def poke(self) -> None:
        """There may be work."""
        for worker in self.workers:
            worker.poke()

    def stop(self, timeout_s: float) -> bool:
        """End every worker after the part it has on the air; True when all ended in time."""
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            worker.join(timeout_s)
        return not any(worker.is_alive() for worker in self.workers)
