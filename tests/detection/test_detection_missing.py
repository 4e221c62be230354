"""Records that lack a field: the rules that rest on it say nothing, and the others go on as before."""

from __future__ import annotations

from typing import Any

import pytest
from case_tables import FIRES
from rule_cases import world

from evidence import held
from tokentrail.detection.catalogue import CATALOGUE

Json = dict[str, Any]
WITHOUT = {
    "userIdentity": {
        "attack-tool", "beyond-its-power", "bulk-read", "code-changed", "console-from-key",
        "containment-undone", "deep-chain", "guards-off", "host-entered", "minted-before-the-cut",
        "models-invoked", "new-mfa-used", "outlived-key", "role-juggling", "role-probing",
        "secrets-in-bulk", "secrets-swept", "self-assumption", "self-escalation", "stolen-workload",
        "storage-extortion", "strange-endpoint", "token-mints-tokens", "two-networks",
        "used-after-revocation", "weak-sign-in", "device-code-phishing",
    },
    "sourceIPAddress": {"code-changed", "host-entered", "stolen-workload", "two-networks", "device-code-phishing"},
    "userAgent": {"attack-tool", "two-networks"},
    "requestParameters": {
        "containment-undone", "key-quarantined", "minted-before-the-cut", "new-mfa-used", "outlived-key",
        "secrets-swept", "self-assumption", "self-escalation", "shared-outside", "strange-repository",
        "used-after-revocation", "device-code-phishing",
    },
    "responseElements": {
        "assume-root", "new-mfa-used", "self-assumption", "session-token-back-door", "strange-repository",
        "token-mints-tokens",
    },
    "eventName": {
        "assume-root", "beyond-its-power", "bulk-read", "code-changed", "console-from-key",
        "containment-undone", "guards-off", "host-entered", "key-quarantined", "lasting-access",
        "logging-stopped", "minted-before-the-cut", "models-invoked", "new-mfa-used", "outlived-key",
        "role-probing", "secrets-in-bulk", "secrets-swept", "self-assumption", "self-escalation",
        "session-token-back-door", "shared-outside", "storage-extortion", "strange-repository",
        "used-after-revocation", "device-code-phishing",
    },
    "errorMessage": {"role-probing"},
}  # fmt: skip
"""By the field that no record has: the rules that say nothing then, of those that speak in all cases put together."""
APART = {
    "minted-again": ("userIdentity", "requestParameters", "responseElements"),
    "source-identity-lost": ("requestParameters", "responseElements"),
    "federated-with-all": ("requestParameters", "responseElements"),
}
"""Rules that need a case of their own, since the others' habits silence them, and the fields without which they do not speak."""


def lacking(records: list[Json], field: str) -> list[Json]:
    """The same records without a field."""
    return [{name: value for name, value in one.items() if name != field} for one in records]


def speaking(records: list[Json]) -> set[str]:
    """The rules that find something."""
    with held(records) as case:
        return {one.rule for one in case.detect()}


@pytest.fixture(name="records", scope="module")
def _records() -> list[Json]:
    """One case after the other that fires, of every rule."""
    place = world()
    for acts in FIRES.values():
        acts[0](place)
        place.wait(600)
    return place.records()


def test_all_rules_are_in_one_of_the_tables(records: list[Json]) -> None:
    """What is tried here is the whole catalogue."""
    assert speaking(records) == {one.id for one in CATALOGUE} - set(APART)


@pytest.mark.parametrize("field", WITHOUT)
def test_without_a_field_the_rules_that_need_it_are_silent(field: str, records: list[Json]) -> None:
    """No rule breaks, none makes something up, and none that does not need the field falls silent."""
    assert speaking(lacking(records, field)) == {one.id for one in CATALOGUE} - set(APART) - WITHOUT[field]


@pytest.mark.parametrize(
    ("rule", "field"), [(rule, field) for rule, fields in APART.items() for field in fields]
)
def test_rules_with_a_case_of_their_own_are_silent_too(rule: str, field: str) -> None:
    """The same for the rules that the others' habits silence."""
    place = world()
    FIRES[rule][0](place)

    assert rule not in speaking(lacking(place.records(), field))
