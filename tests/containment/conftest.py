"""What the tests of carrying out share: moto's server for the whole session, and a clean stand for each test."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from carry_cases import Stand, Wire

from aws_server import _environment, _moto_url  # noqa: F401 - fixtures


@pytest.fixture(name="stand")
def _stand(moto_url: str, environment: None, tmp_path: Path) -> Iterator[Stand]:
    """Empty accounts, a wire to them, and credentials of a responder that moto makes no fuss about."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    wire = Wire(moto_url)
    iam = boto3.client("iam", endpoint_url=moto_url)
    yield Stand(folder=tmp_path, wire=wire, iam=iam)
    iam.close()
    wire.close()
