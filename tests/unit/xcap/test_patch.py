"""Operations that make one document of another: kemi/xcap/patch.py, RFC 5261. They are applied as a client does it."""

from random import Random

import pytest
from lxml import etree

from kemi.xcap import patch
from kemi.xcap.tree import MAX_DEPTH
from tests.unit.xcap.documents import SECTION_6_4, SECTION_8_2_3
from tests.unit.xcap.patching import apply, canonical

SEEDS = range(40)
ROUNDS = 25
PREFIXES = 'xmlns="urn:r" xmlns:p="urn:p"'


def made(old: str, new: str) -> str:
    """The operations; they have to make the one of the other."""
    operations = patch.between(old.encode(), new.encode())
    assert operations is not None
    assert canonical(apply(old.encode(), operations)) == canonical(new.encode())
    return operations.replace("d:", "")


# What operations look like


@pytest.mark.rfc("XCS-058")
@pytest.mark.parametrize(
    ("old", "new", "operations"),
    [
        ("<a/>", "<a></a>", ""),
        ("<a x='1'/>", '<?xml version="1.0"?>\n<a  x="&#49;" />\n', ""),
        ("<a>1</a>", "<a>2</a>", '<replace sel="*/text()[1]">2</replace>'),
        ("<a>1</a>", "<a/>", '<remove sel="*/text()[1]"></remove>'),
        ("<a/>", "<a>&lt;&#13;</a>", '<add sel="*">&lt;&#13;</add>'),
        ("<a/>", "<b/>", '<replace sel="*"><b/></replace>'),
        ("<a/>", '<a x="&quot;&#10;"/>', '<add sel="*" type="@x">&quot;&#10;</add>'),
        ('<a x="1"/>', '<a x="2"/>', '<replace sel="*/@x">2</replace>'),
        ('<a x="1"/>', "<a/>", '<remove sel="*/@x"></remove>'),
        ("<a xml:lang='en'/>", "<a/>", '<remove sel="*/@xml:lang"></remove>'),
        ("<a><b/></a>", "<a><b/><c/></a>", '<add sel="*/*[1]" pos="after"><c/></add>'),
        ("<a><b/></a>", "<a><c/><b/></a>", '<add sel="*/*[1]" pos="before"><c/></add>'),
        ("<a>1</a>", "<a><b/>1</a>", '<add sel="*" pos="prepend"><b/></add>'),
        ("<a>1</a>", "<a>1<b/></a>", '<add sel="*"><b/></add>'),
        ("<a> <b/> <c/> </a>", "<a> <b/> </a>", '<remove sel="*/text()[3]"></remove><remove sel="*/*[2]"></remove>'),
        ("<a><!--1--></a>", "<a><!--2--></a>", '<replace sel="*/comment()[1]"><!--2--></replace>'),
        ("<a><?b 1?></a>", "<a/>", '<remove sel="*/processing-instruction()[1]"></remove>'),
        ("<a>1<b/>2</a>", "<a>1<c/>3<c/>2</a>", '<add sel="*/*[1]" pos="after"><c/>3<c/></add><remove sel="*/*[1]"></remove>'),
        ('<a><b i="1"><c/></b><b/></a>', '<a><b i="1"><c>x</c></b><b/></a>', '<add sel="*/*[1]/*[1]">x</add>'),
    ],
)
def test_the_operations_are_few(old: str, new: str, operations: str) -> None:
    assert made(old, new) == operations


@pytest.mark.rfc("XCS-058")
def test_what_is_added_brings_its_namespaces_along() -> None:
    operations = patch.between(f"<a {PREFIXES}/>".encode(), f"<a {PREFIXES}><p:b p:c='1'/></a>".encode())
    assert operations is not None
    found = etree.fromstring(f'<d:x xmlns:d="urn:d">{operations}</d:x>')
    assert (found[0][0].tag, dict(found[0][0].attrib)) == ("{urn:p}b", {"{urn:p}c": "1"})
    assert made(f"<a {PREFIXES}/>", f"<a {PREFIXES} p:c='1'/>") == '<add sel="*" type="@p:c" xmlns:p="urn:p">1</add>'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<!--1--><a/>", "<!--2--><a/>"),
        ("<a/>", "<a/><?b?>"),
        ('<a xmlns="urn:a"><b xmlns=""/></a>', "<a/>"),
    ],
)
def test_what_operations_cannot_say_has_none(old: str, new: str) -> None:
    assert patch.between(old.encode(), new.encode()) is None
    assert not patch.is_same(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<a xmlns:p="urn:p"/>', '<a xmlns:p="urn:q"/>'),
        ('<p:a xmlns:p="urn:p" xmlns:q="urn:p"/>', '<q:a xmlns:p="urn:p" xmlns:q="urn:p"/>'),
        ('<a xmlns:d="urn:p" d:b="1"/>', '<a xmlns:d="urn:p" d:b="2"/>'),
        ('<r><a xmlns="urn:1"/>1</r>', '<r><a xmlns="urn:2"/>1</r>'),
    ],
)
def test_an_element_with_other_declarations_is_replaced_as_a_whole(old: str, new: str) -> None:
    operations = made(old, new)
    assert operations.startswith("<replace ")
    assert operations.count("<replace ") == 1


def test_long_sequences_are_not_searched() -> None:
    """Looking for equal ones among very many would take too long."""
    many = "".join(f"<b>{number % 3}</b>\n" for number in range(5000))
    old, new = f"<a><x/>{many}<y/></a>", f"<a><x/>{many.replace('0', '4')}<z/><y/></a>"
    operations = made(old, new)
    assert (operations.count("<remove "), operations.count("<add ")) == (10000, 1)
    assert made(f"<a>{many}</a>", f"<a>{many}<c/></a>") == '<add sel="*"><c/></add>'


def test_documents_of_any_depth() -> None:
    def nested(inside: str) -> str:
        return "<a>" * MAX_DEPTH + inside + "</a>" * MAX_DEPTH

    assert made(nested("1"), nested("2")) == f'<replace sel="*{"/*[1]" * (MAX_DEPTH - 1)}/text()[1]">2</replace>'


# Documents made at random


class Author:
    """Writes documents, and changes them here and there."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def document(self) -> str:
        return f"<r {PREFIXES}>{''.join(self.element() for _ in range(self.random.randrange(5)))}</r>"

    def element(self, depth: int = 0) -> str:
        pick = self.random.choice
        names = self.random.sample(["x", "y", "p:x", "xml:lang"], self.random.randrange(3))
        attributes = "".join(f' {name}="{pick(["1", "2", "&lt;&#10;&amp;"])}"' for name in names)
        declared = pick([""] * 20 + [' xmlns:q="urn:q"', ' xmlns="urn:other"', ' xmlns:d="urn:d" d:k="1"'])
        name = pick(["a", "b", "p:a", "c"])
        inside = "".join(self.node(depth + 1) for _ in range(self.random.randrange(6))) if depth < 3 else ""
        return f"<{name}{declared}{attributes}>{inside}</{name}>"

    def node(self, depth: int) -> str:
        others = ["\n  ", " t ", "&amp;&#13;", "\n", "<!--1-->", "<!--2-->", "<?pi 1?>"]
        return self.element(depth) if self.random.random() < 0.5 else self.random.choice(others)

    def changed(self, document: str) -> str:
        root = etree.fromstring(document)
        for _ in range(self.random.randrange(1, 4)):
            self.change(self.random.choice(list(root.iter())), root)
        return str(etree.tostring(root, encoding="unicode"))

    def change(self, node: etree._Element, root: etree._Element) -> None:
        what = self.random.randrange(4)
        if what == 0 and node is not root:
            node.getparent().remove(node)
        elif not isinstance(node.tag, str):
            return
        elif what == 1:
            new = etree.fromstring(f"<r {PREFIXES}>{self.element(2)}</r>")[0]
            new.tail = self.random.choice([None, "\n", "z"])
            node.insert(self.random.randrange(len(node) + 1), new)
        elif what == 2:
            node.set(self.random.choice(["x", "y", "{urn:p}x"]), str(self.random.randrange(9)))
        else:
            node.text = self.random.choice([None, "new", "\n"])


@pytest.mark.rfc("XCS-058", "FMT-028", "FMT-034")
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_changes_the_operations_make_it(seed: int) -> None:
    author = Author(seed)
    for _ in range(ROUNDS):
        old = author.document()
        new = author.document() if author.random.random() < 0.3 else author.changed(old)
        assert (made(old, new) == "") == patch.is_same(old.encode(), new.encode())


@pytest.mark.parametrize("old", [SECTION_6_4, SECTION_8_2_3])
def test_the_documents_of_the_rfc(old: bytes) -> None:
    root = etree.fromstring(old)
    for each in list(root.iter(etree.Element))[1:]:
        each.set("new", "1")
        each.tail = "x"
    operations = patch.between(old, etree.tostring(root.getroottree()))
    assert operations is not None
    assert canonical(apply(old, operations)) == canonical(etree.tostring(root.getroottree()))
