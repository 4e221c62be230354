"""ARNs of evidence as conditions spell them: they fit whom they name, whatever the path, and nobody else."""

from __future__ import annotations

import pytest

from tokentrail.aws.principals import in_conditions, reserved
from tokentrail.policy.language.documents import parse
from tokentrail.policy.language.evaluate import Call, denied
from tokentrail.policy.language.truth import Truth

ROLE = "arn:aws:iam::111122223333:role"
SESSION = "arn:aws:sts::111122223333:assumed-role"


def fits(arn: str, principal: str) -> bool:
    """Whether a condition on an ARN is about a principal."""
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"ArnLike": {"aws:PrincipalArn": in_conditions(arn)}},
        },
    }  # fmt: skip
    call = Call.of(("s3:getobject",), ("*",), {"aws:principalarn": (principal,)})
    return denied(parse(policy), call) is Truth.YES


@pytest.mark.parametrize(
    ("arn", "fitting", "others"),
    [
        (f"{SESSION}/Deploy/x", (f"{ROLE}/Deploy", f"{ROLE}/a/b/Deploy"), (f"{ROLE}/Deployer", f"{ROLE}/Deploy/x")),
        (f"{SESSION}/Deploy", (f"{ROLE}/a/Deploy",), (f"{ROLE}/a/PreDeploy",)),
        (f"{ROLE}/a/Deploy", (f"{ROLE}/a/Deploy",), (f"{ROLE}/Deploy",)),
        (f"{ROLE}/*", (), (f"{ROLE}/Admin",)),
        (f"{SESSION}/*/x", (), (f"{ROLE}/Admin", f"{ROLE}/a/Admin")),
        (f"{SESSION}/${{aws:username}}/x", (), (f"{ROLE}/Admin",)),
        (f"{SESSION}/Adm?n/x", (), (f"{ROLE}/Admin",)),
    ],
)  # fmt: skip
def test_a_condition_is_about_whom_an_arn_names(
    arn: str, fitting: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """A session's ARN lacks its role's path; a forged name's wildcards and variables mean themselves."""
    assert [fits(arn, one) for one in fitting] == [True] * len(fitting)
    assert [fits(arn, one) for one in others] == [False] * len(others)


def test_a_permission_set_s_role_is_known_with_and_without_its_path() -> None:
    """Identity Center alone names roles so (IAM Identity Center User Guide, 'Permission sets')."""
    assert reserved(f"{ROLE}/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef")
    assert reserved(f"{SESSION}/AWSReservedSSO_Admin_0123456789abcdef/eve") and not reserved(f"{ROLE}/Admin")
