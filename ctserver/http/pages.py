"""The pages of the dashboard: the one list that every navigation is made from.

A page that is added stands here, with the right that it takes to see it; what a person may not see is not shown to him.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctserver.domain.words import N_
from ctserver.http.deps import User


@dataclass(frozen=True, slots=True)
class Page:
    """`name` is what a template's context calls `page`; `label` is English, for gettext. `right` is what it takes to
    see it (domain/rights.py), "" for everybody who is logged in. `phone`: it has a place in the bar at the bottom of a phone."""

    name: str
    path: str
    label: str
    icon: str
    right: str = ""
    phone: bool = False
    group: str = "main"  # main, or the page whose tabs it is one of: numbers | settings


PAGES = (
    Page("overview", "/", N_("Overview"), "overview", "calls", phone=True),
    Page("live", "/live", N_("Live"), "live", "calls", phone=True),
    Page("calls", "/calls", N_("Calls"), "calls", "calls", phone=True),
    Page("missed", "/missed", N_("Missed"), "missed", "calls", phone=True),
    Page("reports", "/reports", N_("Reports"), "pools", "reports"),
    Page("visitors", "/visitors", N_("Visitors"), "visitors", "visitors"),
    Page("quality", "/quality", N_("Quality"), "quality", "calls"),
    Page("numbers", "/numbers", N_("Numbers"), "numbers", "numbers"),
    Page("deliveries", "/deliveries", N_("Deliveries"), "deliveries", "deliveries"),
    Page("settings", "/settings", N_("Settings"), "settings"),
    Page("numbers", "/numbers", N_("Numbers"), "numbers", "numbers", group="numbers"),
    Page("pools", "/pools", N_("Pools"), "pools", "numbers", group="numbers"),
    Page("blocked", "/blocked", N_("Blocked callers"), "missed", "block", group="numbers"),
    Page("you", "/settings", N_("Preferences"), "you", group="settings"),
    Page("account", "/account", N_("Account"), "you", group="settings"),
    Page("users", "/users", N_("Users"), "users", "users", group="settings"),
    Page("audit", "/audit", N_("Audit log"), "note", "audit", group="settings"),
    Page("system", "/system", N_("System"), "system", "system", group="settings"),
)


def shown_to(user: User | None, built: frozenset[str], group: str = "main") -> list[Page]:
    """The pages of a group that this person may see, of those that this server has (`built`: their paths)."""
    return [page for page in PAGES if page.group == group and page.path in built and may(user, page.right)]


def may(user: User | None, right: str) -> bool:
    """Has this person the right? "" is the right of everybody who is logged in."""
    return user is not None and (not right or user.may(right))
