"""Letters to those who log in: an invitation, the way to a new password, word that a password was changed.

The outbox names a link by its id and holds no secret. The secret is made when the letter goes out, and the database learns its
hash only. Every try of one run of the server sends the same link, so that a letter which arrives twice opens with either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from ctserver import ids, language
from ctserver.config import Settings
from ctserver.domain import fact as facts
from ctserver.domain.fact import Fact
from ctserver.language import Reader, written_for
from ctserver.language import gettext as _
from ctserver.outbound import Channel, Message
from ctserver.services.alerts import RETRY_SECONDS
from ctserver.services.delivery import Drop, Job, Receipt, Via
from ctserver.services.facts import Facts
from ctserver.services.words import drawn
from ctserver.storage import links, preferences
from ctserver.storage.db import Database, Transaction
from ctserver.storage.outbox import Entry

VIA = "letters"
INVITATION, PASSWORD, FORGOTTEN, CHANGED = "invitation", "password", "forgotten", "changed"


@dataclass(frozen=True, slots=True)
class Letter:
    """`letter` is one of the kinds above; `to` an e-mail address. `link` is the id of a row of links ("" of CHANGED), `login`
    whose it is ("" of INVITATION), `by` who had it written; `language` is used where `login` has chosen none; `address` is
    that of the browser which did it."""

    letter: str
    to: str
    link: str = ""
    login: str = ""
    by: str = ""
    language: str = "en"
    address: str = ""

    def post(self, tx: Transaction, told: Facts, now: int) -> None:
        """Into the outbox, in the transaction of what it is about."""
        told.record(tx, Fact(facts.LETTER, now, self.link or self.login, data=asdict(self)), now)


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in a letter; `action` is what the link does."""

    subject: str
    text: list[str]
    action: str = ""
    small: str = ""


class Letters:
    """Sends letters by the mail channel of the settings, if there is one."""

    def __init__(self, db: Database, settings: Settings, channels: Mapping[str, Channel]) -> None:
        self._db = db
        self._settings = settings
        self._channel = channels.get(settings.mail_channel)
        self._key = ids.token()

    def vias(self, secrets: Mapping[str, tuple[str, ...]]) -> list[Via]:
        """Their queue; `secrets` by the channel's name."""
        if self._channel is None:
            return []
        hidden = secrets.get(self._settings.mail_channel, ())
        return [Via(VIA, "letters to those who log in", self.deliver, self.test, RETRY_SECONDS, secrets=hidden)]

    def entries(self, fact: Fact, now: int) -> Iterable[Entry]:
        if fact.kind == facts.LETTER and self._channel is not None:
            to = str(fact.data["to"])
            yield Entry(ids.new(now), f"{VIA} {to}", VIA, to, now)

    async def deliver(self, job: Job) -> Receipt:
        """Raises Retry, GiveUp, Drop."""
        letter = Letter(**job.fact.data)
        token, until = await self._link(letter) if letter.link else ("", 0)
        chosen = await preferences.of(self._db, letter.login)
        server = self._settings.server
        reader = Reader(chosen.language or letter.language, chosen.zone or server.time_zone, server.country)
        id = f"{job.id}.{ids.token_hash(token)[:8]}"  # the Message-ID: another link is another letter
        with written_for(reader):
            message = self._message(id, letter, _words(letter, self._host, job.fact.at, until), token)
        return Receipt(await self._sender.send(message), message.subject)

    async def test(self) -> str:
        """To the channel's own addressee. Raises Retry, GiveUp."""
        text = "This is a test of the letters that ctserver sends to those who log in."
        return await self._sender.send(Message(ids.new(ids.now_ms()), "", "ctserver", text))

    async def _link(self, letter: Letter) -> tuple[str, int]:
        """Its secret, and when it ends. Raises Drop."""
        token, now = ids.token_of(self._key, letter.link), ids.now_ms()
        until = await self._db.write(lambda tx: links.rekey(tx, letter.link, ids.token_hash(token), now))
        if until is None:
            raise Drop("the link was used or withdrawn, or its time is over")
        return token, until

    def _message(self, id: str, letter: Letter, words: Words, token: str) -> Message:
        link = f"{self._settings.server.public_url}/link/{token}" if token else ""
        parts = [*words.text, *([f"{words.action}:\n{link}"] if link else []), words.small]
        home = self._settings.server.public_url
        html = drawn(
            "person.html", {"link": link, "home": home, "rule": "", "subject_line": words.subject, **asdict(words)}
        )
        return Message(id, letter.to, words.subject, "\n\n".join(filter(None, parts)) + "\n", html=html)

    @property
    def _sender(self) -> Channel:
        if self._channel is None:
            raise Drop("the settings no longer have a mail channel")
        return self._channel

    @property
    def _host(self) -> str:
        return urlsplit(self._settings.server.public_url).netloc


def _words(letter: Letter, host: str, at: int, until: int) -> Words:
    """In the reader's language."""
    values = {"login": letter.login, "by": letter.by, "host": host, "address": letter.address, "when": _moment(at)}
    once = _("The link works once, until %(until)s.") % {"until": _moment(until)}
    nothing = _("If you were not expecting this, you can ignore it.")
    if letter.letter == INVITATION:
        text = _("%(by)s has invited you to ctserver at %(host)s.") % values
        return Words(_("Your ctserver account"), [text, once], _("Choose your user name and password"), nothing)
    if letter.letter == PASSWORD:
        text = _("%(by)s has sent you a link to choose a new password for %(login)s at %(host)s.") % values
        return Words(_("A new password for ctserver"), [text, once], _("Choose a new password"), nothing)
    if letter.letter == FORGOTTEN:
        text = _("Somebody asked for a new password for %(login)s at %(host)s.") % values
        small = _("If this was not you, ignore this e-mail: your password stays the same.")
        return Words(_("A new password for ctserver"), [text, once], _("Choose a new password"), small)
    text = _("The password of %(login)s at %(host)s was changed on %(when)s, from the address %(address)s.")
    small = _("If this was not you, tell an owner of ctserver at once.")
    return Words(
        _("Your password was changed"), [text % values, _("You have been logged out everywhere else.")], "", small
    )


def _moment(ms: int) -> str:
    return f"{language.day(ms, 'long')}, {language.hour_minute(ms)}"
