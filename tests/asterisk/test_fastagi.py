"""The FastAGI server over real sockets: no client can hold or break it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctserver.asterisk import fastagi
from ctserver.asterisk.fastagi import Fastagi, set_variable
from ctserver.config import Settings
from ctserver.services.routing import Answer, Router
from tests.conftest import PATIENCE, quickest, until

ROUTE = "office|30|yes|no|PJSIP/100&PJSIP/101"


def question(number: str, script: str = "route", name: str = "Алексей") -> bytes:
    lines = [
        "agi_network: yes",
        f"agi_network_script: {script}",
        f"agi_request: agi://127.0.0.1:4573/{script}",
        "agi_channel: PJSIP/trunk-00000001",
        "agi_callerid: 07700900123",
        f"agi_calleridname: {name}",
        f"agi_arg_1: {number}",
    ]
    return ("\n".join(lines) + "\n\n").encode()


async def nothing(_first: str, _second: str) -> Answer:
    return Answer("")


class Server:
    def __init__(self, agi: Fastagi, port: int) -> None:
        self.agi = agi
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes, reply: bytes = b"200 result=1\n") -> bytes:
        """Everything that the server says to this client. A busy machine may need longer than a call waits: it is asked again."""
        said = b""
        for _ in range(3):
            reader, writer = await self.connect()
            writer.write(data)
            with contextlib.suppress(OSError):
                async with asyncio.timeout(PATIENCE):
                    while line := await reader.readline():
                        said += line
                        writer.write(reply)
            writer.close()
            if said:
                break
        return said


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    agi = Fastagi(Router(settings).answer, nothing)
    await agi.listen("127.0.0.1", 0)
    assert agi._server is not None
    yield Server(agi, agi._server.sockets[0].getsockname()[1])
    await agi.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("number", ["+442079460101", "442079460101", "02079460101", "2079460101"])
async def test_a_number_is_answered_however_the_trunk_writes_it(server: Server, number: str) -> None:
    assert await server.ask(question(number)) == f'SET VARIABLE CT_ROUTE "{ROUTE.replace("|no|", "|yes|")}"\n'.encode()


async def test_a_number_is_asked_to_be_stored_only_once(server: Server) -> None:
    assert b"|yes|yes|" in await server.ask(question("+442079460101"))
    assert b"|yes|no|" in await server.ask(question("+442079460101"))
    assert b"|yes|yes|" in await server.ask(question("+442079460101", "route?pbx=two")), "by each PBX"
    assert b"|yes|no|" in await server.ask(question("+442079460101", "route?pbx=two"))


async def test_an_unknown_number_gets_the_default_line_and_is_not_stored(server: Server) -> None:
    assert ROUTE.encode() in await server.ask(question("+442079460999"))


async def test_a_static_number_has_its_own_line(server: Server) -> None:
    assert b'"night|30|no|yes|PJSIP/night"' in await server.ask(question("02079460190"))


async def test_a_name_in_any_encoding_does_no_harm(server: Server) -> None:
    assert b"CT_ROUTE" in await server.ask(question("02079460101").replace("Алексей".encode(), b"\xc0\xeb\xff"))


HOSTILE = {
    "quotes": '"\'`\\" \\\\"',
    "a function": "${SHELL(id)}$[1+1]",
    "shell": "$(id);`id`|id&&id>x",
    "a command": 'x"\rSET VARIABLE CT_ROUTE "evil|1|no|yes|Local"',
    "a header": "x\nagi_arg_1: 02079460190",
    "ten kilobytes": "${SHELL(id)}'\";" * 700,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_name_or_number_changes_no_command(server: Server, text: str) -> None:
    """A name has no part in the answer; a caller and a called number that are none get the route of any other."""
    default = await server.ask(question("999"))
    assert default == b'SET VARIABLE CT_ROUTE "office|30|yes|no|PJSIP/100&PJSIP/101"\n'
    assert await server.ask(question("999", name=text.replace("\n", " "))) == default
    assert await server.ask(question(text.partition("\n")[0])) == default
    told = question("999").replace(
        b"agi_callerid", b"agi_arg_2: " + text.partition("\n")[0].encode() + b"\nagi_callerid"
    )
    assert await server.ask(told) == default


async def test_an_unknown_script_is_closed_without_a_word(server: Server) -> None:
    assert await server.ask(question("02079460101", script="elsewhere")) == b""


BAD = {
    "connect and leave": b"",
    "half a header": b"agi_network: yes\nagi_network_sc",
    "no end": b"agi_network: yes\n" * 10,
    "garbage": bytes(range(256)) * 20,
    "a browser": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "empty headers": b"\n\n",
    "a megabyte": b"agi_x: y\n" * 120_000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_a_bad_client_is_let_go_within_two_seconds(server: Server, data: bytes) -> None:
    async def let_go() -> None:
        reader, writer = await server.connect()
        writer.write(data)
        if not data:
            writer.close()
        with contextlib.suppress(OSError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()

    assert await quickest(let_go, 2) < 2
    assert b"CT_ROUTE" in await server.ask(question("02079460101"))
    await until(lambda: server.agi.clients == 0)


async def test_headers_that_drip_are_let_go(server: Server) -> None:
    async def let_go() -> None:
        reader, writer = await server.connect()
        with contextlib.suppress(OSError):
            for _ in range(200):
                writer.write(b"agi_x: y\n")
                await asyncio.sleep(0.05)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.01)
                if reader.at_eof():
                    break
        writer.close()

    assert await quickest(let_go, 2) < 2


async def test_a_client_that_never_answers_our_command_is_let_go(server: Server) -> None:
    async def let_go() -> None:
        reader, writer = await server.connect()
        writer.write(question("02079460101"))
        assert await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()

    assert await quickest(let_go, fastagi.REQUEST_SECONDS + 0.5) < fastagi.REQUEST_SECONDS + 0.5


@pytest.mark.parametrize(
    "reply", [b"HANGUP\n", b"510 Invalid\n", b"520-Usage\n", b"\n", b"\xff\xff\n", b"200 result=\n"]
)
async def test_a_strange_answer_to_our_command_harms_nobody(server: Server, reply: bytes) -> None:
    assert b"CT_ROUTE" in await server.ask(question("02079460101"), reply)
    assert b"CT_ROUTE" in await server.ask(question("02079460101"))


async def test_after_hundreds_of_bad_clients_a_good_one_is_served_and_the_loop_stays_awake(server: Server) -> None:
    slowest = 0.0

    async def heartbeat() -> None:
        nonlocal slowest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.01)
            slowest = max(slowest, time.thread_time() - before)

    beat = asyncio.create_task(heartbeat())
    held = []
    for _ in range(60):
        for data in BAD.values():
            _, writer = await server.connect()
            writer.write(data[:50_000])
            writer.close() if not data else held.append(writer)
    said = await server.ask(question("02079460101"))
    beat.cancel()
    for writer in held:
        writer.close()
    assert b"CT_ROUTE" in said
    assert slowest < 0.5
    assert server.agi.served == 1


async def test_more_clients_than_there_is_room_for_are_closed_at_once_and_room_comes_back(server: Server) -> None:
    held = [await server.connect() for _ in range(fastagi.MAX_CLIENTS)]
    await until(lambda: server.agi.clients == fastagi.MAX_CLIENTS)
    assert await server.ask(question("02079460101")) == b""
    for _, writer in held:
        writer.close()
    await until(lambda: server.agi.clients == 0)
    assert b"CT_ROUTE" in await server.ask(question("02079460101"))


async def test_a_taken_port_is_an_error(server: Server, settings: Settings) -> None:
    with pytest.raises(OSError, match="in use"):
        await Fastagi(Router(settings).answer, nothing).listen("127.0.0.1", server.port)


async def test_it_tells_whether_it_listens(server: Server) -> None:
    assert server.agi.listening
    await server.agi.close()
    assert not server.agi.listening


def unquoted(command: str) -> list[str]:
    """The words of an AGI command as Asterisk's parser sees them: quotes group, a backslash takes the next as it is."""
    words, word, quoted, escaped = [], "", False, False
    for character in command:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
    return [*words, word]


@given(st.text())
def test_a_value_is_one_argument_of_one_command(value: str) -> None:
    command = set_variable("CT_ROUTE", value)
    assert "\n" not in command
    assert "\r" not in command
    assert unquoted(command) == ["SET", "VARIABLE", "CT_ROUTE", "".join(c for c in value if ord(c) >= 32)]
