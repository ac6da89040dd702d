"""Source -> channel: the one word a report groups by.

The definitions are those of Google Analytics 4, "Default channel group" (Analytics Help, answer 9756891, the tables for
manually tagged traffic), in the order in which they are tried there. Two differences: which names are search engines, social
networks, video sites and shops is told by our own table (sources_table.py) instead of Google's list, because Google's
leaves out most of the Russian-speaking web; and three channels are ours: Offline, Maps and Messengers, which a business
that is telephoned cares about and Google counts as search, social or nothing.

All rules live in this table; the first that fits gives the channel.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ctserver.domain.model import Source
from ctserver.domain.sources_table import MAPS, MESSENGER, SEARCH, SHOP, SOCIAL, VIDEO, kind_of
from ctserver.domain.words import N_

NAMES: dict[str, str] = {
    "direct": N_("Direct"),
    "organic_search": N_("Organic search"),
    "paid_search": N_("Paid search"),
    "organic_social": N_("Organic social"),
    "paid_social": N_("Paid social"),
    "messengers": N_("Messengers"),
    "maps": N_("Maps"),
    "referral": N_("Referral"),
    "email": N_("E-mail"),
    "display": N_("Display"),
    "affiliates": N_("Affiliates"),
    "organic_video": N_("Organic video"),
    "paid_video": N_("Paid video"),
    "organic_shopping": N_("Organic shopping"),
    "paid_shopping": N_("Paid shopping"),
    "paid_other": N_("Paid other"),
    "cross_network": N_("Cross-network"),
    "audio": N_("Audio"),
    "sms": N_("SMS"),
    "mobile_push": N_("Mobile push notifications"),
    "offline": N_("Offline"),
    "unassigned": N_("Unassigned"),
}

_PAID = re.compile(r".*cp.*|ppc|retargeting|paid.*")
_SHOPPING = re.compile(r".*(?:(?:[^a-df-z]|^)shop|shopping).*")
_EMAIL = re.compile(r"e[-_ ]?mail")
_SMS = re.compile(r"sms")


class _Rule(NamedTuple):
    """Fits when the medium fits `only` (if given) and at least one of the other conditions holds (if any is given).
    Expressions must fit the whole text, in lower case."""

    channel: str
    only: re.Pattern[str] | None = None
    kinds: tuple[str, ...] = ()
    source: re.Pattern[str] | None = None
    medium: re.Pattern[str] | None = None
    campaign: re.Pattern[str] | None = None


_RULES = (
    _Rule("offline", only=re.compile(r"offline")),
    _Rule("direct", only=re.compile(r"\(not set\)|\(none\)"), source=re.compile(r"\(direct\)")),
    _Rule("cross_network", campaign=re.compile(r".*cross-network.*")),
    _Rule("paid_shopping", only=_PAID, kinds=(SHOP,), campaign=_SHOPPING),
    _Rule("paid_search", only=_PAID, kinds=(SEARCH,)),
    _Rule("paid_social", only=_PAID, kinds=(SOCIAL, MESSENGER)),
    _Rule("paid_video", only=_PAID, kinds=(VIDEO,)),
    _Rule("display", only=re.compile(r"display|banner|expandable|interstitial|cpm")),
    _Rule("paid_other", only=_PAID),
    _Rule("maps", kinds=(MAPS,), medium=re.compile(r"maps?")),
    _Rule("messengers", kinds=(MESSENGER,), medium=re.compile(r"messengers?")),
    _Rule("organic_shopping", kinds=(SHOP,), campaign=_SHOPPING),
    _Rule("organic_social", kinds=(SOCIAL,), medium=re.compile(r"social(?:[- ](?:network|media))?|sm")),
    _Rule("organic_video", kinds=(VIDEO,), medium=re.compile(r".*video.*")),
    _Rule("organic_search", kinds=(SEARCH,), medium=re.compile(r"organic")),
    _Rule("referral", only=re.compile(r"referral|app|link")),
    _Rule("email", source=_EMAIL, medium=_EMAIL),
    _Rule("affiliates", only=re.compile(r"affiliate")),
    _Rule("audio", only=re.compile(r"audio")),
    _Rule("sms", source=_SMS, medium=_SMS),
    _Rule("mobile_push", source=re.compile(r"firebase"), medium=re.compile(r".*push|.*(?:mobile|notification).*")),
)


def channel(source: Source) -> str:
    """The channel's code, a key of NAMES. Total."""
    return _channel(source.source, source.medium, source.campaign)


@lru_cache(4096)
def _channel(source: str, medium: str, campaign: str) -> str:
    name, way, campaign = source.strip().lower(), medium.strip().lower(), campaign.strip().lower()
    kind = kind_of(name)
    return next((rule.channel for rule in _RULES if _fits(rule, kind, name, way, campaign)), "unassigned")


def _fits(rule: _Rule, kind: str, source: str, medium: str, campaign: str) -> bool:
    if rule.only and not rule.only.fullmatch(medium):
        return False
    if not (rule.kinds or rule.source or rule.medium or rule.campaign):
        return True
    texts = ((rule.source, source), (rule.medium, medium), (rule.campaign, campaign))
    return kind in rule.kinds or any(wanted and wanted.fullmatch(text) for wanted, text in texts)
