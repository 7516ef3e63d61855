"""Presence rules: what a watcher may see of a presentity (pure; RFC 5025 section 3, OMA-TS-Presence_SIMPLE_XDM).

    sub-handling                                     block 0 < confirm 10 < polite-block 20 < allow 30
    provide-services, provide-persons, provide-devices
                                                     which components: all of them, or those that one member fits
    provide-activities and so on                     which attributes of the components that are shown
    provide-user-input                               false < bare < thresholds < full
    provide-unknown-attribute                        an attribute by namespace and name, for which there is no other permission
    provide-all-attributes                           every attribute

`Permissions` is what all matching rules grant together: the maximum of ordered values, the union of sets (RFC 4745 section
10.2). Permissions that mean the same are equal. What they do to a document: `kemi.presence.privacy`.

OMA adds permissions for its own attributes and the member service-id, all in its own namespace.

A rule without an element transformations shows nothing (RFC 5025 section 3.3). Clients that write OMA's documents know servers that
show everything then: read generously, such a rule that allows shows everything (`pa.rules_without_transformations`). What a rule
grants still depends on itself alone, so no rule takes away what another one grants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from kemi.event_package import Authorization, Decision
from kemi.xcap import common_policy, ruleset
from kemi.xcap.common_policy import Evaluation
from kemi.xcap.conditions import Context
from kemi.xcap.errors import escaped
from kemi.xcap.ruleset import Node, Ruleset, Vocabulary

NAMESPACE = "urn:ietf:params:xml:ns:pres-rules"
OMA = "urn:oma:xml:prs:pres-rules"

ATTRIBUTES = frozenset(
    {
        "activities", "class", "deviceID", "mood", "note", "place-is", "place-type", "privacy", "relationship", "sphere",
        "status-icon", "time-offset",
    }
)  # fmt: skip
"""x of each provide-x that is true or false (RFC 5025 section 3.3.2)."""

OMA_ATTRIBUTES = frozenset(
    {"barring-state", "geopriv", "network-availability", "registration-state", "session-participation", "willingness"}
)
"""The same of OMA; geopriv is false or full."""


class UserInput(IntEnum):
    """How much of user-input is shown (RFC 5025 section 3.3.2.12)."""

    FALSE = 0
    BARE = 10
    THRESHOLDS = 20
    FULL = 30


class Member(NamedTuple):
    """Of a set of components: those that have this value (RFC 5025 section 3.3.1).

    Args:
        kind: class, occurrence-id, service-uri, service-uri-scheme, deviceID, OMA's service-id; all for every component.
    """

    kind: str
    value: str


ALL = frozenset({Member("all", "")})

Unknown = tuple[str, str]
"""(namespace, name) of an attribute."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a watcher may see.

    Args:
        decision: what becomes of the subscription.
        services, persons, devices: which components; `ALL`, or what one of these members fits.
        attributes: names from ATTRIBUTES and OMA_ATTRIBUTES; empty if all are granted.
        unknown: further ones; empty if all are granted.
        user_input: full if all are granted.
        all_attributes: all are granted.
    """

    decision: Decision = Decision.BLOCK
    services: frozenset[Member] = frozenset()
    persons: frozenset[Member] = frozenset()
    devices: frozenset[Member] = frozenset()
    attributes: frozenset[str] = frozenset()
    unknown: frozenset[Unknown] = frozenset()
    user_input: UserInput = UserInput.FALSE
    all_attributes: bool = False

    def __or__(self, other: "Permissions") -> "Permissions":
        """What both grant together (RFC 4745 section 10.2)."""
        every = self.all_attributes or other.all_attributes
        return Permissions(
            decision=common_policy.highest((self.decision, other.decision)),
            services=_union(self.services, other.services),
            persons=_union(self.persons, other.persons),
            devices=_union(self.devices, other.devices),
            attributes=frozenset() if every else self.attributes | other.attributes,
            unknown=frozenset() if every else self.unknown | other.unknown,
            user_input=UserInput.FULL if every else max(self.user_input, other.user_input),
            all_attributes=every,
        )


EVERYTHING = Permissions(Decision.ALLOW, ALL, ALL, ALL, user_input=UserInput.FULL, all_attributes=True)


def _union(one: frozenset[Member], other: frozenset[Member]) -> frozenset[Member]:
    return ALL if ALL in (one, other) else one | other


def without_policy(decision: Decision) -> Permissions:
    """What is granted where the user has no document: to those who are allowed, everything."""
    return EVERYTHING if decision is Decision.ALLOW else Permissions(decision)


def parse(octets: bytes, document: str = "", draft: bool = False, generous: bool = False) -> Ruleset[Permissions]:
    """Read a document of presence rules (`ruleset.parse`); raises XcapError, 409 or 413."""
    return ruleset.parse(GENEROUS if generous else VOCABULARY, octets, document, draft)


def evaluate(rulesets: Sequence[Ruleset[Permissions]], context: Context, default: Decision) -> Evaluation[Permissions]:
    """What a watcher may see (`common_policy.evaluate`): without matching rule nothing and block (RFC 5025 section 3.2.1).

    Args:
        rulesets: all documents of the presentity.
        context: who watches.
        default: the decision where there is no document at all.
    """
    return common_policy.evaluate(VOCABULARY, rulesets, context, without_policy(default))


def authorization(evaluation: Evaluation[Permissions], is_complete: bool, has_transformations: bool = True) -> Authorization:
    """What is said of a watcher. Transformations count for those who are allowed: polite-block is one document for all (RFC 5025
    section 3.2.1).

    Args:
        is_complete: False: a document or list is not known or not readable. It may grant more, so at least confirm is said.
        has_transformations: False: it is a package of which rules do not say what is shown.
    """
    decision = evaluation.permissions.decision
    if decision is Decision.BLOCK and not is_complete:
        decision = Decision.CONFIRM
    is_filtered = decision is Decision.ALLOW and evaluation.is_policy and has_transformations
    return Authorization(decision, written(evaluation.permissions) if is_filtered else "", evaluation.changes_at)


# ---------------------------------------------------------------------------------------------------------------------
# Reading the permissions of one rule

_USER_INPUT = {value.name.lower(): value for value in UserInput}
_COMPONENTS = {
    "provide-services": ("all-services", frozenset({"class", "occurrence-id", "service-uri", "service-uri-scheme"})),
    "provide-persons": ("all-persons", frozenset({"class", "occurrence-id"})),
    "provide-devices": ("all-devices", frozenset({"class", "occurrence-id", "deviceID"})),
}


def _read_generously(actions: Sequence[Node], transformations: Sequence[Node] | None) -> Permissions:
    granted = _read(actions, transformations)
    return EVERYTHING if transformations is None and granted.decision is Decision.ALLOW else granted


def _read(actions: Sequence[Node], transformations: Sequence[Node] | None) -> Permissions:
    transformations = transformations or ()
    own = [node for node in transformations if node.namespace == NAMESPACE]
    granted = Permissions(
        decision=common_policy.handling(actions, NAMESPACE, "sub-handling"),
        services=_members(transformations, "provide-services"),
        persons=_members(transformations, "provide-persons"),
        devices=_members(transformations, "provide-devices"),
        attributes=frozenset(filter(None, map(_attribute, transformations))),
        unknown=frozenset(
            (node.attributes.get("ns", ""), node.attributes.get("name", ""))
            for node in own
            if node.name == "provide-unknown-attribute" and node.is_true
        ),
        user_input=max(
            (_USER_INPUT.get(node.text, UserInput.FALSE) for node in own if node.name == "provide-user-input"),
            default=UserInput.FALSE,
        ),
        # It has no content. Whoever writes false into it wants something, and it is not everything.
        all_attributes=any(node.name == "provide-all-attributes" and node.text not in ("false", "0") for node in own),
    )
    return granted | granted


def _members(transformations: Sequence[Node], name: str) -> frozenset[Member]:
    every, kinds = _COMPONENTS[name]
    members: set[Member] = set()
    for node in transformations:
        for child in node.children if (node.namespace, node.name) == (NAMESPACE, name) else ():
            if (child.namespace, child.name) == (NAMESPACE, every):
                return ALL
            is_member = child.namespace == NAMESPACE and child.name in kinds
            is_member |= (child.namespace, child.name, name) == (OMA, "service-id", "provide-services")
            if is_member and child.text:
                members.add(Member(child.name, child.text))
    return frozenset(members)


def _attribute(node: Node) -> str:
    """The name of the attribute that this transformation grants, "" if it grants none."""
    name = node.name.removeprefix("provide-")
    if name == node.name:
        return ""
    is_granted = node.is_true or (name == "geopriv" and node.text == "full")
    known = {NAMESPACE: ATTRIBUTES, OMA: OMA_ATTRIBUTES}.get(node.namespace, frozenset())
    return name if is_granted and name in known else ""


VOCABULARY = Vocabulary(NAMESPACE, _read, Permissions(), Permissions.__or__)
GENEROUS = replace(VOCABULARY, read=_read_generously)


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def written(permissions: Permissions) -> str:
    """A document with one rule for everybody that grants just this; equal permissions are written equally.

    Returns:
        XML; `parse` makes the permissions of it again. It is how permissions are kept, compared over processes, and shown.
    """
    parts = [_element("sub-handling", permissions.decision.value), "</cp:actions><cp:transformations>"]
    for (name, (every, _)), members in zip(
        _COMPONENTS.items(), (permissions.services, permissions.persons, permissions.devices), strict=True
    ):
        if members:
            inside = f"<{every}/>" if members == ALL else "".join(_member(member) for member in sorted(members))
            parts.append(f"<{name}>{inside}</{name}>")
    parts += [_element(f"{_prefix(name)}provide-{name}", _granted(name)) for name in sorted(permissions.attributes)]
    for namespace, name in sorted(permissions.unknown):
        parts.append(_element("provide-unknown-attribute", "true", f' name="{escaped(name)}" ns="{escaped(namespace)}"'))
    if permissions.all_attributes:
        parts.append("<provide-all-attributes/>")
    elif permissions.user_input:
        parts.append(_element("provide-user-input", permissions.user_input.name.lower()))
    return (
        f'<cp:ruleset xmlns:cp="{ruleset.NAMESPACE}" xmlns="{NAMESPACE}" xmlns:op="{OMA}"><cp:rule id="all"><cp:actions>'
        + "".join(parts)
        + "</cp:transformations></cp:rule></cp:ruleset>"
    )


def _element(name: str, text: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{escaped(text)}</{name}>"


def _member(member: Member) -> str:
    return _element("op:service-id" if member.kind == "service-id" else member.kind, member.value)


def _prefix(attribute: str) -> str:
    return "op:" if attribute in OMA_ATTRIBUTES else ""


def _granted(attribute: str) -> str:
    return "full" if attribute == "geopriv" else "true"
