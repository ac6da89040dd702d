"""The dialplan of one line: a context of ct-settings.conf that Asterisk can follow by itself.

    start    where a call to the line comes in: is it open?
    closed   out of hours
    open     greeting and menu
    people   rings, and what follows when nobody answers
    ring     only rings, and returns: also used by callbacks

What lines have in common stands in asterisk-conf/ct-inbound.conf. Nothing that a caller sent stands in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctserver.asterisk import variables
from ctserver.config import Line, Menu
from ctserver.domain.hours import Hours

STICKY_SECONDS = 15  # how long the one who spoke to a caller last is rung before the others. Ours.


def literal(text: str) -> str:
    """Text that pbx_config reads as itself: no comment starts, backslashes stay. Settings hold no control characters."""
    return text.replace("\\", "\\\\").replace(";", "\\;")


def context(name: str, line: Line, hours: Hours, now: int) -> list[str]:
    """The lines of text of this line's context, its week as it is about `now`."""
    text = ["", f"[{variables.line_context(name)}]"]
    parts: list[tuple[str, list[str]]] = [
        ("start", list(_start(name, line, hours, now))),
        ("closed", list(_closed(line)) if line.hours else []),
        ("open", list(_open(line))),
        ("people", list(_people(line))),
        ("ring", list(_ring(line))),
    ]
    for extension, steps in parts:
        text += extension_of(extension, steps)
    return text


def extension_of(extension: str, steps: Sequence[str]) -> list[str]:
    """`exten =>` and `same =>` lines; a step may begin with its label in brackets: "(again)Read(...)"."""
    text = []
    for place, step in enumerate(steps):
        label, step = step[: step.index(")") + 1] if step.startswith("(") else "", step
        head = f"exten => {extension},1" if place == 0 else f" same => n{label}"
        text.append(f"{head},{step.removeprefix(label)}")
    return text


def _start(name: str, line: Line, hours: Hours, now: int) -> Iterator[str]:
    yield f"Set(CT_LINE={name})"
    if not line.hours:
        yield "Goto(open,1)"
        return
    told = f"${{{variables.hours_variable(name)}}}"
    yield f'GotoIf($["{told}" = "open" | "{told}" = "closed"]?{told},1)'
    zone = f",{hours.time_zone}" if hours.time_zone else ""
    for span in hours.plain_week(now):
        yield f"GotoIfTime({span.first}-{span.last},{span.days},*,*{zone}?open,1)"
    yield "Goto(closed,1)"


def _closed(line: Line) -> Iterator[str]:
    yield "Set(CT_CLOSED=yes)"
    yield _stage(variables.STAGE_HOURS)
    if line.closed_sound:
        yield "Answer()"
        yield f"Playback({line.closed_sound})"
    yield from _then(line, line.closed, line.closed_line, busy=True)


def _open(line: Line) -> Iterator[str]:
    if line.greeting:
        yield _stage(variables.STAGE_GREETING)
        yield "Answer()"
        yield "Wait(0.3)"
        if line.refuse_key:
            yield f"Read(CT_KEY,{line.greeting},1,,1,1)"
            yield f'ExecIf($["${{FILTER(0-9*,${{CT_KEY}})}}" = "{line.refuse_key}"]?Set(CT_REFUSED=yes))'
        else:
            yield f"Playback({line.greeting})"
    if line.menu.keys:
        yield from _menu(line.menu)
    if line.menu.keys and line.menu.otherwise:
        yield f"Goto({variables.line_context(line.menu.otherwise)},start,1)"
    else:
        yield "Goto(people,1)"


def _menu(menu: Menu) -> Iterator[str]:
    """A key that leads nowhere and no key at all count as tries."""
    yield _stage(variables.STAGE_MENU)
    yield "Answer()"
    yield "Set(CT_TRIES=0)"
    yield "(again)Set(CT_TRIES=$[${CT_TRIES} + 1])"
    yield f"Read(CT_KEY,{menu.sound},1,,1,{menu.seconds})"
    yield "Set(CT_KEY=${FILTER(0-9*,${CT_KEY})})"
    yield "Set(CT_KEYS=${CT_KEYS}${CT_KEY})"
    for key, line in menu.keys.items():
        yield f'GotoIf($["${{CT_KEY}}" = "{key}"]?{variables.line_context(line)},start,1)'
    if menu.wrong_sound:
        yield f'ExecIf($["${{CT_KEY}}" != ""]?Playback({menu.wrong_sound}))'
    yield f"GotoIf($[${{CT_TRIES}} < {menu.tries}]?again)"


def _people(line: Line) -> Iterator[str]:
    stage = variables.STAGE_QUEUE if line.queue else variables.STAGE_PBX if line.extension else variables.STAGE_RING
    yield _stage(stage)
    if line.name_prefix:
        yield "Gosub(ct-prefix,s,1)"
    yield f"Gosub(ct-record,{'yes' if line.record else 'no'},1)"
    if line.extension:
        extension, _, where = line.extension.rpartition("@")
        yield f"GotoIf(${{DIALPLAN_EXISTS({where},{extension},1)}}?{where},{extension},1)"
    yield "Gosub(ring,1)"
    if (line.missed, line.missed_sound) == ("hang_up", ""):
        yield "Goto(ct-call,unanswered,1)"
        return
    yield 'GotoIf($["${DIALSTATUS}" = "ANSWER"]?ct-call,unanswered,1)'  # answered: that only hangs up
    if line.missed_sound:
        yield "Answer()"
        yield f"Playback({line.missed_sound})"
    yield from _then(line, line.missed, line.missed_line, busy=False)


def _ring(line: Line) -> Iterator[str]:
    """Ends with DIALSTATUS as the last of the steps left it. The class of music is the channel's own: it is heard on hold too."""
    if line.music:
        yield f"Set(CHANNEL(musicclass)={line.music})"
    if line.whisper_sound or line.whisper_text:
        yield f"Set(CT_SAY={line.whisper_sound})"
        yield 'ExecIf($["${CT_WHISPER}" != ""]?Set(CT_SAY=${CT_WHISPER}))'
    if line.returning:
        yield 'GotoIf($["${CT_LAST}" = ""]?others)'
        yield f"Dial(${{CT_LAST}},{min(STICKY_SECONDS, line.ring_seconds)},{_options(line)})"
        yield 'GotoIf($["${DIALSTATUS}" = "ANSWER"]?done)'
        yield "(others)Set(CT_LAST=)"
    for place, dial in enumerate([f"Local/{line.extension}/n"] if line.extension else line.dial):
        if place:
            yield 'GotoIf($["${DIALSTATUS}" = "ANSWER"]?done)'
        yield f"Dial({literal(dial)},{line.ring_seconds},{_options(line)})"
    if line.queue:
        yield from _queue(line)
    yield "(done)Return()"


def _queue(line: Line) -> Iterator[str]:
    """Without music nobody has answered before somebody does; with it the caller pays from the start."""
    options = f"{'' if line.music else 'r'}{_header(line)}${{CT_AFTER}}"
    if line.music:
        yield 'ExecIf($["${CT_CALLBACK}" = ""]?Answer())'  # a visitor is rung once a member has answered
    said = "${CT_SAY}" if line.whisper_sound or line.whisper_text else ""
    yield f"Queue({line.queue},{options},,{said},{line.ring_seconds})"


def _options(line: Line) -> str:
    """Of Dial()."""
    music = f"m({line.music})" if line.music else ""
    whisper = line.whisper_sound or line.whisper_text
    said = "${IF($[${LEN(${CT_SAY})} > 0]?A(${CT_SAY}))}" if whisper else ""
    return f"g{music}{_header(line)}{said}${{CT_AFTER}}${{CT_ACCEPT}}"


def _header(line: Line) -> str:
    return f"b(ct-header^s^1({line.source_header}))" if line.source_header else ""


def _then(line: Line, then: str, other: str, *, busy: bool) -> Iterator[str]:
    if then == "line":
        yield f"Goto({variables.line_context(other)},start,1)"
    elif then == "voicemail":
        yield f"Set(CT_MESSAGE_SOUND={line.voicemail_sound})"
        yield f"Set(CT_MESSAGE_SECONDS={line.voicemail_seconds})"
        yield "Goto(ct-voicemail,s,1)"
    else:
        yield "Hangup(17)" if busy else "Goto(ct-call,unanswered,1)"


def _stage(stage: str) -> str:
    return f"Gosub(ct-stage,{stage},1)"
