"""What presencectl tells of publications, watchers and subscriptions: rows with keys that stay (docs/presencectl.md).

Times end in `_at` and are seconds since the epoch; what ends in `_in` is seconds from now, null for no end; durations are seconds.
"""

from typing import Any

from kemi import administration, client_profile, decision_store, sip, watcher
from kemi.console.output import LONGER_THAN_ANY, plain
from kemi.console.session import Session
from kemi.event_package import WATCHER_INFORMATION, Authorization, Decision
from kemi.presence import pidf, policy
from kemi.presence.explain import Explained
from kemi.presence.outline import Outline, outline
from kemi.presence.package import NAME
from kemi.presence.publication import Publication
from kemi.reauthorize import asking_the_same
from kemi.subscription import State, Subscription
from kemi.xcap.serve import Result

Facts = dict[str, Any]

SEES = {
    Decision.ALLOW: "the document",
    Decision.POLITE_BLOCK: "somebody who is away",
    Decision.CONFIRM: "nothing: not decided yet",
    Decision.BLOCK: "nothing: refused",
}
"""What a decision lets a watcher see."""


def left(session: Session, end: float) -> int | None:
    """Seconds from now until a time, in seconds since the epoch; None for never."""
    return None if end - session.now > LONGER_THAN_ANY else round(end - session.now)


def written(result: Result) -> str:
    """What became of a document that was put; one that is put as it is already has no effect."""
    return "unchanged" if not result.effects else "created" if result.status == 201 else "replaced"


def of_publication(session: Session, publication: Publication) -> Facts:
    """One publication, without its document."""
    return {
        "package": publication.package,
        "source": publication.source,
        "id": publication.id,
        "entity_tag": publication.etag,
        "content_type": publication.content_type,
        "size": len(publication.body),
        "published_at": publication.published_at,
        "created_at": publication.created_at,
        "expires_in": left(session, publication.expires_at),
    }


def outline_of(publication: Publication) -> Outline | None:
    """What it says; None where it is no presence document.

    Raises:
        SipError: the document cannot be read; an earlier release took it.
    """
    if sip.media_type(publication.content_type) not in pidf.CONSUMES:
        return None
    return outline(pidf.parse(publication.body, publication.content_type))


def of_subscription(session: Session, subscription: Subscription) -> Facts:
    """One subscription: its columns, and what follows from them."""
    columns: Facts = plain(subscription)
    more = {"expires_in": left(session, subscription.expires_at), "profile": profile(session, subscription.user_agent)}
    return columns | more


def of_watcher(session: Session, subscription: Subscription) -> Facts:
    """A watcher that has a subscription."""
    ended = subscription.state is State.TERMINATED
    return {
        "package": subscription.package,
        "watcher": subscription.watcher,
        "status": subscription.state.value,
        "event": subscription.reason.value if ended and subscription.reason else subscription.watcher_event,
        "expires_in": left(session, subscription.expires_at),
        "duration": round(session.now - subscription.created_at),
        "display_name": subscription.display_name,
        "user_agent": subscription.user_agent,
        "profile": profile(session, subscription.user_agent),
        "remembered": "",
        "id": watcher.id_of(subscription.id, subscription.watcher_id),
    }


def of_recorded(session: Session, recorded: watcher.RememberedWatcher) -> Facts:
    """A watcher that has none any more: it waits, has just ended, or was stored while the presentity was away."""
    return {
        "package": recorded.package,
        "watcher": recorded.uri,
        "status": recorded.status.value,
        "event": recorded.event.value,
        "expires_in": left(session, recorded.expires_at),
        "duration": round(session.now - recorded.subscribed_at),
        "display_name": recorded.display_name,
        "user_agent": "",
        "profile": "",
        "remembered": "stored" if recorded.stored else recorded.status.value,
        "id": recorded.id,
    }


def watchers_of(session: Session, resource: str, package: str) -> list[Facts]:
    """All watchers of a presentity: those with a subscription, then those that are remembered."""
    live = administration.subscriptions(session.database, resource, package)
    recorded = administration.recorded(session.database, resource, package)
    return [*(of_watcher(session, each) for each in live), *(of_recorded(session, each) for each in recorded)]


def profile(session: Session, user_agent: str) -> str:
    """Name of the profile by which this client is served."""
    return client_profile.profile_of(user_agent, session.settings.pa.client_profiles).name


def of_decisions(session: Session, resource: str) -> list[Facts]:
    """What management has decided about a presentity's watchers."""
    made = decision_store.list_all(session.database, resource)
    return [{name: plain(value) for name, value in each._asdict().items() if name != "resource"} for each in made]


def why(session: Session, package_name: str, resource: str, who: str) -> tuple[Authorization | None, str]:
    """What the rules of now say of a watcher, and what led to it; None: the package is not served."""
    package = session.packages.get(package_name)
    if package is None:
        return None, "the package is not served"
    says = package.authorization(session.moment, who, resource)
    if who == resource:
        return says, "the presentity itself"
    for name in asking_the_same(session.packages, package_name):
        if decision_store.made(session.database, name, resource, [who]).get(who) is says.decision:
            return says, "presencectl authorize"
    pa = session.settings.pa
    if package.is_list:
        return says, f"rls.auth = {session.settings.rls.auth}"
    if package_name.endswith(WATCHER_INFORMATION):
        listed = "pa.winfo_watchers names it" if who in pa.winfo_watchers else f"pa.winfo_auth = {pa.winfo_auth}"
        return says, listed
    if package.rules is session.packages[NAME].rules:
        found = f" ({_matching(session, package_name, resource, who)})" if pa.asks_rules else ""
        return says, f"pa.auth = {pa.auth}{found}"
    return says, f"rules of {package_name}"


def _matching(session: Session, package: str, resource: str, who: str) -> str:
    found = policy.matching(session.moment, who, resource, package)
    return f"{found}: pa.auth_default = {session.settings.pa.auth_default}" if found == policy.NO_RULES else found


def because(why: Explained) -> str:
    """What led to what is said of a watcher."""
    if why.by_rules is None or not why.is_by_rules:
        return why.because
    found = why.by_rules.explanation
    rules = ", ".join(f"{each.document} {each.rule}".rstrip() for each in found.matching) or "no rule matches"
    default = f"{policy.NO_RULES}: pa.auth_default = {why.by_rules.asking.default.value}"
    return f"{'rules that are tried' if why.trial else why.because} ({rules if found.is_policy else default})"
