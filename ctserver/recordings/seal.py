"""Recordings that only those can hear who have the key: a file in a sealed form that can be read from any place.

The format is told in docs/recordings.md, so that a recording outlives this program:

    header, 60 bytes   "CTSEAL1\\n", id of the key (8 bytes), salt (32), size of a block (4, big-endian), 8 reserved (zeros)
    blocks             each of 65536 bytes of sound, the last one shorter (never empty, unless it is the only one),
                       sealed with AES-256-GCM: 16 bytes more

    key of the file    HKDF-SHA256(key, salt, info="ctserver recording")
    nonce of a block   its number (11 bytes, big-endian), then 1 for the last block and 0 for the others
    associated data    the header

So nothing of it can be changed, exchanged, moved or cut off without being noticed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ctserver.outbound.attachment import Attachment

SUFFIX = ".sealed"
MAGIC = b"CTSEAL1\n"
BLOCK = 65_536
TAG = 16
_HEADER = struct.Struct(">8s8s32sI8s")
_INFO = b"ctserver recording"


class SealError(OSError):
    """Why a sealed file cannot be opened, or is not what was sealed."""


class BadKey(ValueError):
    """What is wrong with a line of the file of keys."""


class Keys:
    """The keys of the settings by their ids. New files are sealed with the first; all of them open."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Each line is a key: 32 bytes in base64 or hexadecimal. Raises BadKey."""
        found = [_key(place, line) for place, line in enumerate(lines, 1)]
        self._keys: Mapping[bytes, bytes] = {key_id(key): key for key in found}
        self._first = found[0] if found else None

    @property
    def seals(self) -> bool:
        """Is there a key to seal with?"""
        return self._first is not None

    @property
    def first(self) -> bytes:
        if self._first is None:
            raise SealError("there is no key to seal with: [recordings] encrypt_key_file")
        return self._first

    def of(self, id: bytes) -> bytes:
        """Raises SealError."""
        if id in self._keys:
            return self._keys[id]
        known = ", ".join(each.hex() for each in self._keys) or "none"
        raise SealError(
            f"it is sealed with the key {id.hex()}, which is not among those of [recordings] encrypt_key_file ({known})"
        )


def key_id(key: bytes) -> bytes:
    """8 bytes that tell keys apart and say nothing of them."""
    return hashlib.sha256(b"ctserver key id" + key).digest()[:8]


def _key(place: int, line: str) -> bytes:
    try:
        key = bytes.fromhex(line) if re.fullmatch(r"[0-9a-fA-F]{64}", line) else base64.b64decode(line, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadKey(f"line {place} is no key: 32 bytes in base64 or hexadecimal")
    return key


class Sealed(Attachment):
    """A sealed file: name and size are those of the sound in it. Raises SealError, OSError."""

    def __init__(self, path: Path, keys: Keys) -> None:
        super().__init__(path)
        self.name, self.path = path.name.removesuffix(SUFFIX), None
        with path.open("rb") as file:
            self._header = file.read(_HEADER.size)
        whole = path.stat().st_size - _HEADER.size
        if len(self._header) < _HEADER.size or not self._header.startswith(MAGIC):
            raise SealError(f"{path.name} is no sealed recording")
        _, id, salt, block, _ = _HEADER.unpack(self._header)
        self._block: int = block
        if not 0 < self._block <= 1 << 24 or whole < TAG:
            raise SealError(f"{path.name} is cut off or changed")
        self._blocks = -(-whole // (self._block + TAG))
        self._size: int = whole - self._blocks * TAG
        self._cipher = AESGCM(_file_key(keys.of(id), salt))

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on. Raises SealError at the first block that is not what was sealed."""
        end = self.size if length is None else min(self.size, start + length)
        with self._path.open("rb") as file:
            for number in range(start // self._block, self._blocks):
                at = number * self._block
                if at >= end and number:
                    return
                plain = self._open(file, number)
                yield plain[max(0, start - at) : end - at]

    def _open(self, file: BinaryIO, number: int) -> bytes:
        file.seek(_HEADER.size + number * (self._block + TAG))
        sealed = file.read(self._block + TAG)
        try:
            return self._cipher.decrypt(_nonce(number, last=number == self._blocks - 1), sealed, self._header)
        except InvalidTag:
            raise SealError(f"{self._path.name} is damaged or was changed") from None


def seal(source: Path, target: Path, keys: Keys) -> None:
    """Write `source` sealed as `target`; it is there only when it is whole, on disk, and opens to the same bytes.

    Raises SealError, OSError.
    """
    temporary = target.with_name(target.name + ".new")
    try:
        digest = _write(source, temporary, keys.first)
        opened = hashlib.sha256()
        for part in Sealed(temporary, keys).read():
            opened.update(part)
        if opened.digest() != digest:
            raise SealError(f"{source.name} does not open to what was sealed")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write(source: Path, target: Path, key: bytes) -> bytes:
    """The SHA-256 of what was sealed."""
    salt, digest = os.urandom(32), hashlib.sha256()
    header = _HEADER.pack(MAGIC, key_id(key), salt, BLOCK, bytes(8))
    cipher = AESGCM(_file_key(key, salt))
    with ExitStack() as files:
        plain, out = files.enter_context(source.open("rb")), files.enter_context(target.open("wb"))
        out.write(header)
        number, block = 0, plain.read(BLOCK)
        while True:
            following = plain.read(BLOCK)
            digest.update(block)
            out.write(cipher.encrypt(_nonce(number, last=not following), block, header))
            if not following:
                break
            number, block = number + 1, following
        out.flush()
        os.fsync(out.fileno())
    return digest.digest()


def _file_key(key: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=_INFO).derive(key)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
