"""The real application for tests of the pages, on a given database and clock."""

from pathlib import Path

from flask import Flask

from gateway import config, keys
from gateway.clock import Clock
from gateway.store.database import Database
from web.app import create_app


def create(database: Database, clock: Clock, state_dir: Path, *, public_url: str | None = None) -> Flask:
    """The application; keys are made in `state_dir`."""
    keys.ensure(state_dir)
    text = f'[gateway]\nname = "test"\nstate_dir = "{state_dir}"\ndatabase = "{database.url}"\n'
    text += '[web]\nlisten = "127.0.0.1:0"\ntls = "off"\n'
    if public_url is not None:
        text += f'public_url = "{public_url}"\n'
    return create_app(config.read(text), clock, database)
