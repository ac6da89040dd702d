"""Who somebody is to whom an OpenID Connect provider has vouched for: what of its claims is believed, and which role they give."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ctserver.domain.rights import Role

LONGEST_SUBJECT = 255  # characters (OpenID Connect Core 1.0, section 2)


class Reason(Enum):
    """Why somebody is not let in by his provider."""

    AWAY = "away"  # the provider does not answer
    DENIED = "denied"  # it said no
    OVER = "over"  # this sign-in is unknown, used or too old
    MISTRUSTED = "mistrusted"  # what it answered is not proof
    DOMAIN = "domain"  # none of our addresses
    ROLE = "role"  # none of the groups that are let in
    STRANGER = "stranger"  # he has no login, and none is made


class NotLetIn(Exception):
    """`detail` is for whoever looks after the server: it names what was wrong."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason.value}: {detail}")


@dataclass(frozen=True, slots=True)
class Flow:
    """The secrets of one sign-in: `state` comes back with its answer, `nonce` inside its token, `verifier` (RFC 7636) is shown
    to the provider by us alone."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """What the browser carries of the verifier: nobody can tell the one from the other."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class Believed:
    """What the settings believe. `roles`: a value of the claim `role_claim` -> a role, the first that fits counts; `role` is
    that of everybody else. Neither: the provider says nothing of roles. `domains` empty: any."""

    domains: Sequence[str] = ()
    trust_email: bool = False
    role_claim: str = "groups"
    roles: Mapping[str, str] = field(default_factory=dict)
    role: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """`subject` is his for ever; `email` is "" unless it is known to be his. `role` is None where the provider says nothing of it."""

    subject: str
    email: str
    name: str
    nickname: str
    role: Role | None


def identity(claims: Mapping[str, Any], issuer: str, believed: Believed) -> Identity:
    """Of claims whose signature was checked. Raises NotLetIn."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise NotLetIn(Reason.MISTRUSTED, "the token names nobody (sub)")
    email = _email(claims, believed)
    domain = email.rpartition("@")[2].lower()
    if believed.domains and domain not in believed.domains:
        raise NotLetIn(Reason.DOMAIN, f"{_text(claims, 'email') or 'no e-mail address'}, verified: {bool(email)}")
    return Identity(
        subject=f"{issuer} {subject}",
        email=email,
        name=" ".join(_text(claims, "name").split())[:100],
        nickname=_text(claims, "preferred_username")[:64],
        role=_role(claims, believed),
    )


def _email(claims: Mapping[str, Any], believed: Believed) -> str:
    """Some providers let people type any address: only a verified one says who somebody is. A few write "true"."""
    email = _text(claims, "email").strip()
    verified = claims.get("email_verified") in (True, "true") or believed.trust_email
    good = "@" in email[1:-1] and email.isprintable() and " " not in email and len(email) <= 200
    return email if good and verified else ""


def _role(claims: Mapping[str, Any], believed: Believed) -> Role | None:
    groups = _groups(claims, believed.role_claim)
    for group, role in believed.roles.items():
        if group in groups:
            return Role(role)
    if not believed.roles:
        return None
    if believed.role:
        return Role(believed.role)
    raise NotLetIn(Reason.ROLE, f"{believed.role_claim}: {', '.join(groups)[:200] or 'nothing'}")


def _groups(claims: Mapping[str, Any], name: str) -> list[str]:
    """The values of a claim; `realm_access.roles` is the claim of that name, or `roles` inside `realm_access`."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [value for value in found if isinstance(value, str)] if isinstance(found, list) else []


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
