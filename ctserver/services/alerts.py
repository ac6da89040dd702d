"""Alerts: rows for the facts that rules name, and at the moment each is due, the last word on whether a person still
needs it, and the message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import TemplateError

from ctserver import ids
from ctserver.config import Settings
from ctserver.config.alerts import CALLER
from ctserver.config.alerts import Alert as Rule
from ctserver.config.notify import Push
from ctserver.domain import alert as rules
from ctserver.domain import fact as facts
from ctserver.domain import phone
from ctserver.domain.alert import Alert, Conditions
from ctserver.domain.fact import Fact
from ctserver.outbound import About, Button, Channel, GiveUp, Message, Nobody
from ctserver.services.delivery import Drop, Hold, Job, Receipt, Via
from ctserver.services.words import words
from ctserver.storage import alerts
from ctserver.storage.db import Database, Row
from ctserver.storage.outbox import Entry

RETRY_SECONDS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
PER_MINUTE = 60
STALE_RINGING_MS = 60_000  # that it rings is no news a minute later
MISSED = ("missed", "missed_out_of_hours", "voicemail")


def via(channel: str) -> str:
    """The name of a channel's queue."""
    return f"notify.{channel}"


class Alerts:
    """All rules of the settings over these channels."""

    def __init__(self, db: Database, settings: Settings, channels: Mapping[str, Channel]) -> None:
        self._db = db
        self._settings = settings
        self._channels = channels

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
                secrets=secrets.get(name, ()),
            )
            for name in self._channels
        ]

    # ---- when a fact is written

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        """Rows for every rule that this fact is an occasion of, and for those who are told if nobody reacts."""
        for name, rule in self._settings.alerts.items():
            occasion = rules.occasion(_conditions(rule), fact)
            if occasion is None or now - fact.at > _fresh_ms(rule, occasion):
                continue
            due_at = now + rule.after_seconds * 1000
            yield from self._rows(f"alert.{name}", rule, fact, due_at, now)
            step, path = rule, f"alert.{name}"
            while step.then:
                due_at += step.then_minutes * 60_000
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
        return rule.consent == "call" and phone.is_valid(caller)

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
        if occasion is None or now - job.fact.at > _fresh_ms(rule, occasion):
            raise Drop("too late to be of use")
        call = await alerts.call(self._db, job.fact.call) if job.fact.call else None
        if call is not None:
            await self._still_needed(rule, occasion, call, now, escalated=len(steps) > 1)
        _quiet(rule, now)
        if to == CALLER:
            await self._not_again(job, rule, now)
        count = 1 + await self._grouped(job, rule, now)
        alert = self._alert(occasion, job.fact, call, count, escalated=len(steps) > 1, to_caller=to == CALLER)
        alert = replace(alert, nth=await alerts.nth(self._db, alert.caller, alert.at) if alert.call else 0)
        try:
            said, about = words(rule, alert), self._about(rule, alert, job.fact)
        except TemplateError as error:
            raise GiveUp(f"alerts.{name} has a bad template: {error}") from None
        buttons = (Button("Open the call", alert.link),) if alert.call and not alert.to_caller else ()
        message = Message(
            id=job.id,
            to=job.addressee,
            subject=said.subject,
            text=said.text,
            short=said.short,
            attachment=self._recording(rule, alert),
            buttons=buttons,
            about=about,
            useful_seconds=STALE_RINGING_MS // 1000 if occasion == "ringing" else 0,
        )
        try:
            answer = await self._channels[rule.by].send(message)
        except Nobody as nobody:
            raise Drop(str(nobody)) from None
        return Receipt(answer, f"{said.subject}\n{said.text}"[:4000])

    async def test(self, channel: str) -> str:
        """Raises Retry, GiveUp."""
        text = f"This is a test of the channel {channel} of ctserver at {self._settings.server.public_url}."
        to = next((to for rule in self._settings.alerts.values() if rule.by == channel for to in rule.to), "")
        message = Message(ids.new(ids.now_ms()), "" if to == CALLER else to, "ctserver: a test", text, text)
        return await self._channels[channel].send(message)

    async def _still_needed(self, rule: Rule, occasion: str, call: Row, now: int, *, escalated: bool) -> None:
        """Raises Drop if the caller was reached, or somebody sees to it."""
        if occasion not in MISSED:
            return
        if occasion != "voicemail" and call["outcome"] == "answered":
            raise Drop("it was answered after all")
        if escalated and call["work_login"]:
            raise Drop(f"{call['work_login']} sees to it")
        if call["caller"] and (rule.unless_reached or escalated):
            at = await alerts.reached_at(self._db, call["caller"], call["arrived_at"])
            if at is not None and at <= now:
                raise Drop(f"somebody spoke with the caller at {facts.iso(at)}")

    async def _not_again(self, job: Job, rule: Rule, now: int) -> None:
        last = await alerts.told_at(self._db, job.sink, job.topic, now - rule.once_hours * 3_600_000)
        if last is not None:
            raise Drop(f"he was told at {facts.iso(last)}; once in {rule.once_hours} h is enough")

    async def _grouped(self, job: Job, rule: Rule, now: int) -> int:
        """How many other calls of this caller go with this one. Raises Hold while the last message is too fresh."""
        if not rule.group_minutes or not job.topic:
            return 0
        window = rule.group_minutes * 60_000
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
            recording=call["file"] if call is not None else "",
            data=data,
        )

    def _about(self, rule: Rule, alert: Alert, fact: Fact) -> About | None:
        """What a channel needs that knows who reads. Raises TemplateError."""
        if not alert.call or not isinstance(self._settings.notify[rule.by], Push):
            return None
        caller = phone.masked(alert.caller) if alert.caller else ""
        data = {**alert.data, "caller": caller, "caller_name": ""}
        said = words(rule, replace(alert, caller=caller, caller_name="", data=data))
        site, line = str(fact.data.get("site") or ""), str(fact.data.get("line") or "")
        return About(alert.call, site, line, said.subject, said.text)

    def _recording(self, rule: Rule, alert: Alert) -> Path | None:
        if not (rule.attach_recording and alert.recording) or alert.to_caller:
            return None
        return self._settings.path(self._settings.recordings.folder) / alert.recording


def _conditions(rule: Rule) -> Conditions:
    return Conditions(rule.on, rule.lines, rule.sites, rule.sources, rule.wait_seconds)


def _fresh_ms(rule: Rule, occasion: str) -> int:
    return STALE_RINGING_MS if occasion == "ringing" else rule.fresh_minutes * 60_000


def _quiet(rule: Rule, now: int) -> None:
    """Raises Hold in the quiet hours of the server's zone."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone().replace(tzinfo=None)
    over = rules.quiet_until(rule.quiet, local)
    if over is not None:
        raise Hold(round(over.astimezone().timestamp() * 1000), "quiet hours")
