"""What the pages claim is so: commands and options, settings, outcomes and reasons, links, names of files."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ctserver import cli, config
from ctserver.asterisk import dialplan, variables
from ctserver.domain import call as machine
from ctserver.domain import verdict
from ctserver.domain.times import Times
from ctserver.http.dashboard import timeline

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "Dockerfile", ROOT / "compose.yaml", ROOT / "docs" / "ctserver.service", ROOT / "ctserver.toml"]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# ---- commands


def commands(text: str) -> Iterator[list[str]]:
    """The words after `ctserver` wherever a page shows it as a command: in backticks, or on an indented line."""
    shown = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (.+)$", text, re.M)
    for line in shown:
        for part in re.split(r"&&|\|\||[;|<>()]", line):
            words = shlex.split(part, comments=True) if part.count("'") % 2 == 0 and part.count('"') % 2 == 0 else []
            for place, word in enumerate(words):
                if word.rsplit("/", 1)[-1] == "ctserver" and _is_command(words[:place]):
                    yield words[place + 1 :]


def _is_command(before: list[str]) -> bool:
    return not before or before[-1] == "--" or before[:2] == ["docker", "run"]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    parser = cli._parser()
    [action] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(action.choices)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_and_option_shown_exists(path: Path) -> None:
    known = subcommands()
    for words in commands(path.read_text(encoding="utf-8")):
        if not words or words[0].startswith("-"):
            assert words in ([], ["--version"], ["--help"]), f"{path.name}: ctserver {words}"
            continue
        if words[0] == "...":
            continue
        assert words[0] in known, f"{path.name}: there is no command {words[0]!r}"
        options = {option for action in known[words[0]]._actions for option in action.option_strings}
        for word in words[1:]:
            if word.startswith("-"):
                assert word.split("=")[0] in options, f"{path.name}: ctserver {words[0]} has no {word}"


def test_every_command_is_told_somewhere() -> None:
    told = {words[0] for path in PAGES for words in commands(path.read_text(encoding="utf-8")) if words}
    assert set(subcommands()) - {"serve"} <= told


# ---- settings


def tables() -> dict[str, type[BaseModel]]:
    """`server` -> its model, `lines.NAME` -> its model, `sites.NAME.targets.NAME`, ..."""
    found: dict[str, type[BaseModel]] = {}

    def walk(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            kind, inner = field.annotation, [part for part in get_args(field.annotation) if _is_model(part)]
            for tag, member in _kinds(kind).items():
                found[f"{prefix}{name}.NAME:{tag}"] = member
            if _is_model(kind):
                found[prefix + name] = kind
            elif inner:
                key = prefix + name + (".NAME" if getattr(kind, "__origin__", None) is dict else "")
                found[key] = inner[0]
                walk(inner[0], f"{key}.")

    walk(config.Settings, "")
    return found


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds(kind: object) -> dict[str, type[BaseModel]]:
    """NAME -> one of several models, told apart by `type`: each of them by its type."""
    for part in get_args(kind):
        members = [member for union in get_args(part) for member in get_args(union) if _is_model(member)]
        if members:
            return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}
    return {}


def keys_of_models() -> dict[str, set[str]]:
    return {
        table: set(model.model_fields) - {"targets", "menu", "target_call", "after_call"}
        for table, model in tables().items()
    }


def described() -> dict[str, dict[str, tuple[str, str]]]:
    """docs/settings.md: table -> key -> (default, meaning)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for section in page("docs/settings.md").split("\n## ")[1:]:
        title = re.match(r"`\[+([\w.]+)\]+`(?:, `type = \"(\w+)\"`)?\n", section)
        if title:
            table = f"{title[1]}:{title[2]}" if title[2] else title[1]
            rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) ?\|$", section, re.M)
            found[table] = {key: (default, meaning) for key, default, meaning in rows}
    return found


def test_the_settings_page_has_every_table_and_every_key_and_no_other() -> None:
    assert {table: set(keys) for table, keys in described().items()} == keys_of_models()


def test_the_settings_page_tells_the_true_defaults() -> None:
    for table, model in tables().items():
        for key, (told, _) in described()[table].items():
            field = model.model_fields[key]
            if field.is_required():
                assert told == "required", f"{table}.{key}"
            else:
                value = tomllib.loads(f"value = {told.strip('`')}")["value"]
                default = field.get_default(call_default_factory=True)
                assert value == default, f"{table}.{key}"


def test_keys_said_to_have_no_effect_yet_have_none() -> None:
    code = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "ctserver").rglob("*.py") if file.parent.name != "config"
    )
    for table, keys in described().items():
        for key, (_, meaning) in keys.items():
            if meaning.endswith("no effect yet"):
                used = re.search(rf"\.{key}\b", code) if table in ("server", "sites.NAME") else f"{table}.{key}" in code
                assert not used, f"{table}.{key} is used now: tell what it does in docs/settings.md"


def shipped_keys() -> dict[str, set[str]]:
    """ctserver.toml: the keys of each table, those behind a # too."""
    found: dict[str, set[str]] = {}
    table = ""
    for line in page("ctserver.toml").splitlines():
        if title := re.match(r"(?:# )?\[+([\w.]+)\]+$", line):
            names = title[1].split(".")
            named = [part if place % 2 == 0 else "NAME" for place, part in enumerate(names)]
            table = ".".join(named)
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            if kind := re.match(r'(?:# )?type = "(\w+)"', line):
                table = f"{table}:{kind[1]}"
            found.setdefault(table, set()).add(key[1])
    return found


def test_the_shipped_settings_show_every_key_and_no_other() -> None:
    wanted, shown = keys_of_models(), shipped_keys()
    assert shown.keys() == wanted.keys()
    for table in wanted:
        if table in ("rules", "sites.NAME.targets.NAME"):  # an example of each; their comment says the rest
            assert shown[table] <= wanted[table]
        else:
            assert shown[table] == wanted[table], table
    comment = page("ctserver.toml").split("\n# Rules")[1]
    assert all(re.search(rf"\b{key}\b", comment) for key in wanted["rules"])


@pytest.mark.parametrize("name", ["privacy.md", "privacy.ru.md"])
def test_the_settings_that_the_pages_on_privacy_name_exist(name: str) -> None:
    keys, text = keys_of_models(), page(f"docs/{name}")
    named = re.findall(r"`\[(\w+)\] (\w+)`", text)
    assert {key for table, key in named if table == "retention"} == keys["retention"], "each period is told"
    assert [f"[{table}] {key}" for table, key in named if key not in keys[table]] == []
    known = set().union(*keys.values())
    alone = set(re.findall(r"`([a-z_]+)(?: = [^`]+)?`", text)) - {"export", "erase"}
    assert {"consent", "visitor_days", "record", "greeting"} <= alone
    assert alone <= known, alone - known
    assert set(re.findall(r"\[([a-z]+_days)\]", text)) <= known


def test_the_shipped_settings_are_good() -> None:
    config.load(ROOT / "ctserver.toml")


def test_the_settings_in_the_install_page_are_good(tmp_path: Path) -> None:
    [block] = re.findall(r"(    \[server\]\n(?:    .*\n|\n)+)", page("docs/install.md"))
    file = tmp_path / "ctserver.toml"
    file.write_text(re.sub(r"^    ", "", block, flags=re.M), encoding="utf-8")
    assert config.load(file).default_line == "office"


def test_the_settings_that_empty_pages_show_are_good(tmp_path: Path) -> None:
    file, shown = tmp_path / "ctserver.toml", 0
    for template in sorted((ROOT / "web/templates").glob("*.html")):
        for block in re.findall(r"<pre[^>]*><code>(\[[^{]*?)</code></pre>", template.read_text(encoding="utf-8")):
            file.write_text(f'[lines.office]\ndial = "PJSIP/100"\n{block}\n', encoding="utf-8")
            config.load(file)
            shown += 1
    assert shown == 2


def test_environment_variables_named_are_read() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "ctserver").rglob("*.py"))
    for path in [*PAGES, *OTHERS]:
        for name in set(re.findall(r"CTSERVER_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8"))):
            assert name in code or name in ("CTSERVER_AMI_SECRET_PBX", "CTSERVER_NOTIFY_SECRET_MAIL"), (
                f"{path.name}: {name}"
            )


# ---- calls


def told(heading: str, columns: int) -> list[list[str]]:
    """The rows of the tables below a heading of docs/calls.md."""
    section = page("docs/calls.md").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return [row for row in rows[2:] if len(row) == columns]


def test_reasons_are_those_of_the_code() -> None:
    assert {row[0]: tuple(row[1].split(", ")) for row in told("Reasons", 3)} == dict(verdict.REASONS)


def test_outcomes_are_those_of_the_code() -> None:
    assert {row[0] for row in told("Outcomes", 2)} == {
        outcome for found in verdict.REASONS.values() for outcome in found
    }


def test_hangup_causes_are_those_of_the_code() -> None:
    rows = told("The order of evidence for missed calls", 3)
    assert {int(row[0]): row[2] for row in rows if row[0].isdigit()} == verdict.CAUSES
    text = page("docs/calls.md")
    assert f"({', '.join(map(str, sorted(verdict.NETWORK_CAUSES)))})" in text
    assert all(status in text for status in verdict.QUEUE_STATUSES)


def test_times_and_hangers_up_are_those_of_the_code() -> None:
    assert {row[0] for row in told("Times", 2)} == {f"{field.name}_ms" for field in fields(Times)}
    assert {row[0] for row in told("Who hung up", 2)} == {
        machine.CALLER,
        machine.COMPANY,
        machine.NETWORK,
        machine.SYSTEM,
    }


def test_steps_are_those_of_the_code() -> None:
    kinds = {kind.strip(" `") for row in told("Steps", 3) for kind in row[0].split(",")}
    stages = {value for name, value in vars(variables).items() if name.startswith("STAGE_")}
    assert kinds == stages | set(timeline.HANDS)
    assert set(timeline.STAGES) <= stages


# ---- links and files


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_relative_links_resolve(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_named_exist(path: Path) -> None:
    folders = "ctserver|docs|scripts|asterisk-conf|agi-scripts|web|migrations|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", path.read_text(encoding="utf-8"))
    for name in named:
        assert (ROOT / name).exists() or name.startswith("ctserver/ct-"), f"{path.name}: {name}"


def test_the_files_of_dialplan_write_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTSERVER_AMI_SECRET", "secret")
    written = dialplan.write(config.load(ROOT / "ctserver.toml"), tmp_path, Path("/usr/bin/python3"))
    rows = re.findall(r"^\| `(ct-[\w.-]+)` \|", page("docs/install.md"), re.M)
    assert set(rows) == {file.name for file in written}


# ---- images and units


def test_every_file_copied_into_an_image_exists_and_is_not_ignored() -> None:
    ignored = {line for line in page(".dockerignore").splitlines() if line and "*" not in line}
    copied = re.sub(r"\\\n\s*", " ", page("Dockerfile"))
    for line in re.findall(r"^COPY (?!--from)(.+)$", copied, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] not in ignored, source


def test_the_health_of_a_container_is_asked_over_http() -> None:
    text = page("Dockerfile")
    assert "/health" in text.split("HEALTHCHECK")[1].split("ENTRYPOINT")[0]
    assert "4573" not in text


def test_the_overrides_of_compose_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = re.findall(r"--set=([\w.]+)=(\S+)", page("compose.yaml"))
    settings = config.load(ROOT / "ctserver.toml", dict(pairs))
    assert len(pairs) == 4
    assert settings.server.listen == "0.0.0.0:8080"
    assert settings.fastagi.listen.startswith("127.0.0.1:")


def test_the_systemd_unit_starts_a_command_that_exists() -> None:
    unit: dict[str, Any] = dict(re.findall(r"^(\w+)=(.+)$", page("docs/ctserver.service"), re.M))
    words = shlex.split(unit["ExecStart"])
    options = cli._parser().parse_args(words[1:])
    assert options.config == Path("/etc/ctserver/ctserver.toml")
    assert unit["Type"] == "notify"
    assert int(unit["RestartPreventExitStatus"]) == cli.MISTAKE


@pytest.mark.parametrize("script", ["docs/pictures/make.py"])
def test_scripts_of_the_docs_compile(script: str) -> None:
    ast.parse(page(script))


def test_shell_lines_of_the_pages_parse() -> None:
    for path in PAGES:
        for line in re.findall(
            r"^    ((?:install|chgrp|chown|runuser|find|python3|cp|ln|curl|sqlite3) .+)$", path.read_text(), re.M
        ):
            done = subprocess.run(["sh", "-n", "-c", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{path.name}: {line}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("site-*.md")), ids=lambda path: path.name)
def test_each_platforms_page_shows_the_script_as_it_is_served(path: Path) -> None:
    addresses = re.findall(r"https://calls\.example\.com/ct\.js\?site=demo", path.read_text(encoding="utf-8"))
    assert addresses
    assert path.name in page("docs/script.md")
