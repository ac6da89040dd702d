"""ctserver.toml: every key documented, every mistake told at once, with file, key, what is wrong and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ctserver import config
from ctserver.config import ConfigError, Menu, Settings
from ctserver.config.after_call import AfterCall

MINIMAL = '[lines.office]\ndial = "PJSIP/100"\n'


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        file = tmp_path / "ctserver.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def problems(file: Path, **overrides: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        config.load(file, overrides)
    assert str(file) in str(caught.value)
    return {problem.key: (problem.what, problem.hint) for problem in caught.value.problems}


# ---- the shipped file


def leaves(model: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the settings, with * where a name is free."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            if name != "base":
                yield from leaves(field.annotation, (*path, name))
        return
    inner = [kind for kind in get_args(model) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if inner:
        yield from leaves(inner[0], (*path, "*"))
    else:
        yield path


KEYS = [kind.model_fields["keys"].annotation for kind in (Menu, AfterCall)]  # tables whose keys are a person's


def flat(table: Any, model: Any = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of a TOML file, in the same spelling."""
    for name, value in table.items() if isinstance(table, dict) else enumerate(table):
        named = isinstance(model, type) and issubclass(model, BaseModel)
        below = (
            model.model_fields[name].annotation
            if named and name in model.model_fields
            else (get_args(model) or [None])[-1]
        )
        here = (*path, str(name) if named else "*")
        if (isinstance(value, dict) and value and below not in KEYS) or (
            isinstance(value, list) and value and isinstance(value[0], dict)
        ):
            yield from flat(value, below, here)
        else:
            yield here


def test_every_setting_stands_in_the_shipped_file_and_nothing_else(root: Path) -> None:
    text = (root / "ctserver.toml").read_text(encoding="utf-8")
    examples = re.sub(
        r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.M
    )  # tables that the demo does without stand as comments
    shown = {key for key in flat(tomllib.loads(examples)) if key[0] != "notify"}  # its kinds: tests/test_docs.py
    assert shown == {key for key in leaves(Settings) if key[0] != "notify"}


def test_every_key_of_the_shipped_file_has_a_comment_or_a_comment_above_its_table(root: Path) -> None:
    commented = False
    silent = {"ami_user", "name", "dial", "number", "pool", "line", "site", "source", "medium", "campaign", "numbers"}
    for line in (root / "ctserver.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith(("#", "[")):
            commented = commented or line.startswith("#")
        elif found := re.match(r"(\w+) = ", line):
            assert "#" in line or (commented and found[1] in silent), line
        elif not line:
            commented = False


def test_the_shipped_file_is_good(root: Path) -> None:
    settings = config.load(root / "ctserver.toml")
    assert settings.default_line == "office"
    assert set(config.number_uses(settings)) >= {"+442079460101", "+442079460190"}


def test_what_is_left_out_has_the_default_that_the_shipped_file_shows(root: Path, write: Any) -> None:
    shipped = config.load(root / "ctserver.toml")
    bare = config.load(write(MINIMAL))
    assert bare.server.model_copy(update={"demo": True}) == shipped.server
    assert (bare.database, bare.fastagi, bare.log, bare.recordings) == (
        shipped.database, shipped.fastagi, shipped.log, shipped.recordings,
    )  # fmt: skip


# ---- mistakes


def test_all_mistakes_are_told_at_once(write: Any) -> None:
    found = problems(
        write("""
[server]
listn = "127.0.0.1:80"
listen = "8080"
public_url = "calls.example.com/path"
country = "ZZ"
demo = "yes"
[lines.office]
ring_seconds = 0
dial = "PJSIP/100"
[sites.shop]
domains = []
number = "hello"
pool = "main"
line = "offise"
[pools.man]
numbers = ["+44 20 7946 0101", "12"]
[static.billboard]
number = "+44 20 7946 0101"
site = "shpo"
""")
    )
    assert found["server.listn"] == ("unknown key", "did you mean 'listen'?")
    assert "not an address and a port" in found["server.listen"][0]
    assert "https://" in found["server.public_url"][1]
    assert "country code" in found["server.country"][0]
    assert found["server.demo"][0] == "must be true or false, not 'yes'"
    assert "greater than or equal to 1" in found["lines.office.ring_seconds"][0]
    assert "domains" in str(found.keys())
    assert "no phone number" in found["sites.shop.number"][0]
    assert "+44 20 7946 0101" in found["sites.shop.number"][1]
    assert found["sites.shop.pool"] == ("there is no [pools.main]", "did you mean 'man'?")
    assert found["sites.shop.line"][1] == "did you mean 'office'?"
    assert "phone number" in found["pools.man.numbers.1"][0]
    assert "is also in pools.man.numbers" in found["static.billboard.number"][0]
    assert found["static.billboard.site"][1] == "did you mean 'shop'?"
    assert found["static.billboard.source"] == ("is missing", "add source to [static.billboard]")


def test_a_number_in_two_pools_is_told_with_both_pools(write: Any) -> None:
    pools = '[pools.a]\nnumbers = ["+442079460101"]\n[pools.b]\nnumbers = ["020 7946 0101"]\n'
    what, hint = problems(write(MINIMAL + pools))["pools.b.numbers"]
    assert what == "+442079460101 is also in pools.a.numbers"
    assert "remove one" in hint


def test_a_number_twice_in_one_pool_is_told(write: Any) -> None:
    assert problems(write(MINIMAL + '[pools.a]\nnumbers = ["+442079460101", "+44 20 7946 0101"]\n'))


@pytest.mark.parametrize("text", ["[server\nlisten = 1", "a = ", "x = " + "[" * 5000, "\x00"])
def test_broken_toml_is_told_with_words(write: Any, text: str) -> None:
    what, hint = problems(write(text))["TOML"]
    assert "cannot be read" in what
    assert hint


def test_broken_toml_names_the_line(write: Any) -> None:
    assert "line 3" in problems(write("[server]\ndemo = true\nlisten = oops\n"))["TOML"][0]


def test_a_file_that_is_not_text_a_folder_and_no_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in problems(tmp_path / "a.toml")["TOML"][0]
    assert "directory" in problems(tmp_path)["file"][0]
    what, hint = problems(tmp_path / "none.toml")["file"]
    assert "No such file" in what
    assert "--config" in hint


def test_an_empty_file_asks_for_a_line(write: Any) -> None:
    what, hint = problems(write(""))["lines"]
    assert what == "is missing"
    assert "[lines." in hint


@pytest.mark.parametrize(
    "text",
    [
        "asterisk = [1]",
        "asterisk = 1",
        "server = 1",
        "server = []",
        "[server]\ncountry = 5",
        "[server]\ncountry = ['GB']",
        "lines = []",
        "[lines]\noffice = 'x'",
        "[pools]\na = []",
        "pools = [1]",
        "[pools.a]\nnumbers = 'x'",
        "[pools.a]\nnumbers = [1, {}]",
        "[static]\na = 2020-01-01",
        "[sites.a]\nnumber = []",
        "base = '/'",
        "[lines.'Ünïcode space']\ndial = 'x'",
        "[[asterisk]]\nami = ':'",
        "[[asterisk]]\nid = 5",
        "[[asterisk]]\n[[asterisk]]",
    ],
)
def test_values_of_any_kind_in_any_place_are_told_and_never_raise_otherwise(write: Any, text: str) -> None:
    assert problems(write(text + "\n[sites.shop]\ndomains = ['x']\nnumber = '020 7946 0000'\n"))


@pytest.mark.parametrize("country", ["GB", "gb"])
def test_national_numbers_are_read_by_the_country(write: Any, country: str) -> None:
    pool = f'[server]\ncountry = "{country}"\n[pools.a]\nnumbers = ["020 7946 0101"]\n'
    settings = config.load(write(MINIMAL + pool))
    assert settings.pools["a"].numbers == ["+442079460101"]
    assert settings.server.country == "GB"


@pytest.mark.parametrize("dial", ["PJSIP/${EXTEN}", "PJSIP/$[1+1]", "a\\nb", 'a\\"b', ""])
def test_a_dial_string_that_the_dialplan_would_evaluate_is_refused(write: Any, dial: str) -> None:
    assert "lines.office.dial" in problems(write(f'[lines.office]\ndial = "{dial}"\n'))


@pytest.mark.parametrize(
    "address", ["", "8080", "localhost", ":80", "a:b", "1.2.3.4:70000", "x\\nexten => s,1:80", "a b:80", "h;x:1", "h:²"]
)
def test_an_address_is_a_host_and_a_port_and_nothing_else(write: Any, address: str) -> None:
    assert "fastagi.listen" in problems(write(f'{MINIMAL}[fastagi]\nlisten = "{address}"\n'))


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:8080", "pbx-1.example.com:5038", "0.0.0.0:80"])
def test_good_addresses_are_good(write: Any, address: str) -> None:
    assert config.load(write(f'{MINIMAL}[fastagi]\nlisten = "{address}"\n')).fastagi.listen == address


# ---- overrides


def test_settings_can_be_overridden_by_dotted_keys(write: Any) -> None:
    settings = config.load(
        write(MINIMAL),
        {
            "server.listen": "127.0.0.1:9",
            "server.demo": "true",
            "asterisk.pbx.ami": "127.0.0.1:5",
            "lines.office.ring_seconds": "7",
        },
    )
    assert (settings.server.listen, settings.server.demo) == ("127.0.0.1:9", True)
    assert settings.asterisk[0].ami == "127.0.0.1:5"
    assert settings.lines["office"].ring_seconds == 7


@pytest.mark.parametrize(
    "key", ["server.nope", "nope", "asterisk.other.ami", "server.listen.x", "", ".", "lines..dial"]
)
def test_an_override_of_no_key_is_told(write: Any, key: str) -> None:
    assert problems(write(MINIMAL), **{key: "x"})


def test_an_override_below_rubbish_is_told(write: Any) -> None:
    assert problems(write("asterisk = [1]\n" + MINIMAL), **{"asterisk.pbx.ami": "x:1"})


# ---- secrets


def secret_problem(settings: Settings) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        settings.secret(settings.asterisk[0])
    (problem,) = caught.value.problems
    assert problem.key == "asterisk.pbx.ami_secret_file"
    return problem.what, problem.hint


def test_the_secret_comes_from_its_file_or_else_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = settings.asterisk[0]
    assert settings.secret(pbx) == "s3cret"
    monkeypatch.setenv("CTSERVER_AMI_SECRET", "from all")
    assert settings.secret(pbx) == "from all"
    monkeypatch.setenv("CTSERVER_AMI_SECRET_PBX", "from one")
    assert settings.secret(pbx) == "from one"


def test_a_missing_secret_says_where_to_put_it(write: Any) -> None:
    what, hint = secret_problem(config.load(write(MINIMAL)))
    assert what == "no secret"
    assert "CTSERVER_AMI_SECRET_PBX" in hint
    what, hint = secret_problem(config.load(write(MINIMAL + '[[asterisk]]\nami_secret_file = "none"\n')))
    assert "No such file" in what
    assert "mode 0600" in hint


@pytest.mark.parametrize("text", ["", "\n", "a\nb", "a\r\n\r\nAction: Command", "a\0b"])
def test_a_secret_is_one_line_of_text(toml: Path, settings: Settings, text: str) -> None:
    (toml.parent / "secret").write_text(text)
    what, hint = secret_problem(settings)
    assert "one line" in what
    assert hint


def test_a_secret_in_the_file_of_settings_is_refused(write: Any) -> None:
    found = problems(write(MINIMAL + '[[asterisk]]\nami_secret = "x"\n'))
    assert found["asterisk.0.ami_secret"] == ("unknown key", "did you mean 'ami_secret_file'?")


def test_paths_are_relative_to_the_folder_of_the_file(write: Any, tmp_path: Path) -> None:
    settings = config.load(write(MINIMAL))
    assert settings.path("var/x") == tmp_path / "var/x"
    assert settings.path("/var/x") == Path("/var/x")


# ---- lines


LINES = '[lines.a]\ndial = "PJSIP/1"\n{a}\n[lines.b]\ndial = "PJSIP/2"\n{b}\n'


@pytest.mark.parametrize(
    ("a", "b", "key"),
    [
        ('queue = "q"', "", "lines.a"),
        ('missed = "line"', "", "lines.a"),
        ('missed_line = "b"', "", "lines.a"),
        ('missed = "line"\nmissed_line = "c"', "", "lines.a.missed_line"),
        ('missed = "line"\nmissed_line = "b"', 'missed = "line"\nmissed_line = "a"', "lines.a"),
        ('missed = "line"\nmissed_line = "a"', "", "lines.a"),
        ('hours = "Mo-Xx"', "", "lines.a.hours"),
        ('hours = "24/7"\nholidays = "Atlantis"', "", "lines.a.holidays"),
        ('time_zone = "Moon/Sea"', "", "lines.a.time_zone"),
        ('refuse_key = "1"', "", "lines.a"),
        ('greeting = "a,b)"', "", "lines.a.greeting"),
        ('source_header = "X: y"', "", "lines.a.source_header"),
        ('[lines.a.menu]\nsound = "m"', "", "lines.a.menu"),
        ('[lines.a.menu]\nsound = "m"\nkeys = {1 = "c"}', "", "lines.a.menu.keys.1"),
        ('[lines.a.menu]\nsound = "m"\nkeys = {11 = "b"}', "", "lines.a.menu.keys.11"),
        ('[callbacks]\ndial = "PJSIP/trunk"', "", "callbacks.dial"),
        ('[callbacks]\ndial = "PJSIP/{number}@t&PJSIP/1"', "", "callbacks.dial"),
        ('[callbacks]\nsites = ["nowhere"]', "", "callbacks.sites.0"),
    ],
)
def test_a_line_that_leads_nowhere_is_told(write: Any, a: str, b: str, key: str) -> None:
    assert key in problems(write(LINES.format(a=a, b=b)))


def test_a_menu_may_lead_back_since_the_caller_presses_the_key(write: Any) -> None:
    menu = '[lines.{}.menu]\nsound = "m"\nkeys = {{1 = "{}"}}'
    config.load(write(LINES.format(a=menu.format("a", "b"), b=menu.format("b", "a"))))
