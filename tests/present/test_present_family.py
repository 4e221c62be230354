"""The shape of a lineage for the eye."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from present_cases import child, credential, trace, written

from tokentrail.lineage.model import Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.family import MANY, MOST, Family, Fold, Node
from tokentrail.present.text.trace_text import write_trace

TOP = credential(kind="long_term_key", role=None, id="AKIATOP")
STATES = ("active", "expired", "ended", "unknown")


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A random tree, wide or deep, of a few roles and all states."""
    found: list[TracedCredential] = [TOP]
    for number in range(draw(st.integers(0, 60))):
        parent = found[draw(st.integers(0, min(len(found) - 1, 5)))]
        role = f"arn:aws:iam::111122223333:role/R{draw(st.integers(0, 2))}"
        found.append(child(number, parent.id, role=role, state=draw(st.sampled_from(STATES))))
    return trace(*found)


def chain(length: int) -> Trace:
    """A chain of sessions, each minted by the one before, of which only the last works."""
    found = [TOP]
    for number in range(length):
        found.append(child(number, found[-1].id, state="active" if number == length - 1 else "expired"))
    return trace(*found)


@given(drawn=traces())
def test_every_credential_is_drawn_or_counted(drawn: Trace) -> None:
    """What is drawn, and what the folds say they hold, is all there is; so is what works."""
    items = list(Family(drawn).walk())
    nodes = [item.one for item in items if isinstance(item, Node)]
    folds = [item for item in items if isinstance(item, Fold)]
    assert len({one.id for one in nodes}) == len(nodes)
    assert len(nodes) + sum(len(fold.siblings) + fold.below for fold in folds) == len(drawn.credentials)
    working = sum(one.state == "active" for one in nodes) + sum(fold.working for fold in folds)
    assert working == sum(one.state == "active" for one in drawn.credentials)


def test_a_few_children_are_all_drawn() -> None:
    """Up to a dozen of one role and kind are drawn one by one, in order of time."""
    drawn = list(Family(trace(TOP, *(child(n, TOP.id) for n in range(MANY)))).walk())
    assert [item.one.id for item in drawn if isinstance(item, Node)][1:] == [
        child(n, TOP.id).id for n in range(MANY)
    ]


def test_many_children_are_folded_but_what_works_is_drawn() -> None:
    """Of many sessions of one role, those that work are drawn, and the rest is counted in a sentence."""
    many = [child(n, TOP.id, state="expired") for n in range(245)]
    many[200] = child(200, TOP.id, state="active")
    text = written(lambda writer: write_trace(trace(TOP, *many), writer))
    assert "└─ … and 240 more role sessions of role/MyBucketRole: none active" in text
    assert f"{many[200].id}  active  ! tainted" in text


def test_a_fold_says_what_it_hides() -> None:
    """A fold counts what is below it and what still works, and the active ones are listed after the tree."""
    many = [child(n, TOP.id) for n in range(30)]
    below = child(99, many[20].id, state="ended", state_reason="made inactive")
    text = written(lambda writer: write_trace(trace(TOP, *many, below), writer))
    assert "… and 25 more role sessions of role/MyBucketRole: 25 still active" in text
    assert "Active, and not drawn above" in text
    assert "… and 5 more; --format jsonl lists every credential" in text


def test_children_of_many_users_are_folded_too() -> None:
    """An attacker who makes three hundred users has one key of each: they are one crowd, not three hundred."""
    users = [f"arn:aws:iam::111122223333:user/u{n}" for n in range(300)]
    keys = [child(n, TOP.id, kind="long_term_key", role=None, principal=user) for n, user in enumerate(users)]
    text = written(lambda writer: write_trace(trace(TOP, *keys), writer))

    assert "└─ … and 295 more long-term keys: 295 still active" in text


def test_of_a_few_sessions_in_each_of_many_roles_some_of_each_are_drawn() -> None:
    """A dozen sessions of one role in each of twenty accounts are read by nobody: each account shows two of them."""
    roles = [f"arn:aws:iam::{number:012}:role/Admin" for number in range(20)]
    many = [child(n, TOP.id, role=roles[n % 20]) for n in range(240)]
    items = list(Family(trace(TOP, *many)).walk())
    drawn = [item.one.role for item in items if isinstance(item, Node)][1:]

    assert sorted(2 * roles) == sorted(map(str, drawn))
    assert [200] == [len(item.siblings) for item in items if isinstance(item, Fold)]


def test_a_fold_counts_in_words_that_agree() -> None:
    """One is one, and what the kind is called stands in the plural where it belongs."""
    many = [child(n, TOP.id, kind="service_role") for n in range(13)]
    few = [child(n, TOP.id, kind="assumed_role_saml") for n in range(20, 33)]
    text = written(lambda writer: write_trace(trace(TOP, *many, *few), writer))

    assert "… and 8 more services' role sessions of role/MyBucketRole: 8 still active" in text
    assert "… and 8 more role sessions (SAML) of role/MyBucketRole: 8 still active" in text
    assert "1 role session" == words.kinds(1, child(1, TOP.id))


def test_a_chain_of_any_depth_is_drawn_within_the_page() -> None:
    """A chain of a thousand hops neither overflows the page nor the stack, and its living end is named."""
    text = written(lambda writer: write_trace(chain(1000), writer))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("deep: ASIA") + text.count("─ ASIA") == MOST - 1
    assert f"{child(999, 'x').id}  role session" in text.partition("Active, and not drawn")[2]


def test_the_subject_is_what_no_tainted_credential_minted_or_made() -> None:
    """What acts through something that the attacker made is a descendant, though its parent is innocent."""
    colleague = credential(id="ASIACOLLEAGUE", tainted=False)
    backdoor = child(1, colleague.id)
    drawn = trace(TOP, colleague, backdoor)
    through = drawn.links[0].__class__(
        parent=TOP.id,
        child=backdoor.id,
        api="UpdateAssumeRolePolicy",
        event_id="e",
        time=None,
        link="created",
        why="acts through the trust",
    )
    family = Family(trace(*drawn.credentials, links=(*drawn.links, through)))
    assert [one.id for one in family.subjects()] == [TOP.id]
    text = written(
        lambda writer: write_trace(trace(*drawn.credentials, links=(*drawn.links, through)), writer)
    )
    assert f"also linked to {TOP.id} (created: acts through the trust)" in text
