"""What the tests of sources share: S3 as moto has it over HTTP, and a wire to it that can fail."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from cloud_cases import BUCKET, Cloud, Wire

from aws_server import _environment, _moto_url  # noqa: F401 - fixtures


@pytest.fixture(name="cloud")
def _cloud(moto_url: str, environment: None, tmp_path: Path) -> Iterator[Cloud]:
    """An empty bucket, and a wire to it."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    wire = Wire(moto_url)
    client = boto3.client("s3", endpoint_url=moto_url)
    client.create_bucket(Bucket=BUCKET)
    yield Cloud(wire=wire, client=client, folder=tmp_path)
    client.close()
    wire.close()
