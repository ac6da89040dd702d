"""The channel of a source, by Google Analytics 4's definitions and our three own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain import sources_table
from ctserver.domain.channel import NAMES, channel
from ctserver.domain.model import DIRECT, Source
from ctserver.domain.source import CLICK_IDS


@pytest.mark.parametrize(
    ("source", "medium", "campaign", "expected"),
    [
        ("(direct)", "(none)", "", "direct"),
        ("(direct)", "(not set)", "", "direct"),
        ("(not set)", "(not set)", "spring", "unassigned"),
        # Search
        ("google", "organic", "", "organic_search"),
        ("some-unknown-engine", "organic", "", "organic_search"),
        ("yandex", "cpc", "", "paid_search"),
        ("Yandex", "CPC", "", "paid_search"),
        ("yandex.ru", "cpc", "", "paid_search"),
        ("yandex-direct", "cpc", "", "paid_search"),
        ("yandex_direct", "cpc", "", "paid_search"),
        ("direct.yandex.ru", "cpc", "", "paid_search"),
        ("go.mail.ru", "cpc", "", "paid_search"),
        ("google", "ppc", "", "paid_search"),
        ("google", "paidsearch", "", "paid_search"),
        ("yandex", "retargeting", "", "paid_search"),
        ("google", "cpm", "", "paid_search"),  # as there: the search rule is tried before Display
        ("duckduckgo", "referral", "", "organic_search"),
        # Social
        ("vk", "social", "", "organic_social"),
        ("vk.com", "referral", "", "organic_social"),
        ("vk", "cpc", "", "paid_social"),
        ("vk_ads", "cpc", "", "paid_social"),
        ("vkontakte", "paid_social", "", "paid_social"),
        ("mytarget", "cpc", "", "paid_social"),
        ("fb", "cpc", "", "paid_social"),
        ("ig", "paid", "", "paid_social"),
        ("instagram", "social", "", "organic_social"),
        ("dzen", "referral", "", "organic_social"),
        ("odnoklassniki", "post", "", "organic_social"),
        ("club", "social-network", "", "organic_social"),
        ("club", "social media", "", "organic_social"),
        ("club", "sm", "", "organic_social"),
        # Video
        ("youtube", "referral", "", "organic_video"),
        ("youtube", "cpv_cpc", "", "paid_video"),
        ("youtube.com", "cpc", "", "paid_video"),
        ("rutube", "preroll", "", "organic_video"),
        ("blogger", "video_review", "", "organic_video"),
        # Shopping
        ("yandex market", "cpc", "", "paid_shopping"),
        ("ozon", "referral", "", "organic_shopping"),
        ("wb", "referral", "", "organic_shopping"),
        ("google", "cpc", "shopping_all", "paid_shopping"),
        ("google", "cpc", "e-shop", "paid_shopping"),
        ("google", "cpc", "workshop", "paid_search"),
        ("price-list", "link", "shop", "organic_shopping"),
        # Display, paid other, cross-network
        ("site", "display", "", "display"),
        ("site", "banner", "", "display"),
        ("avito", "cpc", "", "paid_other"),
        ("avito", "cpa", "", "paid_other"),
        ("soloway", "cpc", "", "paid_other"),
        ("google", "cpc", "Cross-network", "cross_network"),
        # The rest
        ("partner.ru", "referral", "", "referral"),
        ("partner", "link", "", "referral"),
        ("app", "app", "", "referral"),
        ("avito", "referral", "", "referral"),
        ("gmail", "email", "", "email"),
        ("newsletter", "e-mail", "", "email"),
        ("e_mail", "letter", "", "email"),
        ("newsletter", "E-Mail", "", "email"),
        ("admitad", "affiliate", "", "affiliates"),
        ("podcast", "audio", "", "audio"),
        ("sms", "blast", "", "sms"),
        ("mts", "sms", "", "sms"),
        ("site", "webpush", "", "mobile_push"),
        ("site", "mobile banner", "", "mobile_push"),
        ("firebase", "x", "", "mobile_push"),
        ("qr", "leaflet", "", "unassigned"),
        # Ours
        ("billboard", "offline", "", "offline"),
        ("yandex maps", "referral", "", "maps"),
        ("yandex_maps", "organic", "", "maps"),
        ("yandexmaps", "(not set)", "", "maps"),
        ("2gis", "referral", "", "maps"),
        ("2gis.ru", "firmcard", "", "maps"),
        ("2ГИС", "card", "", "maps"),
        ("google", "maps", "", "maps"),
        ("gmb", "organic", "", "maps"),
        ("apple maps", "referral", "", "maps"),
        ("yandex navigator", "referral", "", "maps"),
        ("yandex maps", "cpc", "", "paid_other"),
        ("telegram", "social", "", "messengers"),
        ("tg", "post", "", "messengers"),
        ("t.me", "referral", "", "messengers"),
        ("telegram", "cpc", "", "paid_social"),
        ("whatsapp", "messenger", "", "messengers"),
        ("viber", "(not set)", "", "messengers"),
        ("bot", "messenger", "", "messengers"),
        # Names are compared whole
        ("not-linkedin", "post", "", "unassigned"),
        ("vkusno", "post", "", "unassigned"),
        ("googled", "post", "", "unassigned"),
        ("google.example.com", "referral", "", "referral"),
    ],
)
def test_a_source_belongs_to_its_channel(source: str, medium: str, campaign: str, expected: str) -> None:
    assert channel(Source(medium, source, campaign)) == expected


def test_nothing_known_is_direct() -> None:
    assert channel(DIRECT) == "direct"


@given(st.text(), st.text(), st.text())
def test_any_text_has_a_channel_with_a_name(source: str, medium: str, campaign: str) -> None:
    assert channel(Source(medium, source, campaign)) in NAMES


def test_a_long_text_does_not_stall_the_rules() -> None:
    assert channel(Source("c" * 200, "s" * 200, "-shop" * 40)) == "organic_shopping"


def test_the_operators_page_names_every_channel_source_and_click_id() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    for code, name in NAMES.items():
        assert f"| {name} | `{code}` |" in page
    for _, known in sources_table._entries():
        assert known.source in page
    for name in CLICK_IDS:
        assert f"`{name}`" in page
