"""Writes small MMDB files (MaxMind DB file format 2.0): a binary search tree over IPv6 addresses, 24 bits a record."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"
_EXTENDED = 7
_TEXT, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11

type_of_node = list[Any]  # two branches: None, a node, or bytes of data


def write(path: Path, networks: dict[str, Any]) -> Path:
    """A file in which every network of `networks` has its record. IPv4 networks are put under ::/96."""
    root: type_of_node = [None, None]
    for network, record in networks.items():
        _put(root, network, _encoded(record))
    nodes = _numbered(root)
    data, offsets = b"", {}
    for node in nodes:
        for branch in node:
            if isinstance(branch, bytes) and branch not in offsets:
                offsets[branch] = len(data)
                data += branch
    places = {id(node): number for number, node in enumerate(nodes)}
    tree = b"".join(_record(branch, places, offsets, len(nodes)) for node in nodes for branch in node)
    path.write_bytes(tree + bytes(16) + data + _MARK + _encoded(_metadata(len(nodes))))
    return path


def _metadata(count: int) -> dict[str, Any]:
    return {
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1_700_000_000),
        "database_type": "Test-City",
        "description": {"en": "a test's own"},
        "ip_version": (_UINT16, 6),
        "languages": ["en"],
        "node_count": (_UINT32, count),
        "record_size": (_UINT16, 24),
    }


def _put(root: type_of_node, network: str, data: bytes) -> None:
    parsed = ip_network(network)
    length = parsed.prefixlen + (96 if parsed.version == 4 else 0)
    value = int(parsed.network_address)
    bits = [value >> (127 - position) & 1 for position in range(length)]
    node = root
    for bit in bits[:-1]:
        if not isinstance(node[bit], list):
            node[bit] = [node[bit], node[bit]]
        node = node[bit]
    node[bits[-1]] = data


def _numbered(root: type_of_node) -> list[type_of_node]:
    nodes, number = [root], 0
    while number < len(nodes):
        nodes += [branch for branch in nodes[number] if isinstance(branch, list)]
        number += 1
    return nodes


def _record(branch: Any, places: dict[int, int], offsets: dict[bytes, int], count: int) -> bytes:
    if branch is None:
        value = count
    elif isinstance(branch, bytes):
        value = count + 16 + offsets[branch]
    else:
        value = places[id(branch)]
    return value.to_bytes(3, "big")


def _encoded(value: Any) -> bytes:
    """Texts, maps, lists and whole numbers given as (type, number)."""
    if isinstance(value, str):
        text = value.encode()
        return _control(_TEXT, len(text)) + text
    if isinstance(value, dict):
        return _control(_MAP, len(value)) + b"".join(_encoded(name) + _encoded(entry) for name, entry in value.items())
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(_encoded(entry) for entry in value)
    kind, number = value
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _control(kind, len(octets)) + octets


def _control(kind: int, size: int) -> bytes:
    """The control byte, the byte of an extended type, and a size of up to 284."""
    small, rest = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind <= _EXTENDED:
        return bytes([kind << 5 | small]) + rest
    return bytes([small, kind - 7]) + rest
