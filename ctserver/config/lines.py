"""Lines: where calls are put through to, and what a caller meets on the way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ctserver.config.types import CallerNumber, Identifier, OneLine, Reference, Table, country_code, one_line, zone_name
from ctserver.domain.hours import Hours

# A sound as Playback() knows it, without its ending; several joined by &.
Sound = Annotated[str, Field(pattern=r"^([A-Za-z0-9_./-]+(&[A-Za-z0-9_./-]+)*)?$", max_length=300)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,80}$")]  # of something in Asterisk: a queue, a class of music
Extension = Annotated[str, Field(pattern=r"^([A-Za-z0-9_*#+-]+@[A-Za-z0-9_.-]+)?$", max_length=120)]
Key = Annotated[str, Field(pattern=r"^[0-9*]$")]  # # ends the reading of keys
Header = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9-]{0,59})?$")]


def _dial_strings(value: list[str]) -> list[str]:
    for dial in value:
        one_line(dial)
        if not 0 < len(dial) <= 500:
            raise ValueError("a dial string has 1 to 500 characters")
    return value


DialStrings = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    AfterValidator(_dial_strings),
]
Then = Literal["hang_up", "voicemail", "line"]


def _rule(value: str) -> str:
    Hours(value).check()
    return value


Rule = Annotated[OneLine, AfterValidator(_rule)]
Timezone = Annotated[str, AfterValidator(zone_name)]
Country = Annotated[str, AfterValidator(lambda value: country_code(value) if value else value)]


class Menu(Table):
    """Keys that lead to lines; without keys there is no menu."""

    sound: Sound = ""
    keys: dict[Key, Identifier] = {}
    seconds: int = Field(default=5, ge=1, le=60)
    tries: int = Field(default=3, ge=1, le=10)
    wrong_sound: Sound = "pbx-invalid"
    otherwise: Reference = ""

    @model_validator(mode="after")
    def _is_heard(self) -> Menu:
        if bool(self.keys) != bool(self.sound):
            raise ValueError("a menu has both a sound and keys")
        return self


class Line(Table):
    """See docs/lines.md."""

    name: str = ""
    dial: DialStrings = []
    queue: Name = ""
    extension: Extension = ""
    ring_seconds: int = Field(default=30, ge=1, le=600)
    record: bool = True
    music: Name = ""
    hours: Rule = ""
    holidays: Country = ""
    time_zone: Timezone = ""
    closed: Then = "hang_up"
    closed_sound: Sound = ""
    closed_line: Reference = ""
    greeting: Sound = ""
    refuse_key: Annotated[str, Field(pattern=r"^[0-9*]?$")] = ""
    menu: Menu = Menu()
    missed: Then = "hang_up"
    missed_sound: Sound = ""
    missed_line: Reference = ""
    voicemail_sound: Sound = "vm-intro"
    voicemail_seconds: int = Field(default=120, ge=5, le=600)
    returning: bool = False
    name_prefix: bool = False
    source_header: Header = ""
    whisper_sound: Sound = ""
    whisper_text: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Line:
        ways = [bool(self.dial), bool(self.queue), bool(self.extension)]
        if sum(ways) > 1:
            raise ValueError("name one of dial, queue and extension, not several")
        if not any(ways) and not (self.menu.keys and self.menu.otherwise):
            raise ValueError("rings nothing: name one of dial, queue or extension, or a menu with `otherwise`")
        if self.refuse_key and not self.greeting:
            raise ValueError("refuse_key is read during the greeting: name a greeting too")
        if self.extension and (self.missed != "hang_up" or self.returning):
            raise ValueError(
                'the PBX\'s own dialplan decides what follows; with dial = ["Local/..."] it would be this line'
            )
        for key, then, line in (
            ("closed", self.closed, self.closed_line), ("missed", self.missed, self.missed_line)
        ):  # fmt: skip
            if (then == "line") != bool(line):
                raise ValueError(f'{key} = "line" and {key}_line = "NAME" belong together')
        return self

    @property
    def plain(self) -> bool:
        """Does it do nothing but ring one dial string? Then the route itself says all."""
        return len(self.dial) == 1 and not (
            self.hours or self.greeting or self.menu.keys or self.music or self.wants_source or self.returning
            or self.missed != "hang_up" or self.missed_sound or self.whisper_sound
        )  # fmt: skip

    @property
    def wants_source(self) -> bool:
        """Must the caller's source be known before it rings?"""
        return self.name_prefix or bool(self.source_header) or bool(self.whisper_text)

    @property
    def rings(self) -> str:
        """What it rings, for people."""
        return ", then ".join(self.dial) or self.queue or self.extension

    def leads_to(self) -> list[str]:
        """The lines that a caller comes to without pressing a key."""
        return [line for line in (self.closed_line, self.missed_line, self.menu.otherwise) if line]


class Callers(Table):
    """Who is not put through."""

    blocked: list[CallerNumber] = []
    anonymous: Literal["accept", "reject", "busy", "voicemail"] = "accept"
    calls_per_hour: int = Field(default=0, ge=0)
    then: Literal["reject", "busy", "voicemail"] = "reject"


class Speech(Table):
    """A program that speaks: writes a text as a WAV file."""

    command: list[OneLine] = []
    folder: OneLine = "var/speech"
    timeout_seconds: int = Field(default=20, ge=1, le=120)
