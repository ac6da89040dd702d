"""Alerts: rows for the facts that rules name, and at the moment each is due, the last word on whether a person still
needs it, and the message."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parseaddr
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePath
from zoneinfo import ZoneInfo

from jinja2 import TemplateError

from ctserver import ids, language
from ctserver.config import Settings
from ctserver.config.alerts import CALLER
from ctserver.config.alerts import Alert as Rule
from ctserver.domain import alert as rules
from ctserver.domain import fact as facts
from ctserver.domain import phone
from ctserver.domain.alert import MISSED, Alert, Conditions
from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS
from ctserver.domain.fact import Fact
from ctserver.domain.rights import Scope
from ctserver.language import Reader, written_for
from ctserver.language import gettext as _
from ctserver.outbound import CALL_BACK, DONE, About, Button, Channel, GiveUp, Message, Nobody
from ctserver.outbound.attachment import Attachment
from ctserver.services import digest
from ctserver.services.delivery import Drop, Hold, Job, Receipt, Via
from ctserver.services.words import DIGESTS, words
from ctserver.storage import alerts, audit, preferences, quality
from ctserver.storage.db import Database, Row, Transaction
from ctserver.storage.outbox import Entry

RETRY_SECONDS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
PER_MINUTE = 60
TRY_SECONDS = (
    120.0  # longer than any channel takes to tell by itself that it failed: a recording goes out over a slow line
)
LATE_MS = 5 * MINUTE_MS  # what comes so much later than its rule wants says how long ago it was. Ours.
STALE_RINGING_MS = MINUTE_MS  # that it rings is no news a minute later
RECORDING_MS = MINUTE_MS  # from the hang-up: until then a message that is to have the recording waits for it. Ours.
_SECRET_LINK = re.compile(r"(/shared/)[\w-]+")  # who reads the log of deliveries need not have the right to listen

Sounds = Callable[[str, str], Awaitable[Attachment | None]]
"""The recording (file, place) as a file that can be read; None if there is none. Raises OSError."""


async def no_sounds(*_: str) -> None:
    """Where there are no recordings."""


def via(channel: str) -> str:
    """The name of a channel's queue."""
    return f"notify.{channel}"


class Alerts:
    """All rules of the settings over these channels."""

    def __init__(
        self, db: Database, settings: Settings, channels: Mapping[str, Channel], sounds: Sounds = no_sounds
    ) -> None:
        self._db = db
        self._settings = settings
        self._channels = channels
        self._sounds = sounds
        self._caller_sinks = [f"alert.{name} {CALLER}" for name, rule in settings.alerts.items() if CALLER in rule.to]
        self._key = ids.token()  # of the links of this run: every try of a message has the same

    def vias(self, secrets: Mapping[str, tuple[str, ...]]) -> list[Via]:
        """One queue for each channel; `secrets` by the channel's name."""
        return [
            Via(
                name=via(name),
                title=f"channel {name}",
                deliver=self.deliver,
                test=lambda name=name: self.test(name),  # type: ignore[misc]
                retry_seconds=RETRY_SECONDS,
                per_minute=PER_MINUTE,
                timeout_seconds=max(TRY_SECONDS, 2 * self._settings.outbound.timeout_seconds),
                secrets=secrets.get(name, ()),
            )
            for name in self._channels
        ]

    # ---- when a fact is written

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        """Rows for every rule that this fact is an occasion of, and for those who are told if nobody reacts. The caller
        is texted by one rule only."""
        texted = False
        for entry in self._entries(fact, now):
            to_caller = entry.sink.endswith(f" {CALLER}")
            if not (to_caller and texted):
                yield entry
            texted = texted or to_caller

    def _entries(self, fact: Fact, now: int) -> Iterator[Entry]:
        for name, rule in self._settings.alerts.items():
            occasion = rules.occasion(_conditions(rule), fact)
            if occasion is None or now - fact.at > _fresh_ms(rule, occasion):
                continue
            due_at = now + rule.after_seconds * 1000
            yield from self._rows(f"alert.{name}", rule, fact, due_at, now)
            step, path = rule, f"alert.{name}"
            while step.then:
                due_at += step.then_minutes * MINUTE_MS
                path, step = f"{path}.{step.then}", self._settings.alerts[step.then]
                yield from self._rows(path, step, fact, due_at, now)

    def _rows(self, path: str, rule: Rule, fact: Fact, due_at: int, now: int) -> Iterator[Entry]:
        if fact.subject == via(rule.by):
            return  # its own trouble is told by others
        caller = str(fact.data.get("caller") or "")
        for to in rule.to or [""]:
            if to == CALLER and not (caller and self._consents(rule, caller)):
                continue
            addressee = caller if to == CALLER else to
            lane = caller if rule.group_minutes or to == CALLER else fact.call  # one at a time: each looks at the last
            yield Entry(ids.new(now), f"{path} {to}", via(rule.by), addressee, due_at, lane=lane, topic=caller)

    def _consents(self, rule: Rule, caller: str) -> bool:
        if rule.consent == "file":
            try:
                listed = self._settings.path(rule.consent_file).read_text(encoding="utf-8").split()
            except OSError:
                return False
            return caller in listed
        return rule.consent == "call" and phone.takes_texts(caller)

    # ---- when it is due

    async def deliver(self, job: Job) -> Receipt:
        """Raises Retry, GiveUp, Hold, Drop."""
        path, _, to = job.sink.partition(" ")
        steps = path.split(".")[1:]
        name, asked = steps[-1], self._settings.alerts.get(steps[0])
        rule = self._settings.alerts.get(name)
        if rule is None or asked is None:
            raise Drop("the settings no longer have this rule")
        occasion = rules.occasion(_conditions(asked), job.fact)
        now = ids.now_ms()
        if occasion is None:
            raise Drop("the rule has changed: this is none of its occasions any more")
        call = await alerts.call(self._db, job.fact.call) if job.fact.call else None
        if not job.by_hand:
            if now - job.fact.at > _fresh_ms(rule, occasion):
                raise Drop("too late to be of use")
            if call is not None:
                await self._still_needed(rule, occasion, call, now, escalated=len(steps) > 1)
            self._quiet(rule, now)
        if to == CALLER:
            await self._not_again(job, rule, now)
        sound = await self._sound(rule, call, now) if to != CALLER else None
        count = 1 + (0 if job.by_hand else await self._grouped(job, rule, now))
        alert = self._alert(occasion, job.fact, call, count, escalated=len(steps) > 1, to_caller=to == CALLER)
        if now - job.fact.at > self._planned_ms(steps) + LATE_MS:
            alert = replace(alert, late_ms=now - alert.at)
        if call is not None and rule.recording != "page" and call["file"] and not sound and to != CALLER:
            alert = replace(alert, recording=await self._link(job, name, now))
        if alert.call:
            alert = replace(alert, nth=await alerts.nth(self._db, alert.caller, alert.at))
        if sound is not None:
            sound.name = self._file_name(alert, sound.name)
        message = await self._message(job, name, alert, sound)
        try:
            answer = await self._channels[rule.by].send(message)
        except Nobody as nobody:
            raise Drop(str(nobody)) from None
        said = message.subject if occasion in DIGESTS else f"{message.subject}\n{message.text}"  # no list of callers
        return Receipt(answer, _SECRET_LINK.sub(r"\1***", said)[:4000])

    def _file_name(self, alert: Alert, kept: str) -> str:
        """2026-11-21-1432-447700900321.mp3: what it is, to those who keep it."""
        with written_for(Reader(zone=self._settings.server.time_zone)):
            at = language.local(alert.at)
        caller = "".join(filter(str.isdigit, alert.caller))
        return "-".join(filter(None, (f"{at:%Y-%m-%d-%H%M}", caller))) + PurePath(kept).suffix

    def _planned_ms(self, steps: Sequence[str]) -> int:
        """How long after its fact a message of the last of these rules is to come."""
        passed = [self._settings.alerts[name] for name in steps]
        waits = sum(rule.then_minutes for rule in passed[:-1]) + passed[-1].group_minutes
        return passed[0].after_seconds * 1000 + waits * MINUTE_MS

    async def _message(self, job: Job, name: str, alert: Alert, sound: Attachment | None) -> Message:
        """In the words of him whom it is for. Raises GiveUp."""
        rule = self._settings.alerts[name]
        told = None
        if alert.occasion in DIGESTS:
            told = await digest.of(self._db, self._settings, job.fact, self._scope(rule))
        with written_for(await self.reader(name, job.addressee)):
            try:
                said = words(rule, alert, told, name=f"alerts.{name}", home=self._settings.server.public_url)
            except TemplateError as error:
                raise GiveUp(f"alerts.{name} has a bad template: {error}") from None
            buttons = tuple(self._buttons(alert))
        data = job.fact.data
        return Message(
            id=job.id,
            to=job.addressee,
            subject=said.subject,
            text=said.text,
            short=said.short,
            html=said.html,
            attachment=sound,
            buttons=buttons,
            about=About(alert.call, str(data.get("site") or ""), str(data.get("line") or "")) if alert.call else None,
            for_login=partial(self._for_login, job, name, alert),
            useful_seconds=STALE_RINGING_MS // 1000 if alert.occasion == "ringing" else 0,
        )

    async def _for_login(self, job: Job, rule: str, alert: Alert, login: str, masked: bool) -> Message:
        """The same in this person's language, and if he must not know the caller, without him. Raises GiveUp."""
        if masked:
            caller = phone.masked(alert.caller) if alert.caller else ""
            data = {**alert.data, "caller": caller, "caller_name": ""}
            alert = replace(alert, caller=caller, caller_name="", data=data)
        return await self._message(replace(job, addressee=login), rule, alert, None)

    def _buttons(self, alert: Alert) -> Iterator[Button]:
        if not alert.call or alert.to_caller:
            return
        yield Button(_("Open the call"), alert.link)
        if alert.occasion in MISSED:
            if self._settings.callbacks.dial and alert.caller:
                yield Button(_("Call back"), action=CALL_BACK)
            yield Button(_("Done"), action=DONE)

    async def reader(self, rule: str, addressee: str) -> Reader:
        """For whom a message of this rule is written: what the rule says, else what the person has chosen, else the
        server's own."""
        server, asked = self._settings.server, self._settings.alerts.get(rule)
        chosen = await preferences.of_addressee(self._db, parseaddr(addressee)[1] or addressee)
        spoken = (asked.language if asked else "") or chosen.language or server.language
        return Reader(spoken, chosen.zone or server.time_zone, server.country, chosen.phones == "national")

    def _scope(self, rule: Rule) -> Scope:
        """The calls that a digest of this rule counts."""
        return Scope(_matching(self._settings.sites, rule.sites), _matching(self._settings.lines, rule.lines))

    async def _sound(self, rule: Rule, call: Row | None, now: int) -> Attachment | None:
        """The recording, for a rule that asks for it. Raises Hold while it is being made."""
        if rule.recording == "page" or call is None:
            return None
        ended = call["ended_at"] or now
        if call["sound"] in ("waiting", "new") and now - ended < RECORDING_MS:
            raise Hold(now + 1000, "waits for the recording")
        if rule.recording != "attach" or not call["file"] or not self._channels[rule.by].attaches:
            return None
        try:
            file = await self._sounds(call["file"], call["place"])
            fits = file is not None and file.size <= self._channels[rule.by].attaches
        except OSError:
            return None
        return file if fits else None

    async def _link(self, job: Job, rule: str, now: int) -> str:
        """A link to the recording that needs no login, and ends."""
        token, call = ids.token_of(self._key, job.id), job.fact.call
        until = now + self._settings.quality.share_days * DAY_MS

        def unit(tx: Transaction) -> None:
            if quality.add_share(tx, ids.token_hash(token), call, f"alerts.{rule}", now, until):
                audit.add(tx, audit.Entry(now, f"alerts.{rule}", "alert", "shared", call, job.addressee))

        await self._db.write(unit)
        return f"{self._settings.server.public_url}/shared/{token}"

    async def test(self, channel: str) -> str:
        """Raises Retry, GiveUp."""
        rules = {name: rule for name, rule in self._settings.alerts.items() if rule.by == channel}
        to = next((to for rule in rules.values() for to in rule.to if to != CALLER), "")
        with written_for(await self.reader(next(iter(rules), ""), to)):
            words = {"channel": channel, "home": self._settings.server.public_url}
            text = _("This is a test of the channel %(channel)s of ctserver at %(home)s.") % words
            message = Message(ids.new(ids.now_ms()), to, _("ctserver: a test"), text, text)
        return await self._channels[channel].send(message)

    async def _still_needed(self, rule: Rule, occasion: str, call: Row, now: int, *, escalated: bool) -> None:
        """Raises Drop if the caller was reached, or somebody sees to it."""
        if occasion not in MISSED:
            return
        if occasion != "voicemail" and call["outcome"] == "answered":
            raise Drop("it was answered after all")
        if escalated and (login := await alerts.seen_to_by(self._db, call["id"])):
            raise Drop(f"{login} sees to it")
        if call["caller"] and (rule.unless_reached or escalated):
            at = await alerts.reached_at(self._db, call["caller"], call["arrived_at"])
            if at is not None and at <= now:
                raise Drop(f"somebody spoke with the caller at {facts.iso(at)}")

    async def _not_again(self, job: Job, rule: Rule, now: int) -> None:
        """Raises Drop if this or another rule has texted him in the window."""
        since = now - rule.once_hours * HOUR_MS
        told = [await alerts.texted_at(self._db, sink, job.topic, since) for sink in {job.sink, *self._caller_sinks}]
        if last := max(filter(None, told), default=None):
            raise Drop(f"he was told at {facts.iso(last)}; once in {rule.once_hours} h is enough")

    async def _grouped(self, job: Job, rule: Rule, now: int) -> int:
        """How many other calls of this caller go with this one. Raises Hold while the last message is too fresh."""
        if not rule.group_minutes or not job.topic:
            return 0
        window = rule.group_minutes * MINUTE_MS
        last = await alerts.told_at(self._db, job.sink, job.topic, now - window)
        if last is not None:
            raise Hold(last + window, "this caller was told of just now; his further calls come together")
        return await self._db.write(lambda tx: alerts.take_together(tx, job.id, job.sink, job.topic, now))

    def _alert(
        self, occasion: str, fact: Fact, call: Row | None, count: int, *, escalated: bool, to_caller: bool
    ) -> Alert:
        data, public = fact.data, self._settings.server.public_url
        site = self._settings.sites.get(str(data.get("site")))
        line = self._settings.lines.get(str(data.get("line")))
        medium = str(data.get("medium") or "")
        source = str(data.get("source") or "")
        return Alert(
            occasion=occasion,
            at=call["arrived_at"] if call is not None else fact.at,
            subject=fact.subject,
            detail=fact.detail,
            link=f"{public}/calls/{fact.call}" if fact.call else public,
            call=fact.call,
            caller=str(data.get("caller") or ""),
            caller_name=str(data.get("caller_name") or ""),
            number=str(data.get("number") or ""),
            site=(site.name if site else "") or str(data.get("site") or ""),
            line=(line.name if line else "") or str(data.get("line") or ""),
            source=f"{source} / {medium}" if medium not in ("", "(none)") else source,
            campaign=str(data.get("campaign") or ""),
            outcome=str(data.get("outcome") or ""),
            reason=str(data.get("reason") or ""),
            waited_seconds=data.get("waited_seconds"),
            talked_seconds=data.get("talked_seconds"),
            count=count,
            first_call=bool(data.get("first_call")),
            out_of_hours=bool(data.get("out_of_hours")),
            voicemail=bool(data.get("voicemail")),
            escalated=escalated,
            to_caller=to_caller,
            recording=f"{public}/calls/{fact.call}" if call is not None and call["file"] else "",
            data=data,
        )

    def _quiet(self, rule: Rule, now: int) -> None:
        """Raises Hold in the quiet hours of the server's zone."""
        name = self._settings.server.time_zone
        zone = ZoneInfo(name) if name else None  # None: this machine's
        local = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).replace(tzinfo=None)
        over = rules.quiet_until(rule.quiet, local)
        if over is not None:
            until = over.replace(tzinfo=zone) if zone else over.astimezone()
            raise Hold(round(until.timestamp() * 1000), "quiet hours")


def _matching(names: Iterable[str], patterns: Sequence[str]) -> frozenset[str] | None:
    """Those that a rule means; None: all."""
    if not patterns:
        return None
    return frozenset(name for name in names if any(fnmatchcase(name.lower(), one.lower()) for one in patterns))


def _conditions(rule: Rule) -> Conditions:
    return Conditions(rule.on, rule.lines, rule.sites, rule.sources, rule.wait_seconds)


def _fresh_ms(rule: Rule, occasion: str) -> int:
    return STALE_RINGING_MS if occasion == "ringing" else rule.fresh_minutes * MINUTE_MS
