"""Second factors that are being set up: the secret of each stays here until its first code, for the login that typed the password."""

from __future__ import annotations

from collections import OrderedDict

MAX = 1_000


class Factors:
    """In memory: who sets one up while ctserver is restarted begins again."""

    def __init__(self) -> None:
        self._secrets: OrderedDict[str, str] = OrderedDict()

    def begin(self, session: str, secret: str) -> None:
        self._secrets[session] = secret
        if len(self._secrets) > MAX:
            self._secrets.popitem(last=False)

    def of(self, session: str) -> str:
        """ "" where none was begun."""
        return self._secrets.get(session, "")

    def end(self, session: str) -> None:
        self._secrets.pop(session, None)
