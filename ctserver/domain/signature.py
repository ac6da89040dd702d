"""Standard Webhooks 1.0: how a receiver knows that a message is ours and is new. https://www.standardwebhooks.com"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes of a secret, as the standard asks


class BadSecret(ValueError):
    """What is wrong with it; the secret itself is not told."""


def key(secret: str) -> bytes:
    """The bytes of `whsec_<base64>`. Raises BadSecret."""
    if not secret.startswith(PREFIX):
        raise BadSecret(f"it must begin with {PREFIX}")
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise BadSecret(f"what follows {PREFIX} must be base64") from None
    if not LEAST <= len(found) <= MOST:
        raise BadSecret(f"it must hold {LEAST} to {MOST} bytes, not {len(found)}")
    return found


def sign(keys: Sequence[bytes], id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature: one signature for each key, so that secrets can be changed without a gap."""
    content = f"{id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(one, content, hashlib.sha256)).decode()}" for one in keys)
