"""What a changed document causes in the rest of the server, in the transaction that changes it, whoever does (RFC 4825).

rules, and lists that rules refer to    who watches already is judged again (RFC 5025 section 3.2.1)
hard state                              is published (RFC 4827)
lists, and services                     who watches lists made of them is told, or comes again (RFC 4662 section 4.5)
any document                            who watches it is told (RFC 5875)
"""

from collections.abc import Callable, Mapping

from kemi.effects import Effect
from kemi.moment import Moment
from kemi.packages import xcap_diff
from kemi.presence import hard_state, policy
from kemi.report import report_document
from kemi.rls import appeared
from kemi.xcap import usages
from kemi.xcap.path import Tree
from kemi.xcap.serve import Change, Changed

Consequence = Callable[[Moment, Change], list[Effect]]
"""What a change causes, done in its transaction. It may refuse the change by raising an XcapError."""


def rules_change(at: Moment, change: Change) -> list[Effect]:
    """Who watches already is judged by the new rules, or by the lists that they refer to (RFC 5025 section 3.2.1)."""
    if change.selector.tree is not Tree.USERS or not change.followers.presentity:
        return []
    return policy.rules_changed(at, change.selector.xui, change.selector.auid)


def lists_change(at: Moment, change: Change) -> list[Effect]:
    """Lists that are made of the document are made anew; so is what rules that refer to it say.

    Who watches a new service as a presentity comes again. Lists are locked before members of lists, as those do who tell them.
    """
    selector, before = change.selector, change.before.body if change.before else None
    is_of_services = selector.auid == usages.SERVICES
    again = appeared.here(at, before, change.body) if is_of_services else []
    marked = report_document(at, selector.auid, selector.xui) if change.followers.lists else []
    judged = [] if is_of_services else rules_change(at, change)
    return [*again, *judged, *marked]


CONSEQUENCES: Mapping[str, Consequence] = {
    hard_state.AUID: hard_state.change,
    **dict.fromkeys(usages.RULES | usages.DIALOG_RULES, rules_change),
    **dict.fromkeys(usages.OF_LISTS, lists_change),
}
"""By application usage."""


def follow(at: Moment) -> Changed:
    """What `serve` tells of every change."""

    def changed(change: Change) -> list[Effect]:
        consequence = CONSEQUENCES.get(change.selector.auid)
        effects = consequence(at, change) if consequence else []
        return [*effects, *xcap_diff.changed(at, change)]

    return changed
