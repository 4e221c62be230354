"""Whether what was done has held: the judge by table, and the whole against moto and a case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from carry_cases import AWAY, HOME, REVOKE, Stand, call, plan_of, step

from evidence import START, held, session, user
from evidence import call as record
from tokentrail.case import Case
from tokentrail.containment.execution.aws import Accounts
from tokentrail.containment.execution.history import History, StepRecord, history, plain
from tokentrail.containment.execution.outcome import Verification
from tokentrail.containment.execution.recheck import Recheck
from tokentrail.containment.model import Plan, Survivor
from tokentrail.containment.verification.judge import (
    AttackerCredential,
    Denier,
    Observations,
    ObservedCall,
    StepEffect,
    judge,
)
from tokentrail.containment.verification.verify import Evidence, verify
from tokentrail.lineage.model import Trace
from tokentrail.results import Coverage
from tokentrail.testing import World
from work import some

BIT = datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)
DENIERS: dict[str, Denier] = {"explicit": "identity-based policy", "scp": "service control policy"}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def effect(**fields: Any) -> StepEffect:
    return StepEffect(
        **{
            "n": 1,
            "action": "revoke-role-sessions",
            "ends": frozenset({"C"}),
            "at": BIT,
            "reads_back": True,
            **fields,
        }
    )


def one(**fields: Any) -> AttackerCredential:
    whole = {
        "id": "C",
        "planned": True,
        "issued_at": None,
        "issued_in": None,
        "expires": None,
        "parent": None,
    }
    return AttackerCredential(**{**whole, **fields})


def seen(after: float, name: str = "s3:GetObject", *, credential: str = "C", error: str = "") -> ObservedCall:
    """A call some seconds after the second in which the step bit."""
    return ObservedCall(
        time=BIT.replace(microsecond=0) + timedelta(seconds=after), event_id=f"e{after}", credential=credential, call=name,
        failed=bool(error), denied=error in ("denied", "explicit", "scp"), denied_by=DENIERS.get(error),
    )  # fmt: skip


def verdict(
    *events: ObservedCall,
    effects: Any = None,
    others: Any = (),
    newest: Any = BIT + timedelta(hours=1),
    **fields: Any,
) -> tuple[str, str | None]:
    incident = Observations(
        effects=effects if effects is not None else (effect(),), credentials=(one(**fields), *others), events=events, newest=newest,
        lag=timedelta(minutes=15), now=BIT + timedelta(hours=1),
    )  # fmt: skip
    _, credentials, _ = judge(incident)
    return credentials[0].verdict, credentials[0].event_id


def nothing_new(done: Any, now: datetime) -> Recheck:
    """What a plan proved again shows if the evidence adds nothing."""
    return Recheck(uncovered=(), ended_by={}, risks=())


def looked_at(plan: Plan, world: World) -> Verification:
    """A plan whose steps were all done five minutes after it was made, by what the evidence shows since."""
    bit = plan.as_of + timedelta(minutes=5)
    done = StepRecord(outcome="done", at=bit, cutoff=bit, sent_at=bit - MINUTE, bites_at=bit)
    with held(world) as case:
        looking = Evidence(
            covered=case.status().coverage, retrace=lambda: case.retrace(plan, spent=True), timeline=case.timeline,
            record=case.record, recheck=partial(case.recheck, plan),
        )  # fmt: skip
        told = History(steps={one.n: done for one in plan.steps})
        return verify(plan, told, None, looking, now=world.now)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), ("not-yet-proven", None)),
        ((seen(-9),), ("not-yet-proven", None)),
        ((seen(0),), ("not-yet-proven", None)),
        ((seen(1),), ("refuted", "e1")),
        ((seen(9, "sts:GetCallerIdentity"),), ("not-yet-proven", None)),
        ((seen(9, "sts:GetSessionToken"),), ("not-yet-proven", None)),
        ((seen(9, error="explicit"),), ("proven", "e9")),
        ((seen(9, error="denied"),), ("not-yet-proven", None)),
        ((seen(9, error="scp"),), ("not-yet-proven", None)),
        ((seen(9, error="other"),), ("not-yet-proven", None)),
        ((seen(9, error="explicit"), seen(10)), ("refuted", "e10")),
        ((seen(-9, error="denied"), seen(9, error="explicit")), ("not-yet-proven", None)),
        ((seen(-9, "s3:ListBucket", error="denied"), seen(9, error="explicit")), ("proven", "e9")),
        ((seen(9, credential="D"),), ("not-yet-proven", None)),
        ((replace(seen(9), forwarded=True),), ("not-yet-proven", None)),
    ],
)
def test_what_events_say_of_a_credential(
    events: tuple[ObservedCall, ...], expected: tuple[str, str | None]
) -> None:
    """A success after the effect refutes, an explicit denial that is new proves, and silence does neither."""
    assert verdict(*events) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"expires": BIT}, ("proven", None)),
        ({"expires": BIT + timedelta(days=1)}, ("not-yet-proven", None)),
        ({"newest": None}, ("not-yet-proven", None)),
        ({"newest": BIT - SECOND}, ("not-yet-proven", None)),
        ({"survives": True, "effects": (effect(ends=frozenset()),)}, ("not-yet-proven", None)),
        ({"effects": (effect(ends=frozenset()),)}, ("proven", None)),
        ({"effects": (effect(ends=frozenset()),), "active": True}, ("refuted", None)),
        ({"effects": (effect(ends=frozenset()),), "active": True, "expires": BIT}, ("proven", None)),
        (
            {"effects": (effect(ends=frozenset()),), "active": True, "survives": True},
            ("not-yet-proven", None),
        ),
        ({"active": True}, ("not-yet-proven", None)),
        ({"effects": (effect(ends=frozenset()),), "planned": False}, ("not-yet-proven", None)),
        ({"effects": (effect(at=None),)}, ("not-yet-proven", None)),
        ({"effects": (effect(reads_back=False, changed="policy"),)}, ("refuted", None)),
        ({"effects": (effect(action="deactivate-key"),)}, ("proven", None)),
        ({"effects": (effect(action="deactivate-key", reads_back=None),)}, ("not-yet-proven", None)),
        ({"effects": (effect(action="deactivate-key"),), "event": "denied"}, ("not-yet-proven", None)),
        ({"effects": (effect(action="deactivate-key"),), "event": "explicit"}, ("not-yet-proven", None)),
        ({"effects": (effect(action="delete-created-user"),), "long_term": True}, ("proven", None)),
        ({"effects": (effect(action="delete-user"),), "long_term": True}, ("proven", None)),
        ({"effects": (effect(action="delete-user"),)}, ("not-yet-proven", None)),
        ({"effects": (effect(action="deny-user"),), "long_term": True}, ("not-yet-proven", None)),
        (
            {"effects": (effect(action="deny-user", keys_off=frozenset({"C"})),), "long_term": True},
            ("proven", None),
        ),
        (
            {"effects": (effect(action="delete-user"),), "long_term": True, "event": "denied"},
            ("not-yet-proven", None),
        ),
        (
            {
                "effects": (effect(action="delete-user"),),
                "long_term": True,
                "newest": BIT + timedelta(minutes=14),
            },
            ("not-yet-proven", None),
        ),
        ({"effects": (effect(action="scp-deny"),), "event": "explicit"}, ("not-yet-proven", None)),
        ({"effects": (effect(action="scp-deny"),), "event": "scp"}, ("proven", "e9")),
        (
            {"effects": (effect(action="deactivate-key"),), "newest": BIT + timedelta(minutes=14)},
            ("not-yet-proven", None),
        ),
        (
            {"others": (one(id="D", parent="C", issued_at=BIT + SECOND, issued_in="mint"),)},
            ("refuted", "mint"),
        ),
        (
            {"others": (one(id="D", parent="C", issued_at=BIT - SECOND, issued_in="mint"),)},
            ("not-yet-proven", None),
        ),
        (
            {
                "others": (
                    one(
                        id="D",
                        parent="C",
                        issued_at=BIT + SECOND,
                        issued_in="mint",
                        issued_with="GetSessionToken",
                    ),
                )
            },
            ("not-yet-proven", None),
        ),
        ({"effects": (effect(action="deactivate-key"),), "call": "sts:GetCallerIdentity"}, ("refuted", "e9")),
        (
            {"effects": (effect(action="delete-user"),), "call": "sts:GetCallerIdentity"},
            ("not-yet-proven", None),
        ),
        ({"effects": ()}, ("not-yet-proven", None)),
    ],
)
def test_what_the_rest_says_of_a_credential(fields: dict[str, Any], expected: tuple[str, str | None]) -> None:
    """
    Expiry, read-back, children, the reach of the evidence and the step's kind of policy count as they should.

    What no policy denies says that a key works which a step made inactive, and nothing of what a policy denies.
    """
    events = [seen(9, error=fields.pop("event"))] if "event" in fields else []
    events += [seen(9, fields.pop("call"))] if "call" in fields else []

    assert verdict(*events, **fields) == expected


def test_what_no_step_ends_is_not_told_as_a_step_s_own() -> None:
    """A step that is not done says so of whom it ends; of others, that none of their own does."""
    waiting = Observations(
        effects=(effect(at=None),),
        credentials=(one(), one(id="Z")),
        events=(),
        newest=BIT,
        lag=timedelta(0),
        now=BIT,
    )
    ended, other = (each.why for each in judge(waiting)[1])

    assert (ended, other) == (
        "step 1 is not done",
        "no step ends it by itself, and the last, step 1, is not done",
    )


@pytest.mark.parametrize(
    ("effects", "events", "expected"),
    [
        ((effect(), effect(n=2, ends=frozenset({"D"}))), (seen(9, error="explicit"),), "not-yet-proven"),
        ((effect(), effect(n=2, ends=frozenset())), (seen(9, error="explicit"),), "proven"),
        ((effect(), effect(n=2, ends=frozenset(), reads_back=None)), (seen(9, error="explicit"),), "not-yet-proven"),
        ((effect(), effect(n=2, ends=frozenset(), reads_back=False)), (seen(9, error="explicit"),), "refuted"),
        ((effect(), effect(n=2, ends=frozenset(), at=None)), (seen(9, error="explicit"),), "not-yet-proven"),
    ],
)  # fmt: skip
def test_the_whole_is_as_good_as_its_worst_part(effects: Any, events: Any, expected: str) -> None:
    """One refuted part refutes; one unproven part leaves it open."""
    credentials = [one(id=name) for name in sorted(set().union(*(step.ends for step in effects)))]
    incident = Observations(
        effects=effects, credentials=credentials, events=events, newest=BIT + timedelta(hours=1), lag=SECOND, now=BIT
    )  # fmt: skip

    assert judge(incident)[2] == expected


@pytest.mark.parametrize(
    ("seconds", "whole", "expected"),
    [
        (900, True, "proven"),
        (899, True, "not-yet-proven"),
        (None, True, "not-yet-proven"),
        (3600, False, "not-yet-proven"),
    ],
)
def test_nothing_is_proven_before_the_log_has_told_all_till_the_last_bite(
    seconds: int | None, whole: bool, expected: str
) -> None:
    """Though every step stands and every credential that was seen is dead: others may show yet, in any account."""
    incident = Observations(
        effects=(effect(),), credentials=[one(expires=BIT + SECOND)], events=(), lag=timedelta(minutes=15), whole=whole,
        newest=None if seconds is None else BIT + seconds * SECOND, now=BIT + timedelta(hours=1),
    )  # fmt: skip

    assert judge(incident)[2] == expected


ROLE_SESSION, SESSION_TOKEN = "ASIAROLESESSION00001", "ASIASESSIONTOKEN0001"


def evidence(case: Case, plan: Plan) -> Evidence:
    covered = [replace(one, account=HOME) for one in case.status().coverage]
    return Evidence(
        covered=covered, retrace=lambda: case.trace(plan.tainted), timeline=case.timeline,
        record=case.record, recheck=nothing_new,
    )  # fmt: skip


def looked(stand: Stand, plan: Plan, *records: Any, ask_aws: bool = False) -> Verification:
    """What verify says, given the calls of the attacker since."""
    base = [
        record("ListBuckets", "2026-11-23T10:00:00Z", user("support", stand.key), source="s3.amazonaws.com"),
        record("ListBuckets", "2026-11-23T10:01:00Z", session(SESSION_TOKEN, role="S"), source="s3.amazonaws.com"),
        record("ListBuckets", "2026-11-23T10:02:00Z", session(ROLE_SESSION, role="MyBucketRole"), source="s3.amazonaws.com"),
        record("ListBuckets", "2026-11-23T12:00:00Z", user("ria", "AKIARIARIARIARIA0001"), source="s3.amazonaws.com"),
    ]  # fmt: skip
    with held([*base, *records]) as case, stand.cloud() as cloud, stand.journal(plan) as journal:
        told = history(journal.lines)
        now = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
        return verify(plan, told, cloud, evidence(case, plan), now=now, ask_aws=ask_aws)


def result(key: str, clock: str, role: str, error: str | None = None) -> Any:
    fields = {"errorCode": "AccessDenied", "errorMessage": error} if error else {}
    return record(
        "GetObject", f"2026-11-23T{clock}Z", session(key, role=role), source="s3.amazonaws.com", **fields
    )


DENIED = f"User: arn:aws:sts::{HOME}:assumed-role/MyBucketRole/s is not authorized to perform: s3:GetObject with an explicit deny in an identity-based policy"  # fmt: skip


def test_a_plan_that_was_not_applied_is_not_proven(stand: Stand) -> None:
    """Nothing done, nothing proven."""
    found = looked(stand, stand.story())

    assert found.verdict == "not-yet-proven"
    assert {step.why for step in found.steps} == {"it is not done"}


def test_denials_and_an_inactive_key_prove(stand: Stand) -> None:
    """The key reads back inactive, and both sessions were refused with an explicit deny."""
    plan = stand.story()
    stand.apply(plan)

    found = looked(
        stand,
        plan,
        result(SESSION_TOKEN, "11:30:00", "S", DENIED),
        result(ROLE_SESSION, "11:31:00", "MyBucketRole", DENIED),
    )

    assert found.verdict == "proven", found
    assert found.looked_back
    assert [step.verdict for step in found.steps] == ["proven", "proven", "proven"]


@pytest.mark.parametrize(
    ("logs", "said"), [({AWAY: -1}, "ingest newer logs"), ({}, f"no log of {AWAY}"), ({AWAY: 2}, None)]
)
def test_the_log_of_one_account_proves_nothing_of_another(logs: Any, said: str | None) -> None:
    """A key that reads back inactive is proven by a log of its own account that reaches past the effect, not by others."""
    key, keyed = "AKIAOTHER00000000001", f"arn:aws:iam::{AWAY}:user/x"
    plan = plan_of(
        step(1, "deactivate-key", call("UpdateAccessKey", account=AWAY, UserName="x", AccessKeyId=key, Status="Inactive"),
             account=AWAY, principals=(keyed,), ends=(key,), safe_to_undo_after=None),
        tainted=(key,),
    )  # fmt: skip
    done = {"seq": 1, "at": f"{BIT:%Y-%m-%dT%H:%M:%SZ}", "n": 1, "cutoff": None}
    (meant,) = plan.steps[0].calls
    told = history([
        {"kind": "already", **done, "thing": "k", "meant": plain(meant), "before": {}, "wanted": {"status": "Inactive"}},
        {"kind": "step", **done, "outcome": "done", "sent_at": done["at"], "bites_at": done["at"]},
    ])  # fmt: skip
    hours = {HOME: 2, **logs}
    covered = [
        Coverage(account=account, region="us-east-1", first=BIT, last=BIT + timedelta(hours=after), hours_seen=1, gaps=(),
                 read_only_events=True, write_events=True, data_events=False)
        for account, after in hours.items()
    ]  # fmt: skip
    trace = Trace(as_of=BIT, subject=(key,), credentials=(), links=(), created=(), principals=(), apis=(), resources=(), secrets_read=(), gaps=())  # fmt: skip

    class Stands:
        def caller(self, account: str) -> None:
            pass

        def listed(self, asked: Any, member: str) -> Any:
            return [{"AccessKeyId": key, "Status": "Inactive"}]

    cloud: Any = Stands()
    seen = Evidence(
        covered=covered, retrace=lambda: trace, timeline=lambda subjects: (), record=lambda name, place: {},
        recheck=nothing_new,
    )  # fmt: skip
    found = verify(plan, told, cloud, seen, now=BIT + timedelta(hours=3))

    assert found.verdict == ("proven" if said is None else "not-yet-proven"), found
    assert (said is None) or any(said in note for note in found.notes), found.notes
    assert [AWAY in logs] == [f"The log of {AWAY} has no data events" in " ".join(found.notes)]


def test_silence_and_other_refusals_do_not_prove(stand: Stand) -> None:
    """A refusal that does not name an explicit deny may have any reason."""
    plan = stand.story()
    stand.apply(plan)

    found = looked(stand, plan, result(ROLE_SESSION, "11:31:00", "MyBucketRole", "Access Denied"))

    assert [one.verdict for one in found.credentials] == ["proven", "not-yet-proven", "not-yet-proven"]
    assert found.verdict == "not-yet-proven"


def test_a_key_that_went_with_its_user_is_proven(stand: Stand) -> None:
    """A key never expires, and one whose user is gone is never refused: that the user reads back as gone must do."""
    story = stand.story()
    user = call("DeleteUser", UserName="support")
    gone = step(1, "delete-created-user", user, ends=(stand.key,), safe_to_undo_after=None, reversible=False)
    stand.wire.before = lambda action: (400, "X") if action == "ListServiceSpecificCredentials" else None
    plan = replace(story, steps=(gone,), tainted=(stand.key,))
    assert stand.apply(plan).complete

    found = looked(stand, plan)

    assert (
        found.credentials[0].why == "its user reads back as gone, and the evidence shows no use of it since"
    )
    assert found.verdict == "proven"


NOT_BY_OURS = "User: x is not authorized to perform: s3:GetObject on resource: y with an explicit deny"


OTHERS = (
    f"{NOT_BY_OURS} in a resource-based policy",
    f"{NOT_BY_OURS} in a service control policy",
    f"{NOT_BY_OURS} in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
    f"{NOT_BY_OURS} in a resource control policy",
    f"{NOT_BY_OURS} in a VPC endpoint policy",
    f"{NOT_BY_OURS} in a permissions boundary",
    f"{NOT_BY_OURS} in a permissions boundary: arn:aws:iam::{HOME}:policy/TokenTrail-RevokeSessions",
    f"{NOT_BY_OURS} in a session policy",
    f"{NOT_BY_OURS} in an identity-based policy: arn:aws:iam::{HOME}:policy/TeamGuard",
    NOT_BY_OURS,
    "User: x is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/an explicit deny in an "
    "identity-based policy because no identity-based policy allows the s3:GetObject action",
    "User: x is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/an explicit deny in an "
    "identity-based policy with an explicit deny in a resource-based policy",
)
OURS = (
    f"{NOT_BY_OURS} in an identity-based policy",
    f"{NOT_BY_OURS} in an identity-based policy: arn:aws:iam::{HOME}:policy/TokenTrail-DenySessions-1",
    f"You are not authorized to perform this operation. {NOT_BY_OURS} in an identity-based policy. Encoded "
    "authorization failure message: XQ_jqde5rHje6j9P",
)


@pytest.mark.parametrize("message", some(OTHERS, 4))
def test_a_denial_by_another_type_of_policy_does_not_prove(message: str, stand: Stand) -> None:
    """A bucket's policy, an SCP or an endpoint's policy refused before as well: nothing is told of our step."""
    plan = stand.story()
    stand.apply(plan)

    found = looked(stand, plan, result(ROLE_SESSION, "11:31:00", "MyBucketRole", message))

    assert [one.verdict for one in found.credentials] == ["proven", "not-yet-proven", "not-yet-proven"]
    assert found.credentials[2].why == (
        "what was heard of it last, s3:GetObject at 2026-11-23T11:31:00Z, is no refusal that only step 3 explains"
    )


def test_a_denial_by_the_type_of_policy_that_the_step_wrote_proves(stand: Stand) -> None:
    """However the service words it."""
    plan = stand.story()
    stand.apply(plan)

    for message in OURS:
        found = looked(stand, plan, result(ROLE_SESSION, "11:31:00", "MyBucketRole", message))

        assert found.credentials[2].verdict == "proven", message
        assert "explicit deny in an identity-based policy" in found.credentials[2].why, message


def test_a_success_after_the_bite_refutes(stand: Stand) -> None:
    """With the event that shows it."""
    plan = stand.story()
    stand.apply(plan)

    found = looked(stand, plan, result(ROLE_SESSION, "11:31:00", "MyBucketRole"))

    refuted = [one for one in found.credentials if one.verdict == "refuted"]
    assert found.verdict == "refuted"
    assert [(one.credential, one.step) for one in refuted] == [(ROLE_SESSION, 3)]
    assert refuted[0].event_id


def test_a_policy_that_is_gone_refutes(stand: Stand) -> None:
    """The step no longer stands."""
    plan = stand.story()
    stand.apply(plan)
    stand.iam.delete_user_policy(UserName="support", PolicyName=REVOKE)

    found = looked(stand, plan)

    assert found.steps[1].verdict == "refuted"
    assert REVOKE in found.steps[1].why


def test_an_unreachable_account_is_said(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the evidence is judged alone, and verify says so, having asked the account once."""
    plan = stand.story()
    stand.apply(plan)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    asked, caller = [], Accounts.caller
    monkeypatch.setattr(Accounts, "caller", lambda cloud, one: asked.append(one) or caller(cloud, one))

    found = looked(stand, plan)

    assert asked == [HOME]
    assert not found.looked_back
    assert any("not read back" in note for note in found.notes)
    assert not any(".." in note for note in found.notes)
    assert all(step.reads_back is None for step in found.steps)


def test_without_a_case_nothing_is_proven(stand: Stand) -> None:
    """Standing policies alone are no proof."""
    plan = stand.story()
    stand.apply(plan)
    with stand.cloud() as cloud, stand.journal(plan) as journal:
        found = verify(plan, history(journal.lines), cloud, None, now=stand.clock())

    assert found.verdict == "not-yet-proven"
    assert [step.reads_back for step in found.steps] == [True, True, True]


def test_what_the_plan_leaves_alive_is_not_proven(stand: Stand) -> None:
    """A plan that says itself that it is incomplete stays unproven."""
    survivor = Survivor(credential=ROLE_SESSION, until=None, why="root")
    plan = plan_of(step(1, "disable-identity-center-user"), tainted=(ROLE_SESSION,))
    plan = replace(plan, proof=replace(plan.proof, complete=False, survivors=(survivor,)))
    stand.confirmed = {1}
    stand.apply(plan)
    stand.key = "AKIAOTHER00000000001"

    found = looked(stand, plan)

    assert found.credentials[0].why == "the plan itself does not end it"
    assert found.verdict == "not-yet-proven"


@pytest.mark.parametrize(
    ("since", "started"),
    [
        ("nothing", False),
        ("renewed", False),
        ("used", False),
        ("handed", False),
        pytest.param("handed", True, marks=pytest.mark.long),
        pytest.param("over", False, marks=pytest.mark.long),
    ],
)
def test_what_a_host_handed_out_is_looked_at_too(since: str, started: bool) -> None:
    """
    A host's next sessions descend from no subject: used after the effect, or handed out then, they refute, also once
    they have run out.

    One that was handed out before is ended by the steps as they are, and asks for no other plan. Who started the host
    changes nothing.
    """
    world = World(START)
    first = world.user("ci").runs_task("Web") if started else world.instance("Web")
    first.seen_from("203.0.113.77").calls("s3:ListBuckets")
    world.wait(600)
    second = first.rotates()
    second.calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([first.id])
    assert second.id in plan.tainted and plan.proof.complete
    world.wait(60)
    if since == "renewed":
        second.rotates()
    world.wait(3540)
    if since == "used":
        second.calls("s3:ListBuckets")
    elif since in ("handed", "over"):
        second.rotates().calls("s3:ListBuckets")
    world.wait(8 * 3600 if since == "over" else 0)
    world.user("bystander").calls("s3:ListBuckets")
    found = looked_at(plan, world)

    assert found.verdict == ("not-yet-proven" if since in ("nothing", "renewed") else "refuted")
    assert any("plan again" in one for one in found.notes) == (since in ("handed", "over"))
    assert any("opened again" in one for one in found.notes) == (since in ("handed", "over"))


@pytest.mark.parametrize(("used", "hours"), [(True, 0), (True, 14), (False, 14)])
def test_what_was_handed_out_unseen_before_the_plan_refutes_it_once_used(used: bool, hours: int) -> None:
    """Its delivery was not in the log yet: used after the effect it refutes the plan, and hours later it does so still."""
    world = World(START)
    first = world.instance("Web")
    first.seen_from("203.0.113.77").calls("s3:ListBuckets")
    with world.unlogged():
        second = first.rotates()
    world.wait(60)
    world.user("bystander").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([first.id])
    world.wait(3600 if used else -30)
    second.calls("s3:ListBuckets")
    world.wait(hours * 3600)
    world.user("bystander").calls("s3:ListBuckets")
    found = looked_at(plan, world)

    assert second.id not in plan.tainted and used == (found.verdict == "refuted")


@pytest.mark.parametrize("really", [True, False])
def test_a_call_that_a_person_made_in_our_stead_is_read_back(stand: Stand, really: bool) -> None:
    """Where nothing is left to do of it, it stands; else nobody knows what was done, and it is not told as undone."""
    plan = stand.story()
    if really:
        stand.iam.update_access_key(UserName="support", AccessKeyId=stand.key, Status="Inactive")
    stand.confirmed = {1}
    stand.apply(plan)
    found = looked(stand, plan)

    assert (True if really else None) == found.steps[0].reads_back
    assert ("proven" if really else "not-yet-proven") == found.credentials[0].verdict


def after_a_person(world: World, plan: Plan, n: int) -> Verification:
    """What the log proves of a plan of which a person carried out one step."""
    bit = plan.as_of + timedelta(minutes=2)
    done = StepRecord(outcome="by-person", at=bit, cutoff=None, sent_at=bit, bites_at=bit)
    with held(world) as case:
        looking = Evidence(
            covered=case.status().coverage, retrace=lambda: case.retrace(plan), timeline=case.timeline,
            record=case.record, closed=case.closed, recheck=partial(case.recheck, plan),
        )  # fmt: skip
        return verify(plan, History(steps={n: done}), None, looking, now=world.now)


@pytest.mark.parametrize("since", ["nothing", "handed", "too early to tell"])
def test_a_host_that_a_person_shut_is_proven_by_the_log(since: str) -> None:
    """StopInstances of the very host, and no session handed to it afterwards: no call of ours was made to read back."""
    world = World(START)
    first = world.instance("Web")
    first.seen_from("203.0.113.77").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([first.id])
    assert "isolate-instance" == plan.steps[0].action
    world.wait(60)
    items = [{"instanceId": plan.steps[0].targets[0]}]
    world.user("responder").calls("ec2:StopInstances", {"instancesSet": {"items": items}}, read_only=False)
    world.wait(60)
    if since == "handed":
        first.rotates()
    world.wait(60 if since == "too early to tell" else 3600)
    world.user("bystander").calls("s3:ListBuckets")
    found = after_a_person(world, plan, 1)

    assert found.steps[0].verdict == ("proven" if since == "nothing" else "not-yet-proven")
    assert found.steps[0].why.startswith("the log shows StopInstances of i-") == (since == "nothing")


@pytest.mark.parametrize(
    ("kind", "since"),
    [("task", "nothing"), ("build", "nothing"), ("task", "handed"), ("build", "another stopped")],
)
def test_a_task_or_build_of_the_attacker_s_that_a_person_stopped_is_proven_by_the_log(
    kind: str, since: str
) -> None:
    """StopTask and StopBuild of the very one that was started by call, which nobody starts again."""
    world = World(START)
    thief = world.user("ada").seen_from("203.0.113.77")
    first = thief.runs_task("Web") if kind == "task" else thief.starts_build("site", "Web")
    first.calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([thief.id])
    [shut] = [one for one in plan.steps if one.action == "isolate-instance"]
    world.wait(60)
    [name] = shut.targets if since != "another stopped" else ["site:0" if kind == "build" else "0"]
    task = f"arn:aws:ecs:us-east-1:{world.account_id}:task/main/{name}"
    world.user("responder").calls(
        "ecs:StopTask" if kind == "task" else "codebuild:StopBuild",
        {"cluster": "main", "task": task} if kind == "task" else {"id": name},
        read_only=False,
    )
    world.wait(60)
    if since == "handed":
        first.rotates()
    world.wait(3600)
    world.user("bystander").calls("s3:ListBuckets")
    found = after_a_person(world, plan, shut.n)

    assert found.steps[shut.n - 1].verdict == ("proven" if since == "nothing" else "not-yet-proven")
