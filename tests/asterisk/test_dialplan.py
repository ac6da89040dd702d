"""What Asterisk is given. Nothing in ctserver.toml can become dialplan of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from ctserver import config
from ctserver.asterisk import dialplan
from ctserver.config import ConfigError, Settings

LINE = "[lines.office]\ndial = {dial}\n[recordings]\nfolder = {folder}\n[fastagi]\nlisten = {listen}\n"


def toml_text(value: str) -> str:
    """As a TOML basic string."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'


def read_as_asterisk(text: str) -> list[tuple[str, str, str]]:
    """(context, key, value) as Asterisk's configuration reader sees them: `;` begins a comment unless escaped."""
    found, context = [], ""
    for line in text.split("\n"):
        plain, escaped = "", False
        for character in line:
            if character == ";" and not escaped:
                break
            if character == ";":
                plain = plain[:-1]
            plain += character
            escaped = character == "\\"
        plain = plain.strip()
        if plain.startswith("["):
            context = plain
        elif plain:
            key, _, value = plain.partition("=>")
            found.append((context, key.strip(), value.strip()))
    return found


def shape(text: str) -> list[tuple[str, str, str]]:
    """The dialplan without the values: contexts, extensions, priorities, applications."""
    return [(context, key, re.split("[=(]", value)[0]) for context, key, value in read_as_asterisk(text)]


@given(
    dial=st.text(min_size=1, max_size=30)
    | st.sampled_from(["a;b", "a\\", "a\\;b", "x)\nexten => s,1,System(id)", "[x]", "#include y"]),
    folder=st.text(max_size=20) | st.sampled_from(["a;b", "x\nexten => s,1,System(id)", "${SHELL(id)}", "a,b", "a)b"]),
    listen=st.just("127.0.0.1:1") | st.text(max_size=20).map(lambda text: text + ":1"),
)
@limits(max_examples=200, deadline=None)
def test_nothing_in_the_settings_becomes_dialplan(
    tmp_path_factory: pytest.TempPathFactory, dial: str, folder: str, listen: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "inject.toml"
    values = {"dial": dial, "folder": folder, "listen": listen}
    file.write_text(
        LINE.format(**{name: toml_text(value) for name, value in values.items()}), encoding="utf-8", errors="replace"
    )
    try:
        text = dialplan.render(config.load(file), Path("/etc/asterisk/ct-route"))
    except ConfigError:
        return
    good = {"dial": "PJSIP/100", "folder": "x", "listen": "127.0.0.1:1"}
    file.write_text(LINE.format(**{name: toml_text(value) for name, value in good.items()}))
    plain = dialplan.render(config.load(file), Path("/etc/asterisk/ct-route"))
    assert shape(text) == shape(plain)
    assert (text.count("${"), text.count("$[")) == (plain.count("${"), plain.count("$["))


def test_every_tracked_number_has_its_default_in_every_spelling(settings: Settings) -> None:
    rows = read_as_asterisk(dialplan.render(settings, Path("/x")))
    defaults = {value.split(",")[0]: value.split("=", 1)[1] for context, _, value in rows if "CT_DEFAULT" in value}
    office, night = "office|30|yes|no|PJSIP/100&PJSIP/101)", "night|30|no|no|PJSIP/night)"
    assert {defaults[digits] for digits in ("442079460101", "02079460101", "2079460101", "_[0-9]!")} == {office}
    assert {defaults[digits] for digits in ("442079460190", "02079460190", "2079460190")} == {night}


def test_the_files_for_asterisk_are_written_with_their_rights(settings: Settings, tmp_path: Path) -> None:
    written = dialplan.write(settings, tmp_path / "asterisk", Path(sys.executable))
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in written}
    assert modes == {
        "ct-inbound.conf": "0o644", "ct-freepbx.conf": "0o644", "ct-settings.conf": "0o644",
        "ct-manager.conf": "0o640", "ct-route": "0o755",
    }  # fmt: skip
    manager = (tmp_path / "asterisk/ct-manager.conf").read_text()
    assert "[ctserver]\nsecret = s3cret\n" in manager
    assert "@" not in manager


def test_a_secret_with_a_semicolon_stays_whole(settings: Settings, toml: Path, tmp_path: Path) -> None:
    (toml.parent / "secret").write_text("a;b")
    dialplan.write(settings, tmp_path / "asterisk", Path(sys.executable))
    assert "secret = a\\;b\n" in (tmp_path / "asterisk/ct-manager.conf").read_text()


@pytest.mark.parametrize(
    "name", ["plain", "with space", "quo'te", 'dou"ble', "do$llar", "semi;colon", "back`tick`", "new\nline", "Ёж"]
)
def test_the_wrapper_starts_the_script_whatever_the_paths(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    script = folder / "echo.py"
    script.write_text("import sys\nprint(ascii(sys.argv[1:]))")
    wrapper = tmp_path / "ct-route"
    wrapper.write_text(dialplan.wrapper(Path(sys.executable), script, folder / "a.db"), encoding="utf-8")
    wrapper.chmod(0o755)
    said = subprocess.run([str(wrapper)], capture_output=True, text=True, timeout=10, check=True).stdout
    assert said.strip() == ascii(["--database", str(folder / "a.db")])


@pytest.mark.parametrize("name", ["do${EXTEN}llar", "new\nline", "$[1]"])
def test_a_folder_that_the_dialplan_would_evaluate_is_refused_in_words(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="move"):
        dialplan.render(settings, tmp_path / name / "ct-route")


def test_only_calls_to_sites_with_keys_are_asked_about(toml: Path) -> None:
    keys = '[sites.shop.after_call]\nsound = "custom/what"\nseconds = 4\nkeys = {1 = "order", 0 = "lost"}\n'
    toml.write_text(toml.read_text().replace("[pools.small]", f"{keys}[pools.small]", 1))
    text = dialplan.render(config.load(toml), Path("/x"))
    rows = read_as_asterisk(text)
    asks = {key for context, key, value in rows if context == "[ct-defaults]" and "ct-ask-shop" in value}
    assert len(asks) == 1
    assert "442079460101,1" not in asks
    (how,) = [value for context, _, value in rows if context == "[ct-ask-shop]" and "MSet" in value]
    assert "CT_AFTER=F(ct-after^s^1)," in how
    assert how.endswith("_CT_ASK_KEYS=10,_CT_ASK_SOUND=custom/what,_CT_ASK_SECONDS=4)")


def test_no_site_with_keys_no_word_of_it(settings: Settings) -> None:
    assert "ct-ask" not in dialplan.render(settings, Path("/x"))


@pytest.mark.parametrize(
    "wrong",
    [
        'keys = {1 = "Bicycle"}',  # no category of this site
        'keys = {12 = "order"}',
        'keys = {"#" = "order"}',
        'keys = {1 = "order"}\nsound = "x)&System(id"',
        "seconds = 60",
    ],
)
def test_keys_after_a_call_are_checked(toml: Path, wrong: str) -> None:
    toml.write_text(toml.read_text().replace("[pools.small]", f"[sites.shop.after_call]\n{wrong}\n[pools.small]", 1))
    with pytest.raises(ConfigError, match="after_call"):
        config.load(toml)
