"""dev-fill: a store as full as after years, to develop and measure on."""

import sys
import time

import click

from gateway.commands.common import Session, json_option, pass_session, print_json


@click.command("dev-fill")
@click.option("--messages", type=click.IntRange(1), default=1_000_000, show_default=True, help="Messages sent, over two years.")
@click.option("--threads", type=click.IntRange(2), default=50_000, show_default=True, help="Conversations, with answers.")
@click.option(
    "--audit", type=click.IntRange(0), default=100_000, show_default=True, help="Rows of the audit; about as many events."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same people and texts.")
@json_option
@pass_session
def dev_fill(session: Session, messages: int, threads: int, audit: int, seed: int, as_json: bool) -> None:
    """For development: fill a fresh store with a million messages of people who do not exist.

    Refuses a store that has messages. Nothing of it is ever sent: its sender number has no SIM. Numbers are of the ranges
    kept for fiction. Takes minutes; needs about 2 GB for a million messages. Stop the box first.
    """
    session.config  # noqa: B018
    from gateway import keys
    from gateway.commands.crowd import Crowd, Size
    from gateway.flows import usage_days

    box = keys.load(session.config.gateway.state_dir)
    began, told_at = time.monotonic(), 0.0
    with session.database() as database:
        crowd = Crowd(database, Size(messages, threads, audit, seed), box.phone, box.seal, session.clock.now_ms())
        with database.in_bulk():
            for what, done, of in crowd.fill():
                if not as_json and (done == of or time.monotonic() - told_at > 1):
                    told_at = time.monotonic()
                    click.echo(f"{told_at - began:6.0f} s  {what:<10} {done:>9,} of {of:,}", err=not sys.stdout.isatty())
            usage_days.count(database, session.clock.now_ms())  # as each night does
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        print_json({"messages": messages, "threads": threads, "audit": audit, "seed": seed, "seconds": seconds})
    else:
        click.echo(f"Filled in {seconds:.0f} s. `ringpost audit verify` walks the chain, `ringpost user add` lets somebody look.")
