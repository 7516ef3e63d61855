"""MESSAGE: whose messages a user takes (RFC 3428 sections 7 and 11.1, RFC 4745 section 10, SER handbook section 10).

Every MESSAGE is judged, one with a tag in To as well: a tag proves no dialog. Asked in this order, the first that says something
counts:

1. the recipient itself may always send to its own devices;
2. management (`presencectl authorize --package MESSAGE`); what it says of one who watches is another matter, as rules are;
3. its rules (`kemi.xcap.im_rules`):

    documents                                                  decision
    ---------------------------------------------------------  --------------------------------------------------------------
    none                                                       `pa.im_rules_default`
    some                                                       the highest of matching rules, block where none matches
    one of them, or a list that they refer to, not known       at least confirm: it may grant more; never allow for it
    (yet), or not readable

    decision      answer                                                              delivered
    ------------  ------------------------------------------------------------------  --------------------------------------------
    allow         that of the recipient's devices                                     to its registered contacts; to none: 480
    polite-block  200, whether the recipient is registered or not                     no
    confirm       480; with Retry-After while documents are fetched                   no
    block         403                                                                 no

Nothing is kept for later, so nothing is answered 202 (RFC 3428 section 7): what is not delivered is refused, but for polite-block.

Documents are those below the user's im-rules: of our own all, as with presence rules, or the one that a script names; of another
server (xcap.xcap_root) the one that is named, else `pa.im_rules_file`. Nobody waits for that server.

SQL: 1 statement for management, 1 for the documents; 1 more where a rule asks for the sphere, 1 where one refers to resource lists.
With xcap.xcap_root 1 for each document, 1 more where it is old or unknown.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kemi import decision_store, sip
from kemi.database import Database
from kemi.effects import Effect, Log, Reply
from kemi.errors import Forbidden, NotFound, TemporarilyUnavailable, UnsupportedUriScheme
from kemi.event_package import Decision
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.presence import policy, rules
from kemi.settings import Settings
from kemi.xcap import common_policy, fetched, im_rules
from kemi.xcap.conditions import Context
from kemi.xcap.errors import XcapError
from kemi.xcap.fetched_document import Availability
from kemi.xcap.ruleset import Ruleset

AUID: Final = "im-rules"

RETRY_AFTER: Final = 5
"""Seconds; a document is fetched in less, or not at all."""

_ESCAPED: Final = re.compile("%(26|3D|2B|24|2C|3B|3F|2F)")
"""Characters of a user part that may stand in it escaped or not (RFC 3261 section 25.1, user-unreserved)."""


class Rules(NamedTuple):
    """One document; `has_sphere` and `anchors` as in `kemi.presence.rules`."""

    ruleset: Ruleset[Decision]
    has_sphere: bool = False
    anchors: frozenset[str] = frozenset()


class Verdict(NamedTuple):
    """What becomes of a message.

    Args:
        is_complete: False: not all that may matter is known, and it may be another decision soon.
    """

    decision: Decision
    is_complete: bool = True


def recipient_of(realm: Realm, uri: str) -> str:
    """Canonical URI of the user whose devices the registrar finds for this URI; "" where it is none of ours.

    The registrar takes escaped characters for plain ones where RFC 3261 (section 19.1.4) does not: whoever is found has to be the
    one whose rules are asked.

    Raises:
        BadRequest: 400, the URI cannot be read.
        NotFound: 404, it names nobody, or is a temporary GRUU (RFC 5627 section 3.1.2), which does not tell whose rules to ask.
    """
    try:
        parsed = sip.parse_uri(uri)
    except UnsupportedUriScheme:
        return ""
    if not realm.is_served(parsed) or not parsed.user:
        return ""
    if parsed.parameter("gr") == "":
        raise NotFound("messages cannot be sent to a temporary GRUU")
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), realm.presentity(uri))


def authorize(at: Moment, senders: Sequence[str], recipient: str, name: str = "") -> Verdict:
    """What becomes of a message.

    Args:
        senders: who sent it: all identities that are proved, canonical URIs.
        recipient: canonical URI.
        name: the document that has the rules, as im-rules.xml; "": as usual.
    """
    if recipient in senders:
        return Verdict(Decision.ALLOW)
    made = decided(at.database, senders, recipient)
    if made is not None:
        return Verdict(made)
    documents = _documents(at, recipient, name)
    rulesets = [each.ruleset for each in documents]
    sphere = policy.sphere_of(at.database, recipient, at.now) if any(each.has_sphere for each in documents) else None
    lists = rules.lists(at, recipient, documents)
    context = Context(tuple(senders), sphere, at.now, lists.is_listed)
    decision = im_rules.evaluate(rulesets, context, Decision(at.settings.pa.im_rules_default)).permissions
    is_complete = lists.is_complete and all(each.is_readable for each in rulesets)
    return Verdict(Decision.CONFIRM if decision is Decision.BLOCK and not is_complete else decision, is_complete)


def decided(database: Database, senders: Sequence[str], recipient: str) -> Decision | None:
    """What management says; of somebody with several identities the least, as an except counts for all. None: nothing."""
    made = decision_store.made(database, decision_store.MESSAGE, recipient, senders)
    return min(made.values(), key=common_policy.HANDLING.__getitem__, default=None)


def answer(settings: Settings, verdict: Verdict, senders: Sequence[str], recipient: str) -> list[Effect]:
    """The answer to a message that is not delivered; none: it is to be.

    Raises:
        Forbidden: 403, the rules of the recipient refuse it.
        TemporarilyUnavailable: 480, it is not decided.
    """
    match verdict.decision:
        case Decision.ALLOW:
            return []
        case Decision.POLITE_BLOCK:
            return [Reply(200, "OK"), Log(f"message dropped: recipient={recipient} sender={senders[0]} why=polite-block")]
        case Decision.BLOCK:
            raise Forbidden("the recipient's rules refuse this sender")
        case Decision.CONFIRM if settings.xcap.xcap_root and not verdict.is_complete:
            raise TemporarilyUnavailable("the recipient's rules are not known yet", [("Retry-After", str(RETRY_AFTER))])
        case _:
            raise TemporarilyUnavailable("the recipient has not decided about this sender")


# ---------------------------------------------------------------------------------------------------------------------
# Documents


def _documents(at: Moment, owner: str, name: str) -> list[Rules]:
    draft = bool(at.settings.pa.draft_rules)
    if not at.settings.xcap.xcap_root:
        return [_read(body, each, draft) for each, body in rules.message_documents(at.database, owner, name)]
    name = name or at.settings.pa.im_rules_file
    reading = fetched.document(at, AUID, owner, name)
    if reading.state is Availability.UNKNOWN:
        return [_unreadable(name)]
    return [] if reading.state is Availability.MISSING else [_read(reading.body, name, draft)]


def _read(body: bytes, name: str, draft: bool) -> Rules:
    return _kept(body, name, draft) if len(body) <= rules.LARGE else _parsed(body, name, draft)


def _parsed(body: bytes, name: str, draft: bool) -> Rules:
    try:
        ruleset = im_rules.parse(body, f"{AUID}/{name}", draft)
    except XcapError:
        return _unreadable(name)
    return Rules(ruleset, *rules.depends_on(ruleset))


_kept = lru_cache(maxsize=rules.KEPT)(_parsed)


def _unreadable(name: str) -> Rules:
    return Rules(Ruleset(f"{AUID}/{name}", (), is_readable=False))
