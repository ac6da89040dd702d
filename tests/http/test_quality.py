"""Score cards, the library, links to a call for those without a login; visitors; the system page."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

from ctserver.domain.call import Arrived
from ctserver.services.attribution import Attributor
from ctserver.services.calls import Journal
from ctserver.storage import recordings

sys.path.insert(0, str(Path(__file__).parent))

from test_pages import make_wave, ring

DAY = 86_400_000


async def act(site: Any, path: str, **fields: str) -> Any:
    return await site.post(path, {"csrf": await site.csrf(), **fields})


async def shared(site: Any) -> tuple[str, str]:
    """A call with a recording, and the path of a link to it."""
    call = await ring(site)
    make_wave(site.recordings / "a.wav")
    await site.db.write(lambda tx: recordings.adopted(tx, call, "a.wav", 1, 1000))
    page = await (await act(site, f"/calls/{call}/share")).text()
    found = re.search(r"/shared/[\w-]+", page)
    assert found
    return call, found[0]


async def test_a_rated_call_leaves_the_queue_and_a_low_rating_makes_another(alice: Any) -> None:
    call = await ring(alice)
    assert f'id="q-{call}"' in await alice.page("/quality?queue=short")
    await act(alice, f"/calls/{call}/scores", **{"c.greeting": "2", "c.need": "3", "c.answer": "9"})
    assert f'id="q-{call}"' not in await alice.page("/quality?queue=short")
    assert f'id="q-{call}"' in await alice.page("/quality?queue=low")
    assert "50 of 100" in await alice.page(f"/calls/{call}")


async def test_the_library_holds_calls_to_learn_from(alice: Any) -> None:
    call = await ring(alice)
    await act(alice, f"/calls/{call}/model", why="<b>calm</b>")
    assert "&lt;b&gt;calm&lt;/b&gt;" in await alice.page("/quality?queue=models")
    await act(alice, f"/calls/{call}/model", remove="1")
    assert f'id="q-{call}"' not in await alice.page("/quality?queue=models")


async def test_calls_are_found_by_words_of_their_notes(alice: Any) -> None:
    call = await ring(alice)
    await act(alice, f"/calls/{call}/marks", note="Перезвонить Ёлкину <b>")
    page = await alice.page("/quality?queue=noted&q=ёлкину+ПЕРЕЗВОНИТЬ")
    assert f'id="q-{call}"' in page
    assert "Перезвонить Ёлкину &lt;b&gt;" in page
    assert f'id="q-{call}"' not in await alice.page("/quality?queue=noted&q=ёлкину+завтра")


async def test_a_queue_shows_fifty_calls_and_leads_to_the_older_ones(alice: Any) -> None:
    call = await ring(alice)
    copies = [f"{call[:-3]}{n:03}" for n in range(70)]

    def copy(tx: Any) -> None:
        (row,) = tx.fetch("SELECT * FROM calls WHERE id = $1", (call,))
        columns = [name for name in dict(row) if name != "person"]  # that one is reckoned
        names = ", ".join(columns)
        places = ", ".join(f"${n + 1}" for n in range(len(columns)))
        for id in copies:
            values = {**{name: row[name] for name in columns}, "id": id, "linkedid": id}
            tx.execute(f"INSERT INTO calls ({names}) VALUES ({places})", tuple(values.values()))
            tx.execute("INSERT INTO call_notes (call, text, login, at) VALUES ($1, $2, '', 0)", (id, "asks for red"))

    await alice.db.write(copy)
    for path in ("/quality?queue=short", "/quality?queue=noted&q=red"):
        first = await alice.page(path)
        found = re.search(r'href="(/quality\?[^"]*before=[^"]*)"', first)
        assert found
        second = await alice.page(html.unescape(found[1]))
        told = [re.findall(r'id="q-(\w+)"', page) for page in (first, second)]
        assert [len(told[0]), "Show older calls" in second] == [50, False]
        assert set(copies) <= {*told[0], *told[1]}
        assert len({*told[0], *told[1]}) == len(told[0]) + len(told[1])


async def test_tags_of_lines_that_somebody_does_not_see_are_not_offered_to_him(alice: Any) -> None:
    office, at = await ring(alice), alice.clock[0]
    journal = Journal(alice.db, alice.settings, Attributor(alice.settings, {}), "pbx")
    await journal.apply([Arrived("7.7", at, "7.7", "PJSIP/t-7", "+442079460190", "+447700900124", "")])
    night = journal.open_calls()[0].id
    await act(alice, f"/calls/{office}/marks", tag="secret")
    await act(alice, f"/calls/{night}/marks", tag="plain")
    assert '<option value="secret">' in await alice.page(f"/calls/{night}")
    await alice.log_in_as("operator", lines="night")
    page = await alice.page(f"/calls/{night}")
    assert '<option value="plain">' in page
    assert "secret" not in page


async def test_a_link_lets_somebody_without_a_login_hear_one_call_until_it_ends(alice: Any) -> None:
    call, path = await shared(alice)
    alice.client.session.cookie_jar.clear()
    page = await alice.page(path)
    assert "+44 7700 900123" not in page
    assert "+447700900123" not in page
    assert (await (await alice.get(f"{path}/recording")).read()).startswith(b"RIFF")
    assert (await alice.get(f"/calls/{call}")).status == 303
    alice.clock[0] += 8 * DAY
    for name in ("", "/recording", "/peaks.json"):
        assert (await alice.get(path + name)).status == 404


async def test_all_links_to_a_call_can_be_ended_at_once(alice: Any) -> None:
    call, path = await shared(alice)
    await act(alice, f"/calls/{call}/share", end="1")
    assert (await alice.get(path)).status == 404
    assert (await alice.get("/shared/" + "x" * 43)).status == 404


async def test_a_visitor_has_a_page_with_his_path_and_his_calls(alice: Any) -> None:
    call = await ring(alice)
    row = await alice.db.one("SELECT session FROM calls WHERE id = $1", (call,))
    assert f"/visitors/{row['session']}" in await alice.page("/visitors?called=1")
    page = await alice.page(f"/visitors/{row['session']}")
    assert f"/calls/{call}" in page
    assert "title x" in page
    assert (await alice.get("/visitors/" + "0" * 26)).status == 404


async def test_the_system_page_shows_the_settings_and_no_secret(alice: Any) -> None:
    page = await alice.page("/system")
    assert "ami_secret_file" in page
    assert "s3cret" not in page
    assert "PJSIP/100&amp;PJSIP/101" in page
