"""Whoever decides for a candidate takes their row first of all locks, and of several candidates by id (design.md §3.4).

And the door through which anything new comes to a candidate: it is shut while they are being erased.
"""

from collections.abc import Iterable

from gateway.errors import Refused
from gateway.flows.facts import find_candidate
from gateway.rules.texts import is_text
from gateway.store.database import Row, Transaction, View


def lock_candidate(tx: Transaction, candidate_id: str | None) -> None:
    """Take the candidate's row lock; nothing to do on SQLite, which has one writer."""
    if candidate_id is not None and tx.for_update:
        tx.one("SELECT id FROM candidate WHERE id = ?" + tx.for_update, candidate_id)


def lock_number_of(tx: Transaction, candidate_id: str | None) -> None:
    """Take the rows of everybody who has this candidate's number, theirs among them: a withdrawal binds all of them."""
    if candidate_id is not None and tx.for_update:
        tx.all(
            "SELECT id FROM candidate WHERE id = ? OR phone_hash = (SELECT phone_hash FROM candidate WHERE id = ?) ORDER BY id"
            + tx.for_update,
            candidate_id,
            candidate_id,
        )


def lock_candidates(tx: Transaction, wanted: Iterable[tuple[str, str]]) -> None:
    """Take the rows of all these candidates (organisation, reference), whatever order they came in; unknown ones are passed over.

    For batches and shared commits: two that write to the same people in different orders would wait for each other for ever.
    """
    names = sorted({(organisation_id, ref) for organisation_id, ref in wanted if is_text(ref)})
    if len(names) > 1 and tx.for_update:
        marks = ", ".join(["(?, ?)"] * len(names))
        values = [each for name in names for each in name]
        tx.all(f"SELECT id FROM candidate WHERE (organisation_id, ref) IN ({marks}) ORDER BY id" + tx.for_update, *values)


def open_candidate(tx: Transaction, organisation_id: str, ref: str) -> Row:
    """A candidate, locked, for whom something new is recorded. Raises Refused `candidate_not_found`, `candidate_erasing`."""
    candidate = find_candidate(tx, organisation_id, ref)
    if tx.for_update:
        lock_candidate(tx, candidate["id"])
        candidate = find_candidate(tx, organisation_id, ref)
    check_not_erasing(tx, candidate["id"])
    return candidate


def check_not_erasing(view: View, candidate_id: str) -> None:
    """Nothing new while an erasure waits for what is on its way: it would be forgotten at once. Raises `candidate_erasing`."""
    if is_erasing(view, candidate_id):
        raise Refused(
            "candidate_erasing",
            409,
            "This candidate is being erased; the box only waits for what is on its way to or from them. If they come back, create"
            " them anew with PUT /candidates/{ref} once GET /candidates/{ref} answers 404.",
            field="candidate_ref",
        )


def is_erasing(view: View, candidate_id: str) -> bool:
    """Whether somebody has asked to erase this candidate, and it is not done yet. The caller holds the candidate's lock."""
    return view.one("SELECT 1 AS yes FROM erasure WHERE candidate_id = ? AND state = 'waiting'", candidate_id) is not None
