"""Links for candidates: tokens that cannot be guessed, and how they are kept. Pure.

A token is 128 bits of HMAC-SHA256 under the box's `token` key, so that a link can be written again (a reminder, a moved
interview) without being stored; the store keeps only its SHA-256, with an expiry beside it.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from gateway.errors import Refused

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Links:
    """Where candidates' pages are reached, and the key that makes their tokens."""

    base: str | None
    key: bytes = field(repr=False)

    def token(self, subject: str, serial: int) -> str:
        """The token of a thing's `serial`-th link; 22 characters."""
        mac = hmac.new(self.key, f"link|{subject}|{serial}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac[:16]).decode().rstrip("=")

    def url(self, page: str, token: str) -> str:
        """`https://…/i/<token>`. Raises Refused `candidate_pages_off` where the box has no address for candidates."""
        if self.base is None:
            raise Refused(
                "candidate_pages_off",
                422,
                "Give response_url (a page of your own), or set [web] candidate_listen or candidate_url for the box's pages.",
                field="response_url",
            )
        return f"{self.base}/{page}/{token}"


def digest(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether it could be one; anything else is looked up nowhere."""
    return _TOKEN.fullmatch(text) is not None
