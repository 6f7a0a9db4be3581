"""audit, erase, restore: the chain walked, and what a restore waits for."""

import click

from gateway.commands.common import Session, json_option, pass_session, print_json


@click.group()
def audit() -> None:
    """The audit: who did what, in a chain that shows every change."""


@audit.command("verify")
@json_option
@pass_session
def audit_verify(session: Session, as_json: bool) -> int:
    """Walk the chains; names the first broken link and ends with 1 where there is one."""
    session.config  # noqa: B018
    from gateway import keys
    from gateway.flows import audit as flow

    key = flow.anchor_key(keys.load(session.config.gateway.state_dir).token)
    with session.database() as database, database.read() as view:
        found = flow.verify(view, key)
    broken = found.broken
    if as_json:
        place = None if broken is None else {"chain": found.chain, "position": broken.position, "reason": broken.reason}
        counts = {"audit_rows": found.audit_rows, "events": found.event_rows, "anchored_at": found.anchored_at}
        print_json({"whole": broken is None, **counts, "broken": place})
    elif broken is not None:
        click.echo(f"BROKEN at {found.chain} position {broken.position}: {broken.reason}.")
    else:
        since = "" if found.anchored_at is None else f", behind the signed anchor at {found.anchored_at}"
        click.echo(f"Whole: {found.audit_rows} audit rows{since}, {found.event_rows} events.")
    return 0 if broken is None else 1
