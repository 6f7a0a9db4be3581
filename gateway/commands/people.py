"""user, key, credit: who may use the box, and how much."""

import json
from collections.abc import Mapping
from typing import Any

import click

from gateway.commands.common import (
    Session,
    json_option,
    moment,
    organisation_option,
    pass_session,
    print_json,
    print_table,
    read_password,
)


@click.group()
def key() -> None:
    """Keys of the HTTP API."""


@key.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="What it may do; give it several times (default: all that an ATS needs).")
@click.option(
    "--allow", multiple=True, metavar="NETWORK", help="Where it may be used from, such as 192.168.1.0/24 (default: anywhere)."
)
@click.option("--per-minute", type=click.IntRange(min=0), default=0, help="Most requests in a minute (default: no bound).")
@organisation_option
@json_option
@pass_session
def key_add(
    session: Session,
    name: str,
    scopes: tuple[str, ...],
    allow: tuple[str, ...],
    per_minute: int,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Make a key; it is printed once, alone, on stdout."""
    session.config  # noqa: B018  # chooses the engine before the store is imported
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        row, secret = setup.create_key(
            tx,
            owner["id"],
            name,
            scopes or setup.ATS_SCOPES,
            session.actor,
            session.clock.now_ms(),
            allow=allow,
            per_minute=per_minute,
        )
    if as_json:
        print_json({**_key(row), "key": secret})
        return
    click.echo(secret)
    click.echo(f'Key "{name}" of {owner["name"]}; keep it now, it cannot be shown again.', err=True)


@key.command("list")
@organisation_option
@json_option
@pass_session
def key_list(session: Session, organisation: str | None, as_json: bool) -> None:
    """Show the keys; never a secret."""
    session.config  # noqa: B018
    from gateway.store import setup

    with session.database() as database, database.read() as view:
        rows = [_key(row) for row in setup.keys_of(view, setup.the_organisation(view, organisation)["id"])]
    if as_json:
        print_json(rows)
    else:
        print_table(
            rows,
            ("name", "scopes", "created_at", "last_used_at", "revoked_at", "id"),
            "There is no key yet: ringpost key add NAME.",
        )


@key.command("revoke")
@click.argument("name")
@organisation_option
@json_option
@pass_session
def key_revoke(session: Session, name: str, organisation: str | None, as_json: bool) -> None:
    """Make a key worthless at once (by name or id)."""
    session.config  # noqa: B018
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        key_id = setup.revoke_key(tx, owner["id"], name, session.actor, session.clock.now_ms())
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"{key_id} is revoked.")


def _key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "scopes": json.loads(row["scopes"]),
        "allow": json.loads(row["allow"]),
        "per_minute": row["per_minute"],
        "created_at": moment(row["created_at"]),
        "last_used_at": moment(row["last_used_at"]),
        "revoked_at": moment(row["revoked_at"]),
    }


@click.group()
def user() -> None:
    """People who may log in or act for the ATS."""


@user.command("list")
@organisation_option
@json_option
@pass_session
def user_list(session: Session, organisation: str | None, as_json: bool) -> None:
    """Show everybody."""
    session.config  # noqa: B018
    from gateway.store import setup

    with session.database() as database, database.read() as view:
        owner = setup.the_organisation(view, organisation)
        rows = [
            _person(row)
            for row in view.all(
                "SELECT u.*, o.ref AS unit FROM app_user u JOIN organisation o ON o.id = u.unit_id"
                " WHERE u.organisation_id = ? ORDER BY u.email",
                owner["id"],
            )
        ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            rows,
            ("email", "name", "roles", "seat", "active", "unit", "password"),
            "There is nobody yet: ringpost user add EMAIL.",
        )


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "email": row["email"],
        "name": row["name"],
        "roles": json.loads(row["roles"]),
        "seat": bool(row["seat"]),
        "active": bool(row["active"]),
        "unit": row["unit"],
        "password": row["password_hash"] is not None,
        "last_used_at": moment(row["last_used_at"]),
    }


@user.command("add")
@click.argument("email")
@click.option("--name", help="Default: taken from the address.")
@click.option(
    "--role", "roles", multiple=True, help="recruiter, viewer, admin, operator or compliance; several times for several."
)
@click.option("--seat/--no-seat", default=False, help="Whether they may send messages (default: no).")
@click.option("--unit", metavar="REF", help="Their unit (default: the organisation itself).")
@click.option("--password-file", metavar="FILE", help="The first line is the password; - reads stdin. Default: no password yet.")
@organisation_option
@json_option
@pass_session
def user_add(
    session: Session,
    email: str,
    name: str | None,
    roles: tuple[str, ...],
    seat: bool,
    unit: str | None,
    password_file: str | None,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Add a person."""
    session.config  # noqa: B018
    from gateway.errors import Refused
    from gateway.flows.sign_in import hash_password
    from gateway.store import setup

    password_hash = None if password_file is None else hash_password(read_password(password_file, email))
    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        place = owner
        if unit is not None:
            found = tx.one("SELECT * FROM organisation WHERE ref = ? AND root_id = ?", unit, owner["id"])
            if found is None:
                raise Refused("unit_not_found", 404, f'There is no unit "{unit}".', field="unit")
            place = found
        user_id = setup.create_user(
            tx,
            owner["id"],
            email=email,
            name=name or email.split("@")[0],
            roles=roles,
            seat=seat,
            unit_id=place["id"],
            password_hash=password_hash,
            actor=session.actor,
            now=session.clock.now_ms(),
        )
    if as_json:
        print_json({"id": user_id, "email": email.strip().lower(), "password": password_hash is not None})
        return
    click.echo(f"{email} is added ({user_id}).")
    if password_hash is None:
        click.echo(f"They cannot log in yet: ringpost user password {email}")


@user.command("password")
@click.argument("email")
@click.option("--password-file", metavar="FILE", help="The first line is the password; - reads stdin. Default: asks.")
@json_option
@pass_session
def user_password(session: Session, email: str, password_file: str | None, as_json: bool) -> None:
    """Set a person's password; they are signed out everywhere."""
    session.config  # noqa: B018
    from gateway.flows.sign_in import hash_password
    from gateway.store import setup

    with session.database() as database:
        with database.read() as view:
            setup.find_user(view, email)
        password_hash = hash_password(read_password(password_file, email))
        with database.write() as tx:
            person = setup.find_user(tx, email)
            setup.set_password(tx, person, password_hash, session.actor, session.clock.now_ms())
    if as_json:
        print_json({"id": person["id"], "email": person["email"], "password": True})
    else:
        click.echo(f"{person['email']} has a new password and is signed out everywhere.")


@user.command("change")
@click.argument("email")
@click.option("--name")
@click.option("--role", "roles", multiple=True, help="All the roles they shall have; several times for several.")
@click.option("--seat/--no-seat", default=None, help="Whether they may send messages.")
@click.option("--active/--inactive", default=None, help="Switch the account on or off.")
@json_option
@pass_session
def user_change(
    session: Session, email: str, name: str | None, roles: tuple[str, ...], seat: bool | None, active: bool | None, as_json: bool
) -> None:
    """Change a person's name, roles, seat, or switch the account on or off."""
    session.config  # noqa: B018
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        person = setup.find_user(tx, email)
        changed = setup.change_user(
            tx,
            person,
            name=name,
            roles=roles or None,
            seat=seat,
            active=active,
            actor=session.actor,
            now=session.clock.now_ms(),
        )
    if as_json:
        print_json({"id": person["id"], "email": person["email"], "changed": changed})
    else:
        click.echo(f"{person['email']} is {'changed' if changed else 'already so'}.")


@click.group()
def credit() -> None:
    """Credits: what messages are paid with."""


@credit.command("grant")
@click.argument("amount", type=int)
@click.option("--reference", required=True, help="An order number or the like; each counts once.")
@click.option("--reason", default="", help="Why, for the audit.")
@organisation_option
@json_option
@pass_session
def credit_grant(session: Session, amount: int, reference: str, reason: str, organisation: str | None, as_json: bool) -> None:
    """Add AMOUNT credits, once per reference."""
    session.config  # noqa: B018
    from gateway.flows import credits
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        waiting = credits.ask_for_grant(tx, owner["id"], amount, reference, reason, session.actor, session.clock.now_ms())
        balance = credits.balance(tx, owner["id"])
    if waiting is not None:
        told = f"{waiting} waits for a second approver: `ringpost credit approve {waiting}`, by somebody else."
        if as_json:
            print_json({"organisation": owner["ref"], "id": waiting, "state": "waiting"})
        else:
            click.echo(told)
    elif as_json:
        print_json({"organisation": owner["ref"], "available": balance.available, "reserved": balance.reserved})
    else:
        click.echo(f"{owner['name']}: {balance.available} available, {balance.reserved} reserved.")


@credit.command("show")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True, help="How many ledger entries.")
@organisation_option
@json_option
@pass_session
def credit_show(session: Session, limit: int, organisation: str | None, as_json: bool) -> None:
    """Show the balance and the newest ledger entries."""
    session.config  # noqa: B018
    from gateway.flows import credits
    from gateway.store import setup

    with session.database() as database, database.read() as view:
        owner = setup.the_organisation(view, organisation)
        balance = credits.balance(view, owner["id"])
        entries = [
            credits.describe(row)
            for row in view.all("SELECT * FROM ledger WHERE organisation_id = ? ORDER BY id DESC LIMIT ?", owner["id"], limit)
        ]
    if as_json:
        print_json(
            {"organisation": owner["ref"], "available": balance.available, "reserved": balance.reserved, "ledger": entries}
        )
        return
    click.echo(f"{owner['name']}: {balance.available} available, {balance.reserved} reserved.")
    print_table(entries, ("at", "kind", "amount", "charged", "reference", "message_id"), "The ledger is empty.")


@credit.command("verify")
@json_option
@pass_session
def credit_verify(session: Session, as_json: bool) -> int:
    """Compare every balance with the sum of its ledger; exit code 1 where they differ."""
    session.config  # noqa: B018
    from gateway.flows import credits

    with session.database() as database, database.read() as view:
        differences = credits.verify(view)
    if as_json:
        print_json(differences)
    elif differences:
        columns = ("organisation_id", "available", "ledger_sum", "reserved", "ledger_reserved")
        print_table(differences, columns, "")
    else:
        click.echo("Every balance is the sum of its ledger.")
    return 1 if differences else 0


@credit.command("approve")
@click.argument("grant_id")
@organisation_option
@json_option
@pass_session
def credit_approve(session: Session, grant_id: str, organisation: str | None, as_json: bool) -> None:
    """Approve a grant that somebody else asked for."""
    session.config  # noqa: B018
    from gateway.flows import credits
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        credits.decide(tx, owner["id"], grant_id, True, session.actor, session.clock.now_ms())
        balance = credits.balance(tx, owner["id"])
    if as_json:
        print_json({"organisation": owner["ref"], "available": balance.available, "reserved": balance.reserved})
    else:
        click.echo(f"{owner['name']}: {balance.available} available, {balance.reserved} reserved.")


@credit.command("two-approvers")
@click.argument("wanted", type=click.Choice(("on", "off")))
@organisation_option
@pass_session
def credit_two_approvers(session: Session, wanted: str, organisation: str | None) -> None:
    """Ask for a second approver of every grant, or no longer."""
    session.config  # noqa: B018
    from gateway.flows import credits
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        credits.set_two_approvers(tx, owner["id"], wanted == "on", session.actor, session.clock.now_ms())
    click.echo(f"A second approver is {'wanted' if wanted == 'on' else 'not wanted'} for {owner['name']}.")


_MAY_BEGIN_WITH_A_DASH = {"ignore_unknown_options": True}
"""Keys and vouchers are base64url (RFC 4648 §5), where one in 64 begins with a dash and is no option."""


@credit.command("voucher-key")
@click.option("--private", "private", type=click.Path(dir_okay=False), required=True, help="New file for the private key.")
def voucher_key(private: str) -> None:
    """Make the vendor's pair of keys: the private one into a file, the public one on stdout."""
    import os

    from gateway.flows import vouchers

    secret, public = vouchers.new_keys()
    try:
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise click.UsageError(f"The key file {private} cannot be made: {error.strerror}.") from error
    click.echo(public)


@credit.command("voucher-trust", context_settings=_MAY_BEGIN_WITH_A_DASH)
@click.argument("public_key")
@pass_session
def voucher_trust(session: Session, public_key: str) -> None:
    """Let vouchers signed with this key's other half count on this box."""
    session.config  # noqa: B018
    from gateway.flows import vouchers

    with session.database() as database, database.write() as tx:
        vouchers.trust(tx, public_key, session.actor, session.clock.now_ms())
    click.echo("Vouchers of this key count here.")


@credit.command("voucher-sign")
@click.argument("amount", type=int)
@click.option("--key", "key_file", required=True, help="The vendor's private key file.")
@click.option("--for", "organisation_id", required=True, metavar="ORG_ID", help="The organisation's id on the customer's box.")
@click.option("--days", type=click.IntRange(1, 3650), help="Valid for so many days (default: without end).")
def voucher_sign(amount: int, key_file: str, organisation_id: str, days: int | None) -> None:
    """Print a voucher of AMOUNT credits. Needs no box."""
    import time

    from gateway.flows import vouchers

    try:
        with open(key_file, encoding="utf-8") as file:
            secret = file.read().strip()
    except OSError as error:
        raise click.UsageError(f"The key file {key_file} cannot be read: {error.strerror}.") from error
    now = round(time.time() * 1000)
    expires_at = None if days is None else now + days * 86_400_000
    click.echo(vouchers.sign(secret, organisation_id, amount, now, expires_at=expires_at))


@credit.command("voucher-verify", context_settings=_MAY_BEGIN_WITH_A_DASH)
@click.argument("voucher")
@json_option
@pass_session
def voucher_verify(session: Session, voucher: str, as_json: bool) -> None:
    """Check a voucher's signature and tell what it is worth; redeems nothing."""
    session.config  # noqa: B018
    from dataclasses import asdict

    from gateway.flows import vouchers

    with session.database() as database, database.read() as view:
        found = vouchers.read(view, voucher)
    if as_json:
        print_json({**asdict(found), "issued_at": moment(found.issued_at), "expires_at": moment(found.expires_at)})
    else:
        click.echo(f"{found.amount} credits for {found.organisation_id}, voucher {found.id}.")


@credit.command("voucher-redeem", context_settings=_MAY_BEGIN_WITH_A_DASH)
@click.argument("voucher")
@organisation_option
@json_option
@pass_session
def voucher_redeem(session: Session, voucher: str, organisation: str | None, as_json: bool) -> None:
    """Add a voucher's credits, once."""
    session.config  # noqa: B018
    from gateway.flows import vouchers
    from gateway.store import setup

    with session.database() as database, database.write() as tx:
        owner = setup.the_organisation(tx, organisation)
        found, balance = vouchers.redeem(tx, owner["id"], voucher, session.actor, session.clock.now_ms())
    if as_json:
        print_json({"organisation": owner["ref"], "granted": found.amount, "available": balance.available})
    else:
        click.echo(f"{found.amount} credits added. {owner['name']}: {balance.available} available.")
