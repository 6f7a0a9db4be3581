"""Which SIM's number a message leaves from: sticky, then local, then international, else none (S21).

Pure. The choice is made at accept and stored; the same candidate always lands on the same of several equal senders.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


def choose(senders: Iterable[Row], country: str, candidate_id: str, sticky: str | None) -> Row | None:
    """The sender for a candidate in `country` (ISO alpha-2); None when no SIM may write there."""
    active = [sender for sender in senders if sender["active"]]
    local = [sender for sender in active if country in json.loads(sender["countries"])]
    eligible = local or [sender for sender in active if sender["international"]]
    for sender in active:
        if sender["id"] == sticky and (sender in eligible or sender["international"]):
            return sender
    return max(eligible, key=lambda sender: _weight(candidate_id, sender["id"]), default=None)


def _weight(candidate_id: str, sender_id: str) -> bytes:
    """Rendezvous hashing: spreads candidates evenly and moves few of them when a sender comes or goes."""
    return hashlib.blake2b(f"{candidate_id} {sender_id}".encode(), digest_size=8).digest()


class Lanes:
    """The order in which lanes are looked at, so that each keeps a guaranteed share of the line.

    Of ten claims six look at critical first, three at normal, one at bulk; an empty lane leaves its turn to the others.
    """

    _FIRST = (0, 1, 0, 0, 1, 0, 2, 0, 1, 0)
    _ORDERS: Mapping[int, tuple[int, int, int]] = {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 0, 1)}

    def __init__(self) -> None:
        self._turn = 0

    def order(self) -> tuple[int, int, int]:
        """The lanes for this claim, first choice first."""
        return self._ORDERS[self._FIRST[self._turn % len(self._FIRST)]]

    def took(self) -> None:
        """A claim was made: the turn passes on."""
        self._turn += 1
