"""Codes of an authenticator app: RFC 6238 over HMAC-SHA-1 (RFC 4226), six digits, thirty seconds.

Pure: a secret, a code and the time in, a step out. SHA-1 is what every app speaks; as an HMAC it is sound.
"""

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import quote, urlencode

STEP_MS: Final = 30_000
DIGITS: Final = 6
SECRET_BYTES: Final = 20
"""160 bits, as RFC 4226 §4 asks for."""
DRIFT: Final = 1
"""So many steps a phone's clock may be ahead or behind."""


def code_at(secret: bytes, step: int) -> str:
    """The code of a step (RFC 4226 §5.3)."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, code: str, now: int, used: int) -> int | None:
    """The step whose code this is, now or one step to either side; None for another, or one not newer than `used`.

    Every step is compared, so that time tells nothing.
    """
    typed, here, found = digits_of(code), now // STEP_MS, None
    for step in range(here - DRIFT, here + DRIFT + 1):
        right = hmac.compare_digest(code_at(secret, step).encode(), typed.encode())
        if right and step > used:
            found = step
    return found


def digits_of(code: str) -> str:
    """A code as people type it, without blanks."""
    return "".join(code.split())


def base32(secret: bytes) -> str:
    """The secret as apps take it typed."""
    return base64.b32encode(secret).decode().rstrip("=")


def from_base32(text: str) -> bytes:
    """The secret again."""
    return base64.b32decode(text + "=" * (-len(text) % 8))


def address(secret: bytes, account: str, issuer: str) -> str:
    """What stands in the QR code: `otpauth://totp/…`."""
    label = quote(f"{issuer}:{account}", safe=":@")
    asked = urlencode({"secret": base32(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_MS // 1000})
    return f"otpauth://totp/{label}?{asked.replace('+', '%20')}"
