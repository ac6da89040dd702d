"""A dashboard with some weeks of two shops in it, at a fixed moment: for the tests of the pages and for docs/pictures/make.py.

It is a Friday before Christmas, at twenty past three in London. Calls and visitors of `ctserver demo-data`; who holds a
number, who rings and who talks right now came in by the ways that real ones come.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from ctserver import config, files, ids
from ctserver.domain import source
from ctserver.domain.call import Arrived, CallerHungUp, Event, LegDone, LegRinging, LegStarted, Routed
from ctserver.domain.model import VisitorFacts
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.http import server
from ctserver.http.deps import Deps, Health
from ctserver.http.gate import Gate
from ctserver.http.geo import Geo
from ctserver.privacy import caller_data_of
from ctserver.recordings.places import Places
from ctserver.services import demo, pools, rollups, visits
from ctserver.services.attribution import Attributor
from ctserver.services.blocked import BlackList
from ctserver.services.callbacks import Callbacks
from ctserver.services.calls import Journal
from ctserver.services.colours import Colours
from ctserver.services.demo import words
from ctserver.services.facts import Facts
from ctserver.services.live import Live
from ctserver.services.simulation import PoolSize
from ctserver.storage import logins, migrate, sqlite, users
from tests.ports import free_port

MOMENT = int(datetime(2026, 12, 18, 15, 20, tzinfo=UTC).timestamp() * 1000)
PASSWORD = "correct horse"
PEOPLE = (
    Person("alice", Role.OWNER, "Alice Martin", "alice@shop.example"),
    Person("olivia", Role.OPERATOR, "Olivia Brown", lines=("office", "workshop")),
    Person("jack", Role.MANAGER, "Jack O'Brien", sites=("bikes",)),
    Person("amelia", Role.MANAGER, "Amelia Weiß"),
    Person("anna", Role.MANAGER, "Anna Turner"),
    Person("owen", Role.ANALYST, "Owen Price"),
    Person("agency", Role.CLIENT, "Harbour Advertising", sites=("bikes",)),
)
TOML = """
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
country = "GB"
currency = "GBP"
time_zone = "Europe/London"
demo = true
[fastagi]
listen = "127.0.0.1:0"
[recordings]
folder = "recordings"
min_free_mb = 0
[[asterisk]]
id = "pbx"
ami = "127.0.0.1:1"
ami_secret_file = "secret"
[lines.office]
name = "Front desk"
dial = "PJSIP/olivia&PJSIP/jack&PJSIP/amelia"
[lines.workshop]
name = "Workshop"
dial = "PJSIP/harry&PJSIP/anna"
[lines.hire]
name = "Hire"
dial = "PJSIP/hire"
[callbacks]
dial = "PJSIP/{{number}}@trunk"
sites = ["bikes"]
[sites.bikes]
name = "Lighthouse Bicycles"
domains = ["bikes.example", "127.0.0.1"]
number = "+44 20 7946 0000"
pool = "bikes"
serve_bots = true
[sites.hire]
name = "Lighthouse Hire"
domains = ["hire.example"]
number = "+44 20 7946 0001"
pool = "hire"
line = "hire"
[pools.bikes]
numbers = ["+44 20 7946 0101", "+44 20 7946 0102", "+44 20 7946 0103", "+44 20 7946 0104", "+44 20 7946 0105", "+44 20 7946 0106", "+44 20 7946 0107", "+44 20 7946 0108"]
[pools.hire]
numbers = ["+44 20 7946 0111", "+44 20 7946 0112", "+44 20 7946 0113"]
line = "hire"
[static.billboard]
number = "+44 20 7946 0190"
site = "bikes"
source = "billboard"
medium = "offline"
campaign = "harbour bridge"
[static.flyer]
number = "+44 20 7946 0191"
site = "bikes"
source = "flyer"
medium = "print"
campaign = "advent market"
line = "workshop"
"""
NEWCOMERS = (
    ("https://bikes.example/repairs?utm_source=google&utm_medium=cpc&utm_campaign=repairs-london&gclid=Cj0KCQ", "Repairs"),
    ("https://bikes.example/christmas?utm_source=newsletter&utm_medium=email&utm_campaign=advent", "Presents for cyclists"),
    ("https://bikes.example/hire/folding?utm_source=yandex&utm_medium=cpc&utm_campaign=прокат-велосипедов&yclid=17", "Folding bicycles for hire"),
    ("https://bikes.example/", "Lighthouse Bicycles"),
)  # fmt: skip


async def sized(question: pools.Question) -> PoolSize:
    return question.answer()


class Shop:
    """`start` and `stop` as often as one likes: the data and the address stay."""

    def __init__(self, folder: Path, moment: int = MOMENT) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        (folder / "secret").write_text("s3cret\n")
        (folder / "ctserver.toml").write_text(TOML.format(port=self.port), encoding="utf-8")
        self.settings = config.load(folder / "ctserver.toml")
        self.recordings = self.settings.path(self.settings.recordings.folder)
        self.recordings.mkdir()
        self.database = folder / "ctserver.db"
        self.placed: list[str] = []  # what the PBX was asked to dial
        self._ahead = moment - ids.now_ms()

    def now(self) -> int:
        return ids.now_ms() + self._ahead

    async def fill(self, days: int, calls: float) -> None:
        """So many days of the shop, with so many calls on an average one; people; what happens now."""
        self.db = await sqlite.open(self.database)
        await migrate.migrate(self.db, migrate.read(files.folder("migrations")))
        now = self.now()
        await demo.fill(self.db, demo.shop_of(self.settings, calls), self.recordings, days, now)
        while await rollups.roll(self.db, now):
            pass
        await pools.refresh_reports(self.db, self.settings, now, sized)
        hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        for one in PEOPLE:
            await self.db.write(lambda tx, one=one: users.put_user(tx, f"u-{one.login}", one.login, hashed, now, one))
        for place, one in enumerate(PEOPLE[1:]):
            seen = now - (place * place * 17 + 4) * 60_000
            await self.db.write(lambda tx, login=one.login, seen=seen: logins.add(
                tx, ids.token_hash(login), ids.new(seen), login, "", seen, now + 30 * 86_400_000, "192.0.2.17", "Firefox, Linux", False
            ))  # fmt: skip
        self.journal = Journal(self.db, self.settings, Attributor(self.settings, {}), "pbx")

    async def busy(self) -> None:
        """Visitors hold numbers; one caller rings, one talks."""
        facts = VisitorFacts(
            country="GB", region="London", city="London", device="phone", browser="Chrome Mobile", os="Android"
        )
        for step, (url, title) in enumerate(NEWCOMERS):
            view = visits.PageView("bikes", "", url, "", title, ("main",), source=source.classify(url, ""), facts=facts)
            shown = await visits.record(self.db, self.settings, [], view, self.now() - 200_000 + 40_000 * step)
            if step == 0:
                await self.rings("live.1", shown.numbers["main"], "+447700900140", words.name_of(140), ago=7_000)
        await self.rings("live.2", "+442079460190", "+447700900112", "", ago=96_000, answered=84_000)

    async def rings(
        self, id: str, did: str, caller: str, name: str, *, ago: int = 0, answered: int | None = None
    ) -> None:
        """A caller has rung `ago` ms ago, and was answered `answered` ms ago."""
        at = self.now() - ago
        told: list[Event] = [
            Arrived(id, at, id, "PJSIP/trunk-1", did, caller, name),
            Routed(id, at + 100, did, "office", "ctserver"),
            LegStarted(id, at + 200, f"{id}b", "PJSIP/olivia-1"),
            LegRinging(id, at + 300, f"{id}b"),
        ]
        if answered is not None:
            told.append(LegDone(id, self.now() - answered, f"{id}b", "ANSWER"))
        await self.journal.apply(told)

    async def hangs_up(self, id: str) -> None:
        await self.journal.apply([CallerHungUp(id, self.now(), 16)])

    async def start(self) -> None:
        async def health() -> Health:
            return Health({"database": "ok", "AMI": "ok"})

        async def place(_callback: str, channel: str, _seconds: int) -> None:
            self.placed.append(channel)

        async def testcall(number: str) -> None:
            self.placed.append(number)

        live, colours = Live(), Colours()
        await colours.look(self.db, self.now())
        self.journal.on_change = live.changed
        deps = Deps(
            db=self.db,
            settings=self.settings,
            uses=config.number_uses(self.settings),
            testcall=testcall,
            health=health,
            now=self.now,
            sounds=Places(self.settings),
            facts=Facts(self.settings),
            gate=Gate(self.settings, Geo(None)),
            callbacks=Callbacks(self.db, self.settings, place),
            caller_data=caller_data_of(self.db, self.settings, Places(self.settings)),
            live=live,
            colours=colours,
            black_list=BlackList(self.settings),
            started_at=self.now() - 3 * 86_400_000,
        )
        self._server = TestServer(server.make(deps), port=self.port)
        await self._server.start_server(lingering_time=0)
        self._live = live

    async def stop(self) -> None:
        self._live.close()
        await self._server.close()

    async def close(self) -> None:
        await self.stop()
        await self.db.close()

    async def views(self) -> dict[str, str]:
        """Every page of the dashboard for one who may see all: a name for it -> its path."""
        heard = await self.db.one(
            """
            SELECT c.id, c.session FROM calls c JOIN recordings r ON r.call = c.id JOIN sessions s ON s.id = c.session
            WHERE c.campaign <> '' AND r.millis > 40000
            ORDER BY (SELECT COUNT(*) FROM visits v WHERE v.session = c.session) + 4 * EXISTS
                (SELECT 1 FROM calls b WHERE b.caller = c.caller AND b.id < c.id) DESC, c.id DESC LIMIT 1
            """
        )
        missed = await self.db.one(
            "SELECT id FROM calls WHERE outcome = 'missed' AND campaign <> '' ORDER BY id DESC LIMIT 1"
        )
        assert heard
        assert missed
        return {
            "overview": "/",
            "live": "/live",
            "calls": "/calls",
            "calls-filtered": "/calls?outcome=missed&source=google&period=30d",
            "calls-none": "/calls?q=nobody",
            "call": f"/calls/{heard['id']}",
            "call-missed": f"/calls/{missed['id']}",
            "person": f"/calls/{missed['id']}/person",
            "missed": "/missed",
            "reports": "/reports",
            "reports-keyword": "/reports?by=keyword&period=7d&compare=previous&channel=paid_search",
            "reports-hours": "/reports?by=hours",
            "reports-callers": "/reports?by=callers&unit=day&source=google",
            "reports-weeks": "/reports?by=time&unit=week&period=90d",
            "visitors": "/visitors",
            "visitor": f"/visitors/{heard['session']}",
            "quality": "/quality",
            "numbers": "/numbers",
            "blocked": "/blocked",
            "pools": "/pools",
            "you": "/settings",
            "account": "/account",
            "users": "/users",
            "user": "/users/u-olivia",
            "audit": "/audit",
            "system": "/system",
            "api": "/api/docs",
            "error": "/calls/01hzzzzzzzzzzzzzzzzzzzzzzz",
        }
