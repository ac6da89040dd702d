"""Web hooks on real sockets: signed, of the chosen form, and never to an address that is not allowed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from ctserver.config import ConfigError, Settings, WebHook
from ctserver.domain.fact import Fact
from ctserver.integrations.webhook import Hook
from ctserver.outbound import GiveUp, Retry
from ctserver.outbound.client import Client, public
from ctserver.services.delivery import Job
from ctserver.sinks import EVERYWHERE, hook_secrets
from tests.receiver import Got, receiver

NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
FACT = Fact("call.missed", 1_700_000_000_000, "c1", call="c1", data={"call_id": "c1", "caller": "+447700900123"})


def job(fact: Fact = FACT) -> Job:
    return Job("msg_1", "hook.crm", "hook.crm", "", 0, 0, fact)


def hook(url: str, *, secrets: tuple[str, ...] = (NEW,), client: Client, **own: Any) -> Hook:
    made = WebHook.model_validate({"url": url, "allow_private": True, **own})
    return Hook("crm", made, secrets, "https://calls.example.com", client)


@pytest.fixture
async def client() -> Any:
    made = Client(EVERYWHERE)
    yield made
    await made.close()


@pytest.fixture
async def strict_client() -> Any:
    made = Client()
    yield made
    await made.close()


def verified(got: Got, secret: str) -> bool:
    """As a receiver checks it, written from the standard alone."""
    content = b".".join([got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body])
    key = base64.b64decode(secret.split("_", 1)[1])
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return wanted in got.headers["webhook-signature"].split(" ")


async def test_a_message_is_signed_with_every_secret_and_keeps_its_id(client: Client) -> None:
    async with receiver() as other:
        crm = hook(other.url, secrets=(NEW, OLD), client=client)
        receipt = await crm.deliver(job())
        await crm.deliver(job())
        assert receipt.answer == "200 taken"
        first, second = other.got
        assert verified(first, NEW)
        assert verified(first, OLD)
        assert not verified(first, NEW.replace("b", "c"))
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_1"
        assert first.body == second.body
        assert first.json == {"type": "call.missed", "timestamp": "2023-11-14T22:13:20.000Z", "data": dict(FACT.data)}


async def test_only_the_chosen_fields_are_told(client: Client) -> None:
    async with receiver() as other:
        await hook(other.url, fields=["call_id"], client=client).deliver(job())
        assert other.got[0].json["data"] == {"call_id": "c1"}


async def test_as_cloudevents_by_choice(client: Client) -> None:
    async with receiver() as other:
        await hook(other.url, format="cloudevents", client=client).deliver(job())
        event = other.got[0].json
        assert other.got[0].headers["content-type"] == "application/cloudevents+json"
        assert verified(other.got[0], NEW)
        assert event == {
            "specversion": "1.0",
            "id": "msg_1",
            "source": "https://calls.example.com",
            "type": "call.missed",
            "subject": "c1",
            "time": "2023-11-14T22:13:20.000Z",
            "datacontenttype": "application/json",
            "data": dict(FACT.data),
        }


async def test_the_test_button_sends_something_harmless(client: Client) -> None:
    async with receiver() as other:
        assert await hook(other.url, client=client).test() == "200 taken"
        assert other.got[0].json["type"] == "test"


@pytest.mark.parametrize(
    ("status", "error", "unauthorised"),
    [(500, Retry, False), (404, Retry, False), (429, Retry, False), (401, GiveUp, True), (410, GiveUp, True)],
)
async def test_an_answer_that_is_none(status: int, error: Any, unauthorised: bool, client: Client) -> None:
    async with receiver(answer=lambda _: status) as other:
        with pytest.raises(error, match=f"{status} taken") as raised:
            await hook(other.url, client=client).deliver(job())
        assert getattr(raised.value, "unauthorised", False) is unauthorised


async def test_patience_that_is_asked_for(client: Client) -> None:
    async with receiver(answer=lambda _: (503, {"Retry-After": "120"})) as other:
        with pytest.raises(Retry) as raised:
            await hook(other.url, client=client).deliver(job())
        assert raised.value.after == 120


async def test_a_redirect_is_not_followed(client: Client) -> None:
    async with receiver() as target:
        async with receiver(answer=lambda _: (302, {"Location": target.url})) as other:
            with pytest.raises(Retry, match="redirects are not followed"):
                await hook(other.url, client=client).deliver(job())
        assert target.got == []


async def test_a_dropped_connection_and_a_closed_port_are_tried_again(client: Client) -> None:
    async with receiver(answer=lambda _: None) as other:
        with pytest.raises(Retry, match=r"(?i)disconnected|reset|closed|no connection"):
            await hook(other.url, client=client).deliver(job())
        url = other.url
    with pytest.raises(Retry, match="no connection"):
        await hook(url, client=client).deliver(job())


async def test_a_slow_answer_is_not_waited_for(client: Client) -> None:
    async with receiver(seconds=3) as other:
        with pytest.raises(Retry, match="no answer within 1 s"):
            await hook(other.url, timeout_seconds=1, client=client).deliver(job())


async def test_an_endless_answer_is_read_to_its_limit_only(client: Client) -> None:
    async with receiver(text="x" * 1_000_000) as other:
        assert len((await hook(other.url, client=client).deliver(job())).answer) < 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_private_address_is_refused_however_it_is_written(host: str, strict_client: Client) -> None:
    """Also when a name leads there: what counts is the address that would be connected to."""
    async with receiver() as other:
        strict = hook(f"http://{host}:{other.port}/", client=strict_client)
        with pytest.raises((GiveUp, Retry)) as raised:
            await strict.deliver(job())
        assert other.got == []
        if host in ("127.0.0.1", "localhost"):
            assert isinstance(raised.value, GiveUp)
            assert "is a private address" in str(raised.value)


async def test_a_name_that_leads_elsewhere_the_second_time_is_refused_all_the_same(
    client: Client, strict_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the system's resolver is made to lie; the socket is what is checked."""
    real = socket.getaddrinfo

    def lying(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if host == "rebound.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    async with receiver() as other:
        strict = hook(f"http://rebound.example:{other.port}/", client=strict_client)
        with pytest.raises(GiveUp, match="is a private address"):
            await strict.deliver(job())
        await hook(f"http://rebound.example:{other.port}/", client=client).deliver(job())
        assert len(other.got) == 1


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "ff02::1",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert public(ip_address(address))


async def test_a_hook_wants_what_it_names_and_no_news_of_its_own_trouble(client: Client) -> None:
    crm = hook("http://x.example", events=["call.missed", "delivery_failing"], lines=["off*"], client=client)

    def wants(kind: str, subject: str = "c", **data: str) -> bool:
        call = "c" if kind.startswith("call") else ""
        return bool(list(crm.entries(Fact(kind, 0, subject, call=call, data=data), 0)))

    assert wants("call.missed", line="office")
    assert not wants("call.missed", line="night")
    assert not wants("call.ended", line="office")
    assert wants("delivery_failing", "hook.other")
    assert not wants("delivery_failing", "hook.crm")


def test_ten_tries_in_three_days() -> None:
    waits = WebHook(url="https://crm.example.com/").retry_seconds
    assert len(waits) + 1 == 10
    assert 3 * 86_400 <= sum(waits) <= 3.5 * 86_400


def test_a_secret_must_be_one(settings: Settings, tmp_path: Any) -> None:
    (tmp_path / "hook").write_text(f"# rotated in May\n{NEW}\n{OLD}\n")
    with_hook = settings.model_copy(
        update={"webhooks": {"crm": WebHook.model_validate({"url": "https://x.example", "secret_file": "hook"})}}
    )
    assert hook_secrets(with_hook, "crm") == (NEW, OLD)
    (tmp_path / "hook").write_text("whsec_dG9vIHNob3J0\n")
    with pytest.raises(ConfigError, match="24 to 64 bytes") as raised:
        hook_secrets(with_hook, "crm")
    assert "dG9vIHNob3J0" not in str(raised.value)
