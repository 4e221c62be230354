"""What the tests of carrying out share: moto's server for the whole session, and a clean stand for each test."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from carry_cases import Stand, Wire
from moto.server import ThreadedMotoServer


@pytest.fixture(name="moto_url", scope="session")
def _moto_url() -> Iterator[str]:
    """AWS as moto has it, over HTTP on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(name="stand")
def _stand(moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """Empty accounts, a wire to them, and credentials of a responder that moto makes no fuss about."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIARESPONDER0000001", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    wire = Wire(moto_url)
    iam = boto3.client("iam", endpoint_url=moto_url)
    yield Stand(folder=tmp_path, wire=wire, iam=iam)
    iam.close()
    wire.close()
