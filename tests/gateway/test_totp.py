"""Codes of authenticator apps, against the numbers that the standards print."""

import pytest

from gateway.rules import totp

SECRET = b"12345678901234567890"

# RFC 4226, appendix D: the first ten codes of this secret.
HOTP = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
# RFC 6238, appendix B (SHA-1), the last six of its eight digits.
TOTP = [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")]


@pytest.mark.parametrize(("step", "code"), list(enumerate(HOTP)))
def test_codes_are_those_of_rfc_4226(step: int, code: str) -> None:
    assert totp.code_at(SECRET, step) == code


@pytest.mark.parametrize(("seconds", "code"), TOTP)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.step_of(SECRET, code, seconds * 1000, 0) == seconds // 30


def test_a_step_to_either_side_is_taken_and_no_more_and_each_once() -> None:
    now, here = 1_234_567_890_000, 1_234_567_890 // 30
    found = [totp.step_of(SECRET, totp.code_at(SECRET, here + off), now, 0) for off in (-2, -1, 0, 1, 2)]
    assert found == [None, here - 1, here, here + 1, None]
    assert totp.step_of(SECRET, totp.code_at(SECRET, here), now, here) is None


@pytest.mark.parametrize("code", ["", " ", "28708", "2870822", "28708é", "²⁸⁷⁰⁸²", "\x00" * 6])
def test_what_is_no_code_is_none(code: str) -> None:
    assert totp.step_of(SECRET, code, 59_000, 0) is None


def test_blanks_in_a_code_do_not_matter() -> None:
    assert totp.step_of(SECRET, " 287 082 ", 59_000, 0) == 1


def test_the_secret_survives_base32_and_the_address_names_issuer_and_account() -> None:
    assert totp.from_base32(totp.base32(SECRET)) == SECRET
    address = totp.address(SECRET, "eva@acme.example", "Ringpost Acme & Co")
    assert address.startswith("otpauth://totp/Ringpost%20Acme%20%26%20Co:eva@acme.example?secret=GEZDGNBVGY3TQOJQ")
    assert "issuer=Ringpost%20Acme%20%26%20Co&digits=6&period=30" in address
