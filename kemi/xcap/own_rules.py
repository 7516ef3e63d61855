"""Rules that the operator keeps in a user's document: who is allowed, blocked and so on, one for each decision (pure; RFC 5025).

    presencectl-allow, -polite-block, -confirm, -block    for these users: `one` by `one`
    presencectl-others, presencectl-anonymous             what `pa.auth_default` says of all others (OMA's other-identity and
                                                          anonymous-request): written with a user's first document, which would
                                                          block all whom no rule names

They are rules like any other: the user may read, change and remove them. What is written by others stays as it is, octet for octet.
"""

from collections.abc import Iterator
from typing import Final

from kemi.event_package import Decision
from kemi.xcap import edit, ruleset, tree, uri
from kemi.xcap.errors import escaped
from kemi.xcap.pres_rules import NAMESPACE
from kemi.xcap.selector import NodeSelector, Step, Target
from kemi.xcap.tree import Document, Element, expanded

ID: Final = "presencectl-{}"
OTHERS: Final = (("others", "other-identity"), ("anonymous", "anonymous-request"))
"""Names of rules for all others, with their condition."""

_EMPTY = f'<?xml version="1.0" encoding="UTF-8"?>\n<ruleset xmlns="{ruleset.NAMESPACE}">\n</ruleset>\n'.encode()
_EVERYTHING = (
    " <transformations>"
    "<pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-persons><pr:all-persons/></pr:provide-persons>"
    "<pr:provide-devices><pr:all-devices/></pr:provide-devices><pr:provide-all-attributes/>"
    "</transformations>\n"
)
_ONE = expanded(ruleset.NAMESPACE, "one")


def id_of(decision: Decision) -> str:
    """The id of the rule for this decision."""
    return ID.format(decision.value)


def after(octets: bytes | None, watcher: str, decision: Decision, default: Decision = Decision.BLOCK) -> bytes:
    """The document with the watcher in the rule for this decision, and in no other of these rules.

    Args:
        octets: None: there is none yet.
        watcher: canonical URI.
        default: what is said of all others from now on, when the document is made.

    Raises:
        XcapError: 409, 413, the document cannot be read, or somebody has made something else of the rule.
    """
    if octets is None:
        octets = _first(default)
    for each in Decision:
        octets = octets if each is decision else _without(octets, id_of(each), watcher)
    return _with(octets, watcher, decision)


def _first(default: Decision) -> bytes:
    octets = _EMPTY
    for name, condition in OTHERS if default is not Decision.BLOCK else ():
        octets = _put_rule(octets, ID.format(name), f'<{condition} xmlns="{ruleset.OMA}"/>', default)
    return octets


def _put_rule(octets: bytes, name: str, conditions: str, decision: Decision) -> bytes:
    transformations = _EVERYTHING if decision is Decision.ALLOW else ""
    rule = (
        f'<rule xmlns="{ruleset.NAMESPACE}" xmlns:pr="{NAMESPACE}" id="{name}">\n <conditions>{conditions}</conditions>\n'
        f" <actions><pr:sub-handling>{decision.value}</pr:sub-handling></actions>\n{transformations}</rule>"
    )
    return edit.put(tree.parse(octets), _selector(_step("ruleset"), _step("rule", name)), rule.encode()).octets


def _with(octets: bytes, watcher: str, decision: Decision) -> bytes:
    document, name = tree.parse(octets), id_of(decision)
    one = f'<one xmlns="{ruleset.NAMESPACE}" id="{escaped(watcher)}"/>'
    rule = _rule(document, name)
    if rule is None:
        return _put_rule(octets, name, f"<identity>{one}</identity>", decision)
    if any(_is(each, watcher) for identity in _identities(rule) for each in identity.children):
        return octets
    steps = [_step("ruleset"), _step("rule", name), _step("conditions"), _step("identity"), _step("one", watcher)]
    return edit.put(document, _selector(*steps), one.encode()).octets


def _without(octets: bytes, name: str, watcher: str) -> bytes:
    """A rule that would be left without users goes as a whole: it could match nobody, and is not valid."""
    document = tree.parse(octets)
    rule = _rule(document, name)
    if rule is None:
        return octets
    identities = list(_identities(rule))
    gone = [each for identity in identities for each in identity.children if _is(each, watcher)]
    is_empty = any(all(_is(each, watcher) for each in identity.children) for identity in identities)
    return _cut(document, [rule] if is_empty else gone)


def _cut(document: Document, elements: list[Element]) -> bytes:
    octets = document.octets
    for element in sorted(elements, key=lambda each: each.start, reverse=True):
        octets = octets[: element.start] + octets[document.behind(element) :]
    return octets


# ---------------------------------------------------------------------------------------------------------------------
# Finding


def _rule(document: Document, name: str) -> Element | None:
    return next(iter(_step("rule", name).matching(document.root.children)), None)


def _identities(rule: Element) -> Iterator[Element]:
    for conditions in _step("conditions").matching(rule.children):
        yield from _step("identity").matching(conditions.children)


def _is(element: Element, watcher: str) -> bool:
    return element.name == _ONE and uri.canonical(element.attributes.get("id", "")) == watcher


def _step(name: str, identifier: str = "") -> Step:
    return Step(name, expanded(ruleset.NAMESPACE, name), None, "id" if identifier else None, identifier)


def _selector(*steps: Step) -> NodeSelector:
    return NodeSelector(steps, Target.ELEMENT, None, "", "")
