"""SMS by SMPP 3.4: bind, submit each part, unbind; one connection a message.

A part of several carries the SAR parameters (5.3.2.22 to 24), so the text itself stays as it is. The PDUs are aiosmpplib's;
the conversation is ours, so that every answer belongs to the one message we were asked to send.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import zlib

from aiosmpplib import BindTransmitter, SubmitSm
from aiosmpplib.protocol import EnquireLinkResp, SmppMessage, Unbind
from aiosmpplib.state import (
    NPI,
    SAR_MSG_REF_NUM,
    SAR_SEGMENT_SEQNUM,
    SAR_TOTAL_SEGMENTS,
    TON,
    OptionalParam,
    PhoneNumber,
    SmppCommand,
    SmppCommandStatus,
)

from ctserver.config import notify as tables
from ctserver.domain import sms
from ctserver.notify.parts import BadChannel, digits, recipient, short_text
from ctserver.outbound import GiveUp, Message, OutboundError, Retry
from ctserver.outbound.client import shown

SECONDS = 20.0
LONGEST_PDU = 4096
_RESPONSE = 0x80000000  # set in the command of every answer
_KEYS = ("ESME_RINVPASWD", "ESME_RINVSYSID", "ESME_RBINDFAIL", "ESME_RINVSYSTYP")
_LATER = ("ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR", "ESME_RX_T_APPN", "ESME_RALYBND", "ESME_RSUBMITFAIL")
_ENCODINGS = {sms.GSM7: "gsm0338", sms.UCS2: "ucs2"}


class Smpp:
    """Sends as the system id of the settings."""

    attaches = 0

    def __init__(self, table: tables.Smpp, password: str, seconds: float = SECONDS) -> None:
        if len(password) > 8 or not password.isascii():
            raise BadChannel(
                "secret_file", "an SMPP password has at most 8 ASCII characters", "ask your provider for one"
            )
        self._table, self._password, self._seconds = table, password, seconds

    async def send(self, message: Message) -> str:
        number, text = digits(recipient(message, self._table.to)), short_text(message)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._converse(self._parts(number, text, message.id))
        except TimeoutError:
            raise Retry(f"{self._table.host}: no answer within {self._seconds:.0f} s") from None
        except ssl.SSLError as error:  # before ValueError, which one of its kinds is too
            raise Retry(
                f"{self._table.host}: TLS failed: {getattr(error, 'verify_message', '') or error.reason}"
            ) from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            raise Retry(f"{self._table.host}: hung up, or does not speak SMPP") from None
        except OSError as error:
            raise Retry(f"{self._table.host}: no connection: {shown(error.strerror or str(error))}") from None

    async def close(self) -> None:
        """Nothing is kept open."""

    def _parts(self, number: str, text: str, id: str) -> list[SubmitSm]:
        parts = sms.split(text)
        reference = zlib.crc32(id.encode()) & 0xFFFF  # the same at every try, so that parts of two tries join
        found = []
        for place, part in enumerate(parts, 1):
            several = [
                OptionalParam(SAR_MSG_REF_NUM, reference),
                OptionalParam(SAR_TOTAL_SEGMENTS, len(parts)),
                OptionalParam(SAR_SEGMENT_SEQNUM, place),
            ]
            found.append(
                SubmitSm(
                    sequence_num=place + 1,
                    short_message=part,
                    source=_address(self._table.sender),
                    destination=_address(number),
                    encoding=_ENCODINGS[sms.alphabet(text)],
                    registered_delivery=0,
                    optional_params=several if len(parts) > 1 else [],
                )
            )
        return found

    async def _converse(self, parts: list[SubmitSm]) -> str:
        reader, writer = await asyncio.open_connection(self._table.host, self._table.port, ssl=self._table.tls or None)
        try:
            bind = BindTransmitter(
                sequence_num=1,
                system_id=self._table.user,
                password=self._password,
                system_type=self._table.system_type,
            )
            await _ask(reader, writer, bind)
            ids: list[str] = []
            for part in parts:
                ids.append(await self._submit(reader, writer, part, first=not ids))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, OutboundError, ValueError):
                await _ask(reader, writer, Unbind(sequence_num=len(parts) + 2))
            return f"id {' '.join(ids)}"
        finally:
            writer.close()

    async def _submit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: SubmitSm, *, first: bool
    ) -> str:
        part.set_encoding_info("gsm0338", None)
        try:
            return shown(await _ask(reader, writer, part)) or "?"
        except Retry as error:
            if first:
                raise
            raise GiveUp(f"only a part of it was taken: {error}") from None


def _address(text: str) -> PhoneNumber:
    """A number with its country code, a short number, or a name."""
    bare = text.removeprefix("+")
    if not bare:
        return PhoneNumber("")
    if not bare.isdigit():
        return PhoneNumber(bare, TON.ALPHANUMERIC, NPI.UNKNOWN)
    return PhoneNumber(bare, TON.INTERNATIONAL, NPI.ISDN) if len(bare) > 6 else PhoneNumber(bare)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: SmppMessage) -> str:
    """Send a request and wait for its answer; the text in that. Raises Retry, GiveUp."""
    writer.write(request.pdu())
    await writer.drain()
    while True:
        length, command, status, sequence = struct.unpack("!IIII", await reader.readexactly(16))
        if not 16 <= length <= LONGEST_PDU:
            raise ValueError(length)
        body = await reader.readexactly(length - 16)
        if command == SmppCommand.ENQUIRE_LINK:
            writer.write(EnquireLinkResp(sequence_num=sequence).pdu())
        if command == request.smpp_command | _RESPONSE or command == SmppCommand.GENERIC_NACK:
            if status:
                raise _refusal(status)
            return body.partition(b"\0")[0].decode("ascii", "replace")


def _refusal(status: int) -> OutboundError:
    """What a command_status (5.1.3) means; those from 0x400 on are the provider's own."""
    known = status in {member.value for member in SmppCommandStatus}
    name = SmppCommandStatus(status).name if known else ""
    why = f"answered 0x{status:08X} {name}".strip()
    if name in _LATER:
        return Retry(why)
    return GiveUp(why, unauthorised=name in _KEYS)
