"""NOTIFY in a dialog of ours: the remote side's word and document are saved, and local subscribers marked (RFC 6665 section 4.1.3).

The first check that fails decides the answer:

    420  Require has an option that is not known here
    481  it is in no dialog of ours
    489  its event package is not served here; 481, it is another one than was subscribed to
    400  Subscription-State, Contact or Record-Route cannot be used, or lead where nothing is sent (`hop`)
    500  it is older than the last one
    400, 413, 415  its body cannot be passed on (`told`)

What is refused changes nothing. A body that is refused does not stop what the header fields say: the dialog lives on, and the last
document that could be used stays. A subscription that is over needs no document; only that of `invariant` is looked at.

The answer follows the commit at once; the notifier tells the others. SQL: 3 statements, 1 more where local subscribers are told. In
packages that allow forks 1 more where something changes that is seen, and 2 more for a NOTIFY that begins one (`forks`).
"""

import re
from functools import partial
from typing import NamedTuple

from kemi import remote_target, sip
from kemi.b2bua import event_list, forks, hop, numbered, store, told
from kemi.b2bua.happening import Setting, allows_forks, happens
from kemi.b2bua.moves import LONGEST
from kemi.b2bua.numbered import MERGED, NOTHING, Taken
from kemi.b2bua.outgoing import INVARIANT, TAG, Notified, Outgoing
from kemi.effects import Effect, Log, Reply
from kemi.errors import BadEvent, BadExtension, BadRequest, SipError, SubscriptionDoesNotExist
from kemi.event_package import LIST, Packages, allow_events
from kemi.multipart import RELATED
from kemi.settings import Settings

KNOWN_OPTIONS = frozenset({"eventlist"})
LONGEST_REASON = 32
"""Characters of a reason that are kept; those that mean something here are shorter."""


class Heard(NamedTuple):
    """A NOTIFY as the machine sees it, and what is wrong with its body.

    Args:
        refusal: None: it can be passed on, or there is none.
        left_out: parts of a list that cannot.
    """

    event: Notified
    refusal: SipError | None
    left_out: int


def is_for_us(to_tag: str | None) -> bool:
    """Whether a NOTIFY may be in a dialog that this server has opened."""
    return bool(to_tag) and str(to_tag).startswith(TAG)


def notified(at: Setting, request: sip.Request, token: str) -> list[Effect]:
    """Handle a NOTIFY whose To tag is one of ours.

    Args:
        token: 32 random hexadecimal digits.

    Raises:
        SipError: as above; nothing is changed.
    """
    _check_require(request)
    dialog = request.to_tag or ""
    with at.database.transaction():
        at.database.lock(store.resource_of(at.database, dialog))
        outgoing = _meant(at, store.of_dialog(at.database, dialog, request.from_tag), request)
        if outgoing is None or not outgoing.is_open:
            raise SubscriptionDoesNotExist("no subscription of this server has this Call-ID and these tags")
        heard = _read(request, at.settings, at.packages, outgoing)
        follows = happens(at, outgoing, heard.event, token)
    return [*_answer(heard, outgoing), *follows]


def _meant(at: Setting, known: list[Outgoing], request: sip.Request) -> Outgoing | None:
    """The one with these tags; it may be a fork that begins with this."""
    outgoing = known[-1] if known else None
    if outgoing is None or not outgoing.has_dialog or outgoing.remote_tag == request.from_tag:
        return outgoing
    is_answer = outgoing.call_id == request.call_id and request.from_tag and forks.may_begin(outgoing, at.now)
    if not is_answer or not allows_forks(at.packages, outgoing):
        return None
    family = store.family(at.database, outgoing.key)
    fork = forks.begun(outgoing, [each for number, each in family.items() if number], at.now)
    if fork is not None:
        store.create(at.database, fork)
    return fork


def _answer(heard: Heard, outgoing: Outgoing) -> list[Effect]:
    """With a line in the log where the body, or a part of it, is not passed on."""
    refusal, whose = heard.refusal, f"id={outgoing.id} resource={outgoing.resource} watcher={outgoing.watcher}"
    if refusal is None:
        parts = Log(f"parts of a list are not passed on: {whose} parts={heard.left_out}")
        return [Reply(200, "OK"), *([parts] if heard.left_out else [])]
    detail = str(refusal).replace('"', "'")
    headers = (*refusal.headers, ("Warning", f'399 kemi-presence "{detail}"'))
    return [
        Reply(refusal.status, refusal.reason, headers),
        Log(f"document refused: {refusal.status} {whose} call-id={outgoing.call_id} why={refusal}"),
    ]


def _check_require(request: sip.Request) -> None:
    unknown = [each for each in sip.split_list(request.require or "") if each.lower() not in KNOWN_OPTIONS]
    if unknown:
        raise BadExtension(unknown)


def _read(request: sip.Request, settings: Settings, packages: Packages, outgoing: Outgoing) -> Heard:
    if request.event is None:
        raise BadEvent([allow_events(packages)], "Event is missing")
    event = sip.parse_event(request.event)
    if event.package not in packages:
        raise BadEvent([allow_events(packages)], "this event package is not served")
    if event.package != outgoing.package.removesuffix(LIST) or event.id is not None:
        raise SubscriptionDoesNotExist("the dialog is for another event")
    state, parameters = sip.parse_subscription_state(request.subscription_state)
    target, route_set = _target(request, outgoing), remote_target.route_set_of(request)
    _check_hop(request, settings, outgoing, target, route_set)
    is_over = state == "terminated" and parameters.get("reason", "").lower() != INVARIANT
    body, refusal = (NOTHING, None) if is_over else _body(request, settings, packages, outgoing)
    etag = "" if refusal or body.left_out else request.entity_tag or ""
    told_so = Notified(
        dialog=request.to_tag or "", call_id=request.call_id, remote_tag=request.from_tag, cseq=request.cseq, state=state,
        reason=parameters.get("reason", "").lower()[:LONGEST_REASON], expires=_seconds(parameters.get("expires")),
        retry_after=_seconds(parameters.get("retry-after")), contact=target,
        route_set=route_set, content_type=body.content_type, body=body.content, etag=etag,
        version=body.version, is_gapped=body.is_gapped,
    )  # fmt: skip
    return Heard(told_so, refusal, body.left_out)


def _body(request: sip.Request, settings: Settings, packages: Packages, outgoing: Outgoing) -> tuple[Taken, SipError | None]:
    """What is kept of the body; nothing where it is refused."""
    try:
        return _taken(request, settings, packages, outgoing) if request.body else NOTHING, None
    except SipError as refusal:
        return NOTHING, refusal


def _taken(request: sip.Request, settings: Settings, packages: Packages, outgoing: Outgoing) -> Taken:
    package, content_type = packages[outgoing.package.removesuffix(LIST)], request.content_type or ""
    told.check_request(request, settings, package, outgoing.is_list)
    if sip.media_type(content_type) == RELATED:
        body = event_list.taken(outgoing, content_type, request.body, partial(told.users_of, package))
    else:
        told.check(package, "" if outgoing.source else outgoing.resource, content_type, request.body)
        body = numbered.taken(outgoing, content_type, request.body)
    return body if len(body.content) <= MERGED * settings.pa.max_body else NOTHING._replace(is_gapped=True)


def _seconds(text: str | None) -> int | None:
    return min(int(text), LONGEST) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


def _target(request: sip.Request, outgoing: Outgoing) -> str:
    """The remote target: Contact (RFC 6665 section 3.2.1). The first NOTIFY needs one that can be used."""
    target = sip.contact_target(request.contact or "")
    if not target and not outgoing.has_dialog:
        raise BadRequest("exactly one Contact is needed")
    return target


def _check_hop(request: sip.Request, settings: Settings, outgoing: Outgoing, target: str, route_set: str) -> None:
    """Where the next SUBSCRIBE would go to."""
    route_set = outgoing.route_set if outgoing.has_dialog else route_set
    there = hop.after(target or outgoing.remote_target, route_set)
    if not hop.is_allowed(settings, there, request.source_address, may_be_own=bool(outgoing.source)):
        raise BadRequest("nothing is sent to that address")
