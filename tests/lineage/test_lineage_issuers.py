"""Records that tell of a role's session without its issuer, as where somebody chose columns, or as S3 Express does."""

from __future__ import annotations

import json

import pytest

from evidence import HOME, START, Json, held
from tokentrail.testing import World

ROLE, PATHED = f"arn:aws:iam::{HOME}:role/Deploy", f"arn:aws:iam::{HOME}:role/ci/Deploy"


def without_issuer(records: list[Json]) -> list[Json]:
    """Those of role sessions tell nobody's issuer."""
    for one in records:
        one["userIdentity"].get("sessionContext", {}).pop("sessionIssuer", None)
    return records


@pytest.mark.parametrize("asked", [ROLE, PATHED])
def test_a_sessions_own_arn_tells_its_role(asked: str) -> None:
    """Account and name of a role stand in its sessions' ARNs; its path does not, and is asked for or not."""
    world = World(START)
    with world.unlogged():
        session = world.user("ada").assumes(asked, "night")
    session.calls("s3:ListBuckets")
    with held(without_issuer(world.records())) as case:
        (told,) = case.credentials()

        assert (told.role, told.session_name) == (ROLE, "night")
        assert [one.id for one in case.trace([asked]).credentials] == [session.id]
        assert [one.id for one in case.credentials(principal=ROLE)] == [session.id]


def test_the_role_that_a_call_names_is_told_as_it_names_it() -> None:
    """Where the assumption is in the evidence, its request has the path."""
    world = World(START)
    session = world.user("ada").assumes(PATHED, "night")
    session.calls("s3:ListBuckets")
    with held(without_issuer(world.records())) as case:
        told = {one.id: one for one in case.credentials()}[session.id]

        assert told.role == PATHED
        assert session.id in [one.id for one in case.trace([ROLE]).credentials]


@pytest.mark.parametrize("later", ["issued", "used", "neither"])
def test_a_roles_session_has_no_long_term_key_whatever_its_key_begins_with(later: str) -> None:
    """Users and root have such keys alone (IAM User Guide, 'IAM identifiers'); names of keys are made up in samples."""
    world = World(START)
    session = world.user("ada").assumes(ROLE, "night")
    session.calls("s3:ListBuckets")
    sample = session.id.replace("ASIA", "AKIA")
    issued, used = json.loads(json.dumps(world.records()).replace(session.id, sample))
    with held(
        [issued] if later == "used" else [used], *([[issued, used]] if later != "neither" else ())
    ) as case:
        told = {one.id: one for one in case.credentials()}[sample]

        assert (told.kind, told.role, told.used) == ("assumed_role", ROLE, True)
        assert told.parent_link == ("recorded" if later != "neither" else None)
        assert sample in [one.id for one in case.trace([sample]).credentials]
