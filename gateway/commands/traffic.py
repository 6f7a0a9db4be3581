"""send, queue, modems: what passes through the box."""

import sys
from typing import Any

import click

from gateway.commands.common import Session, json_option, moment, organisation_option, pass_session, print_json, print_table


@click.command()
@click.argument("text", required=False)
@click.option("--candidate", required=True, metavar="REF", help="The candidate, by the ATS's reference.")
@click.option("--user", required=True, metavar="EMAIL", help="Who writes: needs the right and a seat.")
@click.option("--case", "case_ref", metavar="REF", help="The case it is about.")
@click.option("--pool", "pool_ref", metavar="REF", help="The prospect pool, where there is no case.")
@click.option("--kind", default="contact", show_default=True, help="What kind of message it is.")
@click.option("--channel", default="sms", show_default=True)
@click.option("--priority", type=click.Choice(["critical", "normal", "bulk"]), help="Its lane (default: by kind).")
@click.option("--client-ref", metavar="REF", help="Your own name for it.")
@click.option("--preview", is_flag=True, help="Show text, parts and price; send nothing.")
@organisation_option
@json_option
@pass_session
def send(
    session: Session,
    text: str | None,
    candidate: str,
    user: str,
    case_ref: str | None,
    pool_ref: str | None,
    kind: str,
    channel: str,
    priority: str | None,
    client_ref: str | None,
    preview: bool,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Send TEXT (- or nothing: stdin) to a candidate, through every rule that the API goes through."""
    session.config  # noqa: B018  # chooses the engine before the store is imported
    from gateway.errors import Refused
    from gateway.flows import accept
    from gateway.flows.submissions import Submission
    from gateway.store import setup

    if text is None or text == "-":
        text = sys.stdin.read().rstrip("\n")
    with session.database() as database:
        now = session.clock.now_ms()
        with database.read() as view:
            owner = setup.the_organisation(view, organisation)
        submission = Submission(
            organisation_id=owner["id"],
            actor=session.actor,
            user=user,
            candidate_ref=candidate,
            case_ref=case_ref,
            pool_ref=pool_ref,
            channel=channel,
            kind=kind,
            text=text,
            priority=priority,
            client_ref=client_ref,
        )
        if preview:
            with database.read() as view:
                _print_preview(accept.preview(view, submission, now), as_json)
            return
        outcome = database.transact(lambda tx: accept.submit(tx, submission, now))
    if isinstance(outcome, Refused):
        raise outcome
    if as_json:
        print_json(
            {
                "id": outcome.id,
                "state": outcome.state,
                "hold_reason": outcome.hold_reason,
                "not_before": moment(outcome.not_before),
                "encoding": outcome.encoding,
                "parts": outcome.parts,
                "credits": outcome.credits,
                "sender": outcome.sender,
                "country": outcome.country,
                "created_at": moment(outcome.created_at),
            }
        )
        return
    held = f" ({outcome.hold_reason})" if outcome.hold_reason else ""
    parts, price = _count(outcome.parts, "part"), _count(outcome.credits, "credit")
    click.echo(f"{outcome.id} {outcome.state}{held}: {parts}, {outcome.encoding}, {price}, from {outcome.sender}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _print_preview(seen: Any, as_json: bool) -> None:
    refused = None if seen.refused is None else {"code": seen.refused.code, "detail": seen.refused.detail}
    told = {
        "text": seen.text,
        "encoding": str(seen.analysis.alphabet),
        "parts": len(seen.pieces),
        "credits": seen.credits,
        "sender": seen.sender,
        "country": seen.country,
        "refused": refused,
        "texts": [piece.text for piece in seen.pieces],
    }
    if as_json:
        print_json(told)
        return
    parts, price = _count(told["parts"], "part"), _count(told["credits"], "credit")
    click.echo(f"{parts}, {told['encoding']}, {price}, from {told['sender'] or 'no sender'}")
    for number, piece in enumerate(seen.pieces, 1):
        click.echo(f"  {number}: {piece.text}")
    if refused is not None:
        click.echo(f"would be refused: {refused['detail']} ({refused['code']})")


@click.command()
@click.option("--state", metavar="STATE", help="Only those in this state: held, queued, sending, sent, delivered …")
@click.option("--all", "everything", is_flag=True, help="Those that have ended, too (default: those on their way).")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@organisation_option
@json_option
@pass_session
def queue(session: Session, state: str | None, everything: bool, limit: int, organisation: str | None, as_json: bool) -> None:
    """Show messages, newest first, and what each one waits for."""
    session.config  # noqa: B018
    from gateway.flows.explain import explain
    from gateway.rules.lifecycle import FINAL, State
    from gateway.store import lists_pages, setup

    if state is not None and state not in list(State):
        raise click.UsageError(f'There is no state "{state}"; there are {", ".join(State)}.')
    states = [State(state)] if state else [] if everything else [each for each in State if each not in FINAL]
    with session.database() as database, database.read() as view:
        owner = setup.the_organisation(view, organisation)
        page = lists_pages.messages(view, owner["id"], member=None, states=states, limit=limit)
        now = session.clock.now_ms()
        rows = []
        for line in page.lines:
            why = explain(view, line.id, owner["id"], now)
            rows.append(
                {
                    "id": line.id,
                    "state": line.state,
                    "candidate": line.candidate_ref or None,
                    "kind": line.kind,
                    "parts": line.parts,
                    "credits": line.credits,
                    "accepted_at": moment(line.accepted_at),
                    "waiting_for": why.waiting_for,
                    "until": moment(why.until_ms),
                    "why": why.text,
                }
            )
    if as_json:
        print_json({"messages": rows, "more": page.older is not None})
        return
    print_table(rows, ("id", "state", "candidate", "kind", "parts", "accepted_at", "why"), "Nothing is on its way.")
    if page.older is not None:
        click.echo(f"… and more; --limit shows more than {limit}.")


@click.command()
@json_option
@pass_session
def modems(session: Session, as_json: bool) -> None:
    """Show every modem of every gateway on this database."""
    session.config  # noqa: B018
    from gateway.store import lists_pages

    with session.database() as database, database.read() as view:
        now = session.clock.now_ms()
        rows = [
            {
                "gateway": line.gateway,
                "name": line.name,
                "state": line.state,
                "reason": line.reason,
                "sender": line.sender,
                "operator": line.operator,
                "signal_dbm": line.signal_dbm,
                "port": line.port,
                "model": f"{line.manufacturer} {line.model}".strip(),
                "imei": line.imei,
                "iccid": line.iccid,
                "parked": line.parked,
                "stale": line.is_stale(now),
                "seen_at": moment(line.seen_at),
                "sent_at": moment(line.sent_at),
            }
            for line in lists_pages.modems(view)
        ]
    if as_json:
        print_json(rows)
        return
    columns = ("gateway", "name", "state", "reason", "sender", "operator", "signal_dbm", "port", "iccid", "seen_at")
    print_table(rows, columns, "No gateway has reported a modem yet.")
    if any(row["stale"] for row in rows):
        click.echo("Some of this is old: their gateway is silent.")
