"""A receiver of web hooks that takes everything and notes when: GET /figures gives {"times": {webhook-id: epoch seconds}}.

python -m benchmarks.hook_receiver PORT
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiohttp import web


async def serve(port: int) -> None:
    times: dict[str, float] = {}

    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        times[str(body["data"].get("number", ""))] = time.time()
        return web.Response(text="ok")

    async def figures(_: web.Request) -> web.Response:
        return web.json_response({"times": times})

    async def forget(_: web.Request) -> web.Response:
        times.clear()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    app.router.add_get("/figures", figures)
    app.router.add_post("/forget", forget)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=512).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
