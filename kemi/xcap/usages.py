"""Application usages: which documents there are, what they look like, who may do what with them (pure; RFC 4825 section 5).

In the tree `users` everybody reads and writes below the own home, and nowhere else. Below `global` everybody who is authenticated
reads, and those write whom the operator has named. Some documents are made by the server when they are asked for; nobody writes
them.

    AUID                            default namespace               documents made by the server
    ------------------------------  ------------------------------  ----------------------------------------------------
    xcap-caps                       ...xcap-caps                    global/index (RFC 4825 section 12)
    resource-lists                  ...resource-lists
    rls-services                    ...rls-services                 global/index (RFC 4826 section 4.4.7)
    pres-rules                      ...pres-rules
    org.openmobilealliance.pres-rules   urn:oma:xml:prs:pres-rules
    im-rules                        urn:iptel:xml:ns:im-rules
    dialog-rules                    http://openxcap.org/...
    org.openxcap.dialog-rules       http://openxcap.org/...
    pidf-manipulation               ...pidf
    xcap-directory                  urn:oma:xml:xdm:xcap-directory  users/XUI/directory.xml (OMA-TS-XDM_Core section 6.7.2)
    test-app                        urn:test:default-namespace
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

from kemi.xcap import constraints, dialog_rules, im_rules, pres_rules, ruleset
from kemi.xcap.constraints import RESOURCE_LISTS, RLS_SERVICES, Check
from kemi.xcap.errors import NotFound
from kemi.xcap.path import Tree

PRES_RULES: Final = "pres-rules"
OMA_RULES: Final = "org.openmobilealliance.pres-rules"
RULES: Final = frozenset({PRES_RULES, OMA_RULES})
"""AUIDs of presence rules."""

IM_RULES: Final = "im-rules"
"""AUID of rules for MESSAGE."""

DIALOG_RULES: Final = frozenset({"dialog-rules", "org.openxcap.dialog-rules"})
"""AUIDs of rules for the event package dialog alone."""

LISTS: Final = "resource-lists"
"""AUID of the lists that services and rules may refer to."""

SERVICES: Final = "rls-services"
"""AUID of the lists that can be subscribed to."""

OF_LISTS: Final = frozenset({LISTS, SERVICES})
"""AUIDs of the documents that lists of resources are made of."""

PIDF: Final = "urn:ietf:params:xml:ns:pidf"
CAPABILITIES: Final = "urn:ietf:params:xml:ns:xcap-caps"
DIRECTORY: Final = "urn:oma:xml:xdm:xcap-directory"
TEST_APP: Final = "urn:test:default-namespace"

_POLICY: Final = "application/auth-policy+xml"
_PRESENCE_POLICY: Final = ("common-policy", "pres-rules", "oma-common-policy", "oma-pres-rules")
_DIALOG_POLICY: Final = ("common-policy", "dialog-rules", "pres-rules", "oma-common-policy")
"""Presence rules' own sub-handling is read here too, so it is looked at."""


class Generated(Enum):
    """A document that the server makes."""

    CAPABILITIES = "capabilities"
    DIRECTORY = "directory"
    SERVICES = "services"


@dataclass(frozen=True, slots=True)
class Usage:
    """One application usage.

    Args:
        media_type: of its documents.
        namespace: the default document namespace, for node selectors.
        roots: what the root element of a document may be, as lxml writes names.
        schemas: files in schemas/, without ".xsd"; together they are the schema.
        check: what the schema cannot say.
        only: the only name that a user's document may have, "" for any.
        has_users: users have documents of it.
        made: documents that the server makes, by tree and name.
        draft: names of elements that documents may have anywhere, beside those of the schemas; none: the schemas count.
    """

    auid: str
    media_type: str
    namespace: str
    roots: frozenset[str]
    schemas: tuple[str, ...]
    check: Check = constraints.none
    only: str = ""
    has_users: bool = True
    made: Mapping[tuple[Tree, str], Generated] = field(default_factory=dict)
    draft: frozenset[str] = frozenset()


def _policy(auid: str, namespace: str, schemas: tuple[str, ...]) -> Usage:
    return Usage(auid, _POLICY, namespace, frozenset({f"{{{ruleset.NAMESPACE}}}ruleset"}), schemas)


def _directory(auid: str) -> Usage:
    made = {(Tree.USERS, "directory.xml"): Generated.DIRECTORY}
    root = frozenset({f"{{{DIRECTORY}}}xcap-directory"})
    return Usage(auid, "application/vnd.oma.xcap-directory+xml", DIRECTORY, root, ("xcap-directory",), made=made)


_ALL: Final = (
    Usage(
        "xcap-caps", "application/xcap-caps+xml", CAPABILITIES, frozenset({f"{{{CAPABILITIES}}}xcap-caps"}), ("xcap-caps",),
        has_users=False, made={(Tree.GLOBAL, "index"): Generated.CAPABILITIES},
    ),
    Usage(
        LISTS, "application/resource-lists+xml", RESOURCE_LISTS, frozenset({f"{{{RESOURCE_LISTS}}}resource-lists"}),
        ("resource-lists",), constraints.resource_lists,
    ),
    Usage(
        SERVICES, "application/rls-services+xml", RLS_SERVICES, frozenset({f"{{{RLS_SERVICES}}}rls-services"}),
        ("rls-services", "resource-lists"), constraints.rls_services, made={(Tree.GLOBAL, "index"): Generated.SERVICES},
    ),
    _policy(PRES_RULES, pres_rules.NAMESPACE, _PRESENCE_POLICY),
    _policy(OMA_RULES, pres_rules.OMA, _PRESENCE_POLICY),
    _policy(IM_RULES, im_rules.NAMESPACE, ("common-policy", "im-rules", "oma-common-policy")),
    *(_policy(each, dialog_rules.NAMESPACE, _DIALOG_POLICY) for each in sorted(DIALOG_RULES)),
    Usage(
        "pidf-manipulation", "application/pidf+xml", PIDF, frozenset({f"{{{PIDF}}}presence"}), ("pidf", "data-model", "rpid"),
        only="index",
    ),
    _directory("xcap-directory"),
    _directory("org.openmobilealliance.xcap-directory"),
    Usage(
        "test-app", "application/test-app+xml", TEST_APP, frozenset({f"{{{TEST_APP}}}foo", f"{{{TEST_APP}}}root"}), ("test-app",)
    ),
)  # fmt: skip

USAGES: Final[Mapping[str, Usage]] = MappingProxyType({usage.auid: usage for usage in _ALL})
"""By AUID, in the order of the table above."""

_WITH_DRAFT: Final = {usage.auid: replace(usage, draft=ruleset.DRAFT) for usage in _ALL if usage.media_type == _POLICY}

SCHEMAS: Final = (*dict.fromkeys(name for usage in _ALL for name in usage.schemas), "xcap-error")
"""All schemas that are known here; their namespaces are announced."""


def with_draft(usage: Usage) -> Usage:
    """The same usage; of rules, it takes SER's spelling too (`kemi.xcap.ruleset`)."""
    return _WITH_DRAFT.get(usage.auid, usage)


def find(auid: str, tree: Tree) -> Usage:
    """The usage of this name.

    Raises:
        NotFound: 404, there is none, or it has no such tree (RFC 4825 section 12.7).
    """
    usage = USAGES.get(auid)
    if usage is None:
        raise NotFound("no such application usage")
    if tree is Tree.USERS and not usage.has_users:
        raise NotFound("users have no documents of this application usage")
    return usage
