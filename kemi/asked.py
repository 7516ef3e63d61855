"""What a SUBSCRIBE asks for: read and checked, before anything is looked up (RFC 6665 section 4.2.1.1).

The first check that fails decides the answer: To (400), Event (489), body (415), Contact (400), Accept (406), Expires (423),
Suppress-If-Match (400).
"""

from typing import NamedTuple

from kemi import remote_target, sip
from kemi.client_profile import Profile, profile_of
from kemi.errors import BadEvent, BadRequest, IntervalTooBrief, NotAcceptable, UnsupportedMediaType
from kemi.event_package import LIST, EventPackage, Packages, allow_events
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
        body: what the body asks for, in the package's own words; None: there is none.
    """

    package: EventPackage
    event: sip.EventType
    parameters: str
    contact: str
    accept: str
    lifetime: int
    condition: str
    profile: Profile
    body: str | None = None


def asked_of(request: sip.Request, settings: Settings, packages: Packages, is_list: bool = False) -> Asked:
    """Read the request.

    Args:
        is_list: it is for a list of resources (RFC 4662).

    Raises:
        BadRequest: 400, To, Event, Contact, Expires or Suppress-If-Match cannot be read or used.
        NotAcceptable: 406, the package has none of the types in Accept.
        UnsupportedMediaType: 415, the body is not understood.
        IntervalTooBrief: 423, less than the shortest lifetime is asked for.
        BadEvent: 489, the package is not served.
    """
    if request.to_tag == "" or not sip.has_scheme(request.to_uri):
        raise BadRequest("To cannot be read")
    profile = profile_of(request.user_agent, settings.pa.client_profiles)
    package, event = _package(request, packages, profile, LIST if is_list else "")
    body = _body(request, package)
    contact = remote_target.contact_of(request, settings)
    parameters = ";".join(f"{name}={event.parameters[name]}" for name in package.parameters if name in event.parameters)
    written = package.event.capitalize() if package.is_list and profile.capital_list else event.package
    if written != package.event and not package.parameters:
        parameters = written
    accept, lifetime = _accept(request, package), _lifetime(request, settings, package)
    condition = sip.entity_tag(request.suppress, "Suppress-If-Match") if request.suppress else ""
    return Asked(package, event, parameters, contact, accept, lifetime, condition, profile, body)


def _package(request: sip.Request, packages: Packages, profile: Profile, template: str) -> tuple[EventPackage, sip.EventType]:
    """Capitals count (RFC 6665 section 8.2.1), but for clients with `capital_event`."""
    if request.event is None:
        raise BadEvent([allow_events(packages)], "Event is missing")
    event = sip.parse_event(request.event)
    package = packages.get(profile.package_named(event.package) + template)
    if package is None:
        raise BadEvent([allow_events(packages)], "this event package is not served")
    return package, event


def _body(request: sip.Request, package: EventPackage) -> str | None:
    """What the body asks for; one of optional handling that is not understood is left out (RFC 3261 section 20.11)."""
    if not request.body:
        return None
    try:
        return _read(request, package)
    except UnsupportedMediaType:
        if _is_optional(request.content_disposition or ""):
            return None
        raise


def _is_optional(disposition: str) -> bool:
    pairs = (part.partition("=") for part in sip.parameters_of(disposition)[1:])
    return any((name.strip().lower(), value.strip(' "').lower()) == ("handling", "optional") for name, _, value in pairs)


def _read(request: sip.Request, package: EventPackage) -> str:
    if package.read_body is not None:
        return package.read_body(request)
    encoding = "identity" if request.content_encoding else None
    raise UnsupportedMediaType("no body is understood in SUBSCRIBE", accept_encoding=encoding)


def _accept(request: sip.Request, package: EventPackage) -> str:
    chosen = package.negotiate(request.accept) if package.negotiate else sip.choose_media_type(request.accept, package.produces)
    if chosen is None:
        raise NotAcceptable(package.produces, "Accept names no type that this package has")
    return chosen


def _lifetime(request: sip.Request, settings: Settings, package: EventPackage) -> int:
    """Granted seconds: never more than asked for (RFC 6665 section 4.2.1.1)."""
    pa, rls = settings.pa, settings.rls
    least, most, default = (
        (rls.min_expiration, rls.max_expiration, rls.default_expiration)
        if package.is_list
        else (pa.min_expires, pa.max_subscription_expiration, pa.default_expires)
    )
    if request.expires is None:
        return min(package.default_expires or default, most)
    asked = sip.parse_seconds(request.expires, "Expires")
    if 0 < asked < least:
        raise IntervalTooBrief(least)
    return min(asked, most)
