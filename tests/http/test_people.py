"""Second factors, recovery codes, invitations, links to a new password, logins, users and the audit log."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest

from ctserver.http.auth import COOKIE
from ctserver.http.deps import DEPS
from ctserver.http.guesses import CODES, CODES_MS, FAILURE_MS, LOGIN_FAILURES
from ctserver.http.login import CODE_GUESSES
from ctserver.ids import token_hash
from ctserver.storage import audit
from ctserver.storage.audit import Entry

from .conftest import PASSWORD
from .test_pages import ring

NEW = "a new long password"


async def csrf(site: Any) -> str:
    """The token of the forms of whoever is logged in, or waits for the second factor."""
    cookie = next(cookie.value for cookie in site.client.session.cookie_jar if cookie.key == COOKIE)
    row = await site.db.one("SELECT csrf FROM logins WHERE token_hash = $1", (token_hash(cookie),))
    return str(row["csrf"])


async def send(site: Any, path: str, /, **fields: Any) -> tuple[int, str]:
    response = await site.post(path, {"csrf": await csrf(site), **fields})
    return response.status, await response.text()


async def set_up_factor(site: Any) -> tuple[pyotp.TOTP, list[str]]:
    """Turn it on as a person does; the telephone, and the recovery codes."""
    status, html = await send(site, "/account/factor/new", old=PASSWORD)
    assert status == 200
    assert "<svg" in html
    totp = pyotp.TOTP(found(r"<code>([A-Z2-7]{32})</code>", html))
    status, html = await send(site, "/account/factor", code=totp.at(site.clock[0] // 1000))
    assert status == 200
    codes = re.findall(r"<li><code>([\w-]+)</code>", html)
    assert len(set(codes)) == 10
    site.clock[0] += 60_000
    return totp, codes


def found(pattern: str, html: str) -> str:
    match = re.search(pattern, html)
    assert match, pattern
    return match[1]


async def actions(site: Any) -> list[str]:
    return [row["action"] for row in await site.db.fetch("SELECT action FROM audit ORDER BY action")]


# ---- second factor


async def test_with_a_second_factor_the_password_alone_opens_nothing(alice: Any) -> None:
    totp, _codes = await set_up_factor(alice)
    alice.client.session.cookie_jar.clear()
    response = await alice.log_in(next="/numbers")
    assert response.headers["Location"] == "/login/code?next=%2Fnumbers"
    for path in ("/calls", "/account", "/api/v1/numbers/+442079460101/holder"):
        assert (await alice.get(path)).status in (303, 401)
    now = alice.clock[0] // 1000
    assert (await send(alice, "/login/code", code="000000"))[0] == 403
    response = await alice.post(
        "/login/code",
        {"csrf": await csrf(alice), "code": f" {totp.at(now)[:3]} {totp.at(now)[3:]}", "next": "/numbers"},
    )
    assert (response.status, response.headers["Location"]) == (303, "/numbers")
    assert (await alice.get("/calls")).status == 200
    assert int(response.cookies[COOKIE]["max-age"]) == 14 * 86_400


async def test_a_code_is_taken_once(alice: Any) -> None:
    totp, _codes = await set_up_factor(alice)
    code = totp.at(alice.clock[0] // 1000)
    for wanted in (303, 403):
        alice.client.session.cookie_jar.clear()
        await alice.log_in()
        assert (await send(alice, "/login/code", code=code))[0] == wanted


@pytest.mark.parametrize(("steps", "status"), [(-2, 403), (-1, 303), (1, 303), (2, 403)])
async def test_a_telephone_may_be_half_a_minute_wrong(alice: Any, steps: int, status: int) -> None:
    totp, _codes = await set_up_factor(alice)
    alice.clock[0] += 600_000
    alice.client.session.cookie_jar.clear()
    await alice.log_in()
    assert (await send(alice, "/login/code", code=totp.at(alice.clock[0] // 1000 + 30 * steps)))[0] == status


async def test_each_recovery_code_is_good_once(alice: Any) -> None:
    _totp, codes = await set_up_factor(alice)
    typed = codes[0].upper().replace("-", " ")
    for wanted in (303, 403):
        alice.client.session.cookie_jar.clear()
        await alice.log_in()
        assert (await send(alice, "/login/code", code=typed))[0] == wanted
    assert "9 recovery codes are left" not in await (await alice.get("/login")).text()
    hashes = str([tuple(row) for row in await alice.db.fetch("SELECT * FROM recovery_codes")])
    assert all(code not in hashes for code in codes)


async def test_after_a_few_wrong_codes_the_password_is_asked_for_again(alice: Any) -> None:
    totp, _codes = await set_up_factor(alice)
    alice.client.session.cookie_jar.clear()
    await alice.log_in()
    token = await csrf(alice)
    answers = [await alice.post("/login/code", {"csrf": token, "code": f"00000{turn}"}) for turn in range(CODE_GUESSES)]
    assert [answer.status for answer in answers] == [403] * (CODE_GUESSES - 1) + [303]
    right = {"csrf": token, "code": totp.at(alice.clock[0] // 1000)}
    assert (await alice.post("/login/code", right)).headers["Location"] == "/login"
    assert (await alice.get("/calls")).status == 303


async def test_the_second_factor_takes_the_password_and_a_first_code(alice: Any) -> None:
    assert (await send(alice, "/account/factor/new", old="wrong"))[0] == 400
    assert (await send(alice, "/account/factor", code="1"))[0] == 400
    assert (await send(alice, "/account/factor/new", old=PASSWORD))[0] == 200
    assert (await send(alice, "/account/factor", code="1"))[0] == 400
    assert (await alice.db.one("SELECT totp_secret FROM users"))["totp_secret"] == ""
    await set_up_factor(alice)
    assert (await send(alice, "/account/factor/off", old="wrong"))[0] == 400
    assert (await send(alice, "/account/factor/off", old=PASSWORD))[0] == 303
    assert (await alice.db.one("SELECT totp_secret FROM users"))["totp_secret"] == ""


async def test_a_browser_left_open_cannot_be_given_a_second_factor_of_a_strangers_own(alice: Any) -> None:
    totp, _codes = await set_up_factor(alice)
    strangers = pyotp.TOTP("A" * 32)
    code = strangers.at(alice.clock[0] // 1000)
    assert (await send(alice, "/account/factor", secret=strangers.secret, code=code))[0] == 400
    assert (await alice.db.one("SELECT totp_secret FROM users"))["totp_secret"] == totp.secret


async def test_the_right_password_does_not_make_more_guesses_at_codes_good(alice: Any) -> None:
    await set_up_factor(alice)
    answers = []
    for _turn in range(4):
        alice.client.session.cookie_jar.clear()
        answers.append((await alice.log_in()).status)
        if answers[-1] == 303:
            token = await csrf(alice)
            wrong = {"csrf": token, "code": "000000"}
            answers += [(await alice.post("/login/code", wrong)).status for _ in range(CODE_GUESSES - 1)]
    assert answers[-1] == 429
    alice.clock[0] += FAILURE_MS
    alice.client.session.cookie_jar.clear()
    assert (await alice.log_in()).status == 303


async def test_after_thirty_wrong_codes_in_a_day_only_places_where_he_is_logged_in_are_listened_to(alice: Any) -> None:
    totp, codes = await set_up_factor(alice)
    guesses = alice.client.server.app[DEPS].guesses
    for _turn in range(CODES - 1):
        guesses.wrong_code("elsewhere", "alice", alice.clock[0])
    for address, wanted in (("10.0.0.9", [403, 429]), ("127.0.0.1", [403, 303])):
        await alice.db.run(
            lambda connection, at=address: connection.execute("UPDATE logins SET address = ?", (at,)).close()
        )
        alice.client.session.cookie_jar.clear()
        await alice.log_in()
        right = totp.at(alice.clock[0] // 1000)
        assert [(await send(alice, "/login/code", code=code))[0] for code in ("000000", right)] == wanted
        if wanted[-1] == 429:
            assert (await send(alice, "/login/code", code=codes[0]))[0] == 303, "recovery codes are too long to guess"
        alice.clock[0] += FAILURE_MS
    alice.clock[0] += CODES_MS
    assert not guesses.codes_are_besieged("alice", alice.clock[0])


@pytest.mark.parametrize("overrides", [{"people.second_factor": '["owner"]'}])
async def test_a_role_that_needs_one_gets_no_further_without(alice: Any) -> None:
    for path in ("/", "/calls", "/users", "/events"):
        assert (await alice.get(path)).headers["Location"] == "/account?needs=second-factor"
    assert "Your role requires two-factor authentication" in await alice.page("/account?needs=second-factor")
    await set_up_factor(alice)
    assert (await alice.get("/calls")).status == 200


# ---- links


async def invite(site: Any, /, **fields: str) -> str:
    """The path of a link."""
    status, html = await send(site, "/users/invite", **{"role": "analyst", **fields})
    assert status == 200
    return found(r'id="link">http://127.0.0.1:8080(/link/[\w-]+)<', html)


async def follow(site: Any, path: str, /, **fields: str) -> tuple[int, str]:
    page = await (await site.get(path)).text()
    data = {"csrf": found(r'name="csrf" value="([^"]+)"', page), "password": NEW, "again": NEW, **fields}
    response = await site.post(path, data)
    return response.status, await response.text()


async def test_an_invitation_makes_a_login_with_its_role_once(alice: Any) -> None:
    path = await invite(alice, role="client", site="shop", email="bob@example.com")
    assert "bob@example.com" in await alice.page("/users")
    alice.client.session.cookie_jar.clear()
    status, html = await follow(alice, path, login="alice")
    assert (status, "This user name is taken" in html) == (400, True)
    assert (await follow(alice, path, login="bob"))[0] == 303
    assert (await alice.get("/calls")).status == 200
    assert (await alice.get("/users")).status == 403
    row = await alice.db.one("SELECT role, sites, email FROM users WHERE login = 'bob'")
    assert tuple(row) == ("client", "shop", "bob@example.com")
    alice.client.session.cookie_jar.clear()
    assert (await alice.get(path)).status == 404
    assert (await alice.post(path, {"login": "eve", "password": NEW, "again": NEW})).status == 404


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"password": "short", "again": "short"}, "at least 10 characters"),
        ({"again": "another password"}, "passwords do not match"),
        ({"login": "<b>x</b>"}, "may have letters"),
        ({"login": "bob\r\nSet-Cookie: x=1"}, "may have letters"),
        ({"login": ""}, "may have letters"),
        ({"login": NEW.replace(" ", "-"), "password": NEW.replace(" ", "-"), "again": NEW.replace(" ", "-")}, "not be the user name"),
        ({"csrf": "wrong"}, "has expired"),
    ],
)  # fmt: skip
async def test_what_is_chosen_badly_is_told_and_the_link_stays_good(
    alice: Any, fields: dict[str, str], why: str
) -> None:
    path = await invite(alice)
    status, html = await follow(alice, path, **{"login": "bob", **fields})
    assert status == 400
    assert why in html
    assert (await follow(alice, path, login="bob"))[0] == 303


async def test_an_invitation_ends_and_can_be_withdrawn(alice: Any) -> None:
    path = await invite(alice)
    row = await alice.db.one("SELECT id, expires_at FROM links")
    other = await invite(alice)
    assert (await send(alice, "/users/withdraw", id=row["id"]))[0] == 303
    assert (await alice.get(path)).status == 404
    alice.clock[0] = row["expires_at"] - 1
    assert (await alice.get(other)).status == 200
    alice.clock[0] += 1
    assert (await alice.get(other)).status == 404


async def test_the_database_holds_no_link(alice: Any) -> None:
    path = await invite(alice)
    assert path.rpartition("/")[2] not in str([tuple(row) for row in await alice.db.fetch("SELECT * FROM links")])


async def test_a_link_to_a_new_password_ends_the_old_one_and_every_login(alice: Any) -> None:
    await alice.log_in_as("analyst")
    await alice.log_in()
    id = (await alice.db.one("SELECT id FROM users WHERE login = 'analyst'"))["id"]
    _status, html = await send(alice, f"/users/{id}/password")
    path = found(r'id="link">http://127.0.0.1:8080(/link/[\w-]+)<', html)
    alice.client.session.cookie_jar.clear()
    assert (await follow(alice, path, login="somebody-else"))[0] == 303
    assert (await alice.get("/calls")).status == 200
    assert len(await alice.db.fetch("SELECT 1 FROM logins WHERE login = 'analyst'")) == 1
    assert await alice.db.one("SELECT 1 FROM users WHERE login = 'somebody-else'") is None
    alice.client.session.cookie_jar.clear()
    assert (await alice.log_in(login="analyst")).status == 403
    assert (await alice.log_in(NEW, login="analyst")).status == 303


async def test_without_a_mail_channel_the_page_says_what_to_do(site: Any) -> None:
    assert "This server does not send e-mail" in await site.page("/forgot")


async def test_without_a_provider_there_is_no_such_page(site: Any) -> None:
    assert [(await site.get(path)).status for path in ("/login/oidc", "/login/oidc/callback?state=x")] == [404, 404]
    assert "/login/oidc" not in await site.page("/login")


# ---- password and logins


async def test_a_new_password_takes_the_old_one_and_ends_the_other_logins(alice: Any) -> None:
    await alice.log_in()
    fields = {"password": NEW, "again": NEW}
    assert (await send(alice, "/account/password", old="wrong", **fields))[0] == 400
    assert (await send(alice, "/account/password", old=PASSWORD, password=NEW, again="x"))[0] == 400
    assert (await send(alice, "/account/password", old=PASSWORD, **fields))[0] == 303
    assert (await alice.get("/calls")).status == 200
    assert len(await alice.db.fetch("SELECT 1 FROM logins")) == 1
    alice.client.session.cookie_jar.clear()
    assert (await alice.log_in()).status == 403
    assert (await alice.log_in(NEW)).status == 303


async def test_guesses_of_the_present_password_are_counted(alice: Any) -> None:
    for _turn in range(10):
        await send(alice, "/account/password", old="wrong", password=NEW, again=NEW)
    assert (await send(alice, "/account/password", old=PASSWORD, password=NEW, again=NEW))[0] == 400


async def test_logins_are_listed_with_browser_and_address_and_can_be_ended(alice: Any) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    other = await alice.client.session.post(
        alice.client.make_url("/login"),
        data={"login": "alice", "password": PASSWORD, "csrf": await alice.form()},
        headers={"User-Agent": agent},
        allow_redirects=False,
    )
    assert other.status == 303
    html = await alice.page("/account")
    assert "Firefox, Linux" in html
    assert "127.0.0.1" in html
    ids = re.findall(r'name="id" value="(\w+)"', html)
    assert len(ids) == 2
    mine = await alice.db.one("SELECT id FROM logins WHERE browser = 'Firefox, Linux'")
    theirs = next(id for id in ids if id != mine["id"])
    token = await csrf(alice)
    assert (await alice.post("/account/logins/end", {"csrf": token, "id": theirs})).status == 303
    assert [row["id"] for row in await alice.db.fetch("SELECT id FROM logins")] == [mine["id"]]


async def test_nobody_ends_the_logins_or_tokens_of_another(alice: Any) -> None:
    hers = (await alice.db.one("SELECT id FROM logins"))["id"]
    await send(alice, "/account/tokens", name="mine", scope="calls", days="0")
    token = (await alice.db.one("SELECT id FROM tokens"))["id"]
    await alice.log_in_as("analyst")
    await send(alice, "/account/logins/end", id=hers)
    assert await alice.db.one("SELECT 1 FROM logins WHERE id = $1", (hers,)) is not None
    assert (await send(alice, "/account/tokens/revoke", id=token))[0] == 404
    assert await alice.db.one("SELECT 1 FROM tokens WHERE id = $1", (token,)) is not None


async def test_a_besieged_login_still_opens_where_its_owner_is_known(site: Any) -> None:
    for turn in range(LOGIN_FAILURES):
        site.client.server.app[DEPS].guesses.count(f"8.8.{turn // 250}.{turn % 250}", "alice", site.clock[0])
    assert (await site.log_in()).status == 429
    site.clock[0] += FAILURE_MS + 1
    assert (await site.log_in()).status == 429
    await site.db.run(
        lambda connection: connection.execute(
            "INSERT INTO logins (token_hash, id, login, csrf, expires_at, address) VALUES ('x', 'x', 'alice', 'x', 0, '127.0.0.1')"
        ).close()
    )
    assert (await site.log_in()).status == 303


# ---- users


async def test_an_owner_changes_what_somebody_may_and_it_is_written_down(alice: Any) -> None:
    await alice.log_in_as("manager")
    await alice.log_in()
    id = (await alice.db.one("SELECT id FROM users WHERE login = 'manager'"))["id"]
    assert (await send(alice, f"/users/{id}", role="client", name="Bob"))[0] == 400
    assert (await send(alice, f"/users/{id}", role="nobody"))[0] == 400
    assert (await send(alice, f"/users/{id}", role="client", name="Bob", site="shop", email="x"))[0] == 400
    assert (await send(alice, f"/users/{id}", role="client", name="Bob", site="shop"))[0] == 303
    row = await alice.db.one("SELECT role, sites, name FROM users WHERE login = 'manager'")
    assert tuple(row) == ("client", "shop", "Bob")
    html = await alice.page("/audit?login=alice")
    assert "role: manager -&gt; client; sites:  -&gt; shop" in html


async def test_somebody_stays_the_owner(alice: Any) -> None:
    assert (await send(alice, "/users/u1", role="analyst"))[0] == 400
    assert (await send(alice, "/users/u1/remove"))[0] == 400
    assert (await alice.db.one("SELECT role FROM users"))["role"] == "owner"


async def test_who_is_removed_is_out_with_all_his_keys(alice: Any) -> None:
    await alice.log_in_as("analyst")
    await send(alice, "/account/tokens", name="sheet", scope="calls", days="30")
    await send(alice, "/calls/views", name="his own", query="site=shop")
    await send(alice, "/settings", language="ru", zone="", phones="")
    await alice.log_in()
    id = (await alice.db.one("SELECT id FROM users WHERE login = 'analyst'"))["id"]
    assert (await send(alice, f"/users/{id}/remove"))[0] == 303
    for table in ("users", "logins", "tokens", "saved_views", "preferences"):
        assert await alice.db.one(f"SELECT 1 FROM {table} WHERE login = 'analyst'") is None
    assert (await alice.get(f"/users/{id}")).status == 404


# ---- the audit log


async def test_logins_listening_and_every_change_are_written_down(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    for part in ("0-9", "10-19", "20-"):
        await alice.get(f"/calls/{call}/recording", headers={"Range": f"bytes={part}"})
    await alice.get("/calls")
    await alice.post("/testcall", {"number": "+442079460101", "csrf": await csrf(alice)})
    await alice.post("/testcall", {"number": "999", "csrf": await csrf(alice)})
    await alice.log_in("wrong")
    assert await actions(alice) == ["listened", "logged in", "login refused", "test call placed"]
    row = await alice.db.one("SELECT * FROM audit WHERE action = 'listened'")
    assert (row["login"], row["via"], row["subject"], row["address"]) == ("alice", "page", call, "127.0.0.1")
    log = await alice.page("/audit")
    link = log.partition(f'href="/calls/{call}"')[2].partition("</a>")[0]
    assert "+44 7700 900123</span>, 14 Nov 2023, 22:13" in link
    assert 'title="alice">alice' not in log, "who logged in is told once"


async def test_what_a_stranger_types_stays_text_in_the_audit_log(alice: Any) -> None:
    evil = "<script>alert(1)</script>"
    await alice.log_in("wrong", login=evil)
    html = await alice.page("/audit")
    assert evil not in html
    assert "&lt;script&gt;" in html
    assert evil not in await alice.page(f"/audit?subject={evil}&login={evil}&action={evil}")


async def test_the_log_of_many_entries_has_pages(alice: Any) -> None:
    def fill(tx: Any) -> None:
        for turn in range(150):
            audit.add(tx, Entry(alice.clock[0] + turn, "bob", "page", f"turn {turn}"))

    await alice.db.write(fill)
    html = await alice.page("/audit?login=bob")
    assert "turn 149" in html
    assert "turn 49<" not in html
    older = found(r'href="(/audit\?[^"]+before=[^"]+)"', html).replace("&amp;", "&")
    rest = await alice.page(older)
    assert "turn 49<" in rest
    assert "turn 50<" not in rest
