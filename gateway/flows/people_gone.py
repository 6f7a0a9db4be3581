"""A user who has left: name, address, password and rights go; what they did stays, under a pseudonym."""

from gateway.flows.people import Change, change
from gateway.flows.reports import GONE, pseudonym
from gateway.flows.rights import Acting
from gateway.store.database import Transaction


def forget_user(tx: Transaction, by: Acting, user: str, now: int) -> None:
    """Switch a user off for good and blank them. Raises Refused `user_not_found`, `last_admin`, `permission_denied`."""
    user_id = change(tx, by, user, Change(roles=(), seat=False, active=False), None, now)["id"]
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
    tx.audit(now, by.actor, "user.delete", user_id, by.told)
