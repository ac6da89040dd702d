"""install-pbx on folders as distributions and people leave them. With a real Asterisk: tests/e2e/test_doctor.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctserver import cli
from ctserver.asterisk import install

EXTENSIONS = "[general]\nstatic=yes\n\n[from-trunk]\nexten => _X.,1,Hangup()\n; a thing said in cp1251: \udcef\n"
MANAGER = "[general]\nenabled = no ; as Debian ships it\nport = 5038\nbindaddr = 0.0.0.0\n\n[other]\nsecret = of somebody else\n"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "extensions.conf").write_text(EXTENSIONS, errors="surrogateescape")
    (folder / "manager.conf").write_text(MANAGER)
    (folder / "manager.conf").chmod(0o640)
    return folder


@pytest.fixture
def run(tmp_path: Path, toml: Path, etc: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\necho Asterisk 20.9.1\n")
    program.chmod(0o755)

    def run(*arguments: str) -> Done:
        command = ["install-pbx", "--etc", str(etc), "--asterisk", str(program), "--config", str(toml), *arguments]
        with pytest.raises(SystemExit) as end:
            cli.main(command)
        return Done(int(end.value.code or 0), *capsys.readouterr())

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_shows_what_would_change_and_changes_nothing(run: Run, etc: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").unlink()
    before = tree(tmp_path)
    shown = run()
    assert shown.returncode == 1, shown.stderr
    assert "+#include ctserver/ct-settings.conf" in shown.stdout
    assert "+enabled = yes" in shown.stdout
    assert f"{etc}/ctserver/ct-inbound.conf" in shown.stdout
    assert tree(tmp_path) == before


def test_it_writes_once_and_then_has_nothing_to_do(run: Run, etc: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").unlink()
    done = run("--apply")
    assert done.returncode == 0, done.stderr
    secret = (tmp_path / "secret").read_text().strip()
    assert len(secret) > 30
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert secret not in done.stdout + done.stderr
    assert "of somebody else" not in done.stdout
    user = (etc / "ctserver" / "ct-manager.conf").read_text()
    assert f"secret = {secret}\n" in user
    assert "eventfilter = Event: Newchannel\n" in user, "20.9 has no filters by name"
    assert "eventfilter = UserEvent: CT\n" in user
    assert (etc / "extensions.conf").read_bytes().startswith(EXTENSIONS.encode(errors="surrogateescape"))
    assert (etc / "manager.conf").read_text().startswith(MANAGER)
    assert (etc / "manager.conf").stat().st_mode & 0o777 == 0o640
    [kept] = (etc / "ctserver" / "backup").iterdir()
    assert (kept / "manager.conf").read_text() == MANAGER
    before = tree(etc)
    again = run("--apply")
    assert (again.returncode, tree(etc)) == (0, before)
    assert "nothing to do" in again.stdout
    assert run().returncode == 0


def test_what_was_changed_by_hand_stays_unless_it_is_asked_for(run: Run, etc: Path) -> None:
    assert run("--apply").returncode == 0
    ours = etc / "ctserver" / "ct-inbound.conf"
    ours.write_text(ours.read_text().replace("Hangup(16)", "Hangup(99)"))
    (etc / "extensions.conf").write_text("; quite another one\n")
    before = tree(etc)
    refused = run("--apply")
    assert refused.returncode == 2
    assert "ct-inbound.conf was changed by hand" in refused.stderr
    assert tree(etc) == before
    assert run("--apply", "--overwrite").returncode == 0
    assert "Hangup(99)" not in ours.read_text()
    assert (etc / "extensions.conf").read_text().startswith("; quite another one\n")
    kept = sorted((etc / "ctserver" / "backup").iterdir())[-1]
    assert "Hangup(99)" in (kept / "ct-inbound.conf").read_text()


def test_lines_that_somebody_added_himself_are_not_added_again(run: Run, etc: Path) -> None:
    lines = '#include "ctserver/ct-settings.conf"\n#tryinclude <ctserver/ct-inbound.conf>\n'
    (etc / "extensions.conf").write_text("#include mine.conf\n")
    (etc / "mine.conf").write_text(lines)
    assert run("--apply").returncode == 0
    assert (etc / "extensions.conf").read_text() == "#include mine.conf\n"


def test_what_a_comment_over_several_lines_holds_is_not_there(run: Run, etc: Path) -> None:
    comment = ";--\n#include ctserver/ct-settings.conf\n[ctserver]\n--;\n;---- a line\n"
    (etc / "extensions.conf").write_text(comment)
    (etc / "manager.conf").write_text(f"{comment}[general]\nenabled = yes\n")
    assert run("--apply").returncode == 0
    assert (
        (etc / "extensions.conf")
        .read_text()
        .endswith("\n#include ctserver/ct-settings.conf\n#include ctserver/ct-inbound.conf\n")
    )


def test_lines_of_others_keep_their_ends(run: Run, etc: Path) -> None:
    theirs = b"[general]\r\nenabled = yes\r\n; caf\xe9\r\n"
    (etc / "manager.conf").write_bytes(theirs)
    assert run("--apply").returncode == 0
    assert (etc / "manager.conf").read_bytes().startswith(theirs)


def test_on_freepbx_only_the_files_that_it_leaves_to_people_are_written(run: Run, etc: Path) -> None:
    (etc / "extensions_additional.conf").write_text("; do not edit\n")
    (etc / "extensions.conf").write_text("#include extensions_custom.conf\n#include extensions_additional.conf\n")
    (etc / "manager.conf").write_text("[general]\nenabled = yes\n#include manager_custom.conf\n")
    before = tree(etc)
    done = run("--apply")
    assert done.returncode == 0, done.stderr
    assert "ct-from-trunk" in done.stdout
    assert {name: text for name, text in tree(etc).items() if name in before} == before
    assert "#include ctserver/ct-freepbx.conf\n" in (etc / "extensions_custom.conf").read_text()
    assert "[general](+)\ntimestampevents = yes\n" in (etc / "manager_custom.conf").read_text()
    assert "nothing to do" in run("--apply").stdout


def test_a_user_of_the_same_name_is_not_taken_over(run: Run, etc: Path) -> None:
    (etc / "manager.conf").write_text("[general]\nenabled=yes\n[ctserver]\nsecret=mine\n")
    refused = run("--apply")
    assert refused.returncode == 2
    assert "has a user [ctserver] of its own" in refused.stderr
    assert not (etc / "ctserver").exists()


@pytest.mark.parametrize(
    ("version", "new"),
    [("Asterisk 22.0.0", False), ("Asterisk 22.1.0-rc1", True), ("Asterisk 18.26.4", True), ("Asterisk 20.10.0", False),
     ("Asterisk 23.0.0", True), ("Asterisk certified-20.7-cert2", False), ("", False)],
)  # fmt: skip
def test_event_filters_are_written_as_the_version_reads_them(version: str, new: bool) -> None:
    assert install.new_filters(version) is new
