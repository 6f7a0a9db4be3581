"""init, setup-code, check, apply, migrate: from a file to a box that may be used."""

from pathlib import Path
from typing import Any

import click

from gateway.commands.common import Session, json_option, moment, pass_session, print_json, read_password


@click.command()
@click.option("--admin", metavar="EMAIL", help="The first administrator, who is also the box's operator.")
@click.option("--name", metavar="NAME", help="The administrator's name (default: taken from the address).")
@click.option("--password-file", metavar="FILE", help="The first line is the password; - reads stdin. Default: asks.")
@click.option("--organisation", "organisation_name", metavar="NAME", default="My organisation", help="The employer's name.")
@click.option("--ref", metavar="REF", default=None, help='The organisation\'s short name in files and API (default: "main").')
@click.option("--language", default="en", show_default=True, help="The organisation's language.")
@click.option("--zone", default="UTC", show_default=True, help="The organisation's time zone.")
@click.option("--test", is_flag=True, help="Mark the new database as a test one, where a test clock is allowed.")
@json_option
@pass_session
def init(
    session: Session,
    admin: str | None,
    name: str | None,
    password_file: str | None,
    organisation_name: str,
    ref: str | None,
    language: str,
    zone: str,
    test: bool,
    as_json: bool,
) -> None:
    """Make the database, the keys and the first administrator.

    May be run again: what is there stays as it is, passwords too.
    """
    from gateway.store import setup

    config = session.config
    done: dict[str, Any] = {"database": config.gateway.database_shown, "state_dir": str(config.gateway.state_dir), "test": test}
    with session.database(check=False) as database:
        if admin is not None:
            setup.check_email(admin)
        done["migrations"] = setup.prepare(config, database, test=test)
        done["admin"] = done["setup_code"] = None
        if admin is None:
            from gateway.flows import setting_up

            done["setup_code"] = setting_up.announce(database, session.actor, session.clock.now_ms())
        if admin is not None:
            done["admin"] = admin.strip().lower()
            with database.read() as view:
                known = view.one("SELECT id FROM app_user WHERE email = ?", done["admin"])
            done["admin_created"] = known is None
            if known is None:
                from gateway.flows.sign_in import hash_password

                password_hash = hash_password(read_password(password_file, admin))
                now = session.clock.now_ms()
                with database.write() as tx:
                    if not setup.roots(tx):
                        setup.create_organisation(
                            tx,
                            ref=ref or setup.FIRST_REF,
                            name=organisation_name,
                            language=language,
                            zone=zone,
                            actor=session.actor,
                            now=now,
                        )
                    setup.create_user(
                        tx,
                        setup.the_organisation(tx, ref)["id"],
                        email=admin,
                        name=name or admin.split("@")[0],
                        roles=("admin", "operator"),
                        password_hash=password_hash,
                        actor=session.actor,
                        now=now,
                    )
    if as_json:
        print_json(done)
        return
    click.echo(f"Database  {done['database']}{' (marked as a test database)' if test else ''}")
    click.echo(
        f"Keys      {config.gateway.state_dir / 'keys'}  (back them up: without them a backup of the database is of little use)"
    )
    if done["admin"] is None:
        if done["setup_code"] is not None:
            click.echo(f"Code      {done['setup_code']}  (opens {config.web.url}/setup, once, for a day)")
        click.echo("Nobody can log in yet: the pages at /setup make the first account, or ringpost init --admin EMAIL does.")
    elif done["admin_created"]:
        click.echo(f"Account   {done['admin']}: administrator and operator of this box")
        click.echo(f"Next      ringpost apply FILE (or the pages at {config.web.url}), then ringpost run")
    else:
        click.echo(f"Account   {done['admin']} was there already and is unchanged")


@click.command("setup-code")
@json_option
@pass_session
def setup_code(session: Session, as_json: bool) -> None:
    """Print a new one-time code for the set-up pages.

    For a box where nobody can sign in yet; codes printed before are void.
    """
    from gateway.flows import setting_up

    config = session.config
    with session.database() as database, database.write() as tx:
        now = session.clock.now_ms()
        code = setting_up.new_code(tx, session.actor, now)
    if as_json:
        print_json({"code": code, "url": f"{config.web.url}/setup", "expires_at": moment(now + setting_up.CODE_FOR_MS)})
    else:
        click.echo(setting_up.on_the_console(code, config.web.url))


@click.command()
@click.option("--example", is_flag=True, help="Print a configuration that documents every key, and check nothing.")
@json_option
@pass_session
def check(session: Session, example: bool, as_json: bool) -> None:
    """Check the configuration and the files it names.

    Exit code 2 with file, line, what was found and what is allowed; 0 where all is well.
    """
    if example:
        import config as shipped

        click.echo(shipped.text("ringpost.toml"), nl=False)
        return
    from gateway.commands.checking import check_files

    config = session.config
    notes = check_files(config)
    if as_json:
        print_json(
            {
                "file": str(config.file),
                "ok": True,
                "gateway": config.gateway.name,
                "database": config.gateway.database_shown,
                "url": config.web.url,
                "modems": [{"name": modem.name, "port": modem.port} for modem in config.modems],
                "notes": notes,
            }
        )
        return
    count = len(config.modems)
    click.echo(f"{config.file}: good ({count} modem{'' if count == 1 else 's'}, database {config.gateway.database_shown})")
    for note in notes:
        click.echo(f"  note: {note}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the difference and change nothing.")
@json_option
@pass_session
def apply(session: Session, file: Path, dry_run: bool, as_json: bool) -> None:
    """Bring the set-up to what FILE says: organisation, people, cases, countries, SIMs, texts, templates, webhooks.

    Applied twice it changes nothing the second time. A wrong row changes nothing at all, and its line is named (exit code 2).
    """
    session.config  # noqa: B018  # a wrong configuration speaks before a wrong file
    from gateway import apply as applying
    from gateway import keys

    with session.database() as database:
        plan = applying.Plan.load(file)
        box = keys.load(session.config.gateway.state_dir)
        now = session.clock.now_ms()
        changes = applying.apply(database, plan, box, actor=session.actor, now=now, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "changes": [change.as_dict() for change in changes]})
        return
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("Nothing to change.")
    else:
        count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
        click.echo(f"{count} would be made." if dry_run else f"{count} made.")


@click.command()
@json_option
@pass_session
def migrate(session: Session, as_json: bool) -> None:
    """Bring the database to this version of Ringpost.

    On SQLite a snapshot is made first, and nothing else may have the database open meanwhile.
    """
    from gateway.store import schema

    config = session.config
    with session.database(check=False) as database:
        ran = schema.migrate(database, config.gateway.state_dir / "snapshots")
    if as_json:
        print_json({"database": config.gateway.database_shown, "migrations": ran})
    else:
        click.echo(f"Migrated: {', '.join(ran)}." if ran else "The database is up to date.")
