"""The table of effects."""

from __future__ import annotations

from tokentrail.policy.catalogue import EFFECTS, IAM, ORGANIZATIONS, WITHOUT_EFFECT
from tokentrail.policy.organisation import ORGANIZATIONS_HANDLERS
from tokentrail.policy.replay import IAM_HANDLERS


def test_every_call_that_is_handled_is_told_and_no_other() -> None:
    """The table and the handlers name the same calls, each once."""
    told = [(effect.event_source, effect.event_name) for effect in EFFECTS]
    handled = [(IAM, name) for name in IAM_HANDLERS] + [
        (ORGANIZATIONS, name) for name in ORGANIZATIONS_HANDLERS
    ]

    assert sorted(handled) == sorted(told)


def test_calls_taken_for_endings_are_not_handled() -> None:
    """What ends nothing changes nothing here."""
    assert not {effect.event_name for effect in WITHOUT_EFFECT} & IAM_HANDLERS.keys()


def test_every_entry_is_complete() -> None:
    """Each tells what it ends, since when, what it leaves, and where AWS says so."""
    for effect in (*EFFECTS, *WITHOUT_EFFECT):
        assert all((effect.ends, effect.since, effect.leaves, "'" in effect.source))
