"""Log in, stay logged in, log out; nothing without a login."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from ctserver.http.auth import COOKIE
from ctserver.http.guesses import FAILURE_MS, FAILURES

LOGIN_DAYS = 14  # the default of [people] login_days

CALL = "0" * 26
CLOSED = ["/", "/calls", "/calls/rows", f"/calls/{CALL}", f"/calls/{CALL}/recording", f"/calls/{CALL}/peaks.json",
          "/numbers", "/numbers/rows", "/nowhere", "/%63alls"]  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
async def test_without_a_login_every_page_leads_to_the_login(site: Any, path: str) -> None:
    response = await site.get(path)
    assert response.status == 303
    assert urlsplit(response.headers["Location"]).path == "/login"


@pytest.mark.parametrize("path", ["/testcall", "/logout", "/calls"])
async def test_without_a_login_no_form_is_taken(site: Any, path: str) -> None:
    assert (await site.post(path, {"number": "+442079460101"})).status == 403
    assert site.placed == []


async def test_the_right_password_opens_and_leads_where_one_wanted(site: Any) -> None:
    response = await site.log_in(next="/numbers")
    assert (response.status, response.headers["Location"]) == (303, "/numbers")
    assert "Numbers" in await site.page("/numbers")


async def test_the_cookie_is_kept_from_scripts_and_other_sites(site: Any) -> None:
    cookie = (await site.log_in()).cookies[COOKIE]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
    assert not cookie["secure"]  # this server's public_url is http


async def test_the_database_holds_no_token(site: Any) -> None:
    token = (await site.log_in()).cookies[COOKIE].value
    rows = await site.db.fetch("SELECT * FROM logins")
    assert len(rows) == 1
    assert token not in str([tuple(row) for row in rows])


@pytest.mark.parametrize(
    ("login", "password"), [("alice", "wrong"), ("bob", "correct horse"), ("", ""), ("alice", "x" * 50_000)]
)
async def test_a_wrong_password_is_refused_without_saying_which_part(site: Any, login: str, password: str) -> None:
    response = await site.log_in(password, login=login)
    assert response.status == 403
    assert "User name or password is wrong." in await response.text()
    assert COOKIE not in response.cookies


async def test_after_ten_wrong_passwords_even_the_right_one_must_wait(site: Any) -> None:
    for _ in range(FAILURES):
        assert (await site.log_in("wrong")).status == 403
    response = await site.log_in()
    assert response.status == 429
    assert "wait five minutes" in await response.text()
    site.clock[0] += FAILURE_MS + 1
    assert (await site.log_in()).status == 303


async def test_many_guesses_at_once_do_not_get_round_the_limit(site: Any) -> None:
    csrf = await site.form()
    guess = {"login": "alice", "password": "wrong", "csrf": csrf}
    answers = await asyncio.gather(*(site.post("/login", guess) for _ in range(40)))
    assert sum(answer.status == 403 for answer in answers) <= FAILURES


@pytest.mark.parametrize("overrides", [{"server.trust_proxy": "true"}])
async def test_behind_a_trusted_proxy_one_guesser_does_not_lock_out_the_others(site: Any) -> None:
    for _ in range(FAILURES):
        await site.post(
            "/login",
            {"login": "alice", "password": "x", "csrf": await site.form()},
            headers={"X-Forwarded-For": "6.6.6.6, 93.184.216.5"},
        )
    login = {"login": "alice", "password": "correct horse", "csrf": await site.form()}
    assert (await site.post("/login", login, headers={"X-Forwarded-For": "1.1.1.1, 93.184.216.5"})).status == 429
    assert (await site.post("/login", login, headers={"X-Forwarded-For": "93.184.216.9"})).status == 303


@pytest.mark.parametrize("overrides", [{"server.trust_proxy": "true"}])
async def test_who_has_a_whole_network_of_addresses_is_one_guesser(site: Any) -> None:
    guess = {"password": "x", "csrf": await site.form()}
    answers = []
    for turn in range(FAILURES + 1):
        via = {"X-Forwarded-For": f"2a00:1450:4001:82a::{turn:x}"}
        answers.append((await site.post("/login", {**guess, "login": f"user{turn}"}, headers=via)).status)
    assert answers == [403] * FAILURES + [429]
    elsewhere = {"X-Forwarded-For": "2a00:1450:4001:82b::1"}
    assert (await site.post("/login", {**guess, "login": "alice"}, headers=elsewhere)).status == 403


async def test_without_a_trusted_proxy_its_header_means_nothing(site: Any) -> None:
    for number in range(FAILURES):
        await site.post(
            "/login",
            {"login": "alice", "password": "x", "csrf": await site.form()},
            headers={"X-Forwarded-For": f"6.6.6.{number}"},
        )
    assert (await site.log_in()).status == 429


@pytest.mark.parametrize("csrf", ["", "wrong", "ё", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
async def test_a_login_form_that_is_not_ours_is_refused(site: Any, csrf: str) -> None:
    await site.form()
    response = await site.post("/login", {"login": "alice", "password": "correct horse", "csrf": csrf})
    assert COOKIE not in response.cookies
    assert "has expired" in await response.text()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
        ("application/x-www-form-urlencoded; charset=base64", b"a=b"),
        ("application/x-www-form-urlencoded", b"login=\xff"),
        ("multipart/form-data", b"a=b"),
        ("multipart/form-data; boundary=x", b"a=b"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Transfer-Encoding: none\r\n\r\na\r\n--x--"),
        ("packed", b"a=b"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused_and_fills_no_log(
    site: Any, caplog: Any, kind: str, body: bytes
) -> None:
    form = "application/x-www-form-urlencoded"
    headers = {"Content-Type": form, "Content-Encoding": "gzip"} if kind == "packed" else {"Content-Type": kind}
    for path in ("/login", "/login/code", "/forgot", "/link/x", "/logout", "/users/invite"):
        response = await site.post(path, body, headers={**headers, "Connection": "close"})
        assert response.status in (400, 403), path
        assert response.content_type == "text/html"
    for path in ("/v1/visit", "/v1/signal", "/v1/callback"):
        answer = await site.post(path, body, headers={**headers, "Connection": "close"})
        assert answer.status in (204, 400), path
    assert not caplog.records


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "\\\\evil.example",
     "javascript:alert(1)", "evil.example", "", "/ /evil.example", "///evil.example", "/%0d%0aSet-Cookie: x=1", "/\r\nX: y"],
)  # fmt: skip
async def test_a_login_never_leads_to_another_site(site: Any, target: str) -> None:
    response = await site.log_in(next=target)
    location = response.headers["Location"]
    assert response.status == 303
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\", "\t", "\n")
    assert not {"\t", "\n", "\r"} & set(location)
    assert "X" not in response.headers


async def test_every_form_needs_the_token_of_its_login(alice: Any) -> None:
    for data, headers in (({}, {}), ({"csrf": "wrong"}, {}), ({}, {"X-Csrf": "wrong"}), ({}, {"X-Csrf": "\udcff"})):
        response = await alice.post("/testcall", {"number": "+442079460101", **data}, headers=headers)
        assert response.status == 403
    assert alice.placed == []
    csrf = await alice.csrf()
    assert (await alice.post("/testcall", {"number": "+442079460101", "csrf": csrf})).status == 303
    assert (await alice.post("/testcall", {"number": "+442079460102"}, headers={"X-Csrf": csrf})).status == 303
    assert alice.placed == ["+442079460101", "+442079460102"]


async def test_who_logs_out_is_out_and_his_cookie_is_worth_nothing(alice: Any) -> None:
    cookies = {cookie.key: cookie.value for cookie in alice.client.session.cookie_jar}
    assert (await alice.post("/logout", {"csrf": await alice.csrf()})).status == 303
    assert (await alice.get("/calls")).status == 303
    response = await alice.get("/calls", headers={"Cookie": f"{COOKIE}={cookies[COOKIE]}"})
    assert response.status == 303


async def test_a_login_ends_by_itself(alice: Any) -> None:
    alice.clock[0] += LOGIN_DAYS * 86_400_000 - 1
    assert (await alice.get("/calls")).status == 200
    alice.clock[0] += 1
    assert (await alice.get("/calls")).status == 303


@pytest.mark.parametrize("cookie", ["", "x", "' OR 1=1", "\udcff\udcfe", "x" * 5000])
async def test_a_forged_cookie_opens_nothing(site: Any, cookie: str) -> None:
    response = await site.get("/calls", headers={"Cookie": f"{COOKIE}={cookie}"})
    assert response.status == 303


async def test_pages_of_a_login_are_not_kept_by_caches(alice: Any) -> None:
    for path in ("/calls", "/numbers", "/login"):
        assert "no-store" in (await alice.get(path)).headers["Cache-Control"]
