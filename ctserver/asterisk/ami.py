"""The AMI link: panoramisk's Manager made safe, kept alive, and read by one consumer.

What panoramisk 1.4 lacks and this module owns: characters cut by the network stay whole; a raising callback does not
close the link; no action is ever sent twice; every action ends, with an answer or with LinkDown; a silent PBX is
noticed (a Ping must be answered in time) and the link made anew, with back-off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message as PanoramiskMessage

from ctserver import ids
from ctserver.asterisk.translate import READ
from ctserver.asterisk.wire import Message, Splitter, text

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
ACTION_SECONDS = 5.0
PING_SECONDS = 2.0  # also wakes sessions that hold back the last event of a burst (Asterisk up to 22.10)
BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
GATHER_SECONDS = 0.05  # a call's events come in bursts: a burst is one commit, after the phone rings
ROUND_SECONDS = 0.5  # on a busy PBX: from commit to commit, so that the bursts of many calls share it
MAX_QUEUE = 100_000
NOT_YET = "not connected yet"


class AmiError(Exception):
    """An action failed; the message is the PBX's own."""


class LinkDown(AmiError):
    """There is no link to the PBX, or it broke before the answer."""


class LoginRefused(AmiError):
    """Wrong user or secret, or this address is not permitted."""


class _Protocol(AMIProtocol):  # type: ignore[misc]
    """Reads bytes as wire.py does, and gives events on without making panoramisk's objects of them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.splitter = Splitter(READ)
        self.raw: Callable[[bytes], None] | None = None

    def data_received(self, data: bytes) -> None:
        for message in self.splitter.feed(data):
            try:
                self._receive(message)
            except Exception:
                log.exception("an AMI message could not be read")

    def _receive(self, message: Message) -> None:
        pending = message.get("ActionID") in self.responses
        if pending and message.get("Response") == "Error":
            self._refuse(message)
        elif "Response" in message or pending:
            self.handle_message(PanoramiskMessage(message))
        elif "Event" in message and self.factory is not None:
            self.factory.receive(message)

    def _refuse(self, message: Message) -> None:
        """An error ends an action, also one that is to be answered by a list (panoramisk waits for the list)."""
        action = self.responses.pop(message["ActionID"])
        if not action.future.done():
            action.future.set_result(PanoramiskMessage(message))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.factory is not None:  # a login that was given up has let go of it
            super().connection_lost(exc)

    def close(self) -> None:
        waiting = {id(action): action for action in self.responses.values()}
        self.responses.clear()
        for action in waiting.values():
            if not action.future.done():
                action.future.set_exception(LinkDown("the link to the PBX broke before the answer"))
                action.future.exception()  # it may be that nobody waits any more
        super().close()


class _Manager(Manager):  # type: ignore[misc]
    """One connection. Reconnecting, pinging and queueing are Link's."""

    def __init__(self, receive: Callable[[Message], None], **config: Any) -> None:
        super().__init__(protocol_factory=_Protocol, loop=asyncio.get_running_loop(), **config)
        self.receive = receive
        self.lost = asyncio.Event()

    def ping(self) -> None:
        """Link awaits the answers of its own pings."""

    def login(self, future: asyncio.Future[Any]) -> bool:
        return not future.cancelled() and future.exception() is None and bool(super().login(future))

    def connection_lost(self, exc: object) -> None:
        self.lost.set()


class Link:
    """A lasting link to one PBX.

    `on_up` is awaited after each login, before the first event is consumed; `consume` gets the events in order, all
    of a burst at once.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        secret: str,
        *,
        on_up: Callable[[Link], Awaitable[None]],
        consume: Callable[[list[Message]], Awaitable[None]],
        name: str = "pbx",
    ) -> None:
        self._config = {"host": host, "port": port, "username": user, "secret": secret}
        self._on_up = on_up
        self._consume = consume
        self._name = name
        self._manager: _Manager | None = None
        self._events: list[Message] = []
        self._some = asyncio.Event()
        self.problem: str | None = NOT_YET
        self.alive_at = 0  # epoch ms: the PBX's last sign of life while it was followed; 0: none yet

    async def run(self) -> None:
        """Until cancelled: connect, consume, notice the end, wait a little, again."""
        failures = 0
        while True:
            try:
                await self._once()
            except Exception as error:
                expected = isinstance(error, OSError | AmiError | TimeoutError)
                failures = 0 if self.problem is None else failures + 1
                if self.problem != _words(error):
                    log.warning("AMI %s: %s", self._name, _words(error), exc_info=None if expected else error)
                self.problem = _words(error)
            finally:
                self._close()
            await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])

    async def send(self, action: Mapping[str, str], *, seconds: float = ACTION_SECONDS) -> Message:
        """Send one action, once; its (first) answer. Raises AmiError with the PBX's words, LinkDown, TimeoutError."""
        answers = await self._send(action, seconds, as_list=False)
        return answers[0]

    async def send_list(self, action: Mapping[str, str], *, seconds: float = ACTION_SECONDS) -> list[Message]:
        """Send an action that is answered by a list of events; the response first."""
        return await self._send(action, seconds, as_list=True)

    async def _send(self, action: Mapping[str, str], seconds: float, *, as_list: bool) -> list[Message]:
        _refuse_control_characters(action)
        manager = self._manager
        if manager is None or manager.protocol is None or manager.protocol.closed:
            raise LinkDown(self.problem or "there is no link to the PBX")
        return await _ask(manager, action, seconds, as_list=as_list)

    async def _once(self) -> None:
        manager = _Manager(self._events_put, **self._config, ping_delay=10**6, ping_interval=10**6)
        await connect(manager)
        self._manager = manager
        consumer = asyncio.create_task(self._consume_all(manager), name=f"AMI {self._name} consumer")
        pinger = asyncio.create_task(self._watch(), name=f"AMI {self._name} watchdog")
        lost = asyncio.create_task(manager.lost.wait())
        tasks: set[asyncio.Task[Any]] = {consumer, pinger, lost}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if lost in done and self.problem is None:
                self.alive_at = ids.now_ms()
            for task in done:
                task.result()
            raise LinkDown("the PBX closed the link")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.drain()  # what it said last tells how calls ended

    def _events_put(self, message: Message) -> None:
        if len(self._events) >= MAX_QUEUE:
            log.error("AMI %s: %d events wait, one is dropped", self._name, MAX_QUEUE)
            return
        self._events.append(message)
        self._some.set()

    async def _consume_all(self, manager: _Manager) -> None:
        await self._on_up(self)
        self.problem = None
        log.info("AMI %s: linked to %s:%s", self._name, self._config["host"], self._config["port"])
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await self._some.wait()
            await _gather(manager.protocol.transport, max(GATHER_SECONDS, last + ROUND_SECONDS - clock()))
            last = clock()
            await self.drain()

    async def drain(self) -> None:
        """Consume the events that wait."""
        batch, self._events = self._events, []
        self._some.clear()
        try:
            if batch:
                await self._consume(batch)
        except Exception:
            log.exception("AMI %s: %d events could not be used", self._name, len(batch))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            try:
                await self.send({"Action": "Ping"})
            except TimeoutError as error:
                raise LinkDown("the PBX does not answer") from error
            except LinkDown:
                raise
            except AmiError as refused:  # it is shutting down, and will say last what becomes of its calls
                log.info("AMI %s: %s", self._name, refused)
            if self.problem is None:
                self.alive_at = ids.now_ms()

    def _close(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None and manager.protocol is not None:
            with contextlib.suppress(Exception):
                manager.protocol.transport.abort()
            manager.close()


async def _gather(transport: asyncio.ReadTransport, seconds: float) -> None:
    """Let a burst come to its end, and then read it at one go: to be woken for each message costs more than the message."""
    transport.pause_reading()
    try:
        await asyncio.sleep(seconds)
    finally:
        transport.resume_reading()
    await asyncio.sleep(0)  # the loop reads what has come


async def connect(manager: _Manager) -> None:
    """Connect and log in, each within a time. Raises OSError, TimeoutError, LoginRefused."""
    config = manager.config
    _refuse_control_characters({"Username": config["username"], "Secret": config["secret"]})
    loop = asyncio.get_running_loop()
    pair = await asyncio.wait_for(loop.create_connection(_Protocol, config["host"], config["port"]), CONNECT_SECONDS)
    made: asyncio.Future[Any] = loop.create_future()
    made.set_result(pair)
    manager.connection_made(made)
    try:
        answer = await asyncio.wait_for(asyncio.shield(manager.authenticated_future), CONNECT_SECONDS)
    except BaseException:
        pair[0].abort()
        raise
    if not answer.success:
        pair[0].abort()
        raise LoginRefused(f"login refused for AMI user {config['username']!r}: {text(dict(answer), 'Message')}")


async def _ask(manager: _Manager, action: Mapping[str, str], seconds: float, *, as_list: bool) -> list[Message]:
    answer = await asyncio.wait_for(manager.send_action(dict(action), as_list=as_list), seconds)
    answers = [cast(Message, dict(part)) for part in (answer if isinstance(answer, list) else [answer])]
    if text(answers[0], "Response") == "Error":
        raise AmiError(text(answers[0], "Message") or "the PBX refused without a word")
    return answers


async def ask_once(host: str, port: int, user: str, secret: str, action: Mapping[str, str]) -> Message:
    """One action over a link of its own. Raises AmiError with the PBX's words, LinkDown, TimeoutError."""
    _refuse_control_characters(action)
    manager = _Manager(lambda _: None, host=host, port=port, username=user, secret=secret, ping_delay=10**6)
    try:
        await connect(manager)
        return (await _ask(manager, action, ACTION_SECONDS, as_list=False))[0]
    except OSError as error:
        raise LinkDown(_words(error)) from error
    finally:
        manager.close()


async def attempt(host: str, port: int, user: str, secret: str) -> None:
    """Try the link once, for `ctserver check`. Raises what `connect` raises."""
    manager = _Manager(lambda _: None, host=host, port=port, username=user, secret=secret, ping_delay=10**6)
    try:
        await connect(manager)
    finally:
        manager.close()


def _refuse_control_characters(action: Mapping[str, str]) -> None:
    """A line end inside a value would begin an action of its own."""
    if any(ord(character) < 32 for value in action.values() for character in value):
        raise ValueError("control characters in an AMI action")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
