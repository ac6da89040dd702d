"""SMPP 3.4 to a message centre that reads and answers the PDUs as section 4 of the specification has them; and Apprise."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from ctserver.config.notify import Smpp as Table
from ctserver.notify.apprise_url import AppriseUrl
from ctserver.notify.parts import BadChannel
from ctserver.notify.smpp import Smpp
from ctserver.outbound import GiveUp, Message, Retry
from tests.receiver import receiver

BIND, SUBMIT, UNBIND, ENQUIRE = 0x02, 0x04, 0x06, 0x15
PASSWORD = "pa55word"


@dataclass
class Centre:
    """Keeps what was submitted; `status` and `bind_status` are its command_status."""

    status: int = 0
    bind_status: int = 0
    port: int = 0
    hangs_up: bool = False
    bound: list[tuple[bytes, bytes]] = field(default_factory=list)
    submitted: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length, command, _, sequence = struct.unpack("!IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if self.hangs_up:
                    return
                if command == BIND:
                    system_id, password, *_ = body.split(b"\0")
                    self.bound.append((system_id, password))
                    self._answer(writer, command, self.bind_status, sequence, b"centre\0")
                elif command == SUBMIT:
                    writer.write(struct.pack("!IIII", 16, ENQUIRE, 0, 99))  # as centres do, at any time
                    self.submitted.append(body)
                    self._answer(writer, command, self.status, sequence, b"id%d\0" % len(self.submitted))
                elif command == UNBIND:
                    self._answer(writer, command, 0, sequence, b"")
                    return
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, command: int, status: int, sequence: int, body: bytes) -> None:
        writer.write(struct.pack("!IIII", 16 + len(body), command | 0x80000000, status, sequence) + body)

    def channel(self) -> Smpp:
        words = {"type": "smpp", "host": "127.0.0.1", "port": self.port, "user": "shop", "sender": "Lighthouse"}
        return Smpp(Table.model_validate(words), PASSWORD)


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    made = Centre()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


def message(text: str) -> Message:
    return Message("m1", "+447700900123", "Missed call", text, text)


async def test_a_short_message_is_one_pdu_and_its_id_is_told(centre: Centre) -> None:
    assert await centre.channel().send(message("Missed call")) == "id id1"
    assert centre.bound == [(b"shop", PASSWORD.encode())]
    [body] = centre.submitted
    assert b"Lighthouse\0" in body
    assert b"\x01\x01447700900123\0" in body
    assert b"\x0bMissed call" in body


async def test_a_long_russian_message_is_sent_in_parts_that_belong_together(centre: Centre) -> None:
    text = "Пропущенный звонок с сайта, перезвоните, пожалуйста, как можно скорее: " * 2
    assert await centre.channel().send(message(text)) == "id " + " ".join(
        f"id{number}" for number in range(1, len(centre.submitted) + 1)
    )
    assert len(centre.submitted) == 3
    references = {body[body.index(b"\x02\x0c\x00\x02") :][4:6] for body in centre.submitted}
    assert len(references) == 1, "all parts carry one reference"
    for place, body in enumerate(centre.submitted, 1):
        assert b"\x02\x0e\x00\x01\x03" in body, "of three"
        assert b"\x02\x0f\x00\x01" + bytes([place]) in body
    assert "Пропущенный".encode("utf-16-be") in centre.submitted[0]


@pytest.mark.parametrize(
    ("bind_status", "status", "error", "unauthorised"),
    [(0x0E, 0, GiveUp, True), (0, 0x58, Retry, False), (0, 0x0B, GiveUp, False), (0, 0x0401, GiveUp, False)],
    ids=["wrong password", "throttled", "no such number", "the provider's own"],
)
async def test_a_refusal_is_for_now_or_for_ever_as_its_status_says(
    centre: Centre, bind_status: int, status: int, error: type[Exception], unauthorised: bool
) -> None:
    centre.bind_status, centre.status = bind_status, status
    with pytest.raises(error, match="0x") as caught:
        await centre.channel().send(message("x"))
    assert PASSWORD not in str(caught.value)
    assert getattr(caught.value, "unauthorised", False) == unauthorised


async def test_a_centre_that_hangs_up_or_is_away_is_tried_again(centre: Centre) -> None:
    centre.hangs_up = True
    with pytest.raises(Retry, match="hung up"):
        await centre.channel().send(message("x"))
    centre.port = 1
    with pytest.raises(Retry, match="no connection"):
        await centre.channel().send(message("x"))


async def test_apprise_hands_a_message_on_and_says_when_it_could_not() -> None:
    async with receiver() as there:
        channel = AppriseUrl(f"json://127.0.0.1:{there.port}/hook")
        assert await channel.send(message("Missed call from Eve")) == "taken"
        assert "Missed call from Eve" in there.taken[0].json["message"]
        there.answer = lambda _: 500
        with pytest.raises(Retry):
            await channel.send(message("again"))


def test_apprise_refuses_an_address_it_does_not_know() -> None:
    with pytest.raises(BadChannel, match="does not understand"):
        AppriseUrl("nothing-like-this")
