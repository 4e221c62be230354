"""Taking a plan back, against moto over HTTP."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from carry_cases import AS_OF, BEFORE, CUTOFF, HOME, REVOKE, Stand, call, denial, plan_of, step, with_steps

from tokentrail.containment import documents
from tokentrail.containment.execution.outcome import Restored, Undone
from tokentrail.containment.model import Plan
from tokentrail.errors import UsageError
from tokentrail.present.text.apply_output import write_intended, write_undone
from tokentrail.present.text.text_writer import TextWriter


def applied(stand: Stand) -> Plan:
    """The story, carried out, and then two days later."""
    plan = stand.story()
    assert stand.apply(plan).complete
    stand.clock.now = AS_OF + timedelta(days=2)
    return plan


def outcomes(undone: Any) -> list[tuple[tuple[int, ...], str]]:
    return [(one.steps, one.outcome) for one in undone.things]


def test_undo_leaves_the_account_as_it_was(stand: Stand) -> None:
    """Everything is put back, the newest first, to the letter of the policy that was there."""
    plan = stand.story()
    before = stand.details()
    stand.apply(plan)
    changed = stand.details()
    stand.clock.now = AS_OF + timedelta(days=2)

    undone = stand.undo(plan, reactivate=True)

    assert undone.complete
    assert outcomes(undone) == [((3,), "restored"), ((2,), "restored"), ((1,), "restored")]
    assert stand.details() == before != changed
    restored = [one for one in stand.lines() if one["kind"] == "before" and one["verb"] == "undo"]
    assert restored[0]["call"]["parameters"]["PolicyDocument"] == BEFORE


def test_one_step_is_taken_back_and_the_others_stand(stand: Stand) -> None:
    """A revocation that stopped the wrong people is lifted alone; the next `apply` would carry it out again."""
    plan = applied(stand)

    undone = stand.undo(plan, only=[3])

    assert undone.complete
    assert outcomes(undone) == [((3,), "restored")]
    assert stand.key_status() == "Inactive"
    with pytest.raises(UsageError, match=r"--step 3: .* of 1, 2"):
        stand.undo(plan, only=[3])
    assert [step.outcome for step in stand.apply(plan).steps] == ["already", "already", "done"]


def test_what_bears_two_steps_is_not_taken_back_for_one(stand: Stand) -> None:
    """A policy that two steps wrote would take the other with it: both are named."""
    plan = stand.story()
    wider = replace(plan.steps[2], n=4, calls=(replace(plan.steps[2].calls[0]),))
    plan = with_steps(plan, *plan.steps, wider)
    assert stand.apply(plan).complete
    stand.clock.now = AS_OF + timedelta(days=2)

    undone = stand.undo(plan, only=[3])

    assert outcomes(undone) == [((3, 4), "refused")]
    assert "--step 3 --step 4" in undone.things[0].why
    assert outcomes(stand.undo(plan, only=[3, 4])) == [((3, 4), "restored")]


def test_a_step_that_nobody_carried_out_is_named(stand: Stand) -> None:
    """A mistyped number is no success."""
    plan = applied(stand)

    with pytest.raises(UsageError, match=r"--step 7: .* of 1, 2, 3"):
        stand.undo(plan, only=[3, 7])


def test_what_a_person_did_is_named_and_stays(stand: Stand) -> None:
    """No call takes it back: a policy that somebody pasted would stand for ever, and nobody be told so."""
    plan = plan_of(step(1, "scp-deny", why="Attach the policy.", targets=("arn:aws:iam::1:role/Admin",)))
    stand.confirmed = {1}
    assert stand.apply(plan).complete

    undone, page = stand.undo(plan), io.StringIO()
    write_undone(undone, TextWriter(page))

    assert [(1, "scp-deny")] == [(one.n, one.action) for one in undone.by_hand]
    assert [1] == [one.n for one in stand.undo(plan, only=[1]).by_hand]
    assert "by hand" in page.getvalue() and "Nothing is left" not in page.getvalue()


def test_what_stays_for_one_reason_is_told_together() -> None:
    """Eight hundred roles that must wait till the same hour are three lines, not two thousand."""
    thing = Restored(
        thing="", account=HOME, steps=(2,), outcome="refused", calls=(), safe_after=None, why="too soon"
    )
    things = tuple(replace(thing, thing=f"policy of role r{n}") for n in range(800))
    last = replace(thing, thing="key K", steps=(1,), outcome="restored", why="put back")
    page = io.StringIO()
    write_undone(Undone(run="r", journal="j", complete=False, things=(*things, last)), TextWriter(page))
    write_intended([(one.thing, one.outcome, one.why, one.calls) for one in things], TextWriter(page))

    told = page.getvalue()
    assert told.count("too soon") == 2 and told.count("796 more") == 2
    assert "role r0" in told and "role r4" not in told
    assert "key K  (step 1)" in told


def test_a_leaked_key_stays_inactive(stand: Stand) -> None:
    """Unless it is said in so many words."""
    plan = applied(stand)

    undone = stand.undo(plan)

    assert undone.complete
    assert outcomes(undone) == [((3,), "restored"), ((2,), "restored"), ((1,), "kept")]
    assert "--yes-reactivate-leaked-key" in undone.things[-1].why
    assert stand.key_status() == "Inactive"


def test_nothing_is_lifted_that_would_revive(stand: Stand) -> None:
    """Before it is safe, undo says from when it is, and changes nothing."""
    plan = stand.story()
    stand.apply(plan)
    changed = stand.details()

    undone = stand.undo(plan)

    assert not undone.complete
    assert [one for _, one in outcomes(undone)] == ["refused", "refused", "kept"]
    assert stand.details() == changed


def test_sent_later_is_safe_later(stand: Stand) -> None:
    """What the cutoff was moved by, sessions live longer."""
    plan = stand.story()
    stand.clock.now = AS_OF + timedelta(hours=1)
    stand.apply(plan)
    stand.clock.now = AS_OF + timedelta(hours=13) - timedelta(seconds=1)
    early = stand.undo(plan)
    stand.clock.now += timedelta(seconds=1)
    late = stand.undo(plan)

    assert early.things[0].outcome == "refused"
    assert early.things[0].safe_after == AS_OF + timedelta(hours=13)
    assert late.things[0].outcome == "restored"
    assert late.things[1].safe_after == AS_OF + timedelta(hours=37)


def test_what_somebody_else_changed_stays(stand: Stand) -> None:
    """The rest is taken back; what was changed since is left to a person."""
    plan = applied(stand)
    stand.iam.put_user_policy(UserName="support", PolicyName=REVOKE, PolicyDocument=BEFORE)

    undone = stand.undo(plan)

    assert not undone.complete
    assert outcomes(undone) == [((3,), "restored"), ((2,), "refused"), ((1,), "kept")]
    assert "somebody has changed it" in undone.things[1].why
    assert stand.user_policy()["Statement"][0]["Action"] == "iam:*"


def test_what_somebody_else_put_back_is_done_already(stand: Stand) -> None:
    """What is as it was before needs no call, and its step counts as lifted."""
    plan = applied(stand)
    stand.iam.delete_user_policy(UserName="support", PolicyName=REVOKE)

    undone = stand.undo(plan)

    assert undone.complete
    assert outcomes(undone)[1] == ((2,), "already")
    assert [one.outcome for one in stand.apply(plan).steps] == ["already", "done", "done"]


def test_undoing_again_does_nothing(stand: Stand) -> None:
    """And applying after it carries the lifted steps out again."""
    plan = applied(stand)
    stand.undo(plan)
    sent = list(stand.wire.writes)

    again = stand.undo(plan)
    nothing = list(stand.wire.writes)
    anew = stand.apply(plan)

    assert outcomes(again) == [((1,), "kept")]
    assert nothing == sent
    assert [one.outcome for one in anew.steps] == ["already", "done", "done"]


def test_only_what_was_changed_is_taken_back(stand: Stand) -> None:
    """A key that was inactive before stays so, even when asked to reactivate; its step is one to be done anew."""
    plan = stand.story()
    stand.iam.update_access_key(UserName="support", AccessKeyId=stand.key, Status="Inactive")
    stand.apply(plan)
    stand.clock.now = AS_OF + timedelta(days=2)

    stand.undo(plan, reactivate=True)

    assert stand.key_status() == "Inactive"

    stand.iam.update_access_key(UserName="support", AccessKeyId=stand.key, Status="Active")
    anew = stand.apply(plan)

    assert [one.outcome for one in anew.steps] == ["done", "done", "done"]
    assert () == anew.repeated


def test_what_can_not_be_brought_back_is_said(stand: Stand) -> None:
    """A deleted user or key is skipped with words."""
    stand.iam.create_user(UserName="backdoor")
    key = stand.iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    stand.wire.before = lambda action: (400, "X") if action == "ListServiceSpecificCredentials" else None
    plan = plan_of(
        step(
            1,
            "delete-created-key",
            call("DeleteAccessKey", UserName="backdoor", AccessKeyId=key),
            reversible=False,
        ),
        step(2, "delete-created-user", call("DeleteUser", UserName="backdoor"), reversible=False),
    )
    assert stand.apply(plan).complete
    stand.clock.now += timedelta(days=2)

    undone = stand.undo(plan)

    assert undone.complete
    assert outcomes(undone) == [((2,), "irreversible"), ((1,), "irreversible")]
    assert "can't be brought back" in undone.things[0].why


def test_what_the_attacker_made_stays_ended(stand: Stand) -> None:
    """Not even --yes-reactivate-leaked-key gives back a key or user that the attacker made and the plan kept."""
    stand.story()
    stand.iam.create_user(UserName="backdoor")
    made = stand.iam.create_access_key(UserName="support")["AccessKey"]["AccessKeyId"]
    own = stand.iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    leaked = {"UserName": "support", "AccessKeyId": stand.key}
    off = (
        call("UpdateAccessKey", **leaked, Status="Inactive"),
        call("UpdateAccessKey", UserName="support", AccessKeyId=made, Status="Inactive"),
    )
    denied = (
        call("UpdateAccessKey", UserName="backdoor", AccessKeyId=own, Status="Inactive"),
        call(
            "PutUserPolicy",
            UserName="backdoor",
            PolicyName="TokenTrail-DenyAll",
            PolicyDocument=documents.deny_all(),
        ),
    )
    back = (call("UpdateAccessKey", **leaked, Status="Active"),)
    plan = plan_of(
        step(1, "deactivate-key", *off, undo=back, safe_to_undo_after=None),
        step(2, "deny-user", *denied, reversible=False, safe_to_undo_after=None),
    )
    assert stand.apply(plan).complete
    stand.clock.now += timedelta(days=300)

    undone = stand.undo(plan, reactivate=True)

    assert undone.complete
    assert sorted(outcomes(undone)) == [((1,), "kept"), ((1,), "restored"), ((2,), "kept"), ((2,), "kept")]
    assert any(f"the attacker made {made}: it stays inactive" in one.why for one in undone.things)
    states = {
        one["AccessKeyId"]: one["Status"]
        for user in ("support", "backdoor")
        for one in stand.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    }
    assert states == {stand.key: "Active", made: "Inactive", own: "Inactive"}


def test_what_a_deletion_took_before_it_was_broken_off_is_said(stand: Stand) -> None:
    """A user is there as before, and its password and groups are not: undo names these, as no call brings them back."""
    stand.iam.create_user(UserName="backdoor")
    stand.iam.create_login_profile(UserName="backdoor", Password="a-Password-1")
    key = stand.iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "DeleteAccessKey" else None
    plan = plan_of(step(1, "delete-created-user", call("DeleteUser", UserName="backdoor"), reversible=False))
    assert not stand.apply(plan).complete

    (told,) = stand.undo(plan).things

    assert told.outcome == "irreversible" and "took its password:" in told.why and key not in told.why


def test_a_step_that_never_becomes_safe_needs_the_same_word(stand: Stand) -> None:
    """A denial that alone holds back an active key is lifted like the key itself."""
    plan = stand.story()
    denial = replace(plan.steps[1], safe_to_undo_after=None, action="deny-user")
    plan = replace(plan, steps=(plan.steps[0], denial, plan.steps[2]))
    stand.apply(plan)
    stand.clock.now += timedelta(days=300)

    assert outcomes(stand.undo(plan))[1] == ((2,), "refused")
    assert outcomes(stand.undo(plan, reactivate=True))[0] == ((2,), "restored")


def test_a_failed_undo_goes_on_later(stand: Stand) -> None:
    """What failed is told, the rest is done, and a second run does what is left."""
    plan = applied(stand)
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "DeleteUserPolicy" else None
    failed = stand.undo(plan)
    stand.wire.before = lambda action: None
    again = stand.undo(plan)

    assert outcomes(failed)[1] == ((2,), "failed")
    assert outcomes(again) == [((2,), "restored"), ((1,), "kept")]


def test_a_step_of_which_a_part_was_lifted_is_carried_out_again(stand: Stand) -> None:
    """A denial was detached, and its policy could not be deleted: apply does not say that the step stands."""
    told = stand.story()
    made = call("CreatePolicy", PolicyName="TokenTrail-x", PolicyDocument=denial())
    attached = call("AttachRolePolicy", RoleName="MyBucketRole", PolicyArn="${step.call[0].Policy.Arn}")
    plan = with_steps(told, step(1, "deny-role", made, attached, cutoff=CUTOFF))
    assert stand.apply(plan).complete
    stand.clock.now += timedelta(days=3)
    stand.wire.before = lambda action: (409, "DeleteConflict") if action == "DeletePolicy" else None
    assert not stand.undo(plan).complete

    again = stand.apply(plan)

    assert again.complete and again.steps[0].outcome == "done"
    assert stand.iam.list_attached_role_policies(RoleName="MyBucketRole")["AttachedPolicies"] != []


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_undo_that_dies_is_taken_up(stand: Stand, when: str) -> None:
    """Killed before or after a call took effect, the next run ends where the first would have."""
    plan = stand.story()
    before = stand.details()
    stand.apply(plan)
    stand.clock.now = AS_OF + timedelta(days=2)
    with stand.journal(plan) as journal, stand.cloud() as cloud:
        send = cloud.send

        def dying(meant: Any) -> Any:
            if meant.operation == "DeleteUserPolicy":
                if when == "after":
                    send(meant)
                raise KeyboardInterrupt
            return send(meant)

        cloud.send = dying  # type: ignore[method-assign]
        from tokentrail.containment.execution.undo import Undo

        undo = Undo(plan, cloud, journal, clock=stand.clock, reactivate_leaked_key=True)
        with pytest.raises(KeyboardInterrupt):
            undo.go(undo.look())

    assert stand.undo(plan, reactivate=True).complete
    assert stand.details() == before
