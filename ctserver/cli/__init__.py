"""The commands: each one line of work handed on. Mistakes of the one who types end with status 2 and two lines: what,
and what to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ctserver import __version__, app
from ctserver.asterisk import ami
from ctserver.cli import analysis, demo, notify, pbx, people, person, recordings, server, telephony
from ctserver.cli.common import MISTAKE, default_config
from ctserver.config import ConfigError


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; never shows a traceback for what a person can mend."""
    options = _parser().parse_args(arguments)
    try:
        sys.exit(options.run(options))
    except ConfigError as error:
        for problem in error.problems:
            _complain(f"{error.file}: {problem.key}: {problem.what}", problem.hint)
    except app.StartError as error:
        _complain(error.what, error.todo)
    except (ami.AmiError, OSError, TimeoutError) as error:
        _complain(str(error) or "no answer in time", "see `ctserver check`")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(MISTAKE)


def _complain(what: str, todo: str) -> None:
    sys.stderr.write(f"error: {what}\n" + (f"  what to do: {todo}\n" if todo else ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ctserver", description="Self-hosted call tracking for Asterisk.")
    parser.add_argument("--version", action="version", version=__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", type=Path, default=default_config(), help="default: %(default)s")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting: server.listen=127.0.0.1:9000",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[common])
        command.set_defaults(run=run)
        return command

    for group in (server, people, person, telephony, pbx, analysis, recordings, demo, notify):
        group.register(add)
    return parser
