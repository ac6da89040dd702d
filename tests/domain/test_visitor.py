"""Robots are known by their names; no person's browser is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.domain.visitor import Device, device, is_bot

_IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
_ANDROID = "Mozilla/5.0 (Linux; Android 13; SM-A536E Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/124.0.6367.82 Mobile Safari/537.36"
_WIN = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 "

PEOPLE = [
    # Desktop
    (_WIN + "Safari/537.36", Device("desktop", "Chrome", "Windows")),
    (_WIN + "YaBrowser/24.4.0.0 Safari/537.36", Device("desktop", "Yandex Browser", "Windows")),
    (_WIN + "Safari/537.36 Edg/124.0.2478.67", Device("desktop", "Edge", "Windows")),
    (_WIN + "Safari/537.36 OPR/109.0.0.0", Device("desktop", "Opera", "Windows")),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0", Device("desktop", "Firefox", "Windows")),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15", Device("desktop", "Safari", "macOS")),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", Device("desktop", "Firefox", "Ubuntu")),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36", Device("desktop", "Chrome", "Linux")),
    ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36", Device("desktop", "Chrome", "Chrome OS")),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; SLCC2; .NET4.0C; Tablet PC 2.0; rv:11.0) like Gecko", Device("desktop", "Internet Explorer", "Windows")),
    # Telephones
    (_IOS + "Version/17.4.1 Mobile/15E148 Safari/604.1", Device("phone", "Safari", "iOS")),
    (_IOS + "CriOS/124.0.6367.88 Mobile/15E148 Safari/604.1", Device("phone", "Chrome", "iOS")),
    (_IOS + "FxiOS/125.0 Mobile/15E148 Safari/605.1.15", Device("phone", "Firefox", "iOS")),
    (_IOS + "Version/17.0 YaBrowser/24.4.5.350.10 SA/3 Mobile/15E148 Safari/604.1", Device("phone", "Yandex Browser", "iOS")),
    (_IOS + "GSA/313.0.626156586 Mobile/15E148 Safari/604.1", Device("phone", "Google", "iOS")),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36", Device("phone", "Chrome", "Android")),
    ("Mozilla/5.0 (Linux; arm_64; Android 13; SM-A536E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.6261.119 YaBrowser/24.4.2.75.00 SA/3 Mobile Safari/537.36", Device("phone", "Yandex Browser", "Android")),
    ("Mozilla/5.0 (Linux; arm_64; Android 12; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 YaApp_Android/24.43.1 YaSearchBrowser/24.43.1 BroPP/1.0 SA/3 Mobile Safari/537.36", None),
    ("Mozilla/5.0 (Linux; Android 5.1.1; SM-J320F) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/66.0.3359.158 Mobile Safari/537.36 YandexSearch/7.61 YandexSearchBrowser/7.61", None),
    ("Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/24.0 Chrome/117.0.0.0 Mobile Safari/537.36", Device("phone", "Samsung Internet", "Android")),
    ("Mozilla/5.0 (Linux; U; Android 12; ru-ru; 2201117TY Build/SKQ1.211103.001) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.7.0-gn", Device("phone", "Mi Browser", "Android")),
    ("Mozilla/5.0 (Linux; Android 10; HRY-LX1; HMSCore 6.13.0.302) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.88 HuaweiBrowser/14.0.3.301 Mobile Safari/537.36", None),
    ("Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile", None),
    ("Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0", Device("phone", "Firefox", "Android")),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36 OPR/82.0.0.0", Device("phone", "Opera", "Android")),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36 EdgA/124.0.0.0", Device("phone", "Edge", "Android")),
    ("Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16", Device("phone", "Opera Mini", "Android")),
    ("Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/103.0.0.0 Mobile Safari/537.36", Device("phone", "Chrome", "Android")),
    ("Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20 Build/RP1A.200720.011; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/96.0.4664.45 Mobile Safari/537.36", None),
    ("Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.45 Mobile Safari/537.36", None),
    ("Mozilla/5.0 (Mobile; Nokia 8110 4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", None),
    (_IOS + "Version/17.4 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15", None),
    ("Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Mobile Safari/537.36 BingSapphire/28.1.2110003549", None),
    # Browsers within applications
    (_IOS + "Mobile/21E236 Instagram 327.1.3.26.90 (iPhone14,5; iOS 17_4_1; ru_RU; ru; scale=3.00; 1170x2532; 588410361)", Device("phone", "Instagram", "iOS")),
    (_ANDROID + " Instagram 327.0.0.48.93 Android (33/13; 450dpi; 1080x2177; samsung; SM-A536E; a53x; s5e8825; ru_RU; 587800532)", Device("phone", "Instagram", "Android")),
    (_ANDROID + " [FB_IAB/FB4A;FBAV/460.0.0.49.77;]", Device("phone", "Facebook", "Android")),
    (_IOS + "Mobile/15E148 [FBAN/FBIOS;FBAV/461.0.0.32.107;FBBV/593094243;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.4.1;FBSS/3;FBID/phone;FBLC/ru_RU;FBOP/5]", Device("phone", "Facebook", "iOS")),
    ("VKAndroidApp/8.77-22445 (Android 13; SDK 33; arm64-v8a; samsung SM-A536E; ru; 2177x1080)", None),
    (_ANDROID + " VKAndroidApp/8.77-22445", None),
    (_IOS + "Mobile/15E148 VKiOSApp/8.77", None),
    (_IOS + "Mobile/15E148 com.vk.vkclient/2999 (iPhone, iOS 17.4.1, iPhone14,5, Scale/3.0)", None),
    (_ANDROID + " Telegram-Android/10.11.2 (Samsung SM-A536E; Android 13; SDK 33; AVERAGE)", None),
    (_IOS + "Mobile/15E148 Telegram/10.10.1", None),
    (_ANDROID + " OKApp", None),
    (_ANDROID + " MailRuApp", None),
    (_ANDROID, Device("phone", "Android WebView", "Android")),
    (_IOS + "Mobile/15E148", None),
    (_IOS + "Mobile/21E236 [Pinterest/iOS]", None),
    (_ANDROID + " [Pinterest/Android]", None),
    (_ANDROID + " Viber/22.3.0.0", None),
    (_IOS + "Mobile/15E148 WhatsApp/2.24.8", None),
    (_IOS + "Mobile/15E148 MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/ru_RU", None),
    (_IOS + "Mobile/15E148 Safari Line/14.5.1", None),
    (_IOS + "Mobile/15E148 [LinkedInApp]/9.29.7185", None),
    (_IOS + "Mobile/21E236 musical_ly_33.9.0 BytedanceWebview/d8a21c6", None),
    (_ANDROID + " trill_330304 BytedanceWebview/d8a21c6", None),
    (_IOS + "Mobile/15E148 Twitter for iPhone/10.36", None),
    (_IOS + "Mobile/15E148 Snapchat/12.82.0.43 (like Safari/8618.1.15.10.14, panda)", None),
    # Tablets and others
    ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1", Device("tablet", "Safari", "iOS")),
    ("Mozilla/5.0 (Linux; Android 12; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36", Device("tablet", "Chrome", "Android")),
    ("Mozilla/5.0 (Android 12; Tablet; rv:125.0) Gecko/125.0 Firefox/125.0", Device("tablet", "Firefox", "Android")),
    ("Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36", None),
    ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/6.0 TV Safari/538.1", None),
    ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager", None),
]  # fmt: skip

_NEXUS = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.60 Mobile Safari/537.36 "
_COMPATIBLE = "Mozilla/5.0 (compatible; "

BOTS = [
    (_COMPATIBLE + "Googlebot/2.1; +http://www.google.com/bot.html)", "bot: Googlebot"),
    (_NEXUS + "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot: Googlebot"),
    ("Googlebot-Image/1.0", "bot: Googlebot"),
    (_NEXUS + "(compatible; AdsBot-Google-Mobile; +http://www.google.com/mobile/adsbot.html)", "bot: AdsBot-Google-Mobile"),
    ("Mediapartners-Google", "bot: Mediapartners-Google"),
    (_NEXUS + "(compatible; Google-InspectionTool/1.0;)", "bot: Google-InspectionTool"),
    (_NEXUS + "(compatible; GoogleOther)", "bot: GoogleOther"),
    (_COMPATIBLE + "YandexBot/3.0; +http://yandex.com/bots)", "bot: YandexBot"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 8_1 like Mac OS X) AppleWebKit/600.1.4 (KHTML, like Gecko) Version/8.0 Mobile/12B411 Safari/600.1.4 (compatible; YandexMobileBot/3.0; +http://yandex.com/bots)", "bot: YandexMobileBot"),
    (_COMPATIBLE + "YandexMetrika/2.0; +http://yandex.com/bots yabs01)", "bot: YandexMetrika"),
    (_COMPATIBLE + "YaDirectFetcher/1.0; Dyatel; +http://yandex.com/bots)", "bot: Dyatel"),
    (_COMPATIBLE + "YandexAccessibilityBot/3.0; +http://yandex.com/bots)", "bot: YandexAccessibilityBot"),
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko; compatible; YandexRenderResourcesBot/1.0; +http://yandex.com/bots) Chrome/108.0.0.0 Safari/537.36", "bot: YandexRenderResourcesBot"),
    (_COMPATIBLE + "Linux x86_64; Mail.RU_Bot/2.0; +http://go.mail.ru/help/robots)", "bot: Mail.RU_Bot"),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36", "bot: bingbot"),
    (_WIN + "Safari/537.36 BingPreview/1.0b", "bot: BingPreview"),
    (_COMPATIBLE + "Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)", "bot: Slurp"),
    ("DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)", "bot: DuckDuckBot"),
    (_COMPATIBLE + "Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "bot: Baiduspider"),
    ("Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)", "bot: spider"),
    (_COMPATIBLE + "Yeti/1.1; +https://naver.me/spd)", "bot: Yeti"),
    (_COMPATIBLE + "PetalBot;+https://webmaster.petalsearch.com/site/petalbot)", "bot: PetalBot"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)", "bot: Applebot"),
    (_COMPATIBLE + "AhrefsBot/7.0; +http://ahrefs.com/robot/)", "bot: AhrefsBot"),
    (_COMPATIBLE + "SemrushBot/7~bl; +http://www.semrush.com/bot.html)", "bot: SemrushBot"),
    (_COMPATIBLE + "MJ12bot/v1.4.8; http://mj12bot.com/)", "bot: MJ12bot"),
    (_COMPATIBLE + "DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)", "bot: DotBot"),
    ("Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)", "bot: Bytespider"),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "bot: GPTBot"),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot", "bot: ChatGPT-User"),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "bot: ClaudeBot"),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "bot: PerplexityBot"),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", "bot: CCBot"),
    ("ia_archiver (+http://www.alexa.com/site/help/webmasters; crawler@alexa.com)", "bot: ia_archiver"),
    ("Screaming Frog SEO Spider/19.0", "bot: Screaming Frog"),
    # Link previews
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "bot: facebookexternalhit"),
    ("facebookexternalhit/1.1", "bot: facebookexternalhit"),
    ("meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", "bot: meta-externalagent"),
    ("TelegramBot (like TwitterBot)", "bot: TelegramBot"),
    ("WhatsApp/2.24.8.85 A", "bot: WhatsApp"),
    ("WhatsApp/2.2413.1 W", "bot: WhatsApp"),
    ("Viber/13.3.0.5 CFNetwork/1220.1 Darwin/20.3.0", "bot: Viber"),
    (_COMPATIBLE + "vkShare; +http://vk.com/dev/Share)", "bot: vkShare"),
    (_COMPATIBLE + "OdklBot/1.0 like Linux; klass@odnoklassniki.ru)", "bot: OdklBot"),
    ("Twitterbot/1.0", "bot: Twitterbot"),
    ("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)", "bot: Apache-HttpClient"),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot: Slackbot-LinkExpanding"),
    (_COMPATIBLE + "Discordbot/2.0; +https://discordapp.com)", "bot: Discordbot"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com", "bot: SkypeUriPreview"),
    ("Pinterest/0.2 (+http://www.pinterest.com/bot.html)", "bot: Pinterest"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0", "bot: facebookexternalhit"),
    # Monitors
    (_COMPATIBLE + "UptimeRobot/2.0; http://www.uptimerobot.com/)", "bot: UptimeRobot"),
    ("Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "bot: Pingdom"),
    (_NEXUS + "Chrome-Lighthouse", "bot: Chrome-Lighthouse"),
    (_WIN + "Safari/537.36 PTST/240422.170853", "bot: PTST"),
    # Without a person
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/124.0.6367.60 Safari/537.36", "headless browser"),
    ("Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1", "headless browser"),
    ("curl/8.5.0", "bot: curl"),
    ("Wget/1.21.4", "bot: Wget"),
    ("python-requests/2.31.0", "bot: python"),
    ("Python/3.11 aiohttp/3.9.5", "bot: Python"),
    ("Go-http-client/2.0", "bot: Go-http-client"),
    ("okhttp/4.12.0", "bot: okhttp"),
    ("Java/17.0.9", "bot: Java"),
    ("axios/1.6.8", "bot: axios"),
    ("Scrapy/2.11 (+https://scrapy.org)", "bot: Scrapy"),
    ("MobileSafari/8618.1.15.10.14 CFNetwork/1494.0.7 Darwin/23.4.0", "bot: CFNetwork"),
    ("", "no user agent"),
    ("-", "no user agent"),
]  # fmt: skip


@pytest.mark.parametrize(("user_agent", "expected"), PEOPLE)
def test_a_person_is_no_bot(user_agent: str, expected: Device | None) -> None:
    assert is_bot(user_agent, {"Accept-Language": "ru"}) is None
    if expected:
        assert device(user_agent) == expected


@pytest.mark.parametrize(("user_agent", "why"), BOTS)
def test_a_robot_is_refused_by_its_name(user_agent: str, why: str) -> None:
    assert is_bot(user_agent, {}) == why


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Sec-Purpose": "prefetch;anonymous-client-ip"},
        {"Purpose": "prefetch"},
        {"X-Purpose": "preview"},
        {"X-Moz": "prefetch"},
    ],
)
def test_a_page_fetched_ahead_is_not_looked_at(headers: dict[str, str]) -> None:
    assert is_bot(PEOPLE[0][0], headers) == "prefetch"


def test_a_headless_browser_says_so_in_its_brands_too() -> None:
    assert is_bot(PEOPLE[0][0], {"Sec-CH-UA": '"HeadlessChrome";v="124", "Chromium";v="124"'}) == "headless browser"


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        ("VKAndroidApp/8.77-22445 (Android 13; SDK 33; arm64-v8a; samsung SM-A536E; ru; 2177x1080)", "phone"),
        ("Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/6.0 TV Safari/538.1", ""),
        ("Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15", ""),
        ("", ""),
        ("something", ""),
    ],
)  # fmt: skip
def test_the_kind_of_device(user_agent: str, kind: str) -> None:
    assert device(user_agent).kind == kind


@given(st.text())
def test_any_text_is_fine(text: str) -> None:
    why = is_bot(text, {"Purpose": text})
    assert why is None or (why.isascii() and why.isprintable())
    assert device(text).kind in ("desktop", "phone", "tablet", "")


def test_hostile_texts_are_judged_in_no_time() -> None:
    for text in ("a" * 100_000, "+ http" * 20_000, "bot" * 30_000 + "a", "silk/" * 20_000, "tizen" * 20_000):
        is_bot(text, {})
        device(text)
