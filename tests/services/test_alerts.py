"""Alerts: a call in the journal becomes a message in a channel, when somebody still needs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ctserver import config, ids
from ctserver.domain.call import Arrived, CallerHungUp
from ctserver.domain.events import Closing
from ctserver.domain.fact import Fact
from ctserver.domain.person import Person
from ctserver.domain.rights import Role
from ctserver.services.words import mistakes
from ctserver.storage import missed, preferences, users
from ctserver.storage.preferences import Preferences
from ctserver.storage.sqlite import Sqlite
from tests.conftest import PATIENCE
from tests.services.office import CHANNEL, office, until_said

HALF_A_YEAR_ON = datetime.now(UTC) + timedelta(days=182)
ALWAYS = f"Mo-Su 00:00-24:00; {HALF_A_YEAR_ON:%b} 15 off"  # whenever the tests run


async def test_a_missed_call_reaches_a_person_at_once_with_all_he_needs(db: Sqlite, toml: Any, until: Any) -> None:
    rule = '[alerts.missed]\non = ["missed"]\nby = "mail"\nto = ["a@example.com", "b@example.com"]\n'
    async with office(db, toml, rule) as here:
        call = await here.call()
        await until(lambda: len(here.mail.sent) == 2)
        message = here.mail.sent[0]
        assert {one.to for one in here.mail.sent} == {"a@example.com", "b@example.com"}
        assert message.subject == "Missed call: +44 7700 900123"
        assert "billboard" in message.text
        assert f"http://127.0.0.1:8080/calls/{call}" in message.text
        assert message.buttons[0].url.endswith(call)
        await here.call(answer=True)
        await asyncio.sleep(0.3)
        assert len(here.mail.sent) == 2


async def test_what_is_found_late_says_how_long_ago_it_was_and_what_is_too_old_is_not_told(
    db: Sqlite, toml: Any, until: Any
) -> None:
    rules = """
[alerts.missed]
on = ["missed"]
by = "mail"
to = ["a@example.com"]
after_seconds = 1
then = "boss"
then_minutes = 1
[alerts.boss]
by = "sms"
to = ["+447700900001"]
language = "ru"
"""
    async with office(db, toml, rules) as here:
        await here.call("+447700900040", ago_ms=40 * 60_000)
        await here.call("+447700900025", ago_ms=25 * 3_600_000)
        await here.call("+447700900000")
        await db.write(lambda tx: tx.execute("UPDATE outbox SET due_at = due_at - 60000 WHERE sink LIKE '%boss%'"))
        await until(lambda: len(here.mail.sent) == 2 and len(here.sms.sent) == 2)
        late, prompt = sorted(here.mail.sent, key=lambda message: "900000" in message.subject)
        for words in (late.subject, late.text, late.html):
            assert "Missed call: +44 7700 900040, 40 min ago" in words
        assert prompt.subject == "Missed call: +44 7700 900000"
        late_sms, prompt_sms = sorted(here.sms.sent, key=lambda message: "900000" in message.short)
        assert "40 мин назад" in late_sms.short.replace("\u00a0", " ")
        assert "назад" not in prompt_sms.short


async def test_nothing_is_told_when_the_caller_got_through_meanwhile(db: Sqlite, toml: Any, until: Any) -> None:
    rule = '[alerts.missed]\non = ["missed"]\nby = "mail"\nto = ["a@example.com"]\nafter_seconds = 1\n'
    async with office(db, toml, rule) as here:
        await here.call()
        await here.call("+447700900999")
        await here.call(answer=True)
        await until(lambda: here.mail.sent)
        await until_said(here, "somebody spoke with the caller")
        await asyncio.sleep(0.3)
        (message,) = here.mail.sent
        assert "900999" in message.subject


async def test_the_next_person_is_told_when_nobody_reacts(db: Sqlite, toml: Any, until: Any) -> None:
    rule = """
[alerts.missed]
on = ["missed"]
by = "mail"
to = ["a@example.com"]
then = "boss"
then_minutes = 1
[alerts.boss]
by = "sms"
to = ["+447700900001"]
"""
    async with office(db, toml, rule) as here:
        seen = await here.call()
        await here.call("+447700900999")
        await db.write(lambda tx: missed.assign(tx, seen, "alice", "alice", 0))
        await until(lambda: len(here.mail.sent) == 2)
        assert here.sms.sent == []
        await db.write(lambda tx: tx.execute("UPDATE outbox SET due_at = 0 WHERE via = 'notify.sms'"))
        here.delivery.wake()
        await until(lambda: here.sms.sent)
        await until_said(here, "alice sees to it")
        await asyncio.sleep(0.3)
        (message,) = here.sms.sent
        assert "900999" in message.short
        assert "Nobody is on it yet" in message.text
        assert await here.answers() == ["alice sees to it"]


async def test_who_is_seen_to_by_his_later_call_is_not_passed_on(db: Sqlite, toml: Any, until: Any) -> None:
    rules = '[alerts.a]\non = ["missed"]\nby = "mail"\nthen = "b"\nthen_minutes = 1\n[alerts.b]\nby = "sms"\n'
    async with office(db, toml, rules) as here:
        await here.call()
        later = await here.call()
        await until(lambda: len(here.mail.sent) == 2)
        await db.write(lambda tx: missed.settle(tx, later, "given_up", "alice", ids.now_ms()))
        await db.write(lambda tx: tx.execute("UPDATE outbox SET due_at = 0 WHERE via = 'notify.sms'"))
        here.delivery.wake()
        await until_said(here, "alice sees to it")
        await asyncio.sleep(0.2)
        assert here.sms.sent == []


async def test_repeated_calls_of_one_caller_come_together(db: Sqlite, toml: Any, until: Any) -> None:
    rule = '[alerts.missed]\non = ["missed"]\nby = "mail"\nto = ["a@example.com"]\ngroup_minutes = 30\n'
    async with office(db, toml, rule) as here:
        await here.call()
        await until(lambda: here.mail.sent)
        await asyncio.sleep(0.2)
        for _ in range(3):
            await here.call()
        await here.call("+447700900999")
        await until(lambda: len(here.mail.sent) == 2)
        await db.write(lambda tx: tx.execute("UPDATE outbox SET due_at = 0 WHERE state = 'waiting'"))
        await db.write(lambda tx: tx.execute("UPDATE outbox SET settled_at = 1 WHERE state = 'done'"))
        here.delivery.wake()
        await until(lambda: len(here.mail.sent) == 3)
        await asyncio.sleep(0.3)
        assert len(here.mail.sent) == 3
        assert "(3 calls)" in here.mail.sent[2].text


async def test_in_quiet_hours_messages_wait(db: Sqlite, toml: Any) -> None:
    rule = '[alerts.missed]\non = ["missed"]\nby = "mail"\nquiet = "%s"\n' % ALWAYS
    async with office(db, toml, rule) as here:
        await here.call()
        await until_said(here, "quiet hours")
        assert here.mail.sent == []
        (row,) = await db.fetch("SELECT state, tries, due_at, answer FROM outbox")
        assert (row["state"], row["tries"], row["answer"]) == ("waiting", 0, "quiet hours")
        assert row["due_at"] > ids.now_ms()


async def test_quiet_hours_are_those_of_the_servers_zone(db: Sqlite, toml: Any) -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # no machine that runs tests stands there
    hour = datetime.now(zone).hour
    toml.write_text(toml.read_text().replace("[server]", '[server]\ntime_zone = "Asia/Kathmandu"'))
    rule = f'[alerts.missed]\non = ["missed"]\nby = "mail"\nquiet = "{hour:02}:00-{(hour + 2) % 24:02}:00"\n'
    async with office(db, toml, rule) as here:
        await here.call()
        await until_said(here, "quiet hours")
        row = await db.one("SELECT due_at FROM outbox")
        assert row is not None
        over = datetime.fromtimestamp(row["due_at"] / 1000, zone)
        assert (over.hour, over.minute) == ((hour + 2) % 24, 0)
        assert here.mail.sent == []


async def test_the_caller_is_texted_once_and_only_with_his_consent(db: Sqlite, toml: Any, until: Any) -> None:
    rule = '[alerts.sorry]\non = ["missed"]\nby = "sms"\nto = ["caller"]\nconsent = "file"\nconsent_file = "agreed"\n'
    (toml.parent / "agreed").write_text("+447700900123\n")
    async with office(db, toml, rule) as here:
        for caller in ("+447700900123", "+447700900999", "anonymous"):
            await here.call(caller)
        await until(lambda: here.sms.sent)
        await asyncio.sleep(0.3)
        await here.call()
        await asyncio.sleep(0.3)
        (message,) = here.sms.sent
        assert message.to == "+447700900123"
        assert "/calls/" not in message.text
        await until_said(here, "once in 24 h is enough")


async def test_what_a_person_sends_again_is_sent_whatever_the_rule_says_but_no_caller_is_texted_twice(
    db: Sqlite, toml: Any, until: Any
) -> None:
    rules = """
[alerts.a]
on = ["missed"]
by = "mail"
quiet = "%s"
[alerts.sorry]
on = ["missed"]
by = "sms"
to = ["caller"]
consent = "call"
[alerts.again]
on = ["missed"]
by = "sms"
to = ["caller"]
consent = "call"
"""
    async with office(db, toml, rules % ALWAYS) as here:
        await here.call("+447400123456")
        await until(lambda: here.sms.sent)
        await until_said(here, "quiet hours")
        await here.call("+447400123456", answer=True)
        rows = await db.fetch("SELECT id FROM outbox")
        assert len(rows) == 2, "one rule texts the caller"
        for row in rows:
            assert await here.delivery.again(row["id"])
        await until(lambda: here.mail.sent)
        await until_said(here, "once in 24 h is enough")
        assert len(here.sms.sent) == 1


async def test_nothing_is_told_of_a_caller_who_was_called_back(db: Sqlite, toml: Any) -> None:
    rule = '[alerts.missed]\non = ["missed"]\nby = "mail"\nafter_seconds = 1\n'
    async with office(db, toml, rule) as here:
        await here.call()
        at = ids.now_ms()
        sql = """
            INSERT INTO outgoing (id, pbx, uniqueid, number, staff, callback, began_at, answered_at, status)
            VALUES ('o1', 'pbx', '1.1', '+447700900123', 'PJSIP/100', '', $1, $1, 'ANSWER')
        """
        await db.write(lambda tx: tx.execute(sql, (at,)))
        await until_said(here, "somebody spoke with the caller")
        assert here.mail.sent == []


async def test_of_a_voice_message_a_rule_for_it_and_for_missed_calls_tells_once(
    db: Sqlite, toml: Any, until: Any
) -> None:
    rule = '[alerts.missed]\non = ["missed", "voicemail"]\nby = "mail"\n'
    async with office(db, toml, rule) as here:
        at = ids.now_ms() - 5_000
        arrived = Arrived("1.1", at, "1.1", "PJSIP/trunk-1", "02079460190", "+447700900123", "Alex")
        closing = Closing("1.1", at + 3_000, "office", "", 16, stage="voicemail", message_seconds=9)
        await here.journal.apply([arrived, closing, CallerHungUp("1.1", at + 4_000, 16)])
        await until(lambda: here.mail.sent)
        await asyncio.sleep(0.2)
        assert [message.subject for message in here.mail.sent] == ["Voice message from +44 7700 900123"]
        assert [button.action for button in here.mail.sent[0].buttons] == ["", "done"]


async def test_a_digest_goes_out_as_a_mail_of_the_rules_sites_and_its_log_names_nobody(
    db: Sqlite, toml: Any, until: Any
) -> None:
    rules = """
[alerts.all]
on = ["daily"]
by = "mail"
[alerts.other]
on = ["daily"]
by = "sms"
sites = ["shop*"]
lines = ["none"]
language = "ru"
"""
    async with office(db, toml, rules) as here:
        await here.call()
        born = datetime(2023, 11, 14, 12, tzinfo=UTC)  # of the channels of these calls
        await db.write(lambda tx: tx.execute("UPDATE calls SET arrived_at = $1", (int(born.timestamp() * 1000),)))
        fact = Fact("digest.daily", ids.now_ms(), "2023-11-14", data={"first": "2023-11-14", "last": "2023-11-14"})
        await db.write(lambda tx: here.facts.record(tx, fact, ids.now_ms()))
        here.facts.wake()
        await until(lambda: here.mail.sent and here.sms.sent)
        assert "+44 7700 900123" in here.mail.sent[0].html
        assert "1 call, 0 answered, 1 missed" in here.mail.sent[0].text
        assert "0 звонков" in here.sms.sent[0].text
        async with asyncio.timeout(PATIENCE):
            while await db.one("SELECT 1 FROM outbox WHERE state <> 'done'"):
                await asyncio.sleep(0.02)
        said = [row["said"] for row in await db.fetch("SELECT said FROM outbox ORDER BY sink")]
        assert said[0] == "The day in calls: Tuesday, 14 November 2023"


# ---- who reads


async def test_a_message_is_written_as_the_rule_says_else_as_the_person_has_chosen_else_as_the_server_speaks(
    db: Sqlite, toml: Any, until: Any
) -> None:
    rules = """
[alerts.a]
on = ["missed"]
by = "mail"
to = ["Boss <Boss@example.com>", "stranger@example.com"]
[alerts.b]
on = ["missed"]
by = "sms"
to = ["+447700900001"]
language = "ru"
"""
    async with office(db, toml, rules) as here:
        boss = Person("boss", Role.MANAGER, email="boss@example.com")
        await db.write(lambda tx: users.put_user(tx, "u1", "boss", "x", 0, boss))
        await db.write(lambda tx: preferences.put(tx, "boss", Preferences("ru", "Asia/Tokyo", "national")))
        await here.call("+442079460777")
        await until(lambda: len(here.mail.sent) == 2 and here.sms.sent)
        sent = {message.to: message for message in here.mail.sent}
        assert sent["Boss <Boss@example.com>"].subject == "Пропущен звонок: 020 7946 0777"
        assert sent["stranger@example.com"].subject == "Missed call: +44 20 7946 0777"
        (call,) = await db.fetch("SELECT arrived_at FROM calls")
        tokyo = datetime.fromtimestamp(call["arrived_at"] / 1000, ZoneInfo("Asia/Tokyo"))
        assert f"{tokyo:%H:%M}" in sent["Boss <Boss@example.com>"].text
        assert here.sms.sent[0].short.startswith("Пропущен звонок")


def test_a_mistake_in_a_text_is_found_before_the_night(toml: Any) -> None:
    toml.write_text(
        toml.read_text()
        + CHANNEL
        + '[alerts.a]\non = ["missed"]\nby = "mail"\ntext = "{{ calller }}"\nsubject = "{% if %}"\nshort = "{{ caller }}"\n'
        + '[alerts.b]\nby = "mail"\ntext = "{{ \'\'.__class__.__mro__ }}"\n'
    )
    found = dict(mistakes(config.load(toml)))
    assert set(found) == {"alerts.a.text", "alerts.a.subject", "alerts.b.text"}
    assert "'calller' is undefined" in found["alerts.a.text"]
    assert "SecurityError" in found["alerts.b.text"]


def test_rules_that_lead_nowhere_are_told(toml: Any) -> None:
    toml.write_text(
        toml.read_text()
        + CHANNEL
        + '[alerts.a]\non = ["mised"]\nby = "mial"\nthen = "b"\nquiet = "at night"\n[alerts.b]\nby = "sms"\nthen = "a"\nto = ["caller"]\n'
    )
    try:
        config.load(toml)
    except config.ConfigError as error:
        told = str(error)
    for words in ("'mised' is none of", "did you mean 'mail'", "a circle", "no hours", "need a consent"):
        assert words in told, words
