"""The walk through an incident: headings are told, all else is computed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from present_cases import KEY, NINE, SESSION, TOKEN, child, credential, plain, trace, written

from tokentrail.lineage.model import TracedCredential
from tokentrail.present.walk import Chapter, Walk, findings, what_would_end_it, write_walk

A = credential(
    id=KEY,
    kind="long_term_key",
    role=None,
    issued_by=None,
    issued_at=None,
    expires_at=None,
    principal="arn:aws:iam::111122223333:user/support",
    state_reason="nothing ends it",
)
B = child(1, KEY, id=TOKEN, kind="session_token", role=None, principal=A.principal)
C = child(2, KEY, id=SESSION)
D = child(3, TOKEN)
RIA = plain(credential(id="ASIARIA", principal="arn:aws:sts::111122223333:assumed-role/MyBucketRole/ria"))
LETTERS = {KEY: "A", TOKEN: "B", SESSION: "C", D.id: "D"}


def ended(one: TracedCredential) -> TracedCredential:
    """The same credential after somebody has ended it."""
    return replace(one, state="ended", state_reason="revoked", ended_at=NINE, ended_by="e-9")


def walk(*moments: tuple[TracedCredential, ...]) -> Walk:
    """A walk through lineages as they were at a few moments, a minute apart."""
    return Walk(
        letters=LETTERS,
        chapters=tuple(
            Chapter(
                moment=NINE + timedelta(minutes=n), title=f"Turn {n}.", trace=trace(*found), bystanders=(RIA,)
            )
            for n, found in enumerate(moments)
        ),
    )


def test_what_a_step_ended_comes_from_the_traces() -> None:
    """What was alive before and isn't now was ended; what is alive now was not; what is new was minted."""
    told = walk((A, B, C), (ended(A), B, C), (ended(A), B, ended(C)), (ended(A), B, ended(C), D))
    first, second, third, fourth = told.chapters
    assert findings(told, first, second) == ["Ended: A. Not ended: B and C."]
    assert findings(told, second, third) == ["Ended: C. Not ended: B."]
    assert findings(told, third, fourth) == [
        "B minted D with AssumeRole at 09:00:03Z, after the step that ended C in the same role.",
        "Alive: B and D.",
    ]


def test_a_colleague_who_is_cut_off_is_named() -> None:
    """A step that ends a bystander's session says so."""
    told = walk((A, C), (A, ended(C)))
    hit = replace(RIA, state="ended", ended_at=NINE, ended_by="e-9")
    after = replace(told.chapters[1], bystanders=(hit,))
    assert findings(told, told.chapters[0], after)[1] == (
        "It ended MyBucketRole/ria (ASIARIA) as well: a colleague at work."
    )


def test_what_would_end_it_follows_what_is_alive() -> None:
    """A token needs its user denied, a session its role revoked, a key deactivated; the dead need nothing."""
    told = walk((ended(A), B, ended(C), D), (A,), (ended(A), ended(B)))
    tokens, key, nothing = (what_would_end_it(told, chapter) for chapter in told.chapters)
    assert [step[:2] for step in tokens] == ["B:", "D:"]
    assert "user/support itself must be denied" in tokens[0]
    assert "the sessions of role/MyBucketRole must be revoked once more" in tokens[1]
    assert key == ["A: to be deactivated, or its user or role denied."]
    assert nothing == []
    text = written(lambda paper: write_walk(walk((A,), (ended(A),)), paper))
    assert text.endswith("Nothing that descends from the key works any more.\n")
