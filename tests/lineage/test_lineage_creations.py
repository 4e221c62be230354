"""What calls leave behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokentrail.aws.calls.catalogue import every_reviewed
from tokentrail.events.change import changes
from tokentrail.events.vocabulary import CHANGES
from tokentrail.lineage import creations

_LEAVES_NOTHING = (
    "Delete", "Detach", "Remove", "Deactivate", "Stop", "Terminate", "Disable", "Revoke", "Deregister", "Deauthorize",
    "Disassociate", "Cancel",
    "ResetImage", "ResetSnapshot", "RestoreImageFromRecycleBin", "RestoreSnapshotFromRecycleBin",
)  # fmt: skip
_KNOWN_OTHERWISE = {
    "UpdateServiceSpecificCredential",  # makes an API key, which somebody made, active or inactive
    "UpdateAccessKey",  # only when it makes a key active again
    "UpdateUser", "UpdateGroup", "UpdateRole", "CreateGroup",  # names and settings, no way in
    "UpdateTrail", "PutEventSelectors", "UpdateDetector",  # the log itself, and who watches it
    "AttachPolicy", "UpdatePolicy",  # service control policies
}  # fmt: skip


def test_every_change_that_leaves_something_behind_has_a_name_for_it() -> None:
    """Each call that the kernel keeps as a change is known to leave something of a kind, or to leave nothing."""
    unknown = {
        name
        for name in CHANGES - _KNOWN_OTHERWISE
        if not name.startswith(_LEAVES_NOTHING) and not creations.made(name, None, None)
    }

    assert unknown == set()


@pytest.mark.parametrize("odd", [False, True])
def test_every_id_that_is_asked_for_is_kept(odd: bool) -> None:
    """What the kernel keeps of an answer holds each id by which a thing is known, odd types beside it or not."""
    lost = []
    for known in every_reviewed():
        paths = known.creates.id_paths if known.creates else ()
        for path in (path.removeprefix("~").split(".") for path in paths if path.startswith("~")):
            answer: Any = "arn:thing"
            for member in reversed(path):
                answer = {member: [answer] if member in ("items", "tasks") else answer}
            if odd:
                answer["trustAnchor" if path[0] != "trustAnchor" else "user"] = [7]
            [kept] = changes([known.operation], [b"{}"], [json.dumps(answer).encode()])[2]
            made = creations.made(
                known.operation, '{"status":"Active"}', kept, f"{known.service}.amazonaws.com"
            )
            if [thing for _, thing in made] != ["arn:thing"]:
                lost.append((known.operation, path))

    assert [] == lost


def test_a_key_made_active_again_counts_as_made() -> None:
    """UpdateAccessKey to Active is why a key works; to Inactive it leaves nothing."""
    active = '{"accessKeyId":"AKIAEXAMPLE","status":"Active"}'

    assert creations.made("UpdateAccessKey", active, None) == [("access_key", "AKIAEXAMPLE")]
    assert creations.made("UpdateAccessKey", active.replace("Active", "Inactive"), None) == []


def test_each_instance_of_one_call_counts() -> None:
    """RunInstances leaves as many things as it started instances."""
    answer = '{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}'

    assert creations.made("RunInstances", None, answer) == [("instance", "i-1"), ("instance", "i-2")]


def test_odd_answers_do_not_stop_a_trace() -> None:
    """A list, a number or null where an object is expected leaves the id unknown."""
    for odd in ("[]", "7", "null", '{"accessKey":[]}', '{"instancesSet":{"items":7}}', '{"instancesSet":3}'):
        assert all(found is None for _, found in creations.made("CreateAccessKey", odd, odd))
        assert all(found is None for _, found in creations.made("RunInstances", odd, odd))
