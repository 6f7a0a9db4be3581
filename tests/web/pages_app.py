"""The real application for tests of the pages, on a given database and clock."""

from pathlib import Path

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from gateway import config, keys
from gateway.clock import Clock
from gateway.store.database import Database
from web.app import create_app


class Compiled(BytecodeCache):
    """Templates compiled once for all the applications of a test run: each test makes its own."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket with what was compiled before."""
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


def create(database: Database, clock: Clock, state_dir: Path, *, public_url: str | None = None) -> Flask:
    """The application; keys are made in `state_dir`."""
    keys.ensure(state_dir)
    text = f'[gateway]\nname = "test"\nstate_dir = "{state_dir}"\ndatabase = "{database.url}"\n'
    text += '[web]\nlisten = "127.0.0.1:0"\ntls = "off"\n'
    if public_url is not None:
        text += f'public_url = "{public_url}"\n'
    app = create_app(config.read(text), clock, database)
    for each in (app, app.extensions["ringpost.candidates"]):
        each.jinja_env.bytecode_cache = COMPILED
    return app
