"""The refusals of the XCAP server, each with the answer that it becomes (pure; RFC 4825 sections 8 and 11, RFC 9110 section 15).

One tree, drawn once: pure code raises, the server turns what was raised into one HTTP response. `detail` is for people and
holds nothing of a document. A conflict has a body of type application/xcap-error+xml with one element that names the
condition; the detail is its phrase.

    XcapError
    |- BadRequest 400                    |- Conflict 409 + body
    |- NotFound 404                         |- NotWellFormed             |- UniquenessFailure
    |- MethodNotAllowed 405 + Allow         |- NotUtf8                   |- ConstraintFailure
    |- PreconditionFailed 412               |- NotXmlFrag                |- CannotInsert
    |- ContentTooLarge 413                  |- NotXmlAttValue            |- CannotDelete
    |- UnsupportedMediaType 415             |- SchemaValidationError     |- NoParent
                                                                         |- Extension
"""

import re
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

MEDIA_TYPE = "application/xcap-error+xml"
NAMESPACE = "urn:ietf:params:xml:ns:xcap-error"

_NO_XML_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


def escaped(text: str) -> str:
    """Text as it may stand in an attribute value between double quotes, and in an element.

    Args:
        text: any characters; those that XML cannot have become question marks.
    """
    return _NO_XML_CHARACTER.sub("?", text).translate(_ESCAPES)


class XcapError(Exception):
    """A request is refused with `status` and `reason`.

    Args:
        detail: what is wrong with this very request, in a sentence for its sender.
        headers: header fields of the response, as (name, value).
    """

    status = 500
    reason = "Internal Server Error"

    def __init__(self, detail: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(detail or self.reason)
        self.detail = detail
        self.headers = tuple(headers)

    def words(self) -> str:
        """The refusal in one line for people: 404 Not Found: there is no such document."""
        return f"{self.status} {self.reason}" + (f": {self.detail}" if self.detail else "")


class BadRequest(XcapError):
    """400: the URI cannot be read, or a prefix in it is bound to no namespace (RFC 4825 sections 6.3 and 6.4)."""

    status, reason = 400, "Bad Request"


class NotFound(XcapError):
    """404: no such document or node, several nodes, or a selector that nobody here understands (RFC 4825 section 8)."""

    status, reason = 404, "Not Found"


class MethodNotAllowed(XcapError):
    """405 with Allow (RFC 4825 section 8.1)."""

    status, reason = 405, "Method Not Allowed"

    def __init__(self, allowed: Iterable[str], detail: str = "") -> None:
        super().__init__(detail, [("Allow", ", ".join(allowed))])


class PreconditionFailed(XcapError):
    """412: If-Match or If-None-Match does not hold (RFC 4825 section 8.2.6)."""

    status, reason = 412, "Precondition Failed"


class ContentTooLarge(XcapError):
    """413: the document is, or would become, larger than the limits (RFC 9110 section 15.5.14)."""

    status, reason = 413, "Content Too Large"


class UnsupportedMediaType(XcapError):
    """415: Content-Type is not that of the resource (RFC 4825 section 8.2.2)."""

    status, reason = 415, "Unsupported Media Type"


class Conflict(XcapError):
    """409: the request can be understood, its result may not be (RFC 4825 section 11.1)."""

    status, reason = 409, "Conflict"
    element: ClassVar[str]
    """The name of the error element."""

    def words(self) -> str:
        """The same: 409 no-parent: there is no such document."""
        return ": ".join(filter(None, (f"{self.status} {self.element}", self.detail, self._more())))

    def body(self) -> bytes:
        """The document that tells the client which condition was not met (RFC 4825 section 11.2)."""
        attributes = f' phrase="{escaped(self.detail)}"' if self.detail else ""
        return self._document(attributes, self._content())

    def _document(self, attributes: str, content: str) -> bytes:
        inside = f">{content}</{self.element}>" if content else "/>"
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<xcap-error xmlns="{NAMESPACE}">'
        return f"{head}<{self.element}{attributes}{inside}</xcap-error>\n".encode()

    def _content(self) -> str:
        return ""

    def _more(self) -> str:
        """What the content of the element says, for people."""
        return ""


class NotWellFormed(Conflict):
    """The body should be an XML document and is not well-formed."""

    element = "not-well-formed"


class NotUtf8(Conflict):
    """The body is in another encoding than UTF-8."""

    element = "not-utf-8"


class NotXmlFrag(Conflict):
    """The body should be one element with all that is in it, and is not."""

    element = "not-xml-frag"


class NotXmlAttValue(Conflict):
    """The body should be an attribute value (AttValue of XML 1.0) and is not."""

    element = "not-xml-att-value"


class SchemaValidationError(Conflict):
    """The document would not be valid after the change."""

    element = "schema-validation-error"


class ConstraintFailure(Conflict):
    """The document would break a rule of the application usage that no schema can express."""

    element = "constraint-failure"


class CannotInsert(Conflict):
    """GET of the same URI after the PUT would not return the body (RFC 4825 section 8.2.3)."""

    element = "cannot-insert"


class CannotDelete(Conflict):
    """The same URI would select another node after the DELETE (RFC 4825 section 8.4)."""

    element = "cannot-delete"


class NoParent(Conflict):
    """What the resource should be put into does not exist.

    Args:
        detail: for people.
        ancestor: the URI of the closest thing on the way that exists, percent-encoded; None if it is not known.
    """

    element = "no-parent"

    def __init__(self, detail: str = "", ancestor: str | None = None) -> None:
        super().__init__(detail)
        self.ancestor = ancestor

    def _content(self) -> str:
        return f"<ancestor>{escaped(self.ancestor)}</ancestor>" if self.ancestor else ""

    def _more(self) -> str:
        return f"what is there is {self.ancestor}" if self.ancestor else ""


class Exists(NamedTuple):
    """A value that is there already.

    Args:
        field: the node that has the value, a URI relative to the document.
        alternatives: values that would be free.
    """

    field: str
    alternatives: tuple[str, ...] = ()


class UniquenessFailure(Conflict):
    """Values that must be unique would not be.

    Args:
        exists: each of these values, at least one.
        detail: for people.
    """

    element = "uniqueness-failure"

    def __init__(self, exists: Iterable[Exists], detail: str = "") -> None:
        super().__init__(detail)
        self.exists = tuple(exists)

    def _content(self) -> str:
        return "".join(map(_exists, self.exists))

    def _more(self) -> str:
        free = [value for each in self.exists for value in each.alternatives]
        return ", ".join(each.field for each in self.exists) + (f"; free: {', '.join(free)}" if free else "")


def _exists(found: Exists) -> str:
    alternatives = "".join(f"<alt-value>{escaped(value)}</alt-value>" for value in found.alternatives)
    return f'<exists field="{escaped(found.field)}">{alternatives}</exists>'


class Extension(Conflict):
    """A condition that an extension of XCAP defines.

    Args:
        content: well-formed XML in the extension's own namespace, written by the server. The element has no phrase.
        detail: for the log.
    """

    element = "extension"

    def __init__(self, content: str, detail: str = "") -> None:
        super().__init__(detail)
        self.content = content

    def body(self) -> bytes:
        return self._document("", self.content)
