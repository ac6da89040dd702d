"""The black list: whom it holds, and what of it stands without ctserver."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ctserver import config
from ctserver.config import Settings
from ctserver.services.blocked import BlackList, CannotBlock
from ctserver.services.routing import Router
from ctserver.storage import routes
from ctserver.storage.sqlite import Sqlite

ROUTE = "office|30|yes|no|PJSIP/100&PJSIP/101"


@pytest.fixture
def settings(toml: Path) -> Settings:
    toml.write_text(toml.read_text() + '[callers]\nblocked = ["070*"]\nanonymous = "busy"\nthen = "voicemail"\n')
    return config.load(toml)


async def way(router: Router, caller: str) -> str:
    return (await router.answer("+442079460101", caller)).route.split("|")[1]


async def test_who_is_blocked_is_refused_from_his_next_call_on_and_put_through_again_afterwards(
    db: Sqlite, settings: Settings, now: int
) -> None:
    black_list = BlackList(settings)
    router = Router(settings, black_list=black_list)
    assert await way(router, "07700 900666") == "30"
    assert await black_list.add(db, "07700 900666", "sells lamps", "boss", now) == "+447700900666"
    assert [await way(router, caller) for caller in ("07700900666", "+447700900666", "+447700900667")] == [
        "voicemail", "voicemail", "30",
    ]  # fmt: skip
    assert await black_list.remove(db, "+447700900666")
    assert not await black_list.remove(db, "+447700900666")
    assert await way(router, "07700900666") == "30"


async def test_a_refused_caller_leaves_the_remembered_route_alone(db: Sqlite, settings: Settings, now: int) -> None:
    black_list = BlackList(settings)
    await black_list.add(db, "+447700900666", "", "boss", now)
    router = Router(settings, black_list=black_list)
    assert (await router.answer("+442079460101", "+447700900666")).route == "office|voicemail|no|no|"
    assert (await router.answer("+442079460101", "+447700900111")).route.split("|")[3] == "yes", (
        "the next one is stored"
    )


async def test_the_list_outlives_a_restart(db: Sqlite, settings: Settings, now: int) -> None:
    first = BlackList(settings)
    for why in ("sells lamps", "sells more lamps"):
        await first.add(db, "+44 7700 900666", why, "boss", now)
    again = BlackList(settings)
    assert not again.holds("+447700900666")
    await again.load(db)
    assert again.entries == first.entries
    assert [entry.why for entry in again.entries.values()] == ["sells more lamps"]


@pytest.mark.parametrize(
    ("said", "held", "caller", "other"),
    [
        ("+44 7700 90*", "+44770090*", "+447700900666", "+447700910666"),
        ("0770090*", "+44770090*", "+447700900666", "+447700910666"),
        ("0044 770090*", "+44770090*", "+447700900666", "+447700910666"),
        ("*101#", "*101#", "*101#", "101"),
    ],
)
async def test_numbers_and_beginnings_are_read_as_people_write_them(
    db: Sqlite, settings: Settings, now: int, said: str, held: str, caller: str, other: str
) -> None:
    black_list = BlackList(settings)
    assert await black_list.add(db, said, "", "boss", now) == held
    assert black_list.holds(caller)
    assert not black_list.holds(other)


@pytest.mark.parametrize("text", ["", "anonymous", "+4*", "+44*", "770090*", "*"])
async def test_what_is_no_number_or_everybody_is_refused(db: Sqlite, settings: Settings, now: int, text: str) -> None:
    black_list = BlackList(settings)
    with pytest.raises(CannotBlock):
        await black_list.add(db, text, "", "boss", now)
    assert not black_list.entries


@pytest.mark.parametrize(
    ("caller", "route"),
    [
        ("07700900666", "office|voicemail|no|no|"),
        ("447700900666", "office|voicemail|no|no|"),
        ("07012345678", "office|voicemail|no|no|"),
        ("447012345678", "office|voicemail|no|no|"),
        ("00447012345678", "office|voicemail|no|no|"),
        ("", "office|busy|no|no|"),
        ("07700900111", ROUTE),
        ("0", ROUTE),
    ],
)
async def test_while_ctserver_is_away_the_script_keeps_the_same_callers_out(
    db: Sqlite, settings: Settings, root: Path, tmp_path: Path, now: int, caller: str, route: str
) -> None:
    table = {digits: route.encode(store=False) for digits, route in Router(settings).table().items()}
    await db.write(lambda tx: routes.replace_all(tx, table))
    black_list = BlackList(settings)
    await black_list.load(db)
    await black_list.add(db, "+447700900666", "", "boss", now)
    script = runpy.run_path(str(root / "agi-scripts/ct_route.py"))
    assert script["find"](tmp_path / "ctserver.db", "442079460101", caller) == route


async def test_a_database_without_the_list_still_tells_the_route(
    db: Sqlite, settings: Settings, root: Path, tmp_path: Path
) -> None:
    await db.write(lambda tx: routes.replace_all(tx, {"442079460101": ROUTE}))
    await db.run(lambda connection: connection.execute("DROP TABLE refusals").close())
    script = runpy.run_path(str(root / "agi-scripts/ct_route.py"))
    assert script["find"](tmp_path / "ctserver.db", "442079460101", "07700900666") == ROUTE
