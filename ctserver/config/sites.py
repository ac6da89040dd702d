"""The sites, their targets, pools, static numbers and rules."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ctserver.config.after_call import AfterCall
from ctserver.config.reports import TargetCall
from ctserver.config.types import MAIN, Domain, Identifier, OneLine, Patterns, PhoneNumber, Reference, Table, network
from ctserver.domain import category


class Target(Table):
    """A number written in the site's pages: how to find it, how to show another in its place, and from which pool."""

    number: PhoneNumber
    selector: OneLine = ""
    mask: OneLine = ""
    mode: Literal["now", "reveal", "lazy"] = "now"
    reveal_text: OneLine = "Show number"
    pool: Reference = ""
    line: Reference = ""


class Site(Table):
    name: str = ""
    domains: list[Domain] = Field(min_length=1)
    number: PhoneNumber
    selector: OneLine = ""
    mask: OneLine = ""
    mode: Literal["now", "reveal", "lazy"] = "now"
    reveal_text: OneLine = "Show number"
    pool: Reference = ""
    line: Reference = ""
    targets: dict[Identifier, Target] = {}
    static_only: bool = False
    session_minutes: int = Field(default=30, ge=1, le=1440)
    heartbeat_seconds: int = Field(default=30, ge=5, le=600)
    consent: Literal["none", "cookieless", "wait"] = "none"
    respect_dnt: bool = False
    visitor_days: int = Field(default=90, ge=1, le=730)
    cookie_domain: Domain = ""
    ga4: str = Field(default="", pattern=r"^(G-[A-Z0-9]{4,20})?$")
    serve_bots: bool = False
    recordings_days: int = Field(default=0, ge=0)
    repeat_calls: bool = True
    repeat_days: int = Field(default=30, ge=1, le=365)
    target_call: TargetCall = TargetCall()
    categories: Annotated[list[OneLine], Field(max_length=9)] = []
    after_call: AfterCall = AfterCall()
    exclude_ips: list[Annotated[str, AfterValidator(network)]] = []

    @model_validator(mode="after")
    def _keys_have_categories(self) -> Site:
        known = category.of_site(self.categories)
        for key, code in self.after_call.keys.items():
            if code not in known:
                raise ValueError(
                    f"after_call.keys.{key}: {code!r} is no category of this site, which has: {', '.join(known)}"
                )
        return self

    @cached_property
    def all_targets(self) -> dict[str, Target]:
        """The site's own number as target `main`, and the others."""
        main = Target.model_construct(
            number=self.number,
            selector=self.selector,
            mask=self.mask,
            mode=self.mode,
            reveal_text=self.reveal_text,
            pool=self.pool,
            line=self.line,
        )
        return {MAIN: main, **self.targets}


class Pool(Table):
    numbers: list[PhoneNumber] = Field(min_length=1)
    hold_minutes: int = Field(default=30, ge=1, le=10080)
    release_minutes: int = Field(default=3, ge=0, le=10080)
    cool_down_minutes: int = Field(default=0, ge=0, le=1440)
    share: bool = True
    overflow: Reference = ""
    line: Reference = ""


class Rule(Table):
    """Conditions of domain.rules; exactly one of `pool`, `static`, `page` says what to show."""

    site: Reference = ""
    target: Reference = ""
    channel: Patterns = []
    medium: Patterns = []
    source: Patterns = []
    campaign: Patterns = []
    landing: Patterns = []
    referrer: Patterns = []
    region: Patterns = []
    device: Patterns = []
    pool: Reference = ""
    static: Reference = ""
    page: bool = False


class Static(Table):
    number: PhoneNumber
    site: Identifier
    source: str
    medium: str = "offline"
    campaign: str = ""
    line: Reference = ""
