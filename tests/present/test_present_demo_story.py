"""The walk through an incident: headings are told, all else is computed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from present_cases import KEY, NINE, SESSION, TOKEN, child, credential, plain, trace, written

from tokentrail.containment.model import Collateral, Plan, Proof, Step
from tokentrail.lineage.model import TracedCredential
from tokentrail.present.text.demo_story import DemoStage, DemoStory, findings, write_walk

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


def walk(*moments: tuple[TracedCredential, ...]) -> DemoStory:
    """A walk through lineages as they were at a few moments, a minute apart."""
    return DemoStory(
        letters=LETTERS,
        chapters=tuple(
            DemoStage(
                moment=NINE + timedelta(minutes=n), title=f"Turn {n}.", trace=trace(*found), bystanders=(RIA,)
            )
            for n, found in enumerate(moments)
        ),
    )


def step(n: int, *, ends: tuple[str, ...], alive: tuple[str, ...] = (), hits: tuple[str, ...] = ()) -> Step:
    """A step of a plan, as far as the walk tells of it."""
    user = "arn:aws:iam::111122223333:user/support"
    return Step(
        n=n, action="revoke-user-sessions", account="111122223333", principal=user, principals=(user,), targets=(user,),
        calls=(), cutoff=None, ends=ends, alive_after=alive, undo=(), safe_to_undo_after=None, reversible=True,
        collateral=tuple(Collateral(credential=one, principal=None) for one in hits), bites_within=50, needs=(), why="",
    )  # fmt: skip


def plan(*steps: Step) -> Plan:
    """A complete plan of some steps."""
    proof = Proof(complete=True, scope="observed-edges", survivors=(), counterexample=(), holds_if=())
    return Plan(
        version=1, case_id="c", as_of=NINE, subjects=(KEY,), strategy="standard", margin=60, lag=900, narrowing={},
        tainted=(KEY,), steps=steps, proof=proof, not_spared=(), residual_risks=(),
    )  # fmt: skip


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


def test_the_plan_is_told_by_letters() -> None:
    """Each step says what it ends, what goes on, and whom it hits; a dead lineage needs none."""
    told = replace(
        walk((ended(A), B, ended(C), D)),
        plan=plan(step(1, ends=(TOKEN,), alive=(D.id,)), step(2, ends=(D.id,), hits=("ASIARIA",))),
    )
    text = written(lambda writer: write_walk(told, writer))
    assert "  1. revoke-user-sessions on user/support: ends B; D goes on.\n" in text
    assert "ends D; nothing is left. It hits ASIARIA as well" in text
    nothing = written(lambda writer: write_walk(replace(walk((A,), (ended(A),)), plan=plan()), writer))
    assert nothing.endswith("Nothing that descends from the key works any more.\n")


def test_the_runbook_is_refuted_by_letters() -> None:
    """What a proof would have said of the steps that were taken stands below the plan that works."""
    refuted = replace(
        plan(),
        proof=Proof(
            complete=False,
            scope="observed-edges",
            survivors=(),
            holds_if=(),
            counterexample=(f"after step 2, {TOKEN} mints a new session",),
        ),
    )
    told = replace(walk((ended(A), B)), plan=plan(step(1, ends=(TOKEN,))), runbook=refuted)
    assert written(lambda writer: write_walk(told, writer)).endswith(
        "  - after step 2, B mints a new session\n"
    )
