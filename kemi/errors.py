"""The refusals of this server, each with the answer that it becomes.

One tree, drawn once: pure code raises, the process turns what was raised into one response (`kemi.process`; RFC 3261 section 21,
RFC 3903 section 6, RFC 6665 section 8.3.2). `detail` is for people: it goes into a Warning header field and one log line, and never
holds a body or a credential.

    SipError
    |- BadRequest 400                       |- ExtensionRequired 421 + Require
    |- Forbidden 403                        |- IntervalTooBrief 423 + Min-Expires
    |- NotFound 404                         |- MaxBreadthExceeded 440
    |- MethodNotAllowed 405 + Allow         |- TemporarilyUnavailable 480
    |- NotAcceptable 406 + Accept           |- SubscriptionDoesNotExist 481
    |- ConditionalRequestFailed 412         |- LoopDetected 482 (merged request, loop)
    |- BodyTooLarge 413                     |- TooManyHops 483
    |- UnsupportedMediaType 415 + Accept    |- BadEvent 489 + Allow-Events
    |- UnsupportedUriScheme 416             |- OutOfOrder 500
    |- BadExtension 420 + Unsupported       |- ServiceUnavailable 503 + Retry-After

    ConfigurationError   stops the start; not an answer to a request
"""

from collections.abc import Iterable


class ConfigurationError(Exception):
    """A value in kamailio.cfg or in the environment cannot be used; the text names it and says what is allowed."""


class SipError(Exception):
    """A request is refused with `status` and `reason`.

    Args:
        detail: what is wrong with this very request, in a sentence for its sender.
        headers: header fields of the response, as (name, value).
    """

    status = 500
    reason = "Server Internal Error"

    def __init__(self, detail: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(detail or self.reason)
        self.detail = detail
        self.headers = tuple(headers)


class BadRequest(SipError):
    """400: the request cannot be understood (RFC 3261 section 21.4.1)."""

    status, reason = 400, "Bad Request"


class Forbidden(SipError):
    """403: understood and refused (RFC 3261 section 21.4.4)."""

    status, reason = 403, "Forbidden"


class NotFound(SipError):
    """404: no such presentity here (RFC 3903 section 6 step 1)."""

    status, reason = 404, "Not Found"


class MethodNotAllowed(SipError):
    """405 with Allow (RFC 3261 section 8.2.1)."""

    status, reason = 405, "Method Not Allowed"

    def __init__(self, allowed: Iterable[str], detail: str = "") -> None:
        super().__init__(detail, [("Allow", ", ".join(allowed))])


class NotAcceptable(SipError):
    """406: the Accept header field names no type that the package can produce (RFC 6665 section 4.1.2.1)."""

    status, reason = 406, "Not Acceptable"

    def __init__(self, acceptable: Iterable[str], detail: str = "") -> None:
        super().__init__(detail, [("Accept", ", ".join(acceptable))])


class ConditionalRequestFailed(SipError):
    """412: the entity-tag in SIP-If-Match names no publication (RFC 3903 section 6 step 3)."""

    status, reason = 412, "Conditional Request Failed"


class BodyTooLarge(SipError):
    """413: the body is above the limit (RFC 3261 section 21.4.11)."""

    status, reason = 413, "Request Entity Too Large"


class UnsupportedMediaType(SipError):
    """415 with Accept, or with Accept-Encoding (RFC 3261 section 8.2.3, RFC 3903 section 6 step 5)."""

    status, reason = 415, "Unsupported Media Type"

    def __init__(self, detail: str = "", accept: Iterable[str] = (), accept_encoding: str | None = None) -> None:
        headers = [("Accept", ", ".join(accept))]
        if accept_encoding is not None:
            headers.append(("Accept-Encoding", accept_encoding))
        super().__init__(detail, headers)


class UnsupportedUriScheme(SipError):
    """416: the Request-URI has a scheme that is not served (RFC 3261 section 8.2.2.1)."""

    status, reason = 416, "Unsupported URI Scheme"


class BadExtension(SipError):
    """420 with Unsupported (RFC 3261 section 8.2.2.3)."""

    status, reason = 420, "Bad Extension"

    def __init__(self, unsupported: Iterable[str]) -> None:
        super().__init__("", [("Unsupported", ", ".join(unsupported))])


class ExtensionRequired(SipError):
    """421 with Require: the URI is a list's, and the client knows no lists (RFC 4662 section 4.1, RFC 3261 section 21.4.16)."""

    status, reason = 421, "Extension Required"

    def __init__(self, required: Iterable[str], detail: str = "") -> None:
        super().__init__(detail, [("Require", ", ".join(required))])


class IntervalTooBrief(SipError):
    """423 with Min-Expires, seconds (RFC 6665 section 4.2.1.1, RFC 3903 section 6 step 4)."""

    status, reason = 423, "Interval Too Brief"

    def __init__(self, minimum: int) -> None:
        super().__init__("", [("Min-Expires", str(minimum))])


class MaxBreadthExceeded(SipError):
    """440: there are more contacts than the request may be forked to (RFC 5393 section 5.3.3)."""

    status, reason = 440, "Max-Breadth Exceeded"


class TemporarilyUnavailable(SipError):
    """480: the user is known and not there (RFC 3261 section 21.4.18)."""

    status, reason = 480, "Temporarily Unavailable"


class SubscriptionDoesNotExist(SipError):
    """481: the dialog or its subscription is unknown (RFC 3261 section 12.2.2)."""

    status, reason = 481, "Subscription does not exist"


class LoopDetected(SipError):
    """482: the same request came on another path, or was here before (RFC 3261 sections 8.2.2.2 and 16.3)."""

    status, reason = 482, "Loop Detected"


class TooManyHops(SipError):
    """483: Max-Forwards is used up (RFC 3261 section 21.4.21)."""

    status, reason = 483, "Too Many Hops"


class BadEvent(SipError):
    """489 with Allow-Events (RFC 6665 section 8.3.2)."""

    status, reason = 489, "Bad Event"

    def __init__(self, allowed: Iterable[str], detail: str = "") -> None:
        super().__init__(detail, [("Allow-Events", ", ".join(allowed))])


class OutOfOrder(SipError):
    """500: the CSeq is lower than the last one of the dialog (RFC 3261 section 12.2.2)."""

    status, reason = 500, "Request Out of Order"


class ServiceUnavailable(SipError):
    """503 with Retry-After, seconds (RFC 3261 section 21.5.4)."""

    status, reason = 503, "Service Unavailable"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail, [("Retry-After", str(retry_after))])
