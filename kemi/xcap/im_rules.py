"""Rules for MESSAGE: whose messages a user takes (pure; SER handbook section 10, RFC 3428 section 11.1).

SER's own application of common policy, which no RFC defines: AUID `im-rules`, namespace urn:iptel:xml:ns:im-rules, one action
and no transformations. Rules are combined as those of presence are.

    im-handling    block         refuse: 403
                   confirm       refuse as long as the user has not decided: 480
                   polite-block  the sender gets 200, as for a delivered message, and nothing is delivered
                   allow         deliver

SER knew block, its lowest value, and allow, and that more values may come between them: confirm and polite-block did, in the
order of presence. A value that is none of these counts as block, for its own rule only.
"""

from collections.abc import Sequence

from kemi.event_package import Decision
from kemi.xcap import common_policy, ruleset
from kemi.xcap.common_policy import Evaluation
from kemi.xcap.conditions import Context
from kemi.xcap.ruleset import Node, Ruleset, Vocabulary

NAMESPACE = "urn:iptel:xml:ns:im-rules"


def parse(octets: bytes, document: str = "", draft: bool = False) -> Ruleset[Decision]:
    """Read a document of rules for MESSAGE (`ruleset.parse`); raises XcapError, 409 or 413."""
    return ruleset.parse(VOCABULARY, octets, document, draft)


def evaluate(rulesets: Sequence[Ruleset[Decision]], context: Context, default: Decision) -> Evaluation[Decision]:
    """What becomes of a message (`common_policy.evaluate`): without matching rule it is blocked.

    Args:
        rulesets: all documents of the recipient.
        context: who sends.
        default: where there is no document at all; SER allowed.
    """
    return common_policy.evaluate(VOCABULARY, rulesets, context, default)


def _read(actions: Sequence[Node], _transformations: Sequence[Node] | None) -> Decision:
    return common_policy.handling(actions, NAMESPACE, "im-handling")


def _combine(one: Decision, other: Decision) -> Decision:
    return common_policy.highest((one, other))


VOCABULARY = Vocabulary(NAMESPACE, _read, Decision.BLOCK, _combine)
