"""The bare equivalent of POST /v1/visit: aiohttp reads a JSON body and answers a small JSON object. Keeps nothing.

python -m benchmarks.bare_handler PORT
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web

NUMBER = {
    "n": "+442079460101",
    "c": "44",
    "p": "0",
    "l": "2079460101",
    "f": ["+44 20 7946 0101", "020 7946 0101"],
}


async def handle(request: web.Request) -> web.Response:
    fields = json.loads(await request.read())
    answer = {"v": fields["v"] or "0" * 26, "e": "0" * 26, "n": {"main": NUMBER}, "h": 1800, "b": 30}
    return web.Response(text=json.dumps(answer), content_type="application/json")


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/v1/visit", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=512).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
