"""NAT as doctor sees it: no test can put a router between two machines. All else: tests/e2e/test_doctor.py."""

from __future__ import annotations

import pytest

from ctserver.doctor.phones import Media, nat

OFF = {"rtp_symmetric": "false", "force_rport": "true", "rewrite_contact": "false"}


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (Media("203.0.114.7", "192.168.1.20", "203.0.115.1", OFF), ["set rtp_symmetric = yes, rewrite_contact = yes"]),
        (Media("203.0.114.7", "192.168.1.20", "203.0.115.1", {}), ["its router drops the sound"]),
        (Media("203.0.114.7", "203.0.114.7", "10.0.0.5", OFF), ["set external_media_address"]),
        (Media("203.0.114.7", "203.0.114.7", "203.0.115.1", OFF), []),
        (Media("192.168.1.20", "192.168.1.20", "192.168.1.2", OFF), []),
        (Media("127.0.0.1", "127.0.0.1", "127.0.0.1", OFF), []),
        (Media("", "", "", {}), []),
    ],
)
def test_addresses_that_cannot_be_reached_from_outside_are_told(media: Media, words: list[str]) -> None:
    told = list(nat(media))
    assert len(told) == len(words)
    assert all(word in text for word, text in zip(words, told, strict=True))
