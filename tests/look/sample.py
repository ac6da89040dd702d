"""What the pictures of the pages are made from: a plausible Saturday of a bicycle shop.

The filters only have to look like the server's. Numbers come from the ranges that Ofcom keeps for drama.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ctserver.domain.call import Call, Leg, Step
from ctserver.domain.times import times
from ctserver.http.dashboard import timeline
from ctserver.http.dashboard.filters import COLUMNS, USUAL
from ctserver.http.dashboard.period import PERIODS

NOW = int(datetime(2026, 11, 21, 14, 32, 10, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SECONDS = 96

SOURCES = [
    ("google / cpc", 0, "spring-tune-up"),
    ("google / organic", 2, ""),
    ("facebook / paid social", 3, "Folding bikes, London, women 25-44, lookalike of buyers 2026, autumn"),
    ("(direct)", None, ""),
    ("yandex / cpc", 1, "прокат-велосипедов"),
    ("bing / organic", 4, ""),
    ("newsletter / email", 7, "november"),
    ("Leaflet, Camden", 5, ""),
    ("maps / local", 6, ""),
]
NAMES = [
    "",
    "",
    "ALICE MARTIN",
    "Пётр Вавилов",
    "",
    "Константинопольская Александра Иннокентьевна",
    "O'Brien & Sons",
    "<b>Bob</b>",
]
MISSES = ["no_answer", "abandoned", "abandoned_early", "busy", "unreachable", "rejected", "congestion", "failed"]


def call_row(index: int, rng: random.Random, **own: Any) -> dict[str, Any]:
    label, colour, campaign = SOURCES[rng.randrange(len(SOURCES))]
    answered = rng.random() < 0.78
    talk = rng.randrange(14, 900) if answered else 0
    row = {
        "id": f"01JD{index:06d}",
        "arrived_at": NOW - index * index * 40_000 - index * 95_000 - 20_000,
        "caller": f"+447700900{rng.randrange(1000):03d}" if rng.random() > 0.06 else "",
        "caller_name": rng.choice(NAMES),
        "did": f"+44207946{rng.randrange(100, 112):04d}",
        "site_name": rng.choice(["Lighthouse Bicycles", "Lighthouse Hire"]),
        "line_name": rng.choice(["Front desk", "Workshop", "Sales queue"]),
        "state": "ended",
        "outcome": "answered" if answered else "missed",
        "reason": ("broken" if rng.random() < 0.05 else "completed") if answered else rng.choice(MISSES),
        "ring_seconds": rng.randrange(2, 40),
        "talk_seconds": talk,
        "source_label": label,
        "source_colour": colour,
        "campaign": campaign,
        "attribution_kind": rng.choice(["exact", "exact", "static", "tapped", "likely", "ambiguous"]),
        "confidence": rng.choice([0.99, 0.97, 0.92, 0.64, 0.41]),
        "has_recording": talk > 0,
    }
    if not row["caller"]:
        row["caller_name"] = ""
    return row | own


def call_rows(count: int = 50) -> list[dict[str, Any]]:
    rng = random.Random(7)
    rows = [call_row(i, rng) for i in range(count)]
    live = {"outcome": None, "reason": "", "has_recording": False, "talk_seconds": 0}
    rows[0] |= live | {"state": "ringing", "ring_seconds": 8, "caller": "+447700900123", "caller_name": "Пётр Вавилов"}
    rows[1] |= live | {"state": "talking", "talk_seconds": 74, "ring_seconds": 6}
    rows[3] |= {
        "outcome": "missed",
        "reason": "abandoned",
        "talk_seconds": 0,
        "has_recording": False,
        "confidence": 0.41,
    }
    return rows


def frame(page: str, **own: Any) -> dict[str, Any]:
    return {
        "user": {"login": "alice", "may": lambda right: True},
        "csrf": "preview",
        "page": page,
        "health": {"ok": True, "problems": []},
        "version": "0.1.0",
        "flash": None,
        "now": NOW,
    } | own


def calls_page(**own: Any) -> dict[str, Any]:
    page = {
        "calls": call_rows(),
        "texts": {},
        "chips": [],
        "periods": PERIODS,
        "options": {name: {} for name in ("channel", "line", "caller", "target", "category")},
        "all_columns": COLUMNS,
        "columns": USUAL,
        "views": [],
        "may_export": True,
        "query": "",
        "more": {},
        "looked_to": None,
        "filtered": False,
        "live": True,
        "sites": [{"id": "shop", "name": "Lighthouse Bicycles"}, {"id": "hire", "name": "Lighthouse Hire"}],
        "older": "/calls?before=01JD000049",
        "today": {
            "calls": 38,
            "missed": 7,
            "answered": 31,
            "last_week_calls": 32,
            "summary": "38 calls, 6 more than last Saturday",
        },
    }
    return frame("calls", **(page | own))


def one_call(**own: Any) -> dict[str, Any]:
    start = NOW - 27 * MINUTE
    row = call_row(4, random.Random(3)) | {
        "arrived_at": start,
        "ringing_at": start + 300,
        "answered_at": start + 12_000,
        "ended_at": start + 108_000,
        "caller": "+447700900123",
        "caller_name": "Пётр Вавилов",
        "did": "+442079460104",
        "line_name": "Front desk",
        "site_name": "Lighthouse Bicycles",
        "outcome": "answered",
        "reason": "completed",
        "ring_seconds": 12,
        "talk_seconds": 96,
        "source_label": "google / cpc",
        "source_colour": 0,
        "campaign": "spring-tune-up",
        "confidence": 0.98,
        "attribution_kind": "exact",
        "has_recording": True,
        "hangup_cause": 16,
        "hangup_text": "Normal clearing",
        "answered_by": "Olivia (PJSIP/desk-2)",
        "linkedid": "1795271403.118",
        "pbx": "main",
        "dial": "PJSIP/desk-1&PJSIP/desk-2",
    }
    before = start - 9 * MINUTE
    visits = [
        (0, "/?utm_source=google&utm_medium=cpc&utm_campaign=spring-tune-up", "/", "Bicycle repair and hire in London"),
        (70, "/repairs", "/repairs", "Repairs: what we mend and what it costs"),
        (185, "/repairs/gears-and-brakes", "/repairs/gears-and-brakes", "Gears and brakes"),
        (420, "/find-us", "/find-us", "Find us"),
    ]
    page = {
        "call": row,
        **way(talked(start)),
        "attribution": {
            "kind": "exact",
            "kind_label": "one holder of the number",
            "confidence": 0.98,
            "why": "Only this visitor was being shown +44 20 7946 0104 when it rang, and tapped it 11 seconds before.",
            "source_label": "google / cpc",
            "medium": "cpc",
            "source": "google",
            "campaign": "spring-tune-up",
            "term": "bike repair near me same day",
            "content": "ad-3, headline B",
            "click_ids": [
                ("gclid", "EAIaIQobChMI8Y2Nq7bXiQMVk5VQBh0ExampleOnlyNotARealClickId"),
                ("gbraid", "0AAAAAo4Exa"),
            ],
        },
        "session": {
            "landing_url": "https://lighthouse.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring-tune-up&gclid=EAIaIQobChMI",
            "referrer": "https://www.google.com/",
            "started_at": before,
            "device": "phone",
            "region": "London",
            "visits": [{"at": before + s * 1000, "url": u, "path": p, "title": t} for s, u, p, t in visits],
            "signals": [
                {"at": before + 1500, "kind": "seen", "text": "Saw the number"},
                {"at": start - 11_000, "kind": "tapped", "text": "Tapped the number"},
            ],
        },
        "earlier": [call_row(i, random.Random(i), caller="+447700900123") for i in (11, 24, 60)],
        "recording": {"url": "/preview.wav", "peaks_url": "/preview.peaks", "seconds": SECONDS, "state": "ready"},
        "previous_url": "/calls/01JD000003",
        "next_url": "/calls/01JD000005",
    }
    return frame("calls", **(page | own))


def talked(start: int) -> Call:
    """A queue rings two people; the one who answers asks a third and puts the caller through."""
    legs = (
        Leg("o1", "PJSIP/desk-1-01", start + 9_000, start + 9_300, None, start + 24_000, "NOANSWER", 0, "Olivia"),
        Leg("m1", "PJSIP/desk-2-02", start + 9_000, start + 9_300, None, start + 24_000, "NOANSWER", 0, "Marc"),
        Leg(
            "o2",
            "PJSIP/desk-1-03",
            start + 28_000,
            start + 28_300,
            start + 33_000,
            start + 71_000,
            "ANSWER",
            16,
            "Olivia",
        ),
        Leg("m2", "PJSIP/desk-2-04", start + 28_000, start + 28_300, None, start + 33_000, "CANCEL", 26, "Marc"),
        Leg(
            "w1",
            "PJSIP/workshop-05",
            start + 71_000,
            start + 71_000,
            start + 71_000,
            start + 141_000,
            "ANSWER",
            16,
            "Workshop",
        ),
    )
    steps = (
        Step(start + 300, "greeting"),
        Step(start + 3_000, "menu"),
        Step(start + 9_000, "queued", "sales"),
        Step(start + 52_000, "hold", "", "o2"),
        Step(start + 71_000, "unhold", "", "o2"),
        Step(start + 71_000, "attended", "PJSIP/workshop-05", "o2"),
    )
    made = Call("c", "pbx", "1", "1", "PJSIP/t", "", "", "", start, legs=legs, steps=steps, queue="sales", keys="1")
    return replace(
        made,
        answered_at=start + 33_000,
        ended_at=start + 141_000,
        outcome="answered",
        reason="completed",
        hung_up_by="caller",
    )


def given_up(start: int) -> Call:
    legs = (Leg("o1", "PJSIP/desk-1-01", start, start + 300, None, start + 31_000, "CANCEL", None, "Olivia"),)
    made = Call(
        "c", "pbx", "1", "1", "PJSIP/t", "", "", "", start, ringing_at=start + 300, ended_at=start + 31_000, legs=legs
    )
    return replace(made, outcome="missed", reason="abandoned", hung_up_by="caller")


def way(call: Call) -> dict[str, Any]:
    now = call.arrived_at + 120_000
    moments, bars = timeline.moments(call, "Front desk"), timeline.bars(call, now)
    return {"timeline": moments, "bars": bars, "took": times(call, now), "queue": call.queue, "keys": call.keys}


def call_now() -> dict[str, Any]:
    page = one_call(flash={"kind": "ok", "text": "Test call placed."})
    page["call"] |= {"state": "talking", "outcome": None, "ended_at": None, "talk_seconds": 41, "has_recording": False}
    page |= way(replace(talked(page["call"]["arrived_at"]), ended_at=None))
    page["recording"] = {"url": "", "peaks_url": "", "seconds": 0, "state": "recording"}
    return page


def missed_call() -> dict[str, Any]:
    page = one_call()
    start = page["call"]["arrived_at"]
    page["call"] |= {
        "caller": "",
        "caller_name": "",
        "outcome": "missed",
        "reason": "abandoned",
        "talk_seconds": 0,
        "ring_seconds": 31,
        "answered_at": None,
        "answered_by": "",
        "has_recording": False,
        "source_label": "",
        "source_colour": None,
        "campaign": "",
        "hangup_cause": 16,
        "confidence": 0.0,
        "attribution_kind": "none",
    }
    page |= way(given_up(start))
    page["attribution"] = {
        "kind": "none",
        "kind_label": "nobody",
        "confidence": 0.0,
        "why": "",
        "source_label": "",
        "medium": "",
        "source": "",
        "campaign": "",
        "term": "",
        "content": "",
        "click_ids": [],
    }
    return page | {"session": None, "earlier": [], "recording": None, "next_url": None}


def numbers_page(**own: Any) -> dict[str, Any]:
    rng = random.Random(5)
    states = ["shown", "calling", "shown", "free", "shown", "free", "free", "shown", "free", "free", "free", "free"]
    numbers = []
    for index, state in enumerate(states):
        label, colour, _ = SOURCES[index % len(SOURCES)]
        holder = {
            "session_id": f"s{index}",
            "source_label": label,
            "source_colour": colour,
            "since": NOW - index * 4 * MINUTE - 30_000,
            "until": NOW + 20 * MINUTE,
            "last_seen_at": NOW - MINUTE,
            "landing_path": rng.choice(
                ["/", "/repairs", "/hire/long-page-name-about-hiring-a-tandem-for-the-whole-weekend"]
            ),
        }
        numbers.append(
            {
                "number": f"+442079460{100 + index}",
                "state": state,
                "holder": None if state == "free" else holder,
                "shown_at": None if index == 11 else NOW - index * HOUR,
                "calls_today": rng.randrange(7),
            }
        )
    pools = [
        {
            "id": "main",
            "site_name": "Lighthouse Bicycles",
            "hold_minutes": 30,
            "numbers": numbers,
            "free": 7,
            "shown": 4,
        },
        {
            "id": "hire",
            "site_name": "Lighthouse Hire",
            "hold_minutes": 15,
            "free": 0,
            "shown": 2,
            "numbers": [dict(n, number=f"+44207946020{i}") for i, n in enumerate((numbers[0], numbers[2]))],
        },
    ]
    statics = [
        {
            "number": "+442079460301",
            "source_label": "Leaflet, Camden",
            "source_colour": 5,
            "site_name": "Lighthouse Bicycles",
            "calls_today": 2,
            "last_call_at": NOW - 3 * HOUR,
        },
        {
            "number": "+442079460302",
            "source_label": "maps / local",
            "source_colour": 6,
            "site_name": "Lighthouse Bicycles",
            "calls_today": 0,
            "last_call_at": None,
        },
    ]
    return frame("numbers", **({"pools": pools, "statics": statics} | own))


NO_TODAY = {"calls": 0, "missed": 0, "answered": 0, "last_week_calls": 0, "summary": "No calls yet today"}
SICK = {"ok": False, "problems": ["no answer from Asterisk (AMI 127.0.0.1:5138) since 14:21", "disk 97 % full"]}
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "login": ("login.html", frame("login", user=None, error="", next="/calls")),
    "login-wrong": (
        "login.html",
        frame(
            "login",
            user=None,
            next="",
            error="Login or password is wrong. After five tries there is a pause of a minute.",
        ),
    ),
    "calls": ("calls.html", calls_page()),
    "calls-filtered": (
        "calls.html",
        calls_page(
            calls=[r for r in call_rows() if r["outcome"] == "missed"],
            older=None,
            texts={"outcome": "missed", "q": "google"},
            chips=[{"text": "Missed", "query": "q=google"}, {"text": "“google”", "query": "outcome=missed"}],
            filtered=True,
            health=SICK,
        ),
    ),
    "calls-none": ("calls.html", calls_page(calls=[], older=None, today=NO_TODAY, sites=[])),
    "calls-no-match": (
        "calls.html",
        calls_page(
            calls=[], older=None, texts={"q": "Zürich"}, chips=[{"text": "“Zürich”", "query": ""}], filtered=True
        ),
    ),
    "call": ("call.html", one_call()),
    "call-missed": ("call.html", missed_call()),
    "call-now": ("call.html", call_now()),
    "numbers": ("numbers.html", numbers_page(flash={"kind": "ok", "text": "A test call is ringing +44 20 7946 0103."})),
    "numbers-none": ("numbers.html", numbers_page(pools=[], statics=[])),
    "error": (
        "error.html",
        frame(
            "",
            status=503,
            title="The database cannot be written",
            text="The disk is full. Calls go on: Asterisk routes and records them; the journal gets them later.",
            todo="Free some space on /var and reload this page.",
        ),
    ),
    "demo": (
        "demo.html",
        {
            "number": "+44 20 7946 0100",
            "number_e164": "+442079460100",
            "script_url": "/static/demo.js",
            "dashboard_url": "/calls",
            "links": [
                {"label": "Google ad", "url": "/demo?utm_source=google&utm_medium=cpc"},
                {"label": "Facebook ad", "url": "/demo?utm_source=facebook"},
                {"label": "Newsletter", "url": "/demo?utm_source=newsletter"},
                {"label": "Nothing (direct)", "url": "/demo"},
            ],
        },
    ),
}


def voices() -> tuple[list[float], list[float]]:
    """Loudness of the two parties in 20 steps a second: turns of speech with breaths, and a silence in the middle."""
    rng = random.Random(11)
    tracks: tuple[list[float], list[float]] = ([0.0] * SECONDS * 20, [0.0] * SECONDS * 20)
    step, who = 6, 1
    while step < SECONDS * 20:
        turn = rng.randrange(24, 150)
        for i in range(step, min(step + turn, SECONDS * 20)):
            word = max(0.0, math.sin(i / 2.3 + rng.random()) * 0.6 + 0.4) * (0.35 + 0.65 * rng.random())
            tracks[who][i] = word if math.sin(i / 9) > -0.85 else 0.02
        step += turn + (120 if 700 < step < 840 else rng.randrange(4, 16))
        who = 1 - who
    return tracks
