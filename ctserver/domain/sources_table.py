"""Who sends visitors: search engines, social networks, messengers, maps, web mail, shops and other sites that deserve a
clean name. Data, and the look-up of a host or of a name in it; what follows from it is decided in source.py and channel.py.

Compiled from the engines' own search pages and from the referrers and apps seen in practice, for the world and for the
Russian-speaking web. A host in a row is written as

    vk.com        the host and everything below it
    =ok.ru        the host itself, `www.` and `m.` of it, nothing else below it
    =google.*     the same under every country's ending (google.com, google.ru, google.co.uk, google.com.tr)
    yandex.*/maps the host, for addresses whose path starts so
    app:NAME      an Android application (referrer android-app://NAME/)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

SEARCH, SOCIAL, MESSENGER, VIDEO = "search", "social", "messenger", "video"
MAPS, MAIL, SHOP, SITE, ADS = "maps", "mail", "shop", "site", "ads"

# What a plain link from such a place is called, in Google Analytics 4's terms.
MEDIUM_OF = {
    SEARCH: "organic",
    SOCIAL: "social",
    MESSENGER: "social",
    VIDEO: "referral",
    MAPS: "referral",
    MAIL: "email",
    SHOP: "referral",
    SITE: "referral",
    ADS: "cpc",
}


class Place(NamedTuple):
    """A known place on the web. `keys`: the query parameters that hold what was searched for, best first."""

    kind: str
    source: str
    keys: tuple[str, ...] = ()

    @property
    def medium(self) -> str:
        return MEDIUM_OF[self.kind]


# kind, source, where it is met, parameters with the keyword
_ROWS: tuple[tuple[str, str, str, str], ...] = (
    # Search engines
    (
        SEARCH,
        "google",
        "=google.* images.google.* cse.google.* =encrypted.google.com app:com.google.android.googlequicksearchbox"
        " app:com.google.android.apps.searchlite",
        "q query as_q",
    ),
    (
        SEARCH,
        "yandex",
        "=yandex.* =ya.ru =ya.cc search.yandex.* =images.yandex.ru =xmlsearch.yandex.ru yandex.*/clck"
        " app:ru.yandex.searchplugin app:ru.yandex.searchapp app:com.yandex.browser app:com.yandex.browser.lite",
        "text query",
    ),
    (SEARCH, "mail.ru", "go.mail.ru =search.mail.ru", "q words"),
    (SEARCH, "rambler", "nova.rambler.ru search.rambler.ru =rambler.ru", "query words"),
    (SEARCH, "bing", "=bing.com =cn.bing.com =www2.bing.com app:com.microsoft.bing", "q"),
    (SEARCH, "duckduckgo", "duckduckgo.com app:com.duckduckgo.mobile.android", "q"),
    (SEARCH, "yahoo", "=yahoo.com search.yahoo.com =search.yahoo.co.jp =yahoo.co.jp", "p q"),
    (SEARCH, "brave", "search.brave.com", "q"),
    (SEARCH, "ecosia", "=ecosia.org", "q"),
    (SEARCH, "qwant", "qwant.com", "q"),
    (SEARCH, "baidu", "=baidu.com =wap.baidu.com =image.baidu.com", "wd word"),
    (SEARCH, "naver", "search.naver.com =naver.com", "query"),
    (SEARCH, "daum", "search.daum.net", "q"),
    (SEARCH, "seznam", "search.seznam.cz =seznam.cz", "q"),
    (SEARCH, "startpage", "startpage.com", "query q"),
    (SEARCH, "sogou", "sogou.com", "query keyword"),
    (SEARCH, "360 search", "=so.com", "q"),
    (SEARCH, "coc coc", "coccoc.com", "query q"),
    (SEARCH, "aol", "search.aol.com =aol.com", "q query"),
    (SEARCH, "ask", "=ask.com", "q"),
    (SEARCH, "mojeek", "mojeek.com", "q"),
    (SEARCH, "swisscows", "swisscows.com", "query"),
    (SEARCH, "metager", "metager.org metager.de", "eingabe"),
    (SEARCH, "kagi", "=kagi.com", "q"),
    (SEARCH, "presearch", "presearch.com", "q"),
    (SEARCH, "dogpile", "dogpile.com", "q"),
    (SEARCH, "lycos", "search.lycos.com =lycos.com", "q query"),
    (SEARCH, "petal search", "petalsearch.com", "query"),
    (SEARCH, "onet", "szukaj.onet.pl", "q qt"),
    (SEARCH, "ukr.net", "search.ukr.net", "q"),
    (SEARCH, "meta.ua", "=meta.ua", "q"),
    # Social networks
    (SOCIAL, "vk", "vk.com vk.ru vkontakte.ru vk.cc vk.me app:com.vkontakte.android app:com.vk.vkvideo.lite", ""),
    (SOCIAL, "ok", "ok.ru odnoklassniki.ru app:ru.ok.android", ""),
    (SOCIAL, "dzen", "dzen.ru zen.yandex.ru zen.yandex.com app:com.yandex.zen app:ru.dzen.app", ""),
    (SOCIAL, "my.mail.ru", "my.mail.ru", ""),
    (SOCIAL, "tenchat", "tenchat.ru", ""),
    (SOCIAL, "pikabu", "pikabu.ru app:ru.pikabu.android", ""),
    (SOCIAL, "habr", "habr.com habrahabr.ru", ""),
    (SOCIAL, "vc.ru", "vc.ru", ""),
    (SOCIAL, "dtf", "dtf.ru", ""),
    (SOCIAL, "livejournal", "livejournal.com", ""),
    (SOCIAL, "yaplakal", "yaplakal.com", ""),
    (SOCIAL, "otvet.mail.ru", "otvet.mail.ru", ""),
    (SOCIAL, "facebook", "facebook.com fb.com fb.me m.me messenger.com app:com.facebook.katana app:com.facebook.lite app:com.facebook.orca", ""),
    (SOCIAL, "instagram", "instagram.com app:com.instagram.android", ""),
    (SOCIAL, "threads", "threads.net threads.com app:com.instagram.barcelona", ""),
    (SOCIAL, "twitter", "twitter.com x.com t.co app:com.twitter.android", ""),
    (SOCIAL, "linkedin", "linkedin.com lnkd.in app:com.linkedin.android", ""),
    (SOCIAL, "pinterest", "pinterest.* pin.it app:com.pinterest", ""),
    (SOCIAL, "reddit", "reddit.com redd.it app:com.reddit.frontpage", ""),
    (SOCIAL, "tiktok", "tiktok.com app:com.zhiliaoapp.musically app:com.ss.android.ugc.trill", ""),
    (SOCIAL, "snapchat", "snapchat.com app:com.snapchat.android", ""),
    (SOCIAL, "tumblr", "tumblr.com app:com.tumblr", ""),
    (SOCIAL, "quora", "quora.com app:com.quora.android", ""),
    (SOCIAL, "medium", "medium.com", ""),
    (SOCIAL, "bluesky", "bsky.app bsky.social", ""),
    (SOCIAL, "mastodon", "mastodon.social mastodon.online", ""),
    (SOCIAL, "xing", "xing.com", ""),
    (SOCIAL, "nextdoor", "nextdoor.com", ""),
    (SOCIAL, "discord", "discord.com discord.gg discordapp.com", ""),
    (SOCIAL, "weibo", "weibo.com weibo.cn t.cn", ""),
    (SOCIAL, "wechat", "weixin.qq.com wechat.com", ""),
    (SOCIAL, "line", "line.me app:jp.naver.line.android", ""),
    (SOCIAL, "stack overflow", "stackoverflow.com stackexchange.com", ""),
    (SOCIAL, "tripadvisor", "tripadvisor.*", ""),
    (SOCIAL, "yelp", "yelp.*", ""),
    # Messengers
    (MESSENGER, "telegram", "t.me telegram.org telegram.me telegra.ph app:org.telegram.messenger app:org.telegram.messenger.web app:org.telegram.plus app:org.thunderdog.challegram", ""),
    (MESSENGER, "whatsapp", "whatsapp.com wa.me app:com.whatsapp app:com.whatsapp.w4b", ""),
    (MESSENGER, "viber", "viber.com app:com.viber.voip", ""),
    (MESSENGER, "max", "=max.ru web.max.ru app:ru.oneme.app", ""),
    # Video
    (VIDEO, "youtube", "youtube.com youtu.be youtube-nocookie.com app:com.google.android.youtube", ""),
    (VIDEO, "rutube", "rutube.ru app:ru.rutube.app", ""),
    (VIDEO, "vk video", "vkvideo.ru =video.vk.com app:com.vk.vkvideo", ""),
    (VIDEO, "vimeo", "vimeo.com", ""),
    (VIDEO, "twitch", "twitch.tv app:tv.twitch.android.app", ""),
    (VIDEO, "dailymotion", "dailymotion.com", ""),
    # Maps. A browser mostly sends the host alone: yandex.ru/maps then looks like yandex.ru.
    (MAPS, "google maps", "maps.google.* =google.*/maps maps.app.goo.gl =goo.gl/maps app:com.google.android.apps.maps", "q"),
    (MAPS, "yandex maps", "maps.yandex.* =yandex.*/maps =yandex.*/web-maps =yandex.*/profile =ya.ru/maps app:ru.yandex.yandexmaps", "text"),
    (MAPS, "yandex navigator", "=yandex.*/navi navi.yandex.ru app:ru.yandex.yandexnavi", ""),
    (MAPS, "2gis", "2gis.* 2gis.com.cy go.2gis.com app:ru.dublgis.dgismobile app:ru.dublgis.dgismobile4preview", ""),
    (MAPS, "apple maps", "maps.apple.com", "q"),
    (MAPS, "bing maps", "=bing.com/maps", "q"),
    (MAPS, "openstreetmap", "openstreetmap.org", "query"),
    (MAPS, "waze", "waze.com app:com.waze", ""),
    # Web mail
    (MAIL, "gmail", "mail.google.com app:com.google.android.gm", ""),
    (MAIL, "e.mail.ru", "e.mail.ru light.mail.ru touch.mail.ru octavius.mail.ru =mail.ru/inbox app:ru.mail.mailapp", ""),
    (MAIL, "yandex mail", "mail.yandex.* app:ru.yandex.mail", ""),
    (MAIL, "rambler mail", "mail.rambler.ru", ""),
    (MAIL, "outlook", "outlook.live.com outlook.office.com outlook.office365.com mail.live.com app:com.microsoft.office.outlook", ""),
    (MAIL, "yahoo mail", "mail.yahoo.com mail.yahoo.co.jp app:com.yahoo.mobile.client.android.mail", ""),
    (MAIL, "icloud mail", "=icloud.com/mail", ""),
    (MAIL, "proton mail", "mail.proton.me mail.protonmail.com", ""),
    (MAIL, "aol mail", "mail.aol.com", ""),
    (MAIL, "gmx", "gmx.net gmx.com", ""),
    (MAIL, "web.de", "web.de", ""),
    (MAIL, "i.ua", "mail.i.ua", ""),
    (MAIL, "mail.ukr.net", "mail.ukr.net", ""),
    # Shops and price comparison
    (SHOP, "ozon", "ozon.ru ozon.com ozon.by ozon.kz app:ru.ozon.app.android", ""),
    (SHOP, "wildberries", "wildberries.ru wildberries.by wildberries.kz wb.ru app:com.wildberries.ru", ""),
    (SHOP, "yandex market", "market.yandex.ru m.market.yandex.ru app:ru.beru.android", ""),
    (SHOP, "megamarket", "megamarket.ru sbermegamarket.ru", ""),
    (SHOP, "aliexpress", "aliexpress.com aliexpress.ru app:com.alibaba.aliexpresshd", ""),
    (SHOP, "lamoda", "lamoda.ru", ""),
    (SHOP, "amazon", "amazon.*", ""),
    (SHOP, "ebay", "ebay.*", ""),
    (SHOP, "etsy", "etsy.com", ""),
    (SHOP, "alibaba", "alibaba.com", ""),
    (SHOP, "walmart", "walmart.com", ""),
    (SHOP, "google shopping", "shopping.google.com =google.*/shopping", "q"),
    (SHOP, "kaspi", "kaspi.kz", ""),
    (SHOP, "price.ru", "price.ru", ""),
    (SHOP, "e-katalog", "e-katalog.ru", ""),
    # Classifieds, directories, answering machines and other sites with a clean name
    (SITE, "avito", "avito.ru app:com.avito.android", ""),
    (SITE, "cian", "cian.ru app:ru.cian.main", ""),
    (SITE, "youla", "youla.ru youla.io app:com.allgoritm.youla", ""),
    (SITE, "auto.ru", "auto.ru app:ru.auto.ara", ""),
    (SITE, "drom", "drom.ru app:ru.farpost.dromfilter", ""),
    (SITE, "drive2", "drive2.ru drive2.com app:ru.drive2", ""),
    (SITE, "domclick", "domclick.ru", ""),
    (SITE, "yandex realty", "realty.yandex.ru realty.ya.ru", ""),
    (SITE, "yandex services", "uslugi.yandex.ru =yandex.*/uslugi", ""),
    (SITE, "yandex news", "news.yandex.ru", ""),
    (SITE, "profi.ru", "profi.ru", ""),
    (SITE, "zoon", "zoon.ru", ""),
    (SITE, "flamp", "flamp.ru", ""),
    (SITE, "otzovik", "otzovik.com", ""),
    (SITE, "irecommend", "irecommend.ru", ""),
    (SITE, "prodoctorov", "prodoctorov.ru", ""),
    (SITE, "hh", "hh.ru", ""),
    (SITE, "olx", "olx.*", ""),
    (SITE, "kufar", "kufar.by", ""),
    (SITE, "krisha", "krisha.kz", ""),
    (SITE, "booking", "booking.com", ""),
    (SITE, "chatgpt", "chatgpt.com chat.openai.com app:com.openai.chatgpt", ""),
    (SITE, "perplexity", "perplexity.ai app:ai.perplexity.app.android", ""),
    (SITE, "gemini", "gemini.google.com app:com.google.android.apps.bard", ""),
    (SITE, "claude", "claude.ai", ""),
    (SITE, "copilot", "copilot.microsoft.com", ""),
    (SITE, "deepseek", "chat.deepseek.com", ""),
    (SITE, "alice", "alice.yandex.ru =alice.ya.ru", ""),
    (SITE, "gigachat", "giga.chat", ""),
    # Hosts that serve nothing but advertisements
    (ADS, "yandex", "yabs.yandex.ru yabs.yandex.by yabs.yandex.kz an.yandex.ru direct.yandex.ru", ""),
    (ADS, "google", "googleadservices.com googlesyndication.com doubleclick.net adwords.google.com ads.google.com", ""),
    (ADS, "mytarget", "target.my.com r.mail.ru ads.vk.com", ""),
)  # fmt: skip

# How people write a source in utm_source, beside the names and hosts above: letters and digits only.
_ALIASES: dict[str, tuple[str, str]] = {
    alias: (kind, source)
    for kind, source, aliases in (
        (SEARCH, "google", "googleads googleadwords adwords gads"),
        (SEARCH, "yandex", "ya yandexdirect directyandex yadirect yd yandexsearch rsya яндекс"),
        (SEARCH, "bing", "bingads microsoftads"),
        (SEARCH, "rambler", "begun"),
        (SOCIAL, "vk", "vkontakte vkads adsvk vkreklama vkcom вк вконтакте"),
        (SOCIAL, "mytarget", "targetmail"),
        (SOCIAL, "ok", "odnoklassniki одноклассники"),
        (SOCIAL, "dzen", "zen yandexzen yazen дзен"),
        (SOCIAL, "facebook", "fb facebookads meta metaads messenger"),
        (SOCIAL, "instagram", "ig insta inst instagramads инстаграм"),
        (SOCIAL, "twitter", "x"),
        (SOCIAL, "tiktok", "tiktokads tt"),
        (SOCIAL, "linkedin", "linkedinads"),
        (MESSENGER, "telegram", "tg tgads telegramads tgram телеграм"),
        (MESSENGER, "whatsapp", "wa ватсап"),
        (MESSENGER, "viber", "вайбер"),
        (VIDEO, "youtube", "yt youtubeads"),
        (MAPS, "google maps", "gmaps gmb gbp googlemybusiness googlebusiness googlebusinessprofile gmbprofile"),
        (MAPS, "yandex maps", "yamaps yandexmap ymaps yandexbusiness yandexbiznes yabusiness яндекскарты"),
        (MAPS, "yandex navigator", "yandexnavi"),
        (MAPS, "2gis", "doublegis dublgis gis2 2гис"),
        (MAPS, "apple maps", "applemap"),
        (SHOP, "wildberries", "wb"),
        (SHOP, "yandex market", "ymarket yamarket"),
        (SHOP, "google shopping", "merchantcenter googlemerchant"),
    )
    for alias in aliases.split()
}

_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "gov", "edu", "ac", "or", "ne"})  # google.co.uk, google.com.tr
_NOT_A_LETTER = re.compile(r"[\W_]+")


class _Index(NamedTuple):
    below: dict[str, Place]  # the host and everything below it
    exact: dict[str, Place]  # the host, its www. and its m.
    paths: dict[str, tuple[tuple[str, Place], ...]]  # the same, by the start of the path
    apps: dict[str, Place]
    kinds: dict[str, str]  # squeezed source name -> kind


def place(host: str, path: str = "") -> Place | None:
    """What is known of a web host (lower case), None when nothing is. `path` tells maps from search."""
    known, paths = _of_host(host)
    if paths and len(path) > 1:
        for start, special in paths:
            if path.startswith(start) and path[len(start) : len(start) + 1] in ("", "/", "?", "#"):
                return special
    return known


def app(package: str) -> Place | None:
    """What is known of an Android application."""
    return _INDEX.apps.get(package)


@lru_cache(8192)
def kind_of(source: str) -> str:
    """The kind of place that a source's name stands for, "" when it is none of the table's.

    Names are compared whole, never by a part: "not-linkedin" is not LinkedIn.
    """
    name = source.strip().lower()
    known = _of_host(name)[0] if "." in name else None
    if known and known.kind != ADS:
        return known.kind
    return _INDEX.kinds.get(_squeeze(known.source if known else name), "")


@lru_cache(8192)
def _of_host(host: str) -> tuple[Place | None, tuple[tuple[str, Place], ...]]:
    bare = host.removeprefix("www.").removeprefix("m.")
    for name in (bare, _any_ending(bare)):
        if name in _INDEX.exact or name in _INDEX.paths:
            return _INDEX.exact.get(name) or _below(host), _INDEX.paths.get(name, ())
    return _below(host), ()


def _below(host: str) -> Place | None:
    labels = host.split(".")[-6:]
    for start in range(len(labels) - 1):
        name = ".".join(labels[start:])
        if found := _INDEX.below.get(name) or _INDEX.below.get(_any_ending(name)):
            return found
    return None


def _any_ending(host: str) -> str:
    """google.co.uk, google.ru -> google.*; maps.google.com -> maps.google.*"""
    labels = host.split(".")
    if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2:
        del labels[-1]
    return ".".join([*labels[:-1], "*"])


def _entries() -> Iterator[tuple[str, Place]]:
    for kind, source, where, keys in _ROWS:
        known = Place(kind, source, tuple(keys.split()))
        for entry in where.split():
            yield entry, known


def _squeeze(name: str) -> str:
    return _NOT_A_LETTER.sub("", name.lower())


def _index() -> _Index:
    index = _Index({}, {}, {}, {}, {})
    for kind, source, _, _ in _ROWS:  # mytarget alone is known only by its advertisements: those of social networks
        index.kinds.setdefault(_squeeze(source), SOCIAL if kind == ADS else kind)
    index.kinds.update({alias: kind for alias, (kind, _) in _ALIASES.items()})
    for entry, known in _entries():
        if entry.startswith("app:"):
            index.apps[entry[4:]] = known
            continue
        host, slash, path = entry.removeprefix("=").partition("/")
        if slash:
            index.paths[host] = (*index.paths.get(host, ()), (slash + path, known))
        else:
            (index.exact if entry.startswith("=") else index.below)[host] = known
    return index


_INDEX = _index()
