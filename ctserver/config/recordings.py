"""What is recorded, in which format it is kept, where and how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ctserver.config.types import CallerNumber, OneLine, Table


class S3(Table):
    """Storage that speaks Amazon's S3; no bucket: none is used."""

    bucket: str = Field(default="", pattern=r"^[a-z0-9.-]{0,63}$")
    endpoint: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    region: str = "us-east-1"
    prefix: str = Field(default="", pattern=r"^([A-Za-z0-9_-][A-Za-z0-9_/-]*)?$")
    access_key_id: str = ""
    secret_file: str = ""


class Recordings(Table):
    folder: OneLine = "var/recordings"
    min_free_mb: int = Field(default=500, ge=0)
    stop_free_mb: int = Field(default=100, ge=0)
    never_callers: list[CallerNumber] = []
    format: Literal["wav", "opus", "mp3"] = "wav"
    encrypt_key_file: str = ""
    pause_seconds: int = Field(default=120, ge=0, le=3600)
