"""Documents of xcap-diff: kemi/xcap/diff_format.py, and elements that can stand in them: kemi/xcap/edit.py."""

import pytest
from lxml import etree

from kemi.xcap import diff_format, edit, selector, tree
from kemi.xcap.errors import NotFound
from kemi.xcap.selector import Target
from tests.xcapdiff import Part, read

HARD = 'a"<&\u00fc>'
DOCUMENT = b"""<r xmlns="urn:r" xmlns:p="urn:p" xmlns:d="urn:d">
<a xmlns:p="urn:q" p:x='1'>&amp;<p:b/></a><c xmlns=""/><d:e y="&lt;2"/></r>"""


def part(text: str) -> Part:
    (found,) = read(diff_format.write("http://example.org/xcap-root/", [text])).parts
    return found._replace(source=None)


@pytest.mark.rfc("XCS-058")
@pytest.mark.parametrize(("previous", "new"), [(None, "2"), ("1", None), ("1", "2")])
def test_what_became_of_a_document(previous: str | None, new: str | None) -> None:
    assert part(diff_format.document(HARD, previous, new)) == Part("document", HARD, previous, new)


@pytest.mark.rfc("XCS-058")
def test_what_is_in_a_document() -> None:
    assert part(diff_format.document("a", "1", "2", diff_format.BODY_NOT_CHANGED)).inside == "body-not-changed"
    operations = '<d:remove sel="*/*[1]"/><d:add sel="*" type="@a">1</d:add>'
    assert part(diff_format.document("a", "1", "2", operations)).inside == "remove add"


@pytest.mark.rfc("XCS-058")
def test_a_component_is_told_with_its_content_or_as_gone() -> None:
    assert part(diff_format.component(Target.ATTRIBUTE, HARD, "&lt;1")) == Part("attribute", HARD, inside="<1")
    assert part(diff_format.gone(Target.ATTRIBUTE, HARD)) == Part("attribute", HARD, exists=False)
    assert part(diff_format.gone(Target.ELEMENT, HARD)) == Part("element", HARD, exists=False)


@pytest.mark.rfc("XCS-053")
@pytest.mark.parametrize(
    ("node", "names"),
    [
        ("r", ["{urn:r}r", "{urn:r}a", "{urn:q}b", "c", "{urn:d}e"]),
        ("r/a", ["{urn:r}a", "{urn:q}b"]),
        ("r/*%5b2%5d", ["c"]),
        ("r/*%5b3%5d", ["{urn:d}e"]),
    ],
)
def test_an_element_means_the_same_where_it_is_told(node: str, names: list[str]) -> None:
    wanted = selector.parse(node, "urn:r")
    inside = edit.standalone(tree.parse(DOCUMENT), wanted)
    text = diff_format.write("http://example.org/", [diff_format.component(wanted.target, "a", inside)])
    (told,) = etree.fromstring(text.encode())[0]
    assert [each.tag for each in told.iter()] == names
    assert all(each.get("{urn:q}x") == "1" for each in told.iter("{urn:r}a"))


@pytest.mark.rfc("XCS-053")
def test_an_attribute_is_told_by_its_value() -> None:
    document = tree.parse(DOCUMENT)
    assert edit.standalone(document, selector.parse("r/*%5b3%5d/@y", "urn:r")) == "&lt;2"
    for node in ("r/a/@y", "r/a/namespace::*", "r/none", "r/*"):
        with pytest.raises(NotFound):
            edit.standalone(document, selector.parse(node, "urn:r"))
