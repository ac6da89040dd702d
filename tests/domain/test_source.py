"""Landing URL + referrer -> Source, with addresses as they come."""

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, unquote_to_bytes, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctserver.domain import sources_table
from ctserver.domain.channel import channel
from ctserver.domain.model import DIRECT, Source
from ctserver.domain.source import CLICK_IDS, _unquoted, classify, host_of, is_own

OWN = ("okna.example", "окна.рф", "shop.okna.by")
PAGE = "https://www.okna.example/"


def openstat(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("query", "referrer", "expected"),
    [
        (
            "utm_source=yandex&utm_medium=cpc&utm_campaign=okna_msk|4711&utm_term=%D0%BE%D0%BA%D0%BD%D0%B0+%D0%BF%D0%B2%D1%85"
            "&utm_content=gid%7C1%7Caid%7C2&yclid=15061977",
            "https://yandex.ru/",
            Source("cpc", "yandex", "okna_msk|4711", "окна пвх", "gid|1|aid|2", {"yclid": "15061977"}),
        ),
        ("utm_source=VK&utm_medium=CPC&utm_campaign=Лето", "", Source("cpc", "vk", "Лето")),
        ("UTM_SOURCE=google&Utm_Medium=cpc", "", Source("cpc", "google")),
        ("utm_source=newsletter", "https://e.mail.ru/", Source("(not set)", "newsletter")),
        ("utm_campaign=spring", "https://www.google.com/", Source("(not set)", "(not set)", "spring")),
        ("utm_source=&utm_medium=&gclid=abc", "", Source("cpc", "google", click_ids={"gclid": "abc"})),
        ("utm_source=a&utm_source=b&utm_medium=x", "", Source("x", "a")),
        ("utm_medium=cpc&utm_source=google&utm_campaign=a%20b%2Bc", "", Source("cpc", "google", "a b+c")),
        ("utm_term=alone", "https://ya.ru/", Source("organic", "yandex")),
        ("a=1;b=2&utm_source=x;y&utm_medium=z", "", Source("z", "x;y")),
        # What utm leaves out is filled by an advertisement's own id
        ("utm_campaign=s&yclid=7", "", Source("cpc", "yandex", "s", click_ids={"yclid": "7"})),
        ("utm_source=ya-direct&yclid=7", "", Source("cpc", "ya-direct", click_ids={"yclid": "7"})),
        ("utm_source=blog&fbclid=7", "", Source("(not set)", "blog", click_ids={"fbclid": "7"})),
        (
            "utm_source=yandex&utm_medium=cpc&utm_campaign=%EE%EA%ED%E0",
            "",
            Source("cpc", "yandex", "окна"),
        ),  # Windows-1251
        (
            "utm_source=yandex&utm_medium=cpc&utm_campaign=%D0%BE%D0%BA%D0",
            "",
            Source("cpc", "yandex", "ок"),
        ),  # cut short
        ("utm_source=x&utm_medium=y&utm_campaign=%00z%", "", Source("y", "x", "z%")),
        # The keyword comes from the referrer if no utm_term says another
        (
            "utm_source=bing&utm_medium=cpc",
            "https://www.bing.com/search?q=buy+windows",
            Source("cpc", "bing", term="buy windows"),
        ),
        (
            "utm_source=bing&utm_medium=cpc&utm_term=k",
            "https://www.bing.com/search?q=x",
            Source("cpc", "bing", term="k"),
        ),
        # Click ids
        (
            "gclid=Cj0KCQ&gad_source=1",
            "https://www.google.com/",
            Source("cpc", "google", click_ids={"gclid": "Cj0KCQ"}),
        ),
        ("gbraid=0AAA", "", Source("cpc", "google", click_ids={"gbraid": "0AAA"})),
        ("wbraid=CkA", "", Source("cpc", "google", click_ids={"wbraid": "CkA"})),
        ("dclid=CkA", "", Source("display", "google", click_ids={"dclid": "CkA"})),
        ("yclid=99", "https://yandex.ru/", Source("cpc", "yandex", click_ids={"yclid": "99"})),
        ("ymclid=99", "", Source("cpc", "yandex market", click_ids={"ymclid": "99"})),
        ("msclkid=ab", "https://www.bing.com/", Source("cpc", "bing", click_ids={"msclkid": "ab"})),
        ("rb_clickid=ab", "https://vk.com/", Source("cpc", "vk", click_ids={"rb_clickid": "ab"})),
        ("fbclid=IwAR0", "", Source("social", "facebook", click_ids={"fbclid": "IwAR0"})),
        ("fbclid=IwAR0", "https://l.facebook.com/", Source("social", "facebook", click_ids={"fbclid": "IwAR0"})),
        ("fbclid=PAZX", "https://l.instagram.com/", Source("social", "instagram", click_ids={"fbclid": "PAZX"})),
        ("fbclid=PAZX", "https://some.site/", Source("social", "facebook", click_ids={"fbclid": "PAZX"})),
        ("ysclid=lq1", "", Source("organic", "yandex", click_ids={"ysclid": "lq1"})),
        ("ysclid=lq1", "https://ya.ru/", Source("organic", "yandex", click_ids={"ysclid": "lq1"})),
        ("fbclid=f&gclid=g", "", Source("cpc", "google", click_ids={"gclid": "g", "fbclid": "f"})),
        # Roistat's marker is kept and says nothing of the source
        (
            "roistat=direct1_search_4711_okna",
            "https://yandex.ru/",
            Source("organic", "yandex", click_ids={"roistat": "direct1_search_4711_okna"}),
        ),
        ("roistat=leaflet", "", Source("(none)", "(direct)", click_ids={"roistat": "leaflet"})),
        # Openstat
        (
            "_openstat=" + openstat("direct.yandex.ru;12345;6789;yandex.ru:premium"),
            "https://yandex.ru/",
            Source(
                "cpc",
                "yandex",
                "12345",
                "",
                "6789",
                {"_openstat": openstat("direct.yandex.ru;12345;6789;yandex.ru:premium")},
            ),
        ),
        ("_openstat=begun.ru;c;a;p", "", Source("cpc", "begun", "c", "", "a", {"_openstat": "begun.ru;c;a;p"})),
        ("_openstat=%%%&x=1", "https://ya.ru/", Source("organic", "yandex", click_ids={"_openstat": "%%%"})),
        ("_openstat=b25seSBvbmU", "", Source("(none)", "(direct)", click_ids={"_openstat": "b25seSBvbmU"})),
        (
            "_openstat=begun.ru;c;a;p&utm_source=s&utm_medium=m",
            "",
            Source("m", "s", click_ids={"_openstat": "begun.ru;c;a;p"}),
        ),
        (
            "_openstat=begun.ru;c;a;p&utm_medium=m",
            "",
            Source("m", "begun", "c", "", "a", {"_openstat": "begun.ru;c;a;p"}),
        ),
        # from=
        ("from=avito", "", Source("referral", "avito")),
        ("from=Avito.ru", "https://some.site/", Source("referral", "avito")),
        ("from=partner.example", "", Source("referral", "partner.example")),
        ("from=%D0%BB%D0%B8%D1%81%D1%82%D0%BE%D0%B2%D0%BA%D0%B0", "", Source("referral", "листовка")),
        ("from=avito&yclid=3", "", Source("cpc", "yandex", click_ids={"yclid": "3"})),
        ("from=avito&utm_source=x&utm_medium=y", "", Source("y", "x")),
        ("from=header", PAGE + "catalog", DIRECT),
        ("from=2026-01-31", "https://ya.ru/", Source("organic", "yandex")),
        ("from=/catalog/", "https://ya.ru/", Source("organic", "yandex")),
        ("from=17", "", DIRECT),
        ("from=MOW&to=LED", "https://ya.ru/", Source("organic", "yandex")),
        ("from=avito&fbclid=1", "", Source("social", "facebook", click_ids={"fbclid": "1"})),
    ],
)
def test_the_landing_page_names_the_source(query: str, referrer: str, expected: Source) -> None:
    assert classify(PAGE + "?" + query, referrer, OWN) == expected


@pytest.mark.parametrize(
    "landing",
    [
        PAGE + "#utm_source=x&utm_medium=y",
        PAGE + "#/catalog?utm_source=x&utm_medium=y",
        PAGE + "?id=1#!/p/2?utm_source=x&utm_medium=y",
        PAGE + "?utm_source=x&utm_medium=y#utm_source=z",
        "?utm_source=x&utm_medium=y",
    ],
)
def test_utm_is_found_where_pages_keep_it(landing: str) -> None:
    assert classify(landing, "", OWN) == Source("y", "x")


@pytest.mark.parametrize(
    ("referrer", "source"),
    [
        ("https://www.google.com/", "google"),
        ("https://google.ru/", "google"),
        ("https://www.google.co.uk/", "google"),
        ("https://www.google.com.tr/", "google"),
        ("https://images.google.de/", "google"),
        ("android-app://com.google.android.googlequicksearchbox/https/www.google.com", "google"),
        ("android-app://com.google.android.googlequicksearchbox", "google"),
        ("https://yandex.ru/", "yandex"),
        ("https://www.yandex.by/", "yandex"),
        ("https://yandex.com.tr/", "yandex"),
        ("https://m.yandex.ru/", "yandex"),
        ("https://ya.ru/", "yandex"),
        ("https://yandex.ru/images/search", "yandex"),
        ("android-app://ru.yandex.searchplugin/", "yandex"),
        ("https://go.mail.ru/", "mail.ru"),
        ("https://nova.rambler.ru/", "rambler"),
        ("https://www.bing.com/", "bing"),
        ("https://duckduckgo.com/", "duckduckgo"),
        ("https://html.duckduckgo.com/", "duckduckgo"),
        ("https://search.brave.com/", "brave"),
        ("https://www.ecosia.org/", "ecosia"),
        ("https://www.qwant.com/", "qwant"),
        ("https://www.baidu.com/", "baidu"),
        ("https://m.baidu.com/", "baidu"),
        ("https://search.naver.com/", "naver"),
        ("https://m.search.naver.com/", "naver"),
        ("https://search.seznam.cz/", "seznam"),
        ("https://www.startpage.com/", "startpage"),
        ("https://search.yahoo.com/", "yahoo"),
        ("https://r.search.yahoo.com/", "yahoo"),
        ("https://de.search.yahoo.com/", "yahoo"),
        ("https://search.yahoo.co.jp/", "yahoo"),
    ],
)
def test_search_engines_are_organic(referrer: str, source: str) -> None:
    assert classify(PAGE, referrer, OWN) == Source("organic", source)


@pytest.mark.parametrize(
    ("referrer", "source", "term"),
    [
        ("https://www.google.com/search?q=call+tracking&hl=en", "google", "call tracking"),
        ("https://yandex.ru/search/?lr=213&text=%D0%BE%D0%BA%D0%BD%D0%B0%20%D0%BF%D0%B2%D1%85", "yandex", "окна пвх"),
        ("https://yandex.ru/yandsearch?text=%EE%EA%ED%E0", "yandex", "окна"),
        ("https://go.mail.ru/search?q=%D0%BE%D0%BA%D0%BD%D0%B0", "mail.ru", "окна"),
        ("https://nova.rambler.ru/search?query=%D0%BE%D0%BA%D0%BD%D0%B0", "rambler", "окна"),
        ("https://www.bing.com/search?q=windows&form=QBLH", "bing", "windows"),
        ("https://duckduckgo.com/?q=windows&ia=web", "duckduckgo", "windows"),
        ("https://search.brave.com/search?q=windows&source=web", "brave", "windows"),
        ("https://www.ecosia.org/search?q=windows", "ecosia", "windows"),
        ("https://www.qwant.com/?q=windows", "qwant", "windows"),
        ("https://www.baidu.com/s?ie=utf-8&wd=%E7%AA%97", "baidu", "窗"),
        ("https://m.baidu.com/s?word=%E7%AA%97", "baidu", "窗"),
        ("https://search.naver.com/search.naver?query=%EC%B0%BD", "naver", "창"),
        ("https://search.seznam.cz/?q=okna", "seznam", "okna"),
        ("https://www.startpage.com/do/search?query=windows", "startpage", "windows"),
        ("https://search.yahoo.com/search?p=windows", "yahoo", "windows"),
        ("https://www.sogou.com/web?query=windows", "sogou", "windows"),
        ("https://www.so.com/s?q=windows", "360 search", "windows"),
    ],
)
def test_the_keyword_is_taken_where_the_referrer_tells_it(referrer: str, source: str, term: str) -> None:
    assert classify(PAGE, referrer, OWN) == Source("organic", source, term=term)


@pytest.mark.parametrize(
    ("referrer", "medium", "source", "group"),
    [
        # Social networks
        ("https://vk.com/", "social", "vk", "organic_social"),
        ("https://m.vk.com/", "social", "vk", "organic_social"),
        ("https://away.vk.com/away.php?to=https%3A%2F%2Fokna.example", "social", "vk", "organic_social"),
        ("android-app://com.vkontakte.android/", "social", "vk", "organic_social"),
        ("https://ok.ru/", "social", "ok", "organic_social"),
        ("https://dzen.ru/a/Zabc", "social", "dzen", "organic_social"),
        ("https://zen.yandex.ru/", "social", "dzen", "organic_social"),
        ("https://tenchat.ru/", "social", "tenchat", "organic_social"),
        ("https://pikabu.ru/story/1", "social", "pikabu", "organic_social"),
        ("https://habr.com/ru/articles/1/", "social", "habr", "organic_social"),
        ("https://l.facebook.com/l.php?u=x", "social", "facebook", "organic_social"),
        ("https://lm.facebook.com/", "social", "facebook", "organic_social"),
        ("https://l.instagram.com/", "social", "instagram", "organic_social"),
        ("https://t.co/abc", "social", "twitter", "organic_social"),
        ("https://www.linkedin.com/", "social", "linkedin", "organic_social"),
        ("https://www.pinterest.co.uk/", "social", "pinterest", "organic_social"),
        ("https://www.pinterest.com/", "social", "pinterest", "organic_social"),
        ("https://out.reddit.com/", "social", "reddit", "organic_social"),
        # Messengers
        ("https://t.me/", "social", "telegram", "messengers"),
        ("https://web.telegram.org/", "social", "telegram", "messengers"),
        ("android-app://org.telegram.messenger/", "social", "telegram", "messengers"),
        ("https://web.whatsapp.com/", "social", "whatsapp", "messengers"),
        ("android-app://com.viber.voip", "social", "viber", "messengers"),
        # Video
        ("https://www.youtube.com/", "referral", "youtube", "organic_video"),
        ("https://m.youtube.com/", "referral", "youtube", "organic_video"),
        ("https://rutube.ru/video/1/", "referral", "rutube", "organic_video"),
        # Maps
        ("https://yandex.ru/maps/213/moscow/", "referral", "yandex maps", "maps"),
        ("https://yandex.ru/maps", "referral", "yandex maps", "maps"),
        ("https://yandex.by/maps/?ll=1", "referral", "yandex maps", "maps"),
        ("https://maps.yandex.ru/", "referral", "yandex maps", "maps"),
        ("android-app://ru.yandex.yandexmaps/", "referral", "yandex maps", "maps"),
        ("android-app://ru.yandex.yandexnavi", "referral", "yandex navigator", "maps"),
        ("https://maps.google.com/", "referral", "google maps", "maps"),
        ("https://maps.google.co.uk/", "referral", "google maps", "maps"),
        ("https://www.google.com/maps/place/x", "referral", "google maps", "maps"),
        ("https://www.google.com.tr/maps", "referral", "google maps", "maps"),
        ("https://2gis.ru/moscow/firm/1", "referral", "2gis", "maps"),
        ("https://2gis.kz/almaty", "referral", "2gis", "maps"),
        ("https://maps.apple.com/", "referral", "apple maps", "maps"),
        # Web mail
        ("https://mail.google.com/", "email", "gmail", "email"),
        ("android-app://com.google.android.gm/", "email", "gmail", "email"),
        ("https://e.mail.ru/inbox/", "email", "e.mail.ru", "email"),
        ("https://mail.yandex.ru/", "email", "yandex mail", "email"),
        ("https://mail.yandex.com/", "email", "yandex mail", "email"),
        ("https://outlook.live.com/", "email", "outlook", "email"),
        ("https://mail.rambler.ru/", "email", "rambler mail", "email"),
        ("https://mail.yahoo.com/", "email", "yahoo mail", "email"),
        # Marketplaces and classifieds
        ("https://www.avito.ru/moskva/okna_1", "referral", "avito", "referral"),
        ("https://m.avito.ru/", "referral", "avito", "referral"),
        ("android-app://com.avito.android/", "referral", "avito", "referral"),
        ("https://spb.cian.ru/", "referral", "cian", "referral"),
        ("https://youla.ru/", "referral", "youla", "referral"),
        ("https://auto.ru/", "referral", "auto.ru", "referral"),
        ("https://www.drive2.ru/", "referral", "drive2", "referral"),
        ("https://www.ozon.ru/", "referral", "ozon", "organic_shopping"),
        ("https://www.wildberries.ru/", "referral", "wildberries", "organic_shopping"),
        ("https://market.yandex.ru/", "referral", "yandex market", "organic_shopping"),
        ("https://chatgpt.com/", "referral", "chatgpt", "referral"),
        # Advertisements' own hosts
        ("https://yabs.yandex.ru/count/1", "cpc", "yandex", "paid_search"),
        # Others
        ("https://www.example.org/page", "referral", "example.org", "referral"),
        ("https://docs.google.com/", "referral", "docs.google.com", "referral"),
        ("https://sites.google.com/", "referral", "sites.google.com", "referral"),
        ("https://cloud.yandex.ru/", "referral", "cloud.yandex.ru", "referral"),
        ("https://google.example.com/", "referral", "google.example.com", "referral"),
        ("https://google.com.evil.example/", "referral", "google.com.evil.example", "referral"),
        ("https://notvk.com/", "referral", "notvk.com", "referral"),
        ("https://yandex.ru.phish.example/", "referral", "yandex.ru.phish.example", "referral"),
        ("android-app://com.some.app/", "referral", "com.some.app", "referral"),
        ("https://пример.рф/", "referral", "пример.рф", "referral"),
    ],
)
def test_other_referrers_have_a_clean_name_and_a_channel(referrer: str, medium: str, source: str, group: str) -> None:
    found = classify(PAGE, referrer, OWN)
    assert (found.medium, found.source) == (medium, source)
    assert channel(found) == group


@pytest.mark.parametrize(
    "referrer",
    [
        "",
        "https://okna.example/",
        "https://spb.okna.example/x",
        "https://окна.рф/",
        "about:blank",
        "no url",
        "data:text/html,//x",
        "https://",
    ],
)
def test_no_referrer_or_ones_own_is_direct(referrer: str) -> None:
    assert classify(PAGE, referrer, OWN) == DIRECT


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: quote(b64encode(text), safe=""),
        lambda text: b64encode(text).decode(),
        lambda text: b64encode(text).decode().rstrip("="),
        lambda text: urlsafe_b64encode(text).decode(),
    ],
)
def test_openstat_is_read_in_every_spelling_of_base64(encode) -> None:  # type: ignore[no-untyped-def]
    mark = "direct.yandex.ru;кампания?>~;объявление;место".encode()
    found = classify(PAGE + "?_openstat=" + encode(mark), "")
    assert (found.medium, found.source, found.campaign, found.content) == ("cpc", "yandex", "кампания?>~", "объявление")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.COM/path", "example.com"),
        ("http://user:pass@example.com:8080/?a@b", "example.com"),
        ("https://[2001:db8::1]:8443/", "2001:db8::1"),
        ("//example.com/x", "example.com"),
        ("https://example.com.", "example.com"),
        ("https://example.com?x=//other", "example.com"),
        ("https://example.com#//other", "example.com"),
        ("https://evil.example\\@okna.example/", "evil.example"),  # as browsers read it
        ("example.com/path", ""),
        ("x?y=https://example.com/", ""),
        ("mailto:a@b.example", ""),
        ("null", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


_host = st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,3}", fullmatch=True)


@given(
    _host,
    st.sampled_from(["", ":80", ":8443"]),
    st.from_regex(r"(/[a-z@:.]{0,9}){0,3}(\?[a-z@:/=]{0,9})?", fullmatch=True),
)
def test_well_formed_urls_have_the_host_the_library_says(host: str, port: str, rest: str) -> None:
    url = f"https://{host}{port}{rest}"
    assert host_of(url) == urlsplit(url).hostname


@given(st.text(), st.text())
@example("?from=\ud800%D0", "https://\ud800/")
@example("https://x/?_openstat=%ff%fe;;;", "android-app://")
@example("https://[", "https://[")
def test_any_text_has_a_source(landing: str, referrer: str) -> None:
    found = classify(landing, referrer, OWN)
    assert found.medium
    assert found.source


_words = st.text(alphabet="ab%=&?#;+/\x00\ud800юD0 ", max_size=30)


@given(
    st.lists(
        st.tuples(st.sampled_from([*CLICK_IDS, "utm_source", "utm_medium", "utm_term", "_openstat", "from"]), _words)
    ),
    _words,
)
def test_any_parameters_have_a_source_of_bounded_texts(pairs: list[tuple[str, str]], tail: str) -> None:
    landing = PAGE + "?" + "&".join(f"{name}={value * 20}" for name, value in pairs)
    found = classify(landing, "https://yandex.ru/search?text=" + tail, OWN)
    texts = (found.medium, found.source, found.campaign, found.term, found.content)
    assert all(len(text) <= 255 for text in texts)
    assert found == classify(landing, "https://yandex.ru/search?text=" + tail, OWN)


def test_own_domains_count_with_everything_below_them() -> None:
    assert is_own("okna.example", OWN)
    assert is_own("spb.okna.example", OWN)
    assert not is_own("notokna.example", OWN)
    assert not is_own("okna.by", OWN)
    assert not is_own("", OWN)


def test_every_place_of_the_table_is_found_under_its_own_address() -> None:
    seen: dict[str, str] = {}
    for entry, known in sources_table._entries():
        assert seen.setdefault(entry, known.source) == known.source, f"{entry} stands twice"
        host, _, path = entry.removeprefix("=").replace("*", "com").partition("/")
        found = sources_table.app(entry[4:]) if entry.startswith("app:") else sources_table.place(host, "/" + path)
        assert found == known, entry


@given(st.text())
@example("%D0%BE%zz%d0%b")
def test_percent_signs_are_resolved_as_the_library_does(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    assert _unquoted(clean) == unquote_to_bytes(clean)
    assert _unquoted(quote(clean)) == clean.encode()
