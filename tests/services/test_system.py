"""What the page System shows of the settings holds no secret, wherever somebody has written one."""

from __future__ import annotations

import json
from pathlib import Path

from ctserver import config
from ctserver.services import system

SECRET = "s3cret-of-somebody"
TABLES = f"""
[webhooks.crm]
url = "https://me:{SECRET}@crm.example.com/{SECRET}?key={SECRET}"
[notify.sms]
type = "http"
url = "https://sms.example.com/send?apikey={SECRET}"
headers = {{ Authorization = "Bearer {SECRET}", X-Api-Key = "{SECRET}" }}
fields = {{ password = "{SECRET}", token = "{SECRET}" }}
"""


def test_the_dump_of_the_settings_shows_no_secret_and_the_rest_as_it_is(toml: Path) -> None:
    toml.write_text(toml.read_text() + TABLES)
    dump = system.masked(config.load(toml))
    assert SECRET not in json.dumps(dump)
    assert dump["webhooks.crm"]["url"] == f'"https://crm.example.com/{system.MASKED}"'
    assert dump["notify.sms"]["url"] == f'"https://sms.example.com/{system.MASKED}"'
    assert dump["server"]["public_url"] == '"http://127.0.0.1:8080"'
