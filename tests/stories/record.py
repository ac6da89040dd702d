"""Places the stories' calls and writes the AMI stream of each, with the calls in it, to tests/asterisk/streams/STORY/.

    .venv/bin/python -m tests.stories.record [STORY ...]      (none named: all; --list tells them)

What is recorded is what ctserver's own AMI user is sent. A story whose calls do not come out as stories.py says is
written all the same, for study, and the exit status is 1. Read expected.json before it is committed: it is what the
tests hold the code to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

from ctserver.asterisk import replay
from tests.stories import ways  # noqa: F401 - more stories
from tests.stories.stories import STORIES, Story
from tests.stories.world import World

STREAMS = Path(__file__).resolve().parents[1] / "asterisk" / "streams"


async def record(world: World, story: Story) -> bytes:
    """The AMI stream of one story, from before its first call until no channel is left."""
    out = io.BytesIO()
    secret = (world.folder / "ami-secret").read_text(encoding="utf-8").strip()
    count = asyncio.Event()
    running = asyncio.create_task(
        replay.record("127.0.0.1", world.ports["ami"], "ctserver", secret, out, lambda _: count.set())
    )
    await asyncio.wait_for(count.wait(), 10)
    world.forget()
    try:
        await story.play(world)
        await world.quiet()
        await asyncio.sleep(0.3)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return out.getvalue()


def write(name: str, data: bytes, private: str) -> list[str]:
    """Keeps the stream; the outcomes and reasons of its calls."""
    if private.encode() in data:
        raise AssertionError(f"{name}: the stream names a folder of this machine")
    folder = STREAMS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stream.txt").write_bytes(data)
    return read_again(folder)


def read_again(folder: Path) -> list[str]:
    """Writes what today's code makes of a stream; the outcomes and reasons."""
    calls = replay.calls(replay.read((folder / "stream.txt").read_bytes()), ["ct-inbound"])
    expected = json.dumps([replay.summary(call) for call in calls], ensure_ascii=False, indent=2)
    (folder / "expected.json").write_text(expected + "\n", encoding="utf-8")
    return [f"{call.outcome} {call.reason}" for call in calls]


async def main(names: list[str]) -> int:
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="ct-stories-") as folder:
        world = World(Path(folder))
        try:
            await world.open()
            for name in names:
                story = STORIES[name]
                try:
                    found = write(name, await record(world, story), folder)
                except (TimeoutError, AssertionError) as error:
                    print(f"{name}: FAILED: {error!r}\n{world.pbx_log()}", flush=True)
                    wrong += 1
                    await asyncio.to_thread(world.pbx.cli, "channel request hangup all")
                    await world.quiet()
                    continue
                good = found == list(story.calls)
                wrong += not good
                print(
                    f"{name}: {', '.join(found)}" + ("" if good else f"  INSTEAD OF {', '.join(story.calls)}"),
                    flush=True,
                )
        finally:
            await world.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("story", nargs="*", choices=[*STORIES, []], help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="the stories")
    parser.add_argument(
        "--again", action="store_true", help="place no calls: only read the streams that are there anew"
    )
    options = parser.parse_args()
    if options.list:
        print("\n".join(STORIES))
    elif options.again:
        for folder in sorted(file.parent for file in STREAMS.glob("*/stream.txt")):
            print(f"{folder.name}: {', '.join(read_again(folder))}")
    else:
        sys.exit(asyncio.run(main(options.story or list(STORIES))))
