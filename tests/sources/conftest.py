"""What the tests of sources share: S3 as moto has it over HTTP, and a wire to it that can fail."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from cloud_cases import BUCKET, Cloud, Wire

from aws_server import _environment, _moto_url  # noqa: F401 - fixtures
from shell import Ran, ran


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


@pytest.fixture(name="run")
def _run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run `tokentrail` as the shell would, against the wire."""
    monkeypatch.chdir(cloud.folder)
    monkeypatch.delenv("TOKENTRAIL_CASE", raising=False)

    def run(*arguments: object) -> Ran:
        return ran(monkeypatch, arguments)

    return run
