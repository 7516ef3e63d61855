"""The namespace declarations that elements use (pure; Namespaces in XML 1.0, section 5).

A prefix is used where a name has it, of an element or of an attribute, and where a text may have it: xsi:type="x:foo". Whoever
writes a part of a document writes the declarations with it that it uses; the others would only make it longer, or tell about what
is not written.
"""

import re
from collections.abc import Container, Mapping

from lxml import etree

# Only from the start of a word: else a long text without a colon would be searched once for each of its characters.
_PREFIX = re.compile(r"(?<![\w.-])[\d.-]*([^\W\d][\w.-]*+):")


def used(element: etree._Element, wordless: Container[str] = ()) -> set[str]:
    """The prefixes in scope of an element that it uses, or something in it.

    Args:
        wordless: namespaces whose elements have no names in their texts.
    """
    scope = element.nsmap
    found: set[str] = set()
    for each in element.iter(etree.Element):
        prefixes, namespaces = _names(each, wordless)
        if prefixes or namespaces:
            inner = scope if each is element else each.nsmap
            found.update(prefix for prefix in _declared(prefixes, namespaces, inner) if inner[prefix] == scope.get(prefix))
    return found


def octets(root: etree._Element, default: str) -> int:
    """About the octets of declarations if each element of a document had its own: those that it uses, and the one without prefix.

    Args:
        default: the namespace without prefix that costs nothing.
    """
    total = 0
    for each in root.iter(etree.Element):
        scope = each.nsmap
        written = [f' xmlns:{prefix}="{scope[prefix]}"' for prefix in _declared(*_names(each, ()), scope)]
        unprefixed = scope.get(None, default)
        total += sum(map(len, written)) + (0 if unprefixed == default else len(f' xmlns="{unprefixed}"'))
    return total


def _names(element: etree._Element, wordless: Container[str]) -> tuple[set[str], set[str]]:
    """The prefixes that the element itself uses, as far as it says them, and the namespaces of its attributes."""
    prefixes = {element.prefix} if element.prefix else set[str]()
    if etree.QName(element).namespace not in wordless:
        texts = (element.text, *element.attrib.values(), *(child.tail for child in element))
        prefixes.update(prefix for text in texts if text for prefix in _PREFIX.findall(text))
    return prefixes, {name[1:].partition("}")[0] for name in element.attrib if name[0] == "{"}


def _declared(prefixes: set[str], namespaces: set[str], scope: Mapping[str, str]) -> set[str]:
    """Those of the prefixes that are declared, and all of the namespaces: which of them an attribute has is not said."""
    declared = prefixes & scope.keys()
    return declared | {prefix for prefix, uri in scope.items() if prefix and uri in namespaces} if namespaces else declared
