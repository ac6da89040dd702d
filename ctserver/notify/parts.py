"""What several channels share: templates that cannot reach out, digits of a number, text with its links."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ctserver.outbound import GiveUp, Message

NO_MONEY_SECONDS = 1800.0  # somebody will pay in the meantime, or read why nothing arrives. Ours.


class BadChannel(Exception):
    """What makes a table of the settings useless; `key` is the key to mend."""

    def __init__(self, key: str, what: str, hint: str = "see docs/notify.md") -> None:
        self.key, self.what, self.hint = key, what, hint
        super().__init__(what)


class BadTemplate(BadChannel):
    """A template or expression of the settings that cannot be read."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, f"cannot be read: {why}")


class Pattern:
    """A one-line template of the settings. `encode` is applied to every value put in, so that none can break out."""

    def __init__(self, key: str, text: str, encode: Callable[[object], str] = str) -> None:
        sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=encode)
        try:
            self._template = sandbox.from_string(text)
            self.fill(dict.fromkeys(PATTERN_WORDS, "1"))
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise BadTemplate(key, str(error)) from error

    def fill(self, words: dict[str, str]) -> str:
        return self._template.render(words)


PATTERN_WORDS = ("to", "to_plus", "to_digits", "text", "sender", "id", "secret")


def digits(number: str) -> str:
    """E.164 as gateways want it: without the plus. Raises GiveUp for what is no number."""
    found = number.removeprefix("+")
    if not (found.isascii() and found.isdigit()):
        raise GiveUp(f"{number!r} is no telephone number of the form +447700900123")
    return found


def short_text(message: Message) -> str:
    """The words for an SMS."""
    return message.short or message.text


def text_with_links(message: Message) -> str:
    """The words, and the buttons as lines, for channels that have no buttons."""
    lines = [
        f"{button.text}: {button.url}" for button in message.buttons if button.url and button.url not in message.text
    ]
    return "\n".join([message.text.rstrip(), *([""] if lines else []), *lines])


def recipient(message: Message, fixed: str) -> str:
    """Whom the message names, or else the settings. Raises GiveUp."""
    if not (found := message.to or fixed):
        raise GiveUp("nobody to send to: neither the rule nor `to` of the channel names anyone")
    return found
