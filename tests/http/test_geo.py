"""Places from a real MMDB file, the visitor's address behind proxies, and how much of it is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from ctserver.http.geo import NOWHERE, Geo, IpMode, Place, client_ip, truncate_ip
from tests.http import mmdb

MOSCOW = {
    "country": {"iso_code": "RU", "names": {"en": "Russia", "ru": "Россия"}},
    "subdivisions": [{"iso_code": "MOW", "names": {"en": "Moscow Oblast"}}],
    "city": {"names": {"en": "Moscow", "ru": "Москва"}},
}
NETWORKS = {
    "5.8.0.0/16": MOSCOW,
    "5.8.9.0/24": {"country": {"iso_code": "RU", "names": {"en": "Russia"}}},
    "2a02:6b8::/32": MOSCOW,
    "8.8.8.0/24": {"country": "US", "country_name": "United States", "region": "California", "city": "Mountain View"},
    "9.9.9.0/24": {"country_code": "CH"},
    "11.0.0.0/8": {"registered_country": {"iso_code": "US", "names": {"en": "United States"}}},
    "12.0.0.0/8": {"country": {"iso_code": "KZ", "names": {"ru": "Казахстан"}}, "subdivisions": []},
    "13.0.0.0/8": ["not", "a", "map"],
    "192.168.0.0/16": MOSCOW,
}


@pytest.fixture
def geo(tmp_path: Path) -> Iterator[Geo]:
    opened = Geo(mmdb.write(tmp_path / "city.mmdb", NETWORKS))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("5.8.1.2", Place("Russia", "Moscow Oblast", "Moscow", "RU-MOW")),
        ("::ffff:5.8.1.2", Place("Russia", "Moscow Oblast", "Moscow", "RU-MOW")),
        ("2a02:6b8::2:242", Place("Russia", "Moscow Oblast", "Moscow", "RU-MOW")),
        ("5.8.9.1", Place("Russia", "", "", "RU")),
        ("8.8.8.8", Place("United States", "California", "Mountain View", "US")),
        ("9.9.9.9", Place("CH", "", "", "CH")),
        ("11.1.1.1", Place("United States", "", "", "US")),
        ("12.1.1.1", Place("KZ", "", "", "KZ")),
        ("13.1.1.1", NOWHERE),
        ("1.1.1.1", NOWHERE),
        ("192.168.1.1", NOWHERE),
        ("127.0.0.1", NOWHERE),
        ("::1", NOWHERE),
        ("no address", NOWHERE),
        ("", NOWHERE),
    ],
)
def test_an_address_has_a_place(geo: Geo, ip: str, place: Place) -> None:
    assert geo.place(ip) == place
    assert geo.place(ip) == place
    assert geo.problem() is None


def test_without_a_file_nothing_is_known_and_nothing_is_wrong() -> None:
    geo = Geo(None)
    assert geo.place("5.8.1.2") == NOWHERE
    assert geo.problem() is None
    geo.close()


def test_a_missing_file_is_told_and_serving_goes_on(tmp_path: Path) -> None:
    geo = Geo(tmp_path / "none.mmdb")
    assert geo.place("5.8.1.2") == NOWHERE
    assert "no such file" in (geo.problem() or "")


@pytest.mark.parametrize(
    "content", [b"", b"no database", b"\xab\xcd\xefMaxMind.com", b"x" * 5000 + b"\xab\xcd\xefMaxMind.com\xe1"]
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.mmdb").write_bytes(content)
    geo = Geo(tmp_path / "bad.mmdb")
    assert geo.place("5.8.1.2") == NOWHERE
    assert geo.problem()


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    assert Geo(tmp_path).problem()


@given(st.data())
def test_a_damaged_file_never_raises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = mmdb.write(tmp_path_factory.getbasetemp() / "damaged.mmdb", NETWORKS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    geo = Geo(path)
    for ip in ("5.8.1.2", "2a02:6b8::1", "8.8.8.8", "13.1.1.1"):
        assert isinstance(geo.place(ip), Place)
    geo.close()


def test_a_file_cut_while_it_is_read_never_raises(tmp_path: Path) -> None:
    path = mmdb.write(tmp_path / "city.mmdb", NETWORKS)
    geo = Geo(path)
    path.write_bytes(b"")
    assert geo.place("5.8.1.2") == NOWHERE
    assert "damaged" in (geo.problem() or "")
    geo.close()


@pytest.mark.parametrize(
    ("ip", "mode", "kept"),
    [
        ("203.0.113.77", "truncate", "203.0.113.0"),
        ("2a02:6b8:1:2:3:4:5:6", "truncate", "2a02:6b8:1::"),
        ("::ffff:203.0.113.77", "truncate", "203.0.113.0"),
        ("203.0.113.77", "keep", "203.0.113.77"),
        ("2A02:6B8::1", "keep", "2a02:6b8::1"),
        ("203.0.113.77", "drop", ""),
        ("nonsense", "keep", ""),
        ("", "truncate", ""),
    ],
)
def test_only_so_much_of_an_address_is_kept(ip: str, mode: IpMode, kept: str) -> None:
    assert truncate_ip(ip, mode) == kept


@given(st.ip_addresses())
def test_a_truncated_address_stays_as_it_is(address: object) -> None:
    once = truncate_ip(str(address), "truncate")
    assert truncate_ip(once, "truncate") == once


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        (["5.8.1.2"], "5.8.1.2"),
        (["1.2.3.4, 5.8.1.2"], "5.8.1.2"),  # the left one is a claim
        (["1.2.3.4", "5.8.1.2"], "5.8.1.2"),  # two headers are one list
        (["1.2.3.4, 5.8.1.2, 10.0.0.5, 172.17.0.1"], "5.8.1.2"),  # our own proxies are passed over
        (["10.0.0.9"], "10.0.0.9"),  # a visitor of the intranet
        (["5.8.1.2:4711"], "5.8.1.2"),
        (["[2a02:6b8::1]:4711"], "2a02:6b8::1"),
        (["2a02:6b8::1"], "2a02:6b8::1"),
        (["5.8.1.2, unknown"], "10.0.0.1"),
        (["5.8.1.2, unknown, 10.0.0.5"], "10.0.0.5"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_behind_a_trusted_proxy_the_address_is_read_from_the_right(forwarded: list[str], ip: str) -> None:
    assert client_ip(_request(forwarded), trust_proxy=True) == ip


def test_without_a_trusted_proxy_the_header_is_not_read() -> None:
    assert client_ip(_request(["5.8.1.2"]), trust_proxy=False) == "10.0.0.1"


@given(st.lists(st.from_regex(r"[0-9a-f.:\[\], %]{0,30}", fullmatch=True), max_size=3))
def test_any_header_gives_an_address_or_nothing(forwarded: list[str]) -> None:
    found = client_ip(_request(forwarded), trust_proxy=True)
    assert found == truncate_ip(found, "keep")


def _request(forwarded: list[str]):  # type: ignore[no-untyped-def]
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    return make_mocked_request("POST", "/v1/visit", headers=headers).clone(remote="10.0.0.1")
