"""Signing in at an OpenID Connect provider: the company's own directory, Google, Keycloak and their like."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ctserver.config.types import Domain, OneLine, Table

RoleName = Literal["owner", "manager", "operator", "analyst", "client"]
HERE = ("127.0.0.1", "::1", "localhost")


def _issuer(value: str) -> str:
    """As the provider writes it. Who could read along could let himself in, so it takes https, but on this machine."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError(f"{value[:80]!r} is not an address like https://login.example.com")
    if parts.scheme == "http" and parts.hostname not in HERE:
        raise ValueError("the provider must be asked over https")
    return value


class Oidc(Table):
    """Without an issuer nobody signs in this way."""

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    name: OneLine = ""
    client_id: OneLine = ""
    secret_file: str = ""
    scopes: list[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]] = ["openid", "email", "profile"]
    domains: list[Domain] = []
    trust_email: bool = False
    new_users: bool = False
    role: RoleName | Literal[""] = ""
    role_claim: OneLine = "groups"
    roles: dict[str, RoleName] = {}
    second_factor: Literal["ours", "provider"] = "ours"
    login_hours: int = Field(default=12, ge=1, le=8760)
    timeout_seconds: int = Field(default=5, ge=1, le=15)

    @property
    def host(self) -> str:
        return urlsplit(self.issuer).hostname or ""
