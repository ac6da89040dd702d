"""Files that are sent row by row: who goes amid one is no fault, and one that breaks off does not look whole."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from ctserver.http.dashboard import journal

from .test_rights import ring


@pytest.fixture
async def shop(alice: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With calls for many blocks of a file."""
    monkeypatch.setattr(journal, "BLOCK", 1)
    for _turn in range(40):
        await ring(alice, "+442079460101", "office", recorded=False)
    return alice


async def ask(site: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    cookie = "; ".join(f"{one.key}={one.value}" for one in site.client.session.cookie_jar)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.client.port)
    writer.write(f"GET /calls/export.ndjson HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_who_goes_amid_a_file_is_no_fault(shop: Any, caplog: pytest.LogCaptureFixture, until: Any) -> None:
    server = shop.client.server.runner.server
    others = len(server.connections)
    _reader, writer = await ask(shop)
    assert len(server.connections) > others
    writer.transport.abort()
    await until(lambda: len(server.connections) == others)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_file_that_breaks_off_does_not_look_whole(shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await ask(shop)
    await shop.db.run(lambda connection: connection.execute("ALTER TABLE calls RENAME TO gone").close())
    rest = b""
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65_536):
            rest += part
    writer.close()
    assert b"HTTP/1.1 " not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert "no such table" in caplog.text
