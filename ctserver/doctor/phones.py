"""The phones of the lines, as far as PJSIP tells of them: are they known, are they registered, what do they speak?"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from ctserver.check import Result
from ctserver.config import Settings
from ctserver.doctor.ear import Ear

BEHIND_NAT = ("rtp_symmetric", "force_rport", "rewrite_contact")


async def look(ear: Ear, settings: Settings) -> AsyncIterator[Result]:
    """One result for each endpoint that lines dial by its name; none where PJSIP does not tell."""
    for endpoint in sorted(_endpoints(settings)):
        codecs = await ear.value(f"PJSIP_ENDPOINT({endpoint},allow)")
        if not codecs:
            if await _tells(ear, settings):
                what = f"PJSIP knows no endpoint {endpoint!r}: lines that dial PJSIP/{endpoint} reach nobody"
                yield Result("phones", False, what, "add it to pjsip.conf, or correct `dial` in ctserver.toml")
            continue
        contacts = [await ear.value(f"PJSIP_AOR({aor},contact)") for aor in await _aors(ear, endpoint)]
        if any(contacts):
            yield Result(
                "phones", True, f"PJSIP/{endpoint} is reachable; codecs {codecs.strip('()').replace('|', ', ')}"
            )
        else:
            what = f"PJSIP/{endpoint} has no contact: the phone is not registered, so it does not ring"
            yield Result("phones", False, what, "register the phone (user, password, address), or switch it on")


async def _aors(ear: Ear, endpoint: str) -> list[str]:
    return [aor for aor in (await ear.value(f"PJSIP_ENDPOINT({endpoint},aors)")).split(",") if aor]


async def _tells(ear: Ear, settings: Settings) -> bool:
    """Does PJSIP know any endpoint by name? Else it is not used here, or func_pjsip_endpoint is not loaded."""
    return any([await ear.value(f"PJSIP_ENDPOINT({name},allow)") for name in {*_endpoints(settings), "ct-out"}])


def _endpoints(settings: Settings) -> set[str]:
    """`100` of `PJSIP/100`; not those of trunks (`PJSIP/number@trunk`, `PJSIP/trunk/sip:...`)."""
    dials = [dial for line in settings.lines.values() for text in line.dial for dial in text.split("&")]
    names = [dial.removeprefix("PJSIP/") for dial in dials if dial.startswith("PJSIP/")]
    return {name for name in names if not set(name) & set("@/")}


@dataclass(frozen=True, slots=True)
class Media:
    """Where the sound of a phone goes, as Asterisk sees it. `signalling`: where its SIP comes from; `sound`: where it asked
    for its sound; `ours`: the address that Asterisk uses. `settings`: those of BEHIND_NAT, of its endpoint."""

    signalling: str
    sound: str
    ours: str
    settings: Mapping[str, str]


async def media(ear: Ear, channel: str) -> Media:
    """Of a PJSIP channel."""
    endpoint = await ear.value("CHANNEL(endpoint)", channel)
    signalling, sound, ours = [
        (await ear.value(f"CHANNEL({name})", channel)).rpartition(":")[0].strip("[]")
        for name in ("pjsip,remote_addr", "rtp,dest", "pjsip,local_addr")
    ]
    values = {name: await ear.value(f"PJSIP_ENDPOINT({endpoint},{name})") for name in BEHIND_NAT}
    return Media(signalling, sound, ours, values)


def nat(media: Media) -> Iterator[str]:
    """What is odd about it, in words with what to do."""
    outside = _public(media.signalling)
    if outside and _private(media.sound):
        off = [name for name in BEHIND_NAT if media.settings.get(name) in ("false", "no")]
        fix = (
            f"set {', '.join(f'{name} = yes' for name in off)} for its endpoint"
            if off
            else "its router drops the sound"
        )
        yield f"the phone at {media.signalling} asked for its sound at {media.sound}, an address inside its own network: {fix}"
    if outside and _private(media.ours):
        yield (
            f"Asterisk is at {media.ours}, behind NAT, and the phone outside at {media.signalling}: set external_media_address, "
            "external_signaling_address and local_net of the PJSIP transport, and forward the ports of rtp.conf"
        )


def _public(address: str) -> bool:
    return (found := _ip(address)) is not None and found.is_global


def _private(address: str) -> bool:
    return (
        (found := _ip(address)) is not None and found.is_private and not found.is_loopback and not found.is_unspecified
    )


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
