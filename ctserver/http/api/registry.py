"""What an operation of the API is: its address, what it takes and answers, as models; and how a request becomes one.

`@operation` puts a handler into OPERATIONS. What it takes is checked before it runs, so a handler sees good values only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from ctserver.domain.rights import Scope
from ctserver.http.deps import DEPS, USER, Deps, User
from ctserver.http.problems import problem

Query = TypeVar("Query", bound=BaseModel)
Body = TypeVar("Body", bound=BaseModel)


class Model(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


class Taken(BaseModel):
    """What is taken: nothing that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Taken):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Query, Body]):
    """A request that is what it should be."""

    request: web.Request
    query: Query
    body: Body

    @property
    def deps(self) -> Deps:
        return self.request.app[DEPS]

    @property
    def user(self) -> User:
        return self.request[USER]

    @property
    def scope(self) -> Scope:
        return self.user.scope

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def next_page(self, cursor: str) -> str:
        """The same question, from this place on."""
        kept = {name: value for name, value in self.request.query.items() if name not in ("cursor", "api_key")}
        return f"{self.request.path}?{urlencode({**kept, 'cursor': cursor})}"


class Problem(Exception):
    """Why there is no answer: becomes problem+json."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)


Handler = Callable[[Asked[Any, Any]], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True)
class Operation:
    """`gives` is the model of the answer; None: a file or stream of `kind`."""

    method: str
    path: str
    name: str
    summary: str
    part: str
    takes: type[BaseModel]
    body: type[BaseModel]
    gives: type[BaseModel] | None
    kind: str
    run: Handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            answer = await self.run(Asked(request, self._query(request), await self._body(request)))
        except Problem as refused:
            return problem(refused.status, refused.detail)
        if isinstance(answer, web.StreamResponse):
            return answer
        return with_etag(request, answer.model_dump_json().encode())

    def _query(self, request: web.Request) -> BaseModel:
        given = {name: value for name, value in request.query.items() if name != "api_key"}
        return _checked(self.takes, given, 400)

    async def _body(self, request: web.Request) -> BaseModel:
        if self.body is Nothing:
            return Nothing()
        if request.content_type != "application/json":
            raise Problem(415, "send JSON: Content-Type: application/json")
        try:
            return _checked(self.body, await request.json(), 422)
        except (ValueError, LookupError, RecursionError) as error:  # LookupError: a charset that there is not
            raise Problem(400, f"this is no JSON: {error}"[:300]) from error


OPERATIONS: list[Operation] = []


def operation(
    method: str, path: str, summary: str, *, part: str, takes: type[BaseModel] = Nothing, body: type[BaseModel] = Nothing,
    gives: type[BaseModel] | None = None, kind: str = "application/json",
) -> Callable[[Handler], Handler]:  # fmt: skip
    """Register the handler for /api/v1 + path. Its right stands in http/rights.py, like every route's."""

    def register(handler: Handler) -> Handler:
        made = Operation(method, "/api/v1" + path, handler.__name__, summary, part, takes, body, gives, kind, handler)
        OPERATIONS.append(made)
        return handler

    return register


def with_etag(request: web.Request, body: bytes, kind: str = "application/json") -> web.Response:
    """The body with its ETag; 304 for those who have it."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if request.method in ("GET", "HEAD") and (tag in known or "*" in known):
        return web.Response(status=304, headers=headers)
    response = web.Response(
        body=body, content_type=kind, headers=headers, charset="utf-8" if kind != "application/json" else None
    )
    if len(body) > 1000:
        response.enable_compression()
    return response


def _checked(model: type[BaseModel], given: Any, status: int) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()[:5]]
        raise Problem(status, "; ".join(wrong)[:1000]) from error
