"""The kinds of values that settings are made of, each with its own check."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from zoneinfo import ZoneInfo

from babel.numbers import is_currency
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from ctserver.domain import phone

_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Za-z:.%]+\]):([0-9]{1,5})")


def _number(value: str, info: ValidationInfo) -> str:
    country = (info.context or {})["country"]
    return phone.e164(value, country)


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if not found or int(found[1]) > 65535:
        raise ValueError(f"{value!r} is not an address and a port")
    return value


def country_code(value: str) -> str:
    if value.upper() not in phone.COUNTRIES:
        raise ValueError(f"{value!r} is not a country code of two letters")
    return value.upper()


def currency_code(value: str) -> str:
    """An ISO 4217 code, or "" for none."""
    if value and not is_currency(value.upper()):
        raise ValueError(f"{value!r} is no currency; they look like EUR, GBP, RUB")
    return value.upper()


def zone_name(value: str) -> str:
    """An IANA name, or "" for the server's own."""
    try:
        ZoneInfo(value or "UTC")
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{value!r} is no time zone; they look like Europe/London") from None
    return value


def one_line(value: str) -> str:
    if any(ord(character) < 32 for character in value) or '"' in value:
        raise ValueError("control characters and double quotes are not allowed here")
    if "${" in value or "$[" in value:
        raise ValueError("${ and $[ would be evaluated by the dialplan, which is not allowed here")
    return value


def network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address or network") from None


# A telephone number, or the beginning of several with * behind it, in whatever way people write it.
CallerNumber = Annotated[str, Field(pattern=r"^\+?[0-9 ()-]{2,30}\*?$")]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


PhoneNumber = Annotated[str, AfterValidator(_number)]
Address = Annotated[str, AfterValidator(_address)]
AddressOrNone = Annotated[str, AfterValidator(lambda text: text and _address(text))]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Reference = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")]  # empty: none
MAIN = "main"  # the target that is the site's own number
OneLine = Annotated[str, Field(max_length=500), AfterValidator(one_line)]
Domain = Annotated[str, BeforeValidator(_lower)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Patterns = Annotated[list[OneLine], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
