"""The second factor: codes of six digits that change every 30 seconds (TOTP, RFC 6238), and codes for the day the telephone
is lost."""

from __future__ import annotations

import hmac

import pyotp

STEP_MS = 30_000
DRIFT = 1  # steps that a telephone's clock may be off, either way
RECOVERY_CODES = 10


def step_of(secret: str, code: str, now: int, last_step: int) -> int | None:
    """The step whose code this is, if it is near `now` and later than the last one that was used; else None."""
    digits = "".join(code.split())
    if not digits.isascii():
        return None
    totp, current = pyotp.TOTP(secret), now // STEP_MS
    good = [
        step
        for step in range(current - DRIFT, current + DRIFT + 1)
        if hmac.compare_digest(totp.generate_otp(step), digits) and step > last_step
    ]
    return good[0] if good else None


def address(secret: str, login: str, server: str) -> str:
    """What the QR code holds: `otpauth://totp/...`."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=server)


def recovery_code(text: str) -> str:
    """A code as it was made, however somebody has typed it."""
    return "".join(text.lower().replace("-", "").split())
