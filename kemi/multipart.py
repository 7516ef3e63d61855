"""Bodies of several parts, read and written (pure; RFC 2046 section 5.1, RFC 2387, RFC 2045 sections 5.1 and 6).

    preamble, which says nothing
    --BOUNDARY                            a delimiter is a line of its own, maybe with spaces and tabs behind; the line end before
    Content-Type: application/pidf+xml    it is no content. A line that begins so and goes on otherwise is content: a body inside
    Content-ID: <1@example.org>           may have the outer boundary and some more as its own.

    octets
    --BOUNDARY--                          the end; without it the body was cut off
    epilogue, which says nothing

Lines may end in LF alone. Parts are read one after the other, and not looked into: who calls says which have parts of their
own, and how deep to go.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Final, NamedTuple

from kemi import sip
from kemi.errors import BadRequest, BodyTooLarge

RELATED: Final = "multipart/related"
MIXED: Final = "multipart/mixed"

DEFAULT_TYPE: Final = "text/plain"
"""Of a part that does not say its type (RFC 2046 section 5.1)."""

_END_OF_FIELDS: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


class Part(NamedTuple):
    """One part, as it came; "" for a header field that is missing.

    Args:
        content_id: without angle brackets.
        encoding, transfer_encoding: Content-Encoding and Content-Transfer-Encoding; nothing is decoded here.
    """

    content: bytes
    content_type: str = DEFAULT_TYPE
    content_id: str = ""
    disposition: str = ""
    encoding: str = ""
    transfer_encoding: str = ""


def parameters(value: str) -> dict[str, str]:
    """Parameters of a Content-Type or Content-Disposition, by name in lower case, without quotes (RFC 2045 section 5.1)."""
    pairs = (each.partition("=") for each in sip.parameters_of(value)[1:])
    return {name.strip().lower(): _unquoted(text.strip()) for name, _, text in pairs}


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return _QUOTED_PAIR.sub(r"\1", text[1:-1]) if is_quoted else text


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def read(content_type: str, body: bytes, most: int) -> Iterator[Part]:
    """The parts of a body, in their order; none may be there.

    Args:
        content_type: of the body, with its boundary.
        most: parts, in number.

    Raises:
        BadRequest: 400, there is no boundary, a part has no end of its header fields, or the body does not end.
        BodyTooLarge: 413, there are more parts.
    """
    delimiter = _delimiter(parameters(content_type).get("boundary", ""))
    start = None
    for number, found in enumerate(delimiter.finditer(body)):
        if number > most:
            raise BodyTooLarge(f"the body has more than {most} parts")
        if start is not None:
            yield _part(body[start : found.start()].removesuffix(b"\n").removesuffix(b"\r"))
        if found["last"]:
            return
        start = found.end()
    raise BadRequest("the multipart body does not end")


def _delimiter(boundary: str) -> re.Pattern[bytes]:
    """At the beginning of a line; that is looked at last, since what begins with letters is found quickly."""
    if not boundary:
        raise BadRequest("the multipart body has no boundary")
    octets = b"--" + re.escape(boundary.encode(errors="replace"))
    return re.compile(octets + rb"(?<![^\n]" + octets + rb")(?P<last>--)?[ \t]*(?=\r?\n|\Z)")


def _part(octets: bytes) -> Part:
    """A part from behind its delimiter, so a line end comes first, and two where it has no header fields."""
    end = _END_OF_FIELDS.search(octets)
    if end is None:
        raise BadRequest("a part of the body has no end of its header fields")
    lines = _FOLD.sub(" ", octets[: end.start()].decode(errors="replace")).splitlines()
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Part(
        octets[end.end() :],
        fields.get("content-type", DEFAULT_TYPE),
        fields.get("content-id", "").strip("<> "),
        fields.get("content-disposition", ""),
        fields.get("content-encoding", ""),
        fields.get("content-transfer-encoding", ""),
    )


def root_of(content_type: str, found: Sequence[Part]) -> Part:
    """The part of multipart/related that refers to the others: the one that `start` names, else the first (RFC 2387 section 3.2).

    Args:
        content_type: of the body.
        found: its parts, one at least.
    """
    start = parameters(content_type).get("start", "").strip("<> ")
    return next((each for each in found if start and each.content_id == start), found[0])


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def boundary_for(contents: Collection[str], wanted: str) -> str:
    """A boundary that occurs in none of these, not even as a part of a line.

    Args:
        wanted: what it begins with; letters and digits, so that it needs no quotes.
    """
    candidates = chain([wanted], (f"{wanted}x{number}" for number in count()))
    return next(each for each in candidates if not any(each in content for content in contents))


def fields_of(content_type: str, content_id: str) -> str:
    """The header fields of a part, each with its line end.

    Args:
        content_id: without angle brackets.
    """
    return f"Content-Transfer-Encoding: binary\r\nContent-ID: <{content_id}>\r\nContent-Type: {content_type}\r\n"


def write(written: Iterable[tuple[str, str]], boundary: str) -> str:
    """The body of these parts.

    Args:
        written: header fields (`fields_of`) and content of each.
        boundary: that is in none of them (`boundary_for`).
    """
    delimited = [f"--{boundary}\r\n{fields}\r\n{content}\r\n" for fields, content in written]
    return f"{''.join(delimited)}--{boundary}--\r\n"


def related(root_type: str, boundary: str, start: str = "") -> str:
    """The Content-Type of parts of which one refers to the others (RFC 2387 section 3).

    Args:
        root_type: media type of that one.
        start: its Content-ID, without angle brackets; "": it comes first, and nothing more is said.
    """
    named = f'start="<{start}>";' if start else ""
    return f'{RELATED};type="{root_type}";{named}boundary={boundary}'
