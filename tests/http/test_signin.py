"""Signing in at an OpenID Connect provider, and every way in which its answer may be wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from ctserver import config
from ctserver.check import check
from ctserver.config import ConfigError, Settings
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.http.signins import LASTS_MS
from ctserver.outbound import GiveUp
from ctserver.services.provider import Provider
from ctserver.storage import users

from ..provider import SECRET
from ..provider import Provider as Fake
from .conftest import HASH
from .test_people import set_up_factor

BOB = {"sub": "248289761001", "email": "Bob@Example.com", "email_verified": True, "name": "Bob  Brown", "groups": []}
OIDC = """
[oidc]
issuer = "%s"
name = "Example login"
client_id = "ctserver"
secret_file = "oidc-secret"
new_users = true
role = "analyst"
timeout_seconds = 15
[outbound]
private_networks = ["127.0.0.0/8"]
"""


@pytest.fixture
async def fake(serve: Any) -> Fake:
    made = Fake(who=dict(BOB))
    made.issuer = await serve(made.answer_for)
    return made


@pytest.fixture
def secret() -> str:
    """What our side believes the client's secret to be."""
    return SECRET


@pytest.fixture
def settings(toml: Path, fake: Fake, overrides: dict[str, str], secret: str) -> Settings:
    (toml.parent / "oidc-secret").write_text(secret)
    toml.write_text(toml.read_text() + OIDC % fake.issuer)
    return config.load(toml, overrides)


@pytest.fixture
async def provider(settings: Settings) -> AsyncIterator[Provider]:
    made = Provider(settings)
    yield made
    await made.stop()


@pytest.fixture
async def there(site: Any, provider: Provider) -> Any:
    """The server, with a provider whose keys it knows; its clock is right."""
    site.clock[0] = int(time.time() * 1000)
    await provider.refresh()
    return site


async def leave(site: Any, target: str = "/numbers") -> str:
    """The provider's address, to which the browser is sent."""
    response = await site.get(f"/login/oidc?next={target}")
    assert response.status == 303
    return str(response.headers["Location"])


async def at_provider(site: Any, address: str) -> str:
    """The path and query of the callback, to which the provider sends the browser back."""
    async with site.client.session.get(address, allow_redirects=False) as response:
        assert response.status == 302
        back = urlsplit(response.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://127.0.0.1:8080/login/oidc/callback"
    return f"{back.path}?{back.query}"


async def sign_in(site: Any) -> tuple[int, str]:
    """Status, and where to or what the page says."""
    response = await site.get(await at_provider(site, await leave(site)))
    return response.status, response.headers.get("Location") or await response.text()


async def refused(site: Any) -> str:
    """What the audit log says of the one who was not let in; nobody was."""
    assert await site.db.one("SELECT 1 FROM logins") is None
    row = await site.db.one("SELECT detail FROM audit WHERE action = 'login refused' ORDER BY id DESC")
    return str(row["detail"])


async def said(site: Any) -> list[str]:
    return sorted(row["action"] for row in await site.db.fetch("SELECT action FROM audit"))


# ---- the way in


async def test_a_newcomer_of_the_provider_gets_a_login_and_the_page_he_wanted(there: Any, fake: Fake) -> None:
    assert "Log in with Example login" in await there.page("/login?next=/numbers")
    assert await sign_in(there) == (303, "/numbers")
    assert (await there.get("/numbers")).status == 200
    assert (await there.get("/users")).status == 403
    row = await there.db.one("SELECT * FROM users WHERE login <> 'alice'")
    assert (row["login"], row["role"], row["name"], row["email"]) == (
        "Bob@Example.com",
        "analyst",
        "Bob Brown",
        BOB["email"],
    )
    assert (row["password_hash"], row["subject"]) == ("", f"{fake.issuer} {BOB['sub']}")
    assert await said(there) == ["logged in", "user made"]
    there.client.session.cookie_jar.clear()
    assert await sign_in(there) == (303, "/numbers")
    assert len(await there.db.fetch("SELECT 1 FROM users")) == 2
    seconds = await there.db.one("SELECT MAX(expires_at - created_at) / 1000 AS n FROM logins")
    assert seconds["n"] == 12 * 3600


async def test_every_sign_in_has_its_own_secrets(there: Any) -> None:
    one, two = [parse_qs(urlsplit(await leave(there)).query) for _turn in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != two[name]
        assert len(one[name][0]) == 43
    assert one["redirect_uri"] == ["http://127.0.0.1:8080/login/oidc/callback"]


async def test_somebody_who_is_here_is_known_by_his_verified_address(there: Any, fake: Fake) -> None:
    await put(there, "bob", "bob@example.com")
    assert (await sign_in(there))[0] == 303
    row = await there.db.one("SELECT login, role, subject FROM users WHERE login = 'bob'")
    assert tuple(row) == ("bob", "manager", f"{fake.issuer} {BOB['sub']}")
    fake.who |= {"email": "bob@elsewhere.example"}
    there.client.session.cookie_jar.clear()
    assert (await sign_in(there))[0] == 303
    assert await there.db.one("SELECT 1 FROM users WHERE login NOT IN ('alice', 'bob')") is None


async def test_an_address_that_nobody_verified_is_nobodys(there: Any, fake: Fake) -> None:
    await put(there, "bob", "bob@example.com", Role.OWNER)
    for turn, claims in enumerate(
        ({"email_verified": False}, {"email_verified": None}, {"email": "bob@example.com\u200b"})
    ):
        fake.who = BOB | {"sub": str(turn)} | claims
        assert (await sign_in(there))[0] == 303
        row = await there.db.one("SELECT role, email, login FROM users WHERE subject LIKE '% ' || $1", (str(turn),))
        assert (row["role"], row["email"], row["login"][:5]) == ("analyst", "", "user-")


async def test_two_who_share_an_address_are_not_taken_for_one_another(there: Any) -> None:
    for login in ("bob", "bobby"):
        await put(there, login, "bob@example.com")
    assert (await sign_in(there))[0] == 303
    assert (await there.db.one("SELECT login FROM users WHERE subject <> ''"))["login"] == "Bob@Example.com"


async def put(site: Any, login: str, email: str, role: Role = Role.MANAGER) -> None:
    person = Person(login, role, email=email)
    await site.db.write(lambda tx: users.put_user(tx, f"u-{login}", login, HASH, site.clock[0], person))


@pytest.mark.parametrize("overrides", [{"oidc.new_users": "false"}])
async def test_where_no_logins_are_made_a_stranger_stays_outside(there: Any) -> None:
    status, html = await sign_in(there)
    assert (status, "You have no account here yet" in html) == (403, True)
    assert "stranger: Bob@Example.com" in await refused(there)


@pytest.mark.parametrize("overrides", [{"oidc.domains": '["example.org", "Example.COM"]'}])
async def test_only_addresses_of_the_company_are_let_in(there: Any, fake: Fake) -> None:
    assert (await sign_in(there))[0] == 303
    await there.db.run(lambda one: one.execute("DELETE FROM logins").close())
    for email, verified in (("bob@example.com.evil.example", True), ("bob@example.com", False), ("", True)):
        fake.who |= {"email": email, "email_verified": verified}
        status, html = await sign_in(there)
        assert (status, "has no access here" in html) == (403, True)
        assert (await refused(there)).startswith("domain")


ROLES = '{ owners = "owner", sellers = "manager" }'


@pytest.mark.parametrize("overrides", [{"oidc.roles": ROLES, "oidc.role_claim": "realm_access.roles", "oidc.role": ""}])
async def test_the_providers_groups_are_roles_here_and_change_with_them(there: Any, fake: Fake) -> None:
    async def role(*groups: str) -> tuple[int, str]:
        fake.who["realm_access"] = {"roles": list(groups)}
        there.client.session.cookie_jar.clear()
        status, _ = await sign_in(there)
        row = await there.db.one("SELECT role FROM users WHERE login <> 'alice'")
        return status, row["role"] if row else ""

    assert await role("strangers") == (403, "")
    assert await role("sellers", "owners") == (303, "owner")
    assert await role("sellers") == (303, "manager")
    assert await role() == (403, "manager")
    await there.db.run(lambda one: one.execute("DELETE FROM users WHERE login = 'alice'").close())
    assert await role("owners") == (303, "owner")
    assert await role("sellers") == (303, "owner")  # somebody stays the owner
    row = await there.db.one("SELECT detail FROM audit WHERE action = 'user changed' ORDER BY at, id LIMIT 1")
    assert row["detail"].endswith(", by the provider")


async def test_address_and_groups_may_be_told_to_who_asks_with_the_token(there: Any, fake: Fake) -> None:
    fake.only_userinfo = True
    assert (await sign_in(there))[0] == 303
    assert (await there.db.one("SELECT email FROM users WHERE login <> 'alice'"))["email"] == BOB["email"]
    await there.db.run(lambda one: one.execute("DELETE FROM logins").close())
    fake.wrong = {"userinfo_sub": "another"}
    assert (await sign_in(there))[0] == 502
    assert "(sub)" in await refused(there)


async def test_a_client_whose_secret_goes_into_the_form(there: Any, fake: Fake, provider: Provider) -> None:
    fake.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await provider.refresh()
    assert (await sign_in(there))[0] == 303


# ---- the second factor


@pytest.mark.parametrize(("overrides", "asked"), [({}, True), ({"oidc.second_factor": "provider"}, False)])
async def test_our_second_factor_is_asked_for_unless_the_providers_counts(there: Any, asked: bool) -> None:
    assert (await there.log_in()).status == 303
    await set_up_factor(there)
    await there.db.run(lambda one: one.execute("UPDATE users SET email = 'bob@example.com'").close())
    there.client.session.cookie_jar.clear()
    there.clock[0] = int(time.time() * 1000)
    assert await sign_in(there) == (303, "/login/code?next=%2Fnumbers" if asked else "/numbers")
    assert (await there.get("/numbers")).status == (303 if asked else 200)


@pytest.mark.parametrize(
    ("overrides", "open"),
    [
        ({"people.second_factor": '["analyst"]'}, False),
        ({"people.second_factor": '["analyst"]', "oidc.second_factor": "provider"}, True),
    ],
)
async def test_a_role_that_needs_one_may_have_the_providers(there: Any, open: bool) -> None:
    await sign_in(there)
    assert (await there.get("/calls")).status == (200 if open else 303)
    csrf = (await there.db.one("SELECT csrf FROM logins"))["csrf"]
    assert "Current password" not in await there.page("/account")
    assert (await there.post("/account/factor/new", {"csrf": csrf})).status == 200
    assert (await there.post("/account/password", {"csrf": csrf, "old": ""})).status == 400
    there.clock[0] += 11 * 60_000
    late = await there.post("/account/factor/new", {"csrf": csrf})
    assert (late.status, "within the last ten minutes" in await late.text()) == (400, True)


# ---- answers that are no proof


NO_PROOF: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"nonce": "of another sign-in"}, {}),
    ({"nonce": None}, {}),
    ({"aud": "another-client"}, {}),
    ({"aud": ["ctserver", "another-client"]}, {}),
    ({"azp": "another-client"}, {}),
    ({"iss": "https://evil.example"}, {}),
    ({"exp": 1_000_000_000}, {}),
    ({"exp": None}, {}),
    ({"iat": 4_000_000_000}, {}),
    ({"sub": None}, {}),
    ({"sub": ""}, {}),
    ({}, {"alg": "none"}),
    ({}, {"alg": "HS256"}),
    ({}, {"kid": "nobody's"}),
]


async def test_a_token_that_is_not_for_us_lets_nobody_in(there: Any, fake: Fake) -> None:
    for fake.wrong, fake.header in NO_PROOF:
        status, html = await sign_in(there)
        assert (status, "does not prove who you are" in html) == (502, True), (fake.wrong, fake.header)
        assert (await refused(there)).startswith("mistrusted")
    assert len(await there.db.fetch("SELECT 1 FROM audit WHERE action = 'login refused'")) == len(NO_PROOF)
    assert len(await there.db.fetch("SELECT 1 FROM users")) == 1


async def test_a_token_signed_with_a_key_that_is_not_published_lets_nobody_in(there: Any, fake: Fake) -> None:
    published = fake.key
    fake.rotate(publish=False)
    fake.header = {"kid": published.kid}
    assert (await sign_in(there))[0] == 502
    assert "mistrusted" in await refused(there)


async def test_a_new_key_is_looked_for_once(there: Any, fake: Fake) -> None:
    fake.rotate()
    assert (await sign_in(there))[0] == 303
    asked = fake.asked.count("/keys")
    await there.db.run(lambda one: one.execute("DELETE FROM logins").close())
    fake.rotate(publish=False)
    for _turn in range(2):
        assert (await sign_in(there))[0] == 502
    assert fake.asked.count("/keys") == asked


async def test_an_answer_is_good_once_in_one_browser_and_for_a_while(there: Any, fake: Fake) -> None:
    back = await at_provider(there, await leave(there))
    there.client.session.cookie_jar.clear()
    assert (await there.get(back)).status == 400  # another browser
    back = await at_provider(there, await leave(there))
    assert (await there.get(back.replace("state=", "state=x"))).status == 400
    assert (await there.get("/login/oidc/callback")).status == 400
    there.clock[0] += LASTS_MS + 1
    response = await there.get(back)
    assert (response.status, "This sign-in is no longer valid" in await response.text()) == (400, True)
    there.clock[0] -= LASTS_MS
    assert (await refused(there)).startswith("over")
    back = await at_provider(there, await leave(there))
    assert (await there.get(back)).status == 303
    assert (await there.get(back)).status == 400


async def test_an_answer_of_another_issuer_is_not_taken_to_ours(there: Any, fake: Fake) -> None:
    back = await at_provider(there, await leave(there))
    query = parse_qs(urlsplit(back).query)
    for iss in ({"iss": "https://evil.example"}, {}):
        back = await at_provider(there, await leave(there))
        query = {name: value[0] for name, value in parse_qs(urlsplit(back).query).items() if name != "iss"}
        response = await there.client.get("/login/oidc/callback", params=query | iss, allow_redirects=False)
        assert response.status == 502
        assert "the answer is of" in await refused(there)
    assert "/token" not in fake.asked


# ---- a provider that does not do its part


async def test_who_is_refused_there_is_told_in_words_that_stay_text(there: Any, fake: Fake) -> None:
    fake.says_no = "access_denied"
    status, html = await sign_in(there)
    assert (status, "Example login refused the login" in html, "<b>not you" in html) == (403, True, False)
    assert "access_denied <b>not you</b>" in await refused(there)


async def test_an_exchange_that_fails_is_a_page_in_words(there: Any, fake: Fake) -> None:
    for answer, status in (
        (web.Response(status=500, text="oops"), 502),
        (web.json_response({"error": "invalid_grant"}, status=400), 403),
        (web.Response(text="<html>"), 502),
        (web.json_response([1]), 502),
        (web.json_response({"access_token": "x"}), 502),
        (web.Response(text="x" * 2_000_000), 502),
    ):
        fake.answer = answer
        found, html = await sign_in(there)
        assert found == status, answer
        assert "You are not logged in" in html
        await refused(there)


async def test_a_provider_that_went_away_is_a_page_in_words_and_a_password_still_works(there: Any, fake: Fake) -> None:
    back = await at_provider(there, await leave(there))
    fake.down = True
    response = await there.get(back)
    assert (response.status, "Example login is not responding" in await response.text()) == (502, True)
    assert (await refused(there)).startswith("away: answered 503")
    assert (await there.log_in()).status == 303


@pytest.mark.parametrize("secret", ["another s3cret"])
async def test_a_wrong_client_secret_is_told_without_it(there: Any, secret: str) -> None:
    assert (await sign_in(there))[0] == 403
    told = await refused(there)
    assert "invalid_client" in told
    assert secret not in told


async def test_before_the_provider_was_heard_of_the_page_says_so_and_it_is_asked_again(
    site: Any, fake: Fake, provider: Provider, until: Any
) -> None:
    fake.down = True
    await provider.start()
    await until(lambda: "503" in provider.problem)
    response = await site.get("/login/oidc")
    assert (response.status, "is not responding" in await response.text()) == (502, True)
    fake.down = False
    await until(lambda: provider.problem == "")
    assert (await site.get("/login/oidc")).status == 303


async def test_a_provider_that_is_not_the_one_we_named_is_not_used(fake: Fake, provider: Provider) -> None:
    for fake.metadata in (
        {"issuer": "https://evil.example"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ):
        with pytest.raises(GiveUp, match=r"calls itself|no address to trust"):
            await provider.refresh()


async def test_the_check_tells_whether_the_provider_can_be_used(settings: Settings, fake: Fake) -> None:
    async def said() -> str:
        [result] = [one for one in await check(settings) if one.name == "sign-in provider"]
        return f"{result.ok} {result.text}"

    assert await said() == f"True {fake.issuer} tells its addresses and keys"
    fake.down = True
    assert (await said()).startswith("False answered 503")
    settings.path("oidc-secret").unlink()
    assert (await said()).startswith("False oidc.secret_file: cannot be read")


async def test_nobody_is_sent_to_other_places_after_signing_in(there: Any) -> None:
    response = await there.get(await at_provider(there, await leave(there, "//evil.example")))
    assert response.headers["Location"] == "/"


async def test_a_browser_begins_thirty_times_a_minute_at_most(there: Any) -> None:
    assert {(await there.get("/login/oidc")).status for _turn in range(30)} == {303}
    assert (await there.get("/login/oidc")).status == 429


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"oidc.issuer": "http://login.example.com"}, "over https"),
        ({"oidc.issuer": "login.example.com"}, "not an address"),
        ({"oidc.client_id": ""}, "oidc.client_id"),
        ({"oidc.role": ""}, "which role they get"),
    ],
)
def test_mistakes_of_the_settings_are_told(toml: Path, overrides: dict[str, str], why: str) -> None:
    toml.write_text(toml.read_text() + OIDC % "https://login.example.com")
    with pytest.raises(ConfigError, match=why):
        config.load(toml, overrides)
