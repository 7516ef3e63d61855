"""Rules for the event package dialog: who may see a user's calls (pure; RFC 4235 section 5, RFC 4745).

OpenXCAP's application of common policy, which no RFC defines: AUID `org.openxcap.dialog-rules`, or `dialog-rules` for short. Its
one action is sub-handling with the values, the order and the meaning of RFC 5025 section 3.2.1, in its own namespace or in that of
presence rules. It has no transformations: who is allowed sees what `pa.dialog_details` shows.

What such rules grant is said in `pres_rules.Permissions`, everything or nothing, so that whatever works with presence rules works
with these.
"""

from collections.abc import Sequence
from dataclasses import replace

from kemi.xcap import common_policy, pres_rules, ruleset
from kemi.xcap.pres_rules import Permissions
from kemi.xcap.ruleset import Node, Ruleset

NAMESPACE = "http://openxcap.org/ns/dialog-rules"


def parse(octets: bytes, document: str = "", draft: bool = False) -> Ruleset[Permissions]:
    """Read a document of rules for dialogs (`ruleset.parse`); raises XcapError, 409 or 413."""
    return ruleset.parse(VOCABULARY, octets, document, draft)


def _read(actions: Sequence[Node], _transformations: Sequence[Node] | None) -> Permissions:
    said = [common_policy.handling(actions, namespace, "sub-handling") for namespace in (NAMESPACE, pres_rules.NAMESPACE)]
    return pres_rules.without_policy(common_policy.highest(said))


VOCABULARY = replace(pres_rules.VOCABULARY, namespace=NAMESPACE, read=_read)
