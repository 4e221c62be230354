"""
A trace as text, for a responder at three in the morning: the verdict first, then the tree, then the damage.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from tokentrail.formatting import counted, listed, verb
from tokentrail.lineage.model import Credential, Link, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.family import Family, Fold, Node
from tokentrail.present.safe import safe
from tokentrail.present.text.damage_text import write_damage, write_gaps
from tokentrail.present.text.text_writer import Part, TextWriter

_DEEPEST = 12
"""Levels drawn with their branches; below that, the level is written instead."""
_HIDDEN = 20
_BEHIND = frozenset({"service", "identity_provider", "console_sign_in"})
"""Origins of credentials that their like come from as well."""
_GIVEN_AGAIN = frozenset({"service_role", "oauth_login"})
"""Kinds of which hosts and sign-ins give the next, wherever the first is seen to come from."""


def write_trace(trace: Trace, writer: TextWriter, *, down: bool = True) -> None:
    """
    Write a trace.

    Args:
        trace: What to write.
        writer: Where to.
        down: Whether descendants were asked for.
    """
    family = Family(trace)
    _verdict(trace, family, writer, down)
    writer.line()
    links = _more_links(trace)
    accounts = {one.account for one in trace.credentials if one.account}
    for item in family.walk():
        if isinstance(item, Node):
            who = words.who(item.one, account=len(accounts) > 1)
            _node(item, f"{words.kind(item.one)} of {who}", links.get(item.one.id, ()), writer)
        else:
            _fold(item, writer)
    _hidden_but_alive(family, writer)
    write_damage(trace, writer)
    write_gaps(trace.gaps, writer)


def _verdict(trace: Trace, family: Family, writer: TextWriter, down: bool) -> None:
    since = {one.credential for one in trace.handed or ()}
    subjects = [one for one in family.subjects() if one.id not in since]
    below = [one for one in family.descendants() if one.id not in since]
    name = listed(trace.subject, 3)
    verdict = (
        words.verdict([one for one in trace.credentials if one.tainted])
        if down
        else f"{name}, and what it descends from; descendants were not asked for"
    )
    writer.wrapped(f"As of {timestamp(trace.as_of)}: {verdict}.", style="bold")
    if down:
        count = f"{len(below):,}" if below else "No"
        noun = verb(len(below), "credential descends", "credentials descend")
        writer.wrapped(f"{count} {noun} from {name}" + (f", {words.still_work(below)}." if below else "."))
    if len(subjects) == 1:
        (one,) = subjects
        writer.wrapped(f"{one.id} itself: {words.state(one)}.")
    else:
        writer.wrapped(f"{name}: {len(subjects):,} credentials, of which {words.still_work(subjects)}.")
    for sentence in words.named_persons(trace):
        writer.wrapped(sentence)
    if down:
        _beyond(trace, subjects, writer)
    tainted = [one for one in below if one.tainted]
    if len(tainted) < len(below):
        others = [one for one in below if not one.tainted]
        noun = verb(len(tainted), "counts", "count")
        writer.wrapped(
            f"{len(tainted):,} of the descendants {noun} as the attacker's ({words.TAINTED}), "
            f"{words.still_work(tainted)}; of the {len(below) - len(tainted):,} others, {words.still_work(others)}."
        )


def _beyond(trace: Trace, subjects: Sequence[TracedCredential], writer: TextWriter) -> None:
    """Say what counts as the attacker's though it descends from nothing here: else all might seem to be over."""
    for sentence in words.handed(trace):
        writer.wrapped(sentence)
    handed = () if trace.handed else _handed_out(subjects)
    if not handed:
        return
    told = (
        "others may have been since: they were not looked for, `tokentrail contain` does"
        if trace.handed is None
        else "the evidence shows no other since that is surely the attacker's: `tokentrail contain` names those that "
        "may be, and closes what hands them out"
    )
    writer.wrapped(
        f"{listed(handed, 3)} {verb(len(handed), 'was', 'were')} issued by a host, a sign-in or an "
        f"identity provider, and {told}."
    )


def _handed_out(subjects: Sequence[TracedCredential]) -> list[str]:
    """
    Of the subject's own credentials, those whose like a host, a person or a provider is given or gives again.

    Where such a session has run out, a thief may have another by now; of one that lives, another beside it.
    """
    kept = (
        one for one in subjects if (one.parent is None and one.origin in _BEHIND) or one.kind in _GIVEN_AGAIN
    )
    return [one.id for one in kept if "/aws-service-role/" not in (one.role or "")]


def _more_links(trace: Trace) -> dict[str, list[Link]]:
    """Ties that the tree has no branch for, by child."""
    parents = {one.id: one.parent for one in trace.credentials}
    found: dict[str, list[Link]] = {}
    for link in trace.links:
        if parents.get(link.child) != link.parent:
            found.setdefault(link.child, []).append(link)
    return found


def _node(node: Node, who: str, links: Sequence[Link], writer: TextWriter) -> None:
    one = node.one
    lead, rest = _branches(node.lasts, open_below=node.open)
    head: list[Part] = [lead, (one.id, "bold"), "  ", (one.state, words.STYLES[one.state])]
    if one.tainted:
        head += ["  ", (words.TAINTED, "red")]
    used = sum(cell_len(safe(part if isinstance(part, str) else part[0])) for part in head) + 2
    fits = used + cell_len(safe(who)) <= writer.columns
    writer.line(*head, *(["  ", who] if fits else []))
    sentences = [*([] if fits else [who]), words.why(one), birth(one), *map(_tie, links), uses(one)]
    for sentence in sentences:
        writer.wrapped(sentence, first=rest, rest=rest)


def _branches(lasts: Sequence[bool], *, open_below: bool) -> tuple[str, str]:
    """Draw what stands before a credential's first line, and before its other lines."""
    stem = "│  " if open_below else "   "
    if not lasts:
        return "", stem
    above = "".join("   " if last else "│  " for last in lasts[:-1][:_DEEPEST])
    if len(lasts) > _DEEPEST:
        return f"{above}{len(lasts)} deep: ", above + stem
    return above + ("└─ " if lasts[-1] else "├─ "), above + ("   " if lasts[-1] else "│  ") + stem


def birth(one: Credential) -> str:
    """Say where a credential came from, and how sure that is."""
    issued = one.issued_by
    if one.parent is not None:
        when = f"minted {timestamp(one.issued_at)}" if one.issued_at else "minted"
        by = f" by {issued.api}" + (f" from {issued.source_ip}" if issued.source_ip else "") if issued else ""
        why = f": {one.origin_detail}" if one.origin_detail else ""
        return f"{when}{by} ({one.parent_link}{why})"
    if one.origin == "long_term":
        return f"made {timestamp(one.issued_at)}" if one.issued_at else "made before the evidence begins"
    when = f"since {timestamp(one.issued_at)}, " if one.issued_at else ""
    detail = f": {one.origin_detail}" if one.origin_detail else ""
    return f"{when}no parent: {(one.origin or 'unknown').replace('_', ' ')}{detail}"


def _tie(link: Link) -> str:
    return f"also linked to {link.parent} ({link.link}{f': {link.why}' if link.why else ''})"


def uses(one: Credential) -> str:
    """Say how much a credential was used, from where and when."""
    if not one.used:
        return "not used in the evidence"
    failed = f", {one.errors:,} of them refused or failed" if one.errors else ""
    span = ""
    if one.first_used and one.last_used:
        span = f", {words.span(one.first_used, one.last_used)}"
    where = f", from {listed(one.source_ips)}" if one.source_ips else ""
    return f"{counted(one.events, 'call')}{failed}{span}{where}"


def _fold(fold: Fold, writer: TextWriter) -> None:
    lead, rest = _branches(fold.lasts, open_below=False)
    first = fold.siblings[0]
    whose = {one.role or one.principal for one in fold.siblings}
    of = f" of {words.principal(first.role or first.principal)}" if len(whose) == 1 else ""
    count = len(fold.siblings)
    noun = (
        words.kinds(count, first)
        if len({one.kind for one in fold.siblings}) == 1
        else counted(count, "credential")
    )
    noun = noun.replace(" ", " more ", 1)
    below = f", with {fold.below:,} below {verb(count, 'it', 'them')}" if fold.below else ""
    alive = f"{fold.working:,} still active" if fold.working else "none active"
    maybe = f", {fold.maybe:,} of unknown state" if fold.maybe else ""
    text = f"… and {noun}{of}{below}: {alive}{maybe}"
    writer.wrapped(text, first=lead, rest=rest)


def _hidden_but_alive(family: Family, writer: TextWriter) -> None:
    alive = [one for one in family.hidden() if one.state == "active"]
    if not alive:
        return
    writer.heading("Active, and not drawn above")
    for one in alive[:_HIDDEN]:
        writer.line("  ", (one.id, "bold"), f"  {words.kind(one)} of {words.who(one)}")
        writer.wrapped(words.why(one), first="    ")
    writer.and_more(len(alive), _HIDDEN, "; --format jsonl lists every credential")
