"""Carrying out the steps for API keys, and taking them back; moto has none, so that a stand-in answers for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from carry_cases import HOME, Stand, call, plan_of, step

from tokentrail.containment.model import Call, Plan

KEY, USER = "ACCAIOSFODNN7EXAMPLE", f"arn:aws:iam::{HOME}:user/bot"


class ApiKeys:
    """IAM's answers about one API key (IAM API Reference, 'ListServiceSpecificCredentials')."""

    def __init__(self, stand: Stand, *then: str) -> None:
        self.status: str | None = "Active"
        self._then: Iterator[str] = iter(then)
        """What each call that sets a status sets it to, as the stand-in sees no parameters."""
        stand.wire.before = self.answer

    def answer(self, action: str) -> tuple[int, str] | None:
        if action == "UpdateServiceSpecificCredential":
            self.status = next(self._then)
            return 200, _page(action, "")
        if action == "ListServiceSpecificCredentials":
            key = (
                f"<member><UserName>bot</UserName><Status>{self.status}</Status><ServiceName>bedrock.amazonaws.com"
                f"</ServiceName><ServiceSpecificCredentialId>{KEY}</ServiceSpecificCredentialId></member>"
            )
            shown = key if self.status else ""
            return 200, _page(action, f"<ServiceSpecificCredentials>{shown}</ServiceSpecificCredentials>")
        return None


def _page(action: str, result: str) -> str:
    space = "https://iam.amazonaws.com/doc/2010-05-08/"
    return (
        f'<{action}Response xmlns="{space}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{action}Response>"
    )


def _sets(status: str) -> Call:
    return call(
        "UpdateServiceSpecificCredential", UserName="bot", ServiceSpecificCredentialId=KEY, Status=status
    )


def _plan(*, made: bool = False) -> Plan:
    off = step(
        1, "deactivate-api-key", _sets("Inactive"), principal=USER, principals=(USER,), targets=(KEY,), ends=(KEY,),
        safe_to_undo_after=None, undo=() if made else (_sets("Active"),),
    )  # fmt: skip
    return plan_of(off, tainted=(KEY,))


def sent(stand: Stand) -> list[tuple[str, str]]:
    """The calls that the journal has, with the status that each sets."""
    return [
        (line["call"]["operation"], line["call"]["parameters"]["Status"])
        for line in stand.lines()
        if line["kind"] == "before"
    ]


def test_an_api_key_is_made_inactive_once(stand: Stand) -> None:
    """The key is made inactive by its id; carried out again, the plan finds it so and sends nothing."""
    keys = ApiKeys(stand, "Inactive")
    first, again = stand.apply(_plan()), stand.apply(_plan())

    assert (first.complete, again.complete, keys.status) == (True, True, "Inactive")
    assert sent(stand) == [("UpdateServiceSpecificCredential", "Inactive")]


def test_a_leaked_api_key_is_given_back_only_when_asked_for(stand: Stand) -> None:
    """It stays inactive, unless its owner is to have it back in so many words."""
    keys = ApiKeys(stand, "Inactive", "Active")
    stand.apply(_plan())

    assert [one.outcome for one in stand.undo(_plan()).things] == ["kept"]
    assert keys.status == "Inactive"
    assert [one.outcome for one in stand.undo(_plan(), reactivate=True).things] == ["restored"]
    assert sent(stand)[-1] == ("UpdateServiceSpecificCredential", "Active")


def test_an_api_key_that_the_attacker_made_stays_inactive(stand: Stand) -> None:
    """Nobody else uses it, so that it is never made active again."""
    keys = ApiKeys(stand, "Inactive")
    stand.apply(_plan(made=True))
    undone = stand.undo(_plan(made=True), reactivate=True)

    assert "restored" not in [one.outcome for one in undone.things]
    assert keys.status == "Inactive"


def test_an_api_key_that_is_gone_needs_nothing(stand: Stand) -> None:
    """What was deleted meanwhile is not made inactive."""
    keys = ApiKeys(stand)
    keys.status = None

    stand.apply(_plan())

    assert sent(stand) == []


@pytest.mark.parametrize("code", ["NoSuchEntity", "AccessDenied"])
def test_a_key_that_can_t_be_read_stops_the_plan(stand: Stand, code: str) -> None:
    """A user that is gone may have been renamed, and its key may work: nothing is taken for done."""
    stand.wire.before = lambda action: (
        (404 if code == "NoSuchEntity" else 403, code) if "Service" in action else None
    )

    assert not stand.apply(_plan()).complete
