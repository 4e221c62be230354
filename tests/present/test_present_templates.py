"""Templates can print evidence, and nothing that it holds becomes markup."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes
from markupsafe import Markup

from hostile import read
from tokentrail.present.html import templating
from tokentrail.present.safe import safe

FOLDER = resources.files("tokentrail.present.html") / "templates"
TEMPLATES = sorted(one.name for one in FOLDER.iterdir())


@given(text=st.text(st.characters(codec=None)))
def test_what_a_template_prints_reads_back_as_what_is_safe_to_see(text: str) -> None:
    """Between tags and in attributes, a parser gets back the visible form of the text, and nothing else."""
    template = templating._environment().from_string('<p title="{{ text }}">{{ text }}</p>')
    found = read(template.render(text=text))

    assert found.said == safe(text)
    assert found.tags == [("p", {"title": safe(text)})]


def test_markup_that_was_built_stays_markup() -> None:
    """What is markup by its type is printed as it is, and `None` prints nothing."""
    template = templating._environment().from_string("{{ built }}{{ nothing }}")

    assert template.render(built=Markup("<i></i>"), nothing=None) == "<i></i>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_puts_evidence_past_the_gate(name: str) -> None:
    """`~` and a switched-off escape would print text that was not made visible; each filter used is one that we name."""
    environment = templating._environment()
    tree = environment.parse(templating._source(name))

    assert not list(tree.find_all((nodes.Concat, nodes.EvalContextModifier, nodes.MarkSafe)))
    assert {one.name for one in tree.find_all(nodes.Filter)} <= set(environment.filters)
    assert "safe" not in environment.filters
