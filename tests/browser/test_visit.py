"""One request a page view, the lease in the browser, signals, consent, and a page that stays whole whatever fails."""

import asyncio

import pytest

from ctserver.http.script import client_ids

from .conftest import FIRST, OWN, SECOND, answered, becomes, target, true_in, until

PAGE = f"<p id=x>020 7946 0000</p><a id=t href='tel:{OWN}' onclick='event.preventDefault()'>{OWN}</a>"
STORED = "localStorage['ct:demo'] && JSON.parse(decodeURIComponent(localStorage['ct:demo']))"


async def shown(tab, selector="#x"):
    return await tab.locator(selector).inner_text()


async def shows(tab, text, selector="#x"):
    await becomes(lambda: shown(tab, selector), text)


async def settled(world, tab, visits=1):
    """So many visits have come, the page shows the answer to its first, and what should not follow has had time to."""
    await until(lambda: len(world.visits) >= visits)
    await answered(tab)
    await tab.wait_for_timeout(200)


async def test_a_page_view_is_one_request_with_everything_in_it(world, tab, context):
    url = world.page(PAGE, path="/landing")
    await context.add_cookies(
        [
            {"name": name, "value": value, "url": url}
            for name, value in {
                "_ga": "GA1.1.111.222",
                "_ga_ABC": "GS2.1.s1700000000$o1$g1",
                "_ym_uid": "333",
                "_fbp": "fb.1.4",
                "_fbc": "fb.1.5",
                "other": "secret",
            }.items()
        ]
    )
    await tab.goto(url + "?utm_source=ads&gclid=7", referer="http://search.test/")
    await settled(world, tab)
    await tab.wait_for_timeout(300)
    assert len(world.visits) == 1
    visit, headers = world.visits[0], world.headers[0]
    assert {k: visit[k] for k in "svurtnp"} == {
        "s": "demo",
        "v": "",
        "u": url + "?utm_source=ads&gclid=7",
        "r": "http://search.test/",
        "t": "T",
        "n": ["main"],
        "p": {},
    }
    assert sorted(visit["i"]) == [
        "_fbc=fb.1.5",
        "_fbp=fb.1.4",
        "_ga=GA1.1.111.222",
        "_ga_ABC=GS2.1.s1700000000$o1$g1",
        "_ym_uid=333",
    ]
    assert headers["Content-Type"].startswith("text/plain")
    assert "Cookie" not in headers


async def test_gtag_is_asked_for_the_ids_of_browsers_that_keep_no_cookies(world, tab):
    world.config["ga4"] = "G-ABC123"
    asked = "window.gtag=(...a)=>{(window.asked=window.asked||[]).push(a.slice(0,3));setTimeout(a[3],9,a[2][0]=='c'?'111.222':'1700000000')}"
    url = world.page(PAGE, head=f"<script>{asked}</script>")
    await tab.goto(url)
    await settled(world, tab)
    assert await tab.evaluate("asked") == [["get", "G-ABC123", "client_id"], ["get", "G-ABC123", "session_id"]]
    await tab.evaluate("ct('track', 'looked')")
    await until(lambda: "looked" in world.kinds())
    told = next(signal for signal in world.signals if signal["k"] == "looked")["i"]
    assert client_ids(told) == {"ga": "111.222", "gs": "1700000000"}


async def test_a_stored_lease_is_applied_before_the_server_answers_and_moves_nothing(world, tab):
    url = world.page(PAGE + "<p>after</p>", head="<style>body{font:16px monospace}</style>")
    await tab.goto(url)
    await settled(world, tab)
    kept = await tab.evaluate(STORED)
    assert (kept["v"], kept["n"]["main"]["n"]) == ("v1", FIRST)
    world.answering.clear()
    await tab.add_init_script("""window.shift = 0; new PerformanceObserver(list => { for (const e of list.getEntries()) shift += e.value })
      .observe({type: 'layout-shift', buffered: true})""")
    await tab.goto(url, wait_until="commit")
    await true_in(tab, "document.getElementById('x')?.textContent == '020 7946 0101'")
    world.answering.set()
    await settled(world, tab, 2)
    assert world.visits[1]["v"] == "v1"
    assert await tab.evaluate("shift") == 0
    assert len(world.visits) == 2


async def test_a_first_swap_of_equal_length_moves_nothing(world, tab):
    world.delay = 0.5
    await tab.add_init_script("""window.shift = 0; new PerformanceObserver(list => { for (const e of list.getEntries()) shift += e.value })
      .observe({type: 'layout-shift', buffered: true})""")
    await tab.goto(
        world.page(
            "<p>Call <b id=x>020 7946 0000</b> <i>now</i></p><p>after</p>",
            head="<style>body{font:16px monospace}</style>",
        )
    )
    await settled(world, tab)
    assert (await shown(tab), await tab.evaluate("shift")) == ("020 7946 0101", 0)


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, "no"),
        (204, None),
        (200, "not json"),
        (200, "null"),
        (200, "[]"),
        (200, '{"n": {"main": "x"}}'),
        (200, '{"v":"1","e":"2","h":9,"n":{"main":{"n":5}}}'),
        (200, '{"v":"1","e":"2","h":9,"n":{"main":0},"b":"x"}'),
    ],
)
async def test_a_server_that_fails_leaves_the_page_its_own_number(world, tab, status, raw):
    world.status, world.raw = status, raw
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert (await shown(tab), await tab.get_attribute("#t", "href")) == ("020 7946 0000", "tel:" + OWN)
    assert len(world.visits) == 1
    assert "beat" not in world.kinds()


async def test_a_server_that_is_slow_leaves_the_page_its_own_number(world, chromium):
    context = await chromium.new_context()  # its script has as little patience as a visitor's
    page, errors = await context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    world.answering.clear()
    await page.goto(world.page(PAGE))
    await answered(page)  # it has given up
    world.answering.set()
    await page.wait_for_timeout(200)
    assert (await shown(page), await page.get_attribute("#t", "href")) == ("020 7946 0000", "tel:" + OWN)
    assert (len(world.visits), errors) == (1, [])
    await context.close()


async def test_an_unreachable_server(world, tab, context):
    await context.route("**/v1/*", lambda route: route.abort())
    await tab.goto(world.page(PAGE))
    await tab.wait_for_timeout(300)
    assert await shown(tab) == "020 7946 0000"


async def test_a_strict_content_security_policy_needs_one_origin(world, tab):
    policy = f"default-src 'none'; script-src {world.origin}; connect-src {world.origin}"
    broken = []
    tab.on("console", lambda message: broken.append(message.text) if "Content Security" in message.text else None)
    await tab.goto(world.page("<p id=x>020 7946 0000</p>", headers={"Content-Security-Policy": policy}))
    await settled(world, tab)
    assert (await shown(tab), broken) == ("020 7946 0101", [])


async def test_blocked_local_storage(world, tab):
    await tab.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    )
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert await shown(tab) == "020 7946 0101"


async def test_the_script_loaded_twice_does_its_work_once(world, tab):
    tag = f'<script src="{world.origin}/ct.js?site=demo&again"></script>'
    await tab.goto(world.page(PAGE, head=tag * 2))
    await settled(world, tab)
    await tab.click("#t")
    await until(lambda: {"tapped", "seen"} <= set(world.kinds()))
    await tab.wait_for_timeout(100)
    assert (len(world.visits), world.kinds().count("tapped"), world.kinds().count("seen")) == (1, 1, 1)


async def test_two_tabs_share_one_lease(world, tab, context):
    url = world.page(PAGE)
    await tab.goto(url)
    await settled(world, tab)
    other = await context.new_page()
    await other.goto(url)
    await settled(world, other, 2)
    assert world.visits[1]["v"] == "v1"
    assert await shown(other) == "020 7946 0101"
    world.give = {"main": SECOND}
    await other.reload()
    await settled(world, other, 3)
    assert await shown(other) == "020 7946 0102"
    await shows(tab, "020 7946 0102")


async def test_two_windows_side_by_side_do_not_answer_each_other_for_ever(world, tab, context):
    url = world.page(PAGE)
    await tab.goto(url)
    await settled(world, tab)
    other = await context.new_page()
    await other.goto(url)
    await settled(world, other, 2)
    await tab.wait_for_timeout(500)
    assert world.kinds().count("beat") == 0


async def test_consent_given_again_does_not_bring_an_ended_lease_back(world, tab):
    world.hold = 1
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert await shown(tab) == "020 7946 0101"
    await tab.wait_for_timeout(1000)
    world.answering.clear()
    await tab.reload()
    await tab.evaluate("ct('consent', true)")
    assert await shown(tab) == "020 7946 0000"


async def test_the_check_of_the_installation(world, tab, context):
    heard = "window.heard = []; addEventListener('message', message => heard.push(message.data))"
    await tab.goto(world.page("dashboard", path="/dashboard", head=f"<script>{heard}</script>", script=False))
    shop = world.page(PAGE + "<input placeholder='020 7946 0000'>")
    await tab.evaluate(f"open('{shop}?ct-test=1')")
    await true_in(tab, "heard.length")
    world.status = 204
    await tab.evaluate(
        f"document.body.append(Object.assign(document.createElement('iframe'), {{src: '{shop}?a=b&ct-test=2'}}))"
    )
    await true_in(tab, "heard.length > 1")
    await tab.evaluate(f"open('{shop}')")
    await until(lambda: len(world.visits) == 3)
    await tab.wait_for_timeout(200)
    told = await tab.evaluate("heard")
    assert told == [{"ct": "demo", "n": {"main": FIRST}, "f": 4}, *told[1:2]]
    assert (told[1]["ct"], told[1]["f"]) == ("demo", 4)


async def test_the_back_forward_cache_asks_only_when_the_lease_has_ended(world, tab):
    url, away = world.page(PAGE), world.page("away", path="/away", script=False)
    for hold, visits in ((1800, 1), (1, 2)):
        world.visits.clear()
        world.hold = hold
        await tab.evaluate("try { localStorage.clear() } catch (e) {}")
        await tab.goto(url)
        await settled(world, tab)
        await tab.evaluate("window.same = 1")
        await tab.goto(away)
        await tab.wait_for_timeout(1200)
        await tab.go_back(wait_until="commit")
        await until(lambda visits=visits: len(world.visits) >= visits)
        await tab.wait_for_timeout(400)
        assert await tab.evaluate("window.same") == 1, "the page did not come from the cache"
        assert len(world.visits) == visits
        await shows(tab, "020 7946 0101")


async def test_an_expired_lease_is_not_shown(world, tab):
    world.hold = 0
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert await shown(tab) == "020 7946 0000"


async def test_the_answer_that_gives_another_session_replaces_the_number(world, tab):
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    world.give = {"main": SECOND}
    await tab.reload()
    await settled(world, tab, 2)
    assert (await shown(tab), (await tab.evaluate(STORED))["n"]["main"]["n"]) == ("020 7946 0102", SECOND)


async def test_history_of_a_single_page_application(world, tab):
    url = world.page(PAGE)
    await tab.goto(url)
    await settled(world, tab)
    await tab.evaluate("history.pushState({}, '', '/two'); document.title = 'Two'; document.body.append('!')")
    await settled(world, tab, 2)
    assert [world.visits[1][k] for k in "urtn"] == [url + "two", url, "Two", ["main"]]
    await tab.evaluate("location.hash = 'anchor'; document.body.append('!')")
    await tab.wait_for_timeout(200)
    assert len(world.visits) == 2
    await tab.go_back()
    await tab.go_back()
    await settled(world, tab, 3)
    assert [visit["u"] for visit in world.visits] == [url, url + "two", url]
    assert await shown(tab) == "020 7946 0101"


CLEANED = "history.replaceState(0, '', '/home'); document.body.append('.')"
LANDED = "?utm_source=ads#top"


async def test_an_address_that_is_cut_while_the_first_answer_is_on_its_way_makes_no_second_visitor(world, tab):
    world.answering.clear()
    url = world.page(PAGE)
    await tab.goto(url + LANDED)
    await until(lambda: world.visits)
    await tab.evaluate(f"() => {{{CLEANED}}}")
    await tab.wait_for_timeout(200)
    world.answering.set()
    await settled(world, tab, 2)
    assert [(visit["v"], visit["u"]) for visit in world.visits] == [("", url + LANDED), ("v1", url + "home")]


@pytest.mark.parametrize("consent", ["none", "wait"])
async def test_what_the_visitor_came_with_is_told_though_the_page_has_gone_on_before_the_script(world, tab, consent):
    world.config["consent"] = consent
    load = (
        f"const s = document.createElement('script'); s.src = '{world.origin}/ct.js?site=demo'; document.head.append(s)"
    )
    late = "window.ct = function() { (ct.q = ct.q || []).push(arguments) }; setTimeout(() => ct('consent', true), 400)"
    url = world.page(PAGE + f"<script>{CLEANED};{late};setTimeout(() => {{{load}}}, 100)</script>", script=False)
    await tab.goto(url + LANDED, referer="http://search.test/")
    await settled(world, tab, 2)
    told = [(visit["v"], visit["u"].partition("#")[0], visit["r"].partition("?")[0]) for visit in world.visits]
    assert told == [("", url + "?utm_source=ads", "http://search.test/"), ("v1", url + "home", url)]


async def test_who_was_refused_stays_who_he_is_and_is_asked_for_again(world, tab):
    world.beat = 0.3
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    world.status = 204
    await tab.reload()
    await settled(world, tab, 2)
    assert await shown(tab) == "020 7946 0000"
    world.status = 200
    await tab.evaluate("dispatchEvent(new Event('visibilitychange'))")
    await shows(tab, "020 7946 0101")
    assert [visit["v"] for visit in world.visits] == ["", "v1", "v1"]


async def test_signals(world, tab):
    await tab.goto(world.page(PAGE))
    await until(lambda: world.kinds() == ["seen"])
    await tab.click("#t")
    await tab.evaluate("""getSelection().selectAllChildren(x); document.execCommand('copy');
      ct('track', 'menu');
      Object.defineProperty(document, 'hidden', {get: () => window.gone, configurable: true});
      gone = true; document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
      gone = false; document.dispatchEvent(new Event('visibilitychange', {bubbles: true})); delete document.hidden""")
    await tab.goto("about:blank")
    await until(lambda: len(world.kinds()) >= 9)
    assert sorted(world.kinds()) == sorted(
        ["seen", "tapped", "copied", "menu", "hidden", "back", "beat", "hidden", "left"]
    )
    by_kind = {signal["k"]: signal for signal in world.signals}
    assert {k: by_kind["tapped"][k] for k in "sven"} == {"s": "demo", "v": "v1", "e": "e-v1", "n": FIRST}
    assert [by_kind[k].get("n") for k in ("seen", "copied", "left")] == [FIRST, FIRST, None]


async def test_the_heartbeat_keeps_the_lease(world, tab):
    world.beat, world.hold = 0.5, 4
    began = asyncio.get_running_loop().time()
    await tab.goto(world.page(PAGE))
    await until(lambda: world.kinds().count("beat") >= 9)
    assert asyncio.get_running_loop().time() - began > 4, "longer than an unkept lease, and not oftener than said"
    assert await shown(tab) == "020 7946 0101"
    assert len(world.visits) == 1


async def test_a_number_below_the_fold_is_not_seen_before_it_is_scrolled_to(world, tab):
    await tab.goto(world.page("<div style='height:3000px'></div><p id=x>020 7946 0000</p>"))
    await settled(world, tab)
    assert (await shown(tab), world.kinds()) == ("020 7946 0101", [])
    await tab.locator("#x").scroll_into_view_if_needed()
    await until(lambda: world.kinds() == ["seen"])


async def test_reveal_shows_and_leases_the_number_only_when_pressed(world, tab):
    world.config["t"][0] |= {"mode": "reveal", "rt": "Show number"}
    await tab.goto(world.page(f"<p>Call <b id=x>020 <i>7946</i> 0000</b></p><a id=t href='tel:{OWN}'>{OWN}</a>"))
    await settled(world, tab)
    assert world.visits[0]["n"] == []
    assert (await shown(tab), await shown(tab, "#t")) == ("Show number", "Show number")
    assert await tab.get_attribute("#x", "data-ct-reveal") == ""
    await tab.click("#t")
    await shows(tab, "020 7946 0101")
    assert [(visit["n"], visit["e"]) for visit in world.visits[1:]] == [(["main"], "e-v1")]
    assert await shown(tab, "#t") == FIRST
    assert await tab.get_attribute("#x", "data-ct-reveal") is None
    await until(lambda: "revealed" in world.kinds())
    assert "tapped" not in world.kinds()
    await tab.reload()
    await settled(world, tab, 3)
    assert (await shown(tab), len(world.visits)) == ("020 7946 0101", 3)


async def test_reveal_without_the_server_shows_the_own_number(world, tab):
    world.config["t"][0] |= {"mode": "reveal", "rt": "Show number"}
    world.status = 500
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert await shown(tab) == "Show number"
    await tab.click("#x")
    await shows(tab, "020 7946 0000")
    assert len(world.visits) == 2


async def test_lazy_leases_when_the_number_is_first_visible(world, tab):
    world.config["t"][0]["mode"] = "lazy"
    await tab.goto(world.page("<div style='height:3000px'></div><p id=x>020 7946 0000</p>"))
    await settled(world, tab)
    assert (world.visits[0]["n"], await shown(tab)) == ([], "020 7946 0000")
    await tab.locator("#x").scroll_into_view_if_needed()
    await shows(tab, "020 7946 0101")
    assert [visit["n"] for visit in world.visits] == [[], ["main"]]


async def test_a_target_that_appears_later_is_asked_for_within_the_same_page_view(world, tab):
    await tab.goto(world.page("<p id=x>soon</p>"))
    await settled(world, tab)
    await tab.evaluate("x.textContent = '020 7946 0000'")
    await shows(tab, "020 7946 0101")
    assert [(visit["n"], visit["e"]) for visit in world.visits] == [([], ""), (["main"], "e-v1")]


@pytest.mark.parametrize("signal", ["doNotTrack: {value: '1'}", "globalPrivacyControl: {value: true}"])
async def test_do_not_track_and_global_privacy_control(world, tab, signal):
    await tab.add_init_script("Object.defineProperties(navigator, {" + signal + "})")
    url = world.page("<p id=x>020 7946 0000</p><p id=y>020 7946 0102</p>")
    await tab.goto(url)
    await settled(world, tab)
    assert len(world.visits) == 1
    world.config["dnt"] = 1
    await tab.evaluate("localStorage.clear()")
    await tab.reload()
    await tab.evaluate("ct('consent', true)")
    await tab.wait_for_timeout(400)
    assert (len(world.visits), await tab.evaluate(STORED)) == (1, None)
    assert (await shown(tab), await shown(tab, "#y")) == ("020 7946 0000", "020 7946 0000")


async def test_do_not_track_is_stronger_than_consent(world, tab):
    world.config |= {"dnt": 1, "consent": "wait"}
    await tab.add_init_script("Object.defineProperties(navigator, {doNotTrack: {value: '1'}})")
    await tab.goto(world.page(PAGE))
    await tab.evaluate("ct('consent', true)")
    await tab.wait_for_timeout(300)
    assert (world.visits, await tab.evaluate("localStorage.length"), await shown(tab)) == ([], 0, "020 7946 0000")


async def test_waiting_for_consent(world, tab, context):
    world.config["consent"] = "wait"
    url = world.page(PAGE)
    await tab.goto(url)
    await tab.wait_for_timeout(300)
    assert (world.visits, await tab.evaluate("localStorage.length"), await shown(tab)) == ([], 0, "020 7946 0000")
    await tab.evaluate("ct('consent', false)")
    assert await tab.evaluate("localStorage.length") == 0
    await tab.evaluate("ct('consent', true)")
    await settled(world, tab)
    assert (len(world.visits), await shown(tab)) == (1, "020 7946 0101")
    await tab.reload()
    await settled(world, tab, 2)
    assert (await shown(tab), world.visits[1]["v"]) == ("020 7946 0101", "v1")
    await tab.evaluate("ct('consent', false)")
    world.signals.clear()
    await tab.click("#t")
    await tab.wait_for_timeout(200)
    assert (await shown(tab), await tab.evaluate("localStorage.length"), world.signals) == ("020 7946 0000", 0, [])


async def test_consent_taken_back_in_one_tab_is_taken_back_in_all(world, tab, context):
    world.config["consent"], world.beat = "wait", 0.3
    await tab.goto(world.page(PAGE))
    await tab.evaluate("ct('consent', true)")
    await settled(world, tab)
    other = await context.new_page()
    await other.goto(world.page(PAGE))
    await settled(world, other, 2)
    await other.evaluate("ct('consent', false)")
    await true_in(tab, "x.textContent == '020 7946 0000'")
    await tab.wait_for_timeout(300)  # what was under way
    world.signals.clear()
    await tab.wait_for_timeout(700)
    assert (await tab.evaluate("localStorage.length"), world.signals) == (0, [])


async def test_cookieless_until_consent(world, tab, context):
    world.config["consent"] = "cookieless"
    await tab.goto(world.page(PAGE))
    await settled(world, tab)
    assert (await shown(tab), await tab.evaluate("localStorage.length"), await context.cookies()) == (
        "020 7946 0101",
        0,
        [],
    )
    await tab.evaluate("ct('consent', true)")
    assert (await tab.evaluate(STORED))["v"] == "v1"
    await tab.wait_for_timeout(200)
    assert len(world.visits) == 1


async def test_a_cookie_is_shared_by_subdomains(world, tab):
    world.config["sub"] = "shop.test"
    url = world.page(PAGE)
    await tab.goto(url)
    await settled(world, tab)
    assert await tab.evaluate("localStorage.length") == 0
    await tab.goto(url.replace("shop.test", "north.shop.test"))
    await settled(world, tab, 2)
    assert world.visits[1]["v"] == "v1"
    await tab.evaluate("ct('consent', false)")
    assert "ct:demo" not in await tab.evaluate("document.cookie")


async def test_the_cookie_holds_the_numbers_of_two_dozen_targets(world, tab):
    own = [f"+4420794600{n:02}" for n in range(24)]
    world.config["t"] = [target(f"t{n}", number) for n, number in enumerate(own)]
    world.config |= {"a": [number.replace("4600", "4601") for number in own], "sub": "shop.test"}
    world.give = {f"t{n}": number.replace("4600", "4601") for n, number in enumerate(own)}
    url = world.page("".join(f"<p>{number}</p>" for number in own))
    await tab.goto(url)
    await settled(world, tab)
    await tab.goto(url.replace("shop.test", "north.shop.test"))
    await settled(world, tab, 2)
    assert world.visits[1]["v"] == "v1"


async def test_the_queue_and_the_other_commands(world, tab):
    await tab.goto(
        world.page(
            PAGE + "<script>dataLayer = []; document.addEventListener('ct:swap', e => swapped = e.detail)</script>",
            head="<script>window.ct = window.ct || function () { (ct.q = ct.q || []).push(arguments) };"
            "ct('set', {plan: 'gold'}); ct('track', 'early'); ct('numbers', n => got = n); ct('nonsense'); ct('swap', 5)</script>",
        )
    )
    await settled(world, tab)
    await until(lambda: "early" in world.kinds())
    assert world.visits[0]["p"] == {"plan": "gold"}
    assert await tab.evaluate("[got, swapped, dataLayer]") == [
        {"main": FIRST},
        {"main": FIRST},
        [{"event": "ct_swap", "ct_numbers": {"main": FIRST}}],
    ]
    assert await tab.evaluate("new Promise(done => ct('numbers', done))") == {"main": FIRST}


async def test_no_global_but_ct(world, tab):
    names = "Object.getOwnPropertyNames(window).concat(Object.keys(history), Object.keys(Element.prototype)).sort()"
    await tab.goto(world.page("<p>020 7946 0000</p>", script=False))
    before = await tab.evaluate(names)
    await tab.goto(world.page("<p>020 7946 0000</p>"))
    await settled(world, tab)
    assert set(await tab.evaluate(names)) - set(before) == {"ct"}
    assert await tab.evaluate("/native/.test(history.pushState)")


async def test_the_page_never_sees_an_error_of_ours(world, tab):
    await tab.add_init_script(
        "navigator.sendBeacon = () => { throw Error('no') }; window.fetch = () => { throw Error('no') }"
    )
    await tab.goto(world.page(PAGE))
    await tab.click("#t")
    await asyncio.sleep(0.2)
    assert await shown(tab) == "020 7946 0000"
