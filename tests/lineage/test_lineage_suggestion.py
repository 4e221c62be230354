"""What somebody may have meant whose subject answers to nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evidence import AWAY, HOME, START, held
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.testing import World

USER, ROLE = f"arn:aws:iam::{HOME}:user/support", f"arn:aws:iam::{HOME}:role/Admin"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/Admin/ria"


def test_a_short_name_is_no_subject_and_whose_it_is_is_said() -> None:
    """Outputs print such names. None is taken for whoever bears it: an attacker may call a session so tomorrow."""
    world = World(START)
    key = world.user("support")
    key.assumes("Admin", "ria", account=HOME).calls("s3:ListBuckets")
    key.assumes("Admin", "ria", account=AWAY)  # which nobody used
    key.creates_access_key(key.creates_user("eve"))
    abroad = (ROLE.replace(HOME, AWAY), SESSION.replace(HOME, AWAY))
    asked = {
        "support": (USER,), "user/support": (USER,), "eve": (f"arn:aws:iam::{HOME}:user/eve",),
        "role/Admin": sorted((ROLE, abroad[0])), "Admin/ria": sorted((SESSION, abroad[1])),
        "ria": sorted((SESSION, abroad[1])), key.id.lower(): (key.id,),
    }  # fmt: skip
    with held(world) as case:
        for name, meant in asked.items():
            with pytest.raises(UsageError) as error:
                case.trace([name])
            assert f"Did you mean {', '.join(meant)}?" in str(error.value)
            for one in meant:
                case.trace([one])
        for name in ("nobody", "/"):
            with pytest.raises(UsageError) as error:
                case.trace([name])
            assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("MyBuketRole", "role/MyBucketRole"), ("mybucketrole", "role/MyBucketRole"), ("role/MyBcuketRole", "role/MyBucketRole"),
        ("suport", "user/support"), ("user/MyBucketRole", "role/MyBucketRole"), ("MyBookedRole", None), ("evan", None),
        ("eva", "user/eve"), ("support" * 30, None),
    ],
)  # fmt: skip
def test_a_name_with_a_typo_is_suggested(typed: str, meant: str | None) -> None:
    """Two letters may be wrong, one of a short name; upper and lower case and the kind don't matter."""
    world = World(START)
    for name in ("support", "eve"):
        world.user(name).calls("s3:ListBuckets")
    world.user("eve").assumes("MyBucketRole", "job")
    with held(world) as case, pytest.raises(UsageError) as error:
        case.trace([typed])
    assert (f"Did you mean arn:aws:iam::{HOME}:{meant}?" if meant else "A subject is") in str(error.value)


def test_an_account_or_network_is_told_to_be_no_subject() -> None:
    """What to give instead is said."""
    world = World(START)
    world.user("support").calls("s3:ListBuckets")
    with held(world) as case:
        with pytest.raises(SubjectNotFound, match=f"credentials --account {HOME}"):
            case.trace([HOME])
        for network in ("203.0.113.0/24", "2001:db8::/32"):
            with pytest.raises(SubjectNotFound, match="A network is no subject"):
                case.trace([network])


def test_many_that_bear_a_name_are_counted() -> None:
    """An organisation has a role of one name in each of a thousand accounts."""
    world = World(START)
    key = world.user("support")
    for number in range(8):
        key.assumes("Admin", "ria", account=f"{number:012}")
    with held(world) as case, pytest.raises(SubjectNotFound, match=r"000000000004:role/Admin and 3 more\?"):
        case.trace(["role/Admin"])


def test_a_key_with_a_typo_is_suggested() -> None:
    """Two letters may be wrong, missing, swapped or too many; of a third the id is another key's."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    swapped = key.id[:-2] + key.id[-1] + key.id[-2]
    with held(world) as case:
        for typo in (
            key.id.lower(),
            f"{key.id}A",
            key.id[:8] + key.id[9:],
            swapped,
            f"{key.id[:-2]}77",
        ):
            with pytest.raises(SubjectNotFound, match=rf"Did you mean {key.id}\?"):
                case.trace([typo])
        with pytest.raises(SubjectNotFound) as error:
            case.trace([f"{key.id[:-3]}000"])
        assert "Did you mean" not in str(error.value)


def test_a_key_of_which_there_is_no_call_is_told_by_its_account() -> None:
    """Its id tells the account: the log of that is missing, or the time at which it was used."""
    world, elsewhere = World(START), World(START, seed=7)
    world.user("support").calls("s3:ListBuckets")
    here, there = elsewhere.user("other").id, elsewhere.user("other", account=AWAY).id
    with held(world) as case:
        with pytest.raises(
            SubjectNotFound, match=f"it is of account {HOME}, whose log the case holds: no call by it"
        ):
            case.trace([here])
        with pytest.raises(
            SubjectNotFound, match=f"it is of account {AWAY}. The case holds logs of {HOME}: ingest"
        ):
            case.trace([there])
        with pytest.raises(
            SubjectNotFound, match=f"No call by that key is in the evidence. The case holds logs of {HOME}"
        ):
            case.trace(["AKIAIOSFODNN7EXAMPLE"])
        with pytest.raises(SubjectNotFound, match=f"No call by that key .* The case holds logs of {HOME}"):
            case.trace(["ACCA12345ABCDEXAMPLE"])


def test_an_arn_of_which_there_is_no_call_is_told_by_its_account() -> None:
    """As that of an API key's user: the log of its account is missing, or the time at which it was used."""
    world = World(START)
    world.user("support").calls("s3:ListBuckets")
    arn = f"arn:aws:iam::{HOME}:user/BedrockAPIKey-abcd"
    with held(world) as case:
        with pytest.raises(
            SubjectNotFound, match=f"account {HOME}, whose log the case holds: no call in its name"
        ):
            case.trace([arn])
        with pytest.raises(
            SubjectNotFound, match=f"account {AWAY}. The case holds logs of {HOME}: ingest that"
        ):
            case.trace([arn.replace(HOME, AWAY)])


def test_an_id_as_timelines_shorten_it_names_the_credential() -> None:
    """Copied from the screen, unless several are shortened so; what stands for no id goes on being refused."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    with held(world) as case:
        short = f"{key.id[:4]}…{key.id[-4:]}"
        assert [key.id] == [one.id for one in case.trace([short]).credentials]
        with pytest.raises(SubjectNotFound, match="nothing in the case answers"):
            case.trace([f"{key.id[:4]}…0000000"])
        with pytest.raises(SubjectNotFound, match="masked"):
            case.trace(["AKIA…"])


def test_before_all_evidence_its_span_is_told() -> None:
    """Nobody is sent to ingest the log of an account that the case holds."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    with (
        held(world) as case,
        pytest.raises(SubjectNotFound, match=f"no evidence yet: it spans {START:%Y-%m-%d}"),
    ):
        case.trace([key.id], as_of=START - timedelta(days=1))
