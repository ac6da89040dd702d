"""What one table of the settings says about another."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ctserver.config.problems import Problem, as_dict, as_list
from ctserver.domain import phone


def cross_checks(data: Mapping[str, Any], country: str) -> Iterator[Problem]:
    yield from _references(data)
    yield from _line_references(data)
    yield from _circles(data)
    yield from _number_uses(data, country)
    names = Counter(str(table.get("id", "pbx")) for table in as_list(data.get("asterisk")) if isinstance(table, dict))
    for name, count in names.items():
        if count > 1:
            yield Problem("asterisk", f"the id {name!r} is used {count} times", "give each [[asterisk]] its own id")
    yield from _spools(data)
    yield from _modems(data, names)
    yield from _alerts(data)
    yield from _disk(data)
    yield from _mail(data)
    yield from _oidc(as_dict(data.get("oidc")))
    if "base" in data:
        yield Problem("base", "unknown key", "remove it")


def _references(data: Mapping[str, Any]) -> Iterator[Problem]:
    for kind, key, target in (
        ("sites", "pool", "pools"),
        ("sites", "line", "lines"),
        ("pools", "line", "lines"),
        ("pools", "overflow", "static"),
        ("static", "site", "sites"),
        ("static", "line", "lines"),
        ("alerts", "by", "notify"),
        ("alerts", "then", "alerts"),
    ):
        for name, table in as_dict(data.get(kind)).items():
            yield from _reference(f"{kind}.{name}.{key}", as_dict(table).get(key), target, data)
    for site, table in as_dict(data.get("sites")).items():
        for name, target in as_dict(as_dict(table).get("targets")).items():
            for key, kind in (("pool", "pools"), ("line", "lines")):
                yield from _reference(f"sites.{site}.targets.{name}.{key}", as_dict(target).get(key), kind, data)
    for index, rule in enumerate(as_list(data.get("rules"))):
        for key, kind in (("site", "sites"), ("pool", "pools"), ("static", "static")):
            yield from _reference(f"rules.{index}.{key}", as_dict(rule).get(key), kind, data)
        if sum(bool(as_dict(rule).get(key)) for key in ("pool", "static", "page")) != 1:
            hint = "say what to show: pool = ..., static = ... or page = true"
            yield Problem(f"rules.{index}", "names no number to show, or several", hint)
    for index, site in enumerate(as_list(as_dict(data.get("callbacks")).get("sites"))):
        yield from _reference(f"callbacks.sites.{index}", site, "sites", data)
    yield from _reference("calls.default_line", as_dict(data.get("calls")).get("default_line"), "lines", data)


def _line_references(data: Mapping[str, Any]) -> Iterator[Problem]:
    for name, table in as_dict(data.get("lines")).items():
        for key in ("closed_line", "missed_line"):
            yield from _reference(f"lines.{name}.{key}", as_dict(table).get(key), "lines", data)
        menu = as_dict(as_dict(table).get("menu"))
        yield from _reference(f"lines.{name}.menu.otherwise", menu.get("otherwise"), "lines", data)
        for key, line in as_dict(menu.get("keys")).items():
            yield from _reference(f"lines.{name}.menu.keys.{key}", line, "lines", data)


def _circles(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A caller who presses no key must not be sent round for ever."""
    lines = as_dict(data.get("lines"))
    for name in lines:
        seen, ways = {name}, _next_lines(lines, name)
        while ways:
            line = ways.pop()
            if line == name:
                hint = "let one of the lines on the way hang up or take a message"
                yield Problem(f"lines.{name}", "leads back to itself", hint)
                break
            if line not in seen:
                seen.add(line)
                ways += _next_lines(lines, line)


def _next_lines(lines: Mapping[str, Any], name: str) -> list[str]:
    table = as_dict(lines.get(name))
    ways = [table.get("closed_line"), table.get("missed_line"), as_dict(table.get("menu")).get("otherwise")]
    return [line for line in ways if isinstance(line, str) and line in lines]


def _spools(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Channels of two PBXs may have the same id, and so their files the same name."""
    first: dict[str, str] = {}
    for table in as_list(data.get("asterisk")):
        name, spool = str(as_dict(table).get("id", "pbx")), str(as_dict(table).get("spool", ""))
        if spool in first and first[spool] != name:
            where = spool or "the recordings folder"
            hint = "give each [[asterisk]] a spool folder of its own, then write its dialplan again"
            yield Problem(f"asterisk.{name}.spool", f"{first[spool]!r} writes into {where} as well", hint)
        first.setdefault(spool, name)


def _modems(data: Mapping[str, Any], pbxs: Iterable[str]) -> Iterator[Problem]:
    """A modem belongs to an Asterisk that there is."""
    for name, table in as_dict(data.get("notify")).items():
        wanted = as_dict(table).get("pbx")
        if isinstance(wanted, str) and wanted and wanted not in pbxs:
            known = ", ".join(pbxs) or "none"
            yield Problem(f"notify.{name}.pbx", f"there is no [[asterisk]] with the id {wanted!r}", f"the ids: {known}")


def _disk(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Somebody is told before recording stops."""
    table = as_dict(data.get("recordings"))
    told, stops = table.get("min_free_mb", 500), table.get("stop_free_mb", 100)
    if isinstance(told, int) and isinstance(stops, int) and 0 < told < stops:
        hint = "make it smaller than min_free_mb"
        yield Problem("recordings.stop_free_mb", f"recording would stop before min_free_mb ({told}) is told", hint)


def _alerts(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A chain of `then` ends somewhere; texts to callers ask for their consent."""
    tables = {name: as_dict(table) for name, table in as_dict(data.get("alerts")).items()}
    for name, table in tables.items():
        seen, step = [name], table.get("then")
        while isinstance(step, str) and step in tables:
            if step in seen:
                yield Problem(f"alerts.{name}.then", "leads round in a circle", "let the last one have no then")
                break
            seen.append(step)
            step = tables[step].get("then")
        if "caller" in as_list(table.get("to")) and table.get("consent", "none") == "none":
            hint = 'consent = "call" where the law lets you take his call for it, or "file" with a list'
            yield Problem(f"alerts.{name}.to", "texts to callers need a consent", hint)


def _mail(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Letters to those who log in go by e-mail."""
    name, channels = as_dict(data.get("people")).get("mail"), as_dict(data.get("notify"))
    yield from _reference("people.mail", name, "notify", data)
    if isinstance(name, str) and name in channels and as_dict(channels[name]).get("type") != "email":
        yield Problem("people.mail", f"[notify.{name}] is no e-mail", 'name a channel with type = "email"')


def _oidc(table: Mapping[str, Any]) -> Iterator[Problem]:
    if table.get("issuer") and not table.get("client_id"):
        yield Problem("oidc.client_id", "is missing", "the name under which the provider knows ctserver")
    if table.get("new_users") and not (table.get("role") or table.get("roles")):
        yield Problem("oidc.new_users", "nobody says which role they get", 'role = "analyst", or [oidc.roles] by group')


def _reference(key: str, wanted: object, target: str, data: Mapping[str, Any]) -> Iterator[Problem]:
    known = list(as_dict(data.get(target)))
    if isinstance(wanted, str) and wanted and wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"add [{target}.{wanted}] or name one of: {', '.join(known)}"
        yield Problem(key, f"there is no [{target}.{wanted}]", hint)


def _number_uses(data: Mapping[str, Any], country: str) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for key, text in _numbers(data):
        try:
            number = phone.e164(text, country)
        except phone.NotANumber:
            continue  # told by the shape check
        if number in first:
            yield Problem(key, f"{number} is also in {first[number]}", "a number can have one place only: remove one")
        first.setdefault(number, key)


def _numbers(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, pool in as_dict(data.get("pools")).items():
        for text in as_list(as_dict(pool).get("numbers")):
            if isinstance(text, str):
                yield f"pools.{name}.numbers", text
    for name, static in as_dict(data.get("static")).items():
        if isinstance(text := as_dict(static).get("number"), str):
            yield f"static.{name}.number", text
