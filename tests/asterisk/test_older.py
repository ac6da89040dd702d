"""Streams of Asterisk 1.4, 11 and 13 with chan_sip, as JSON lists: the names are theirs, the calls are made up. older/chan_sip.json is
such a list as a whole: a ring group, a busy phone meanwhile, an internal call, a queue, a blind transfer, and all that an AMI user
without filters is told besides."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ctserver.asterisk import replay
from ctserver.domain.call import Call

TRUNK, ALICE, CONSULT, BOB = "1529936170.1", "1529936170.2", "1529936180.3", "1529936180.4"
NAMES = {TRUNK: "SIP/trunk-00000001", ALICE: "SIP/101-00000002", CONSULT: "SIP/101-00000003", BOB: "SIP/102-00000004"}


FILE = Path(__file__).parent / "older" / "chan_sip.json"


def new(uniqueid: str, state: str = "Down", **own: str) -> dict[str, Any]:
    numbers = {"Down": "0", "Ring": "4", "Ringing": "5", "Up": "6"}
    message = {"Event": "Newchannel", "Channel": NAMES[uniqueid], "Uniqueid": uniqueid, "ChannelState": numbers[state]}
    return message | {"ChannelStateDesc": state, "CallerIDNum": "", "CallerIDName": "", "content": ""} | own


def state(uniqueid: str, name: str) -> dict[str, Any]:
    return new(uniqueid, name) | {"Event": "Newstate"}


def bye(uniqueid: str, cause: str = "16", channel: str = "") -> dict[str, Any]:
    return {"Event": "Hangup", "Uniqueid": uniqueid, "Channel": channel or NAMES[uniqueid], "Cause": cause}


def dial(by: str, to: str) -> dict[str, Any]:
    return {
        "Event": "Dial", "SubEvent": "Begin", "Channel": NAMES[by], "Destination": NAMES[to],
        "UniqueID": by, "DestUniqueID": to, "Dialstring": "101",
    }  # fmt: skip


def dialled(by: str, status: str) -> dict[str, Any]:
    return {"Event": "Dial", "SubEvent": "End", "Channel": NAMES[by], "UniqueID": by, "DialStatus": status}


def bridge(one: str, two: str, word: str = "Link") -> dict[str, Any]:
    return {
        "Event": "Bridge", "Bridgestate": word, "Bridgetype": "core", "Channel1": NAMES[one], "Channel2": NAMES[two],
        "Uniqueid1": one, "Uniqueid2": two, "CallerID1": "07700900123", "CallerID2": "101",
    }  # fmt: skip


def rename(uniqueid: str, was: str, now: str) -> dict[str, Any]:
    return {"Event": "Rename", "Channel": was, "Newname": now, "Uniqueid": uniqueid}


ARRIVAL = [
    new(TRUNK, Context="ct-inbound", Exten="02079460101", CallerIDNum="07700900123"),
    state(TRUNK, "Ring"),
]
TALK = [
    *ARRIVAL,
    new(ALICE, Context="from-internal", Exten=""),
    dial(TRUNK, ALICE),
    state(ALICE, "Ringing"),
    state(ALICE, "Up"),
    state(TRUNK, "Up"),
    bridge(TRUNK, ALICE),
]


def only(messages: list[dict[str, Any]], context: str = "ct-inbound") -> Call:
    (call,) = replay.calls(replay.read(json.dumps(messages).encode()), [context])
    return call


def told(call: Call) -> tuple[str, str, str, str]:
    return call.outcome, call.reason, call.caller, call.answered_by


def test_asterisk_11_answered() -> None:
    end = [bridge(TRUNK, ALICE, "Unlink"), bye(ALICE), dialled(TRUNK, "ANSWER"), bye(TRUNK)]
    call = only([*TALK, *end])
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert call.did == "02079460101"


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        ("NOANSWER", "0", "no_answer"),
        ("BUSY", "17", "busy"),
        ("CHANUNAVAIL", "20", "unreachable"),
        ("CANCEL", "0", "abandoned"),
    ],
)
def test_asterisk_11_missed(status: str, cause: str, reason: str) -> None:
    ring = [new(ALICE, Context="from-internal", Exten=""), dial(TRUNK, ALICE), state(ALICE, "Ringing")]
    call = only([*ARRIVAL, *ring, bye(ALICE, cause), dialled(TRUNK, status), bye(TRUNK, cause)])
    assert told(call)[:2] == ("missed", reason)


def test_a_phone_that_is_called_is_no_caller() -> None:
    """chan_sip's own phones begin in the same context, as Down too; only they are never in the state Ring."""
    phone = new(ALICE, Context="ct-inbound", Exten="101")
    call = only(
        [*ARRIVAL, phone, dial(TRUNK, ALICE), state(ALICE, "Ringing"), state(ALICE, "Up"), bye(ALICE), bye(TRUNK)]
    )
    assert told(call)[:2] == ("answered", "completed")


def test_asterisk_1_4_has_no_context_before_the_dialplan_and_links_channels() -> None:
    messages = [
        {"Event": "Newchannel", "Channel": NAMES[TRUNK], "State": "Ring", "CallerIDNum": "<unknown>", "Uniqueid": TRUNK},
        {"Event": "Newcallerid", "Channel": NAMES[TRUNK], "CallerID": "07700900123", "Uniqueid": TRUNK},
        {"Event": "Newexten", "Context": "from-trunk", "Extension": "02079460101", "Priority": "1", "Uniqueid": TRUNK,
         "Channel": NAMES[TRUNK], "Application": "Dial", "AppData": "SIP/101"},
        {"Event": "Newchannel", "Channel": NAMES[ALICE], "State": "Down", "Uniqueid": ALICE},
        {"Event": "Dial", "Source": NAMES[TRUNK], "Destination": NAMES[ALICE], "SrcUniqueID": TRUNK, "DestUniqueID": ALICE},
        {"Event": "Newstate", "Channel": NAMES[ALICE], "State": "Ringing", "Uniqueid": ALICE},
        {"Event": "Link", "Channel1": NAMES[TRUNK], "Channel2": NAMES[ALICE], "Uniqueid1": TRUNK, "Uniqueid2": ALICE},
        {"Event": "Unlink", "Channel1": NAMES[TRUNK], "Channel2": NAMES[ALICE], "Uniqueid1": TRUNK, "Uniqueid2": ALICE},
        bye(ALICE), bye(TRUNK),
    ]  # fmt: skip
    call = only(messages, "from-trunk")
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert (call.did, call.channel) == ("02079460101", NAMES[TRUNK])


def test_asterisk_11_queue() -> None:
    queue = {"Queue": "sales", "Uniqueid": TRUNK, "Channel": NAMES[TRUNK]}
    connect = {
        "Event": "AgentConnect",
        "Queue": "sales",
        "Uniqueid": TRUNK,
        "Channel": NAMES[ALICE],
        "Member": "SIP/101",
    }
    messages = [
        *ARRIVAL, state(TRUNK, "Up"), {"Event": "Join", "Position": "1", "Count": "1", **queue},
        new(ALICE, Context="from-internal", Exten=""), state(ALICE, "Ringing"), state(ALICE, "Up"),
        connect | {"MemberName": "Alice", "Holdtime": "5", "BridgedChannel": ALICE, "Ringtime": "4"},
        bridge(TRUNK, ALICE), {"Event": "Leave", **queue}, bye(ALICE), bye(TRUNK),
    ]  # fmt: skip
    call = only(messages)
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert (call.queue, call.legs[0].name) == ("sales", "Alice")


def test_asterisk_11_local_channels_lead_to_the_phones_behind_them() -> None:
    half, other = "Local/101@from-internal-0001;1", "Local/101@from-internal-0001;2"
    around = dial(TRUNK, CONSULT) | {"Destination": half}
    inside = dial(BOB, ALICE) | {"Channel": other, "UniqueID": "1529936170.9"}
    messages = [
        *ARRIVAL, around, new(ALICE, Context="from-internal", Exten=""), inside, state(ALICE, "Ringing"),
        state(ALICE, "Up"), state(CONSULT, "Up"), bye(ALICE), bye(CONSULT, channel=half), bye(TRUNK),
    ]  # fmt: skip
    call = only(messages)
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert [leg.channel for leg in call.legs] == [half, NAMES[ALICE]]


def test_asterisk_11_queue_that_answers_is_nobody() -> None:
    queue = {"Event": "Join", "Queue": "sales", "Uniqueid": TRUNK, "Channel": NAMES[TRUNK]}
    asked = {"Event": "HangupRequest", "Uniqueid": TRUNK, "Channel": NAMES[TRUNK]}
    assert told(only([*ARRIVAL, state(TRUNK, "Up"), queue, asked, bye(TRUNK)]))[:2] == ("missed", "abandoned")


def test_asterisk_11_blind_transfer_gives_the_caller_another_channel() -> None:
    transfer = {"Event": "Transfer", "TransferMethod": "SIP", "TransferType": "Blind", "Channel": NAMES[ALICE],
                "Uniqueid": ALICE, "TargetChannel": NAMES[TRUNK], "TransferExten": "102"}  # fmt: skip
    messages = [
        *TALK, transfer,
        rename(TRUNK, NAMES[TRUNK], f"{NAMES[TRUNK]}<MASQ>"),
        rename(CONSULT, f"AsyncGoto/{NAMES[TRUNK]}", NAMES[TRUNK]),
        rename(TRUNK, f"{NAMES[TRUNK]}<MASQ>", f"AsyncGoto/{NAMES[TRUNK]}<ZOMBIE>"),
        bye(TRUNK, channel=f"AsyncGoto/{NAMES[TRUNK]}<ZOMBIE>"), bye(ALICE),
        new(BOB, Context="from-internal", Exten=""), dial(CONSULT, BOB), state(BOB, "Ringing"), state(BOB, "Up"),
        bridge(CONSULT, BOB), bye(BOB), bye(CONSULT, channel=NAMES[TRUNK]),
    ]  # fmt: skip
    call = only(messages)
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert [leg.channel for leg in call.legs if leg.answered_at] == [NAMES[ALICE], NAMES[BOB]]
    assert [(step.kind, step.detail) for step in call.steps] == [("transfer", "102")]


def test_asterisk_11_attended_transfer_puts_the_caller_in_the_consulting_channel() -> None:
    messages = [
        *TALK, {"Event": "Hold", "Status": "On", "Uniqueid": ALICE, "Channel": NAMES[ALICE]},
        new(CONSULT, Context="from-internal", Exten="102"), state(CONSULT, "Ring"),
        new(BOB, Context="from-internal", Exten=""), dial(CONSULT, BOB), state(BOB, "Ringing"), state(BOB, "Up"),
        bridge(CONSULT, BOB),
        rename(TRUNK, NAMES[TRUNK], f"{NAMES[TRUNK]}<MASQ>"), rename(CONSULT, NAMES[CONSULT], NAMES[TRUNK]),
        rename(TRUNK, f"{NAMES[TRUNK]}<MASQ>", f"{NAMES[CONSULT]}<ZOMBIE>"),
        bye(TRUNK, channel=f"{NAMES[CONSULT]}<ZOMBIE>"), bye(ALICE),
        bridge(CONSULT, BOB), bye(BOB), bye(CONSULT, channel=NAMES[TRUNK]),
    ]  # fmt: skip
    call = only(messages)
    assert told(call)[:2] == ("answered", "completed")
    assert [leg.channel for leg in call.legs if leg.answered_at] == [NAMES[ALICE], NAMES[BOB]]


def test_asterisk_13_with_chan_sip_tells_a_caller_by_its_state() -> None:
    linked = {"Linkedid": TRUNK, "Context": "from-trunk"}
    ends = {"DestUniqueid": ALICE, "DestLinkedid": TRUNK, "DestChannel": NAMES[ALICE], "Uniqueid": TRUNK, **linked}
    messages = [
        new(TRUNK, Exten="02079460101", CallerIDNum="07700900123", **linked), state(TRUNK, "Ring") | linked,
        new(ALICE, Exten="s", **linked), {"Event": "DialBegin", **ends}, state(ALICE, "Ringing") | linked,
        {"Event": "DialEnd", "DialStatus": "ANSWER", **ends}, bye(ALICE) | linked, bye(TRUNK) | linked,
    ]  # fmt: skip
    call = only(messages, "from-trunk")
    assert told(call) == ("answered", "completed", "07700900123", "SIP/101-00000002")
    assert replay.contexts_of(list(replay.read(json.dumps(messages).encode()))) == ["from-trunk"]


def test_half_a_character_in_json_harms_nobody() -> None:
    call = only([new(TRUNK, "Ring", Context="ct-inbound", Exten="02079460101", CallerIDName="\ud800x"), bye(TRUNK)])
    assert call.caller_name == "?x"
    json.dumps(replay.summary(call), ensure_ascii=False).encode()


# ---- a whole file


def test_the_command_tells_the_calls_of_a_file_of_asterisk_11() -> None:
    command = [sys.executable, "-m", "ctserver", "replay", str(FILE), "--json", "--inbound-context", "from-trunk"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    names = ("caller", "did", "outcome", "reason", "answered_by", "hung_up_by")
    assert [tuple(call[name] for name in names) for call in calls] == [
        ("07700900123", "02079460101", "answered", "completed", "SIP/102-0000000d", "caller"),
        ("", "02079460102", "missed", "busy", None, "system"),
        ("447700900155", "02079460103", "missed", "abandoned", None, "caller"),
        ("447700900777", "02079460101", "answered", "completed", "SIP/101-00000015", "company"),
    ]
    assert [len(call["legs"]) for call in calls] == [2, 1, 1, 2]
    assert [step["kind"] for call in calls for step in call["steps"]] == ["queued", "transfer"]
    assert (calls[0]["wait"], calls[0]["talk"]) == (2.0, 8.0)  # as far as seconds in Uniqueids tell


def test_a_file_of_asterisk_11_may_be_met_at_any_message() -> None:
    messages = list(replay.read(FILE.read_bytes()))
    whole = {call.linkedid for call in replay.calls(messages, ["from-trunk"])}
    for start in range(len(messages)):
        met = [call.linkedid for call in replay.calls(messages[start:], ["from-trunk"])]
        assert len(met) == len(set(met)) <= len(whole)
