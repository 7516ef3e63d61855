"""What a SUBSCRIBE asks for: read and checked, before anything is looked up (RFC 6665 section 4.2.1.1).

The first check that fails decides the answer: Event (489), body (415), Contact (400), Accept (406), Expires (423),
Suppress-If-Match (400).
"""

from typing import NamedTuple

from kemi import remote_target, sip
from kemi.client_profile import Profile, profile_of
from kemi.errors import BadEvent, IntervalTooBrief, NotAcceptable, UnsupportedMediaType
from kemi.event_package import EventPackage, Packages, allow_events
from kemi.settings import Settings


class Asked(NamedTuple):
    """What a SUBSCRIBE asks for, checked.

    Args:
        event: with the name of the package as it came.
        parameters: of Event, those that narrow the subscription, as text; or that name, where it differs in capitals.
        contact: where NOTIFYs go.
        accept: body type of NOTIFYs.
        lifetime: granted seconds.
        condition: of Suppress-If-Match, "" where there is none.
        profile: of the client.
    """

    package: EventPackage
    event: sip.EventType
    parameters: str
    contact: str
    accept: str
    lifetime: int
    condition: str
    profile: Profile


def asked_of(request: sip.Request, settings: Settings, packages: Packages) -> Asked:
    """Read the request; the first that fails decides the answer."""
    profile = profile_of(request.user_agent, settings.pa.client_profiles)
    package, event = _package(request, packages, profile)
    _check_body(request)
    contact = remote_target.contact_of(request, settings)
    parameters = ";".join(f"{name}={event.parameters[name]}" for name in package.parameters if name in event.parameters)
    if event.package != package.name and not package.parameters:
        parameters = event.package
    accept, lifetime = _accept(request, package), _lifetime(request, settings, package)
    condition = sip.entity_tag(request.suppress or "", "Suppress-If-Match")
    return Asked(package, event, parameters, contact, accept, lifetime, condition, profile)


def _package(request: sip.Request, packages: Packages, profile: Profile) -> tuple[EventPackage, sip.EventType]:
    """Capitals count (RFC 6665 section 8.2.1), but for clients with `capital_event`."""
    if request.event is None:
        raise BadEvent([allow_events(packages)], "Event is missing")
    event = sip.parse_event(request.event)
    package = packages.get(profile.package_named(event.package))
    if package is None:
        raise BadEvent([allow_events(packages)], "this event package is not served")
    return package, event


def _check_body(request: sip.Request) -> None:
    if request.body and "handling=optional" not in (request.content_disposition or "").lower().replace(" ", ""):
        encoding = "identity" if request.content_encoding else None
        raise UnsupportedMediaType("no body is understood in SUBSCRIBE", accept_encoding=encoding)


def _accept(request: sip.Request, package: EventPackage) -> str:
    chosen = sip.choose_media_type(request.accept, package.produces)
    if chosen is None:
        raise NotAcceptable(package.produces, "Accept names no type that this package has")
    return chosen


def _lifetime(request: sip.Request, settings: Settings, package: EventPackage) -> int:
    """Granted seconds: never more than asked for (RFC 6665 section 4.2.1.1)."""
    if request.expires is None:
        asked = package.default_expires or settings.pa.default_expires
    else:
        asked = sip.parse_seconds(request.expires, "Expires")
        if 0 < asked < settings.pa.min_expires:
            raise IntervalTooBrief(settings.pa.min_expires)
    return min(asked, settings.pa.max_subscription_expiration)
