"""A document of rules, read (pure; RFC 4745 sections 6, 7 and 13). What rules are, and what is not understood: `common_policy`.

A time without zone is UTC. Times that xs:dateTime does not know, or after the year 9999, make their period an empty one.

SER's documents follow a draft of RFC 4745 (draft-ietf-geopriv-common-policy-05, SER handbook section 4.3). With `draft` the
draft's spelling is read beside the RFC's, and names count without their namespaces, but for OMA's:

    <id entity="sip:bob@example.org"/>, <id>sip:bob@example.org</id>    one
    <domain domain="example.org"/> with <except entity="bob"/> beside   many with a domain, but this user part or URI
    <any-identity> with <domain>, <except-domain>                       many: of any of these domains, of any if none is named
    <to>                                                                until

Only the spelling is the draft's. What conditions mean is RFC 4745 in both: SER ignored sphere, validity and what it did not
know, and conditions without identity matched nobody (SER handbook section 13.4).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

from kemi.xcap import tree, uri
from kemi.xcap.conditions import (
    AnonymousRequest,
    Condition,
    Except,
    ExternalList,
    Identity,
    Many,
    OtherIdentity,
    Period,
    Sphere,
    UnknownCondition,
    Validity,
)
from kemi.xcap.errors import SchemaValidationError

NAMESPACE = "urn:ietf:params:xml:ns:common-policy"
OMA = "urn:oma:xml:xdm:common-policy"

DRAFT = frozenset(
    {
        "ruleset", "rule", "conditions", "identity", "id", "domain", "any-identity", "except", "except-domain", "sphere",
        "validity", "from", "to", "until", "actions", "transformations",
    }
)  # fmt: skip
"""Names of the elements that the draft has."""

P = TypeVar("P")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86400
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)(?:24:00:00(?:\.0+)?|([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?))"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
)


class Node(NamedTuple):
    """One element of a document of rules, with what matters of it.

    Args:
        attributes: by name; those in a namespace mean nothing in rules.
        text: the characters without white space around them; "" if there are children.
    """

    namespace: str
    name: str
    attributes: Mapping[str, str]
    text: str
    children: tuple["Node", ...]

    @property
    def is_true(self) -> bool:
        """The value of an xs:boolean; False for everything that is none."""
        return self.text in ("true", "1")


@dataclass(frozen=True, slots=True)
class Rule(Generic[P]):
    """One rule: `permissions` for whom all conditions hold; a bare one has no element transformations."""

    id: str
    conditions: tuple[Condition, ...]
    permissions: P
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Ruleset(Generic[P]):
    """The rules of one document.

    Args:
        document: its name, for people.
        is_readable: False stands for a document that could not be fetched or parsed. It is policy, and grants nothing (RFC 5025
            section 10).
    """

    document: str
    rules: tuple[Rule[P], ...]
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Vocabulary(Generic[P]):
    """What an application of common policy adds to it.

    Args:
        namespace: of its actions and transformations.
        read: (actions, transformations) of one rule -> what they grant. None: there is no element transformations.
        lowest: what no rule at all grants (RFC 4745 section 10.2).
        combine: what two rules grant together; never less than each of them.
    """

    namespace: str
    read: Callable[[Sequence[Node], Sequence[Node] | None], P]
    lowest: P
    combine: Callable[[P, P], P]


def parse(vocabulary: Vocabulary[P], octets: bytes, document: str = "", draft: bool = False) -> Ruleset[P]:
    """Read a document of rules.

    Args:
        vocabulary: of the application that it is for.
        octets: the document, in UTF-8.
        document: its name, for people.
        draft: read SER's spelling too.

    Raises:
        XcapError: 409, 413, it is not well-formed, above the limits of `tree`, has a DOCTYPE, or is no ruleset.
    """
    parsed = tree.parse(octets)
    root = _node(parsed, parsed.root, draft)
    if (root.namespace, root.name) != (NAMESPACE, "ruleset"):
        raise SchemaValidationError(f"the root of the document is no ruleset in namespace {NAMESPACE}")
    rules = [_rule(vocabulary, each, draft) for each in _named(root.children, "rule")]
    return Ruleset(document, tuple(rules))


def _node(document: tree.Document, element: tree.Element, draft: bool) -> Node:
    namespace, _, name = element.name.rpartition("\n")
    children = tuple([_node(document, child, draft) for child in element.children])
    if draft and not namespace.startswith("urn:oma:"):
        namespace = NAMESPACE
    return Node(namespace, name, element.attributes, "" if children else document.text_of(element), children)


def _named(nodes: Iterable[Node], name: str) -> Iterator[Node]:
    return (node for node in nodes if (node.namespace, node.name) == (NAMESPACE, name))


def _below(rule: Node, name: str) -> list[Node]:
    """What stands in all elements of this name in a rule: conditions, actions or transformations."""
    return [child for node in _named(rule.children, name) for child in node.children]


def _rule(vocabulary: Vocabulary[P], rule: Node, draft: bool) -> Rule[P]:
    conditions = tuple([_condition(node, draft) for node in _below(rule, "conditions")])
    actions, transformations = (_below(rule, name) for name in ("actions", "transformations"))
    if draft:
        actions, transformations = ([_moved(node, vocabulary.namespace) for node in each] for each in (actions, transformations))
    # One of another namespace is a mistake, and who makes it wants something shown, but not everything.
    is_bare = all(node.name != "transformations" for node in rule.children)
    permissions = vocabulary.read(actions, None if is_bare else transformations)
    return Rule(rule.attributes.get("id", ""), conditions, permissions, is_bare)


def _moved(node: Node, namespace: str) -> Node:
    """In the application's own namespace, with all below it."""
    if node.namespace != NAMESPACE:
        return node
    return node._replace(namespace=namespace, children=tuple([_moved(child, namespace) for child in node.children]))


# ---------------------------------------------------------------------------------------------------------------------
# Conditions


def _condition(node: Node, draft: bool) -> Condition:
    read = _CONDITIONS.get((node.namespace, node.name))
    return read(node, draft) if read else UnknownCondition(f"{{{node.namespace}}}{node.name}")


def _identity(node: Node, draft: bool) -> Identity:
    """An unknown child of one, many or except could only narrow it: then it names nobody."""
    ones: set[str] = set()
    manys: list[Many] = []
    is_understood = True
    for child in node.children:
        if child.namespace == NAMESPACE and child.name == "one" and not child.children:
            ones.add(uri.canonical(child.attributes.get("id", "")))
        elif (many := _many(child)) is not None:
            manys.append(many)
        elif draft and (found := _of_draft(node, child)) is not None:
            ones |= found.ones
            manys += found.manys
        else:
            is_understood = False
    return Identity(frozenset(ones - {""}), tuple(manys), is_understood)


def _many(node: Node) -> Many | None:
    """None: it is no many, or not understood."""
    if (node.namespace, node.name) != (NAMESPACE, "many"):
        return None
    excepts = [_except(child) for child in node.children]
    known = [each for each in excepts if each is not None]
    return Many(node.attributes.get("domain"), tuple(known)) if len(known) == len(excepts) else None


def _except(node: Node) -> Except | None:
    attributes = node.attributes
    if (node.namespace, node.name) != (NAMESPACE, "except") or node.children or not {"id", "domain"} & set(attributes):
        return None
    return Except(uri.canonical(attributes.get("id", "")), attributes.get("domain"))


def _of_draft(identity: Node, node: Node) -> Identity | None:
    """What a child of identity means in the draft's spelling; None: nothing."""
    excepts = tuple([_except_of_draft(child) for child in identity.children if child.name == "except"])
    match node.name:
        case "id":
            return Identity(frozenset({uri.canonical(node.attributes.get("entity") or node.text)}), ())
        case "domain":
            return Identity(frozenset(), (Many(node.attributes.get("domain", ""), excepts),))
        case "any-identity":
            domains: list[str | None] = [child.attributes.get("domain", "") for child in node.children if child.name == "domain"]
            out = [Except(domain=each.attributes.get("domain", "")) for each in node.children if each.name == "except-domain"]
            manys = [Many(domain, (*excepts, *out)) for domain in domains or [None]]
            return Identity(frozenset(), tuple(manys))
        case "except":
            return Identity(frozenset(), ())
        case _:
            return None


def _except_of_draft(node: Node) -> Except:
    entity = node.attributes.get("entity", "")
    return Except(uri.canonical(entity)) if re.search("[@:%]", entity) else Except(user=entity)


def _sphere(node: Node, _draft: bool) -> Sphere:
    return Sphere(tuple(node.attributes.get("value", "").casefold().split()))


def _validity(node: Node, draft: bool) -> Validity:
    """Pairs of from and until; what stands alone, or cannot be read, makes no period."""
    ends = ("until", "to") if draft else ("until",)
    periods = []
    since: float | None = None
    for child in node.children:
        time = _seconds(child.text) if child.namespace == NAMESPACE else None
        if child.name in ends and since is not None and time is not None:
            periods.append(Period(since, time))
        since = time if child.name == "from" else None
    return Validity(tuple(periods))


def _seconds(text: str) -> float | None:
    """An xs:dateTime as seconds since the epoch, None for what is none."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return None
    day, time, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}{time or '00:00:00'}{zone or 'Z'}")
    except ValueError:
        return None
    return (moment - _EPOCH).total_seconds() + (0 if time else _DAY)


def _external_list(node: Node, _draft: bool) -> ExternalList:
    entries = [child for child in node.children if (child.namespace, child.name) == (OMA, "entry")]
    return ExternalList(tuple([uri.plain(entry.attributes.get("anc", "")) for entry in entries]))


_CONDITIONS: Mapping[tuple[str, str], Callable[[Node, bool], Condition]] = {
    (NAMESPACE, "identity"): _identity,
    (NAMESPACE, "sphere"): _sphere,
    (NAMESPACE, "validity"): _validity,
    (OMA, "external-list"): _external_list,
    (OMA, "other-identity"): lambda _node, _draft: OtherIdentity(),
    (OMA, "anonymous-request"): lambda _node, _draft: AnonymousRequest(),
}
