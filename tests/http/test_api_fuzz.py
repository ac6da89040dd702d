"""The API against its own description: whatever is asked, the server does not fail, and answers what it said it would."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from .test_api import token
from .test_pages import ring

CHECKS = [checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
          checks.response_schema_conformance]  # fmt: skip
EXAMPLES = 12  # for each operation
LEFT_OUT = "/api/v1/events"  # never ends


@pytest.mark.parametrize("overrides", [{"api.per_minute": "0"}])
@pytest.mark.filterwarnings("ignore")
async def test_the_server_keeps_to_its_description(alice: Any) -> None:
    call = await ring(alice, wave_file=True)
    headers = {"Authorization": f"Bearer {await token(alice)}"}
    base = f"http://127.0.0.1:{alice.client.port}"
    document = await (await alice.get("/api/openapi.json")).json()
    del document["paths"][LEFT_OUT]
    for path, methods in document["paths"].items():
        if path.startswith("/api/v1/calls/{id}"):  # a call that there is, now and then
            for one in methods.values():
                one["parameters"][0]["schema"] = {"anyOf": [one["parameters"][0]["schema"], {"const": call}]}
    schema = schemathesis.openapi.from_dict(document)
    tried = await asyncio.to_thread(ask_everything, schema, base, headers)
    assert tried >= len(document["paths"]) * 5


def ask_everything(schema: Any, base: str, headers: dict[str, str]) -> int:
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                  phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(base_url=base, headers=headers, checks=CHECKS)

        given(case=operation.as_strategy())(ask)()
    return tried
