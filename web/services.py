"""What the wiring hands to every part of the web: settings, time, store, and the bell that wakes the gateway."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.config import Config
from gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Passed down as an argument, never a global.

    `config` is the settings tree of gateway/config.py; `ring` sends the wake hint to the gateway and never raises.
    """

    config: Config
    clock: Clock
    database: Database
    ring: Callable[[], None]
