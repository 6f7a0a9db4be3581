"""A reader's own marks: a conversation can be put back among the unread ones."""

from gateway.errors import Refused
from gateway.flows.thread_readers import find_thread, reader
from gateway.store.database import Row, Transaction, View


def mark_unread(tx: Transaction, organisation_id: str, thread_id: str, user: str, now: int) -> bool:
    """The last inbound message counts as unread for this user again; False where nothing has come in yet.

    Raises Refused `thread_not_found`, or what keeps the user from reading it.
    """
    thread = find_thread(tx, organisation_id, thread_id)
    who = reader(tx, organisation_id, thread, user)
    if thread["heard"] == 0:
        return False
    tx.execute(
        "UPDATE read_mark SET place = ?, read_at = ? WHERE thread_id = ? AND user_id = ? AND place >= ?",
        thread["heard"] - 1,
        now,
        thread_id,
        who["id"],
        thread["heard"],
    )
    return True


def check_plea(view: View, thread: Row, task_id: str) -> None:
    """Raises Refused `task_not_found` unless this task is about the candidate of this conversation."""
    about = view.value("SELECT candidate_id FROM task WHERE id = ?", task_id)
    if about is None or about != thread["candidate_id"]:
        raise Refused("task_not_found", 404, "No such task in this conversation.", field="task")
