"""Recording files as an Asterisk leaves them that was killed while it wrote."""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import pytest

from ctserver.asterisk.recordings import StillOpen, Trace, Unreadable, adopt, trace

UNIQUEID = "1700000000.1"
CALL = "0" * 26
SECONDS = 3
WRITTEN_MS = 1_700_000_009_000


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def leave(spool: Path, side: str, content: bytes) -> None:
    file = spool / f"{UNIQUEID}-{side}.wav"
    file.write_bytes(content)
    os.utime(file, (WRITTEN_MS / 1000, WRITTEN_MS / 1000))


def unfinished(seconds: float = SECONDS) -> bytes:
    """A header that says nothing of the length, as it stands until Asterisk closes the file."""
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    return b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + fmt + b"data\0\0\0\0" + b"\1\0" * int(8000 * seconds)


def test_what_was_written_is_kept_as_soon_as_nobody_writes_any_more(tmp_path: Path, spool: Path) -> None:
    leave(spool, "caller", unfinished())
    leave(spool, "company", unfinished(2))
    with pytest.raises(StillOpen):
        adopt(tmp_path, spool, UNIQUEID, CALL, patient=True)
    found = adopt(tmp_path, spool, UNIQUEID, CALL, patient=False)
    assert found
    assert found.millis == SECONDS * 1000
    with wave.open(str(tmp_path / found.file)) as sound:
        assert (sound.getnchannels(), sound.getnframes()) == (2, SECONDS * 8000)
    assert not list(spool.iterdir())


def test_files_of_which_no_block_was_written_are_no_recording(tmp_path: Path, spool: Path) -> None:
    leave(spool, "caller", b"")
    leave(spool, "company", b"")
    assert adopt(tmp_path, spool, UNIQUEID, CALL, patient=False) is None
    assert not list(spool.iterdir())


@pytest.mark.parametrize("content", [b"rubbish" * 20, unfinished()[:24] + b"\xff" * 40])
def test_rubbish_is_told_and_left_where_it_is(tmp_path: Path, spool: Path, content: bytes) -> None:
    leave(spool, "caller", content)
    with pytest.raises(Unreadable):
        adopt(tmp_path, spool, UNIQUEID, CALL, patient=False)
    assert len(list(spool.iterdir())) == 1


def test_a_talk_leaves_a_trace_and_a_voice_message_leaves_none(spool: Path) -> None:
    leave(spool, "caller", unfinished())
    assert trace(spool, UNIQUEID) is None
    leave(spool, "company", unfinished())
    assert trace(spool, UNIQUEID) == Trace(WRITTEN_MS, SECONDS * 1000)
    assert trace(spool, f"../spool/{UNIQUEID}") is None
