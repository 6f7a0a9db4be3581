"""A user who has left: name, address, password and rights go; what they did stays, under a pseudonym."""

from gateway.flows.facts import find_user
from gateway.flows.reports import GONE, pseudonym
from gateway.store.database import Transaction
from gateway.store.setup import change_user


def forget_user(tx: Transaction, organisation_id: str, user: str, actor: str, now: int) -> None:
    """Switch a user off for good and blank them. Raises Refused `user_not_found`, `last_admin`."""
    row = find_user(tx, organisation_id, user)
    change_user(tx, row, roles=(), seat=False, active=False, actor=actor, now=now)
    user_id = row["id"]
    tx.flush()
    tx.execute(
        "UPDATE app_user SET name = ?, email = ?, password_hash = NULL, totp_sealed = NULL, totp_since = NULL,"
        " version = version + 1 WHERE id = ?",
        pseudonym(user_id),
        f"{user_id}{GONE}",
        user_id,
    )
    for table in ("web_session", "second_step", "recovery_code", "password_link", "case_member", "notice_wish", "notice"):
        tx.execute(f"DELETE FROM {table} WHERE user_id = ?", user_id)
    tx.execute("DELETE FROM right_grant WHERE user_id = ?", user_id)
    tx.execute("DELETE FROM audit_private WHERE subject = ?", user_id)
    tx.execute("DELETE FROM subject_salt WHERE subject = ?", user_id)
    tx.memo.clear()
    tx.audit(now, actor, "user.delete", user_id)
