"""Plain documents: what composition would only write again is told as it was published (pure; RFC 3863 section 4.1, RFC 4479).

Most presentities publish one document, and most clients write it as the schemas have it. To tell such a one to somebody who may see
all of it no XML parser is needed: one regular expression knows it. It knows less than `composition`, and is sure of what it knows:
PIDF's own elements in schema order, without prefix and with valid values; persons as the data model has them; elements of other
namespaces wherever those are allowed, whatever is in them. What it does not know is composed.

That the document is well-formed is known: it was read when it was published (`pidf.read`). That is why an element of another
namespace ends with the first end tag of its name, unless one of the same name is inside of it; such a one is not known here.
"""

import re
from functools import lru_cache
from typing import Final

from kemi.presence import pidf
from kemi.presence.pidf import DATA_MODEL, MEDIA_TYPE, PIDF, RPID

KEPT: Final = 256
"""Combinations of declarations and names of which it is kept whether they are usual."""

LARGEST_KEPT: Final = 8192
"""Octets of a document whose combination is kept."""

_NAME: Final = r"[A-Za-z_][\w.-]*"
_ATTRIBUTES: Final = rf'(?:\s+{_NAME}(?::{_NAME})?="[^"<]*")*\s*'
_ID: Final = rf'\s+id="{_NAME}"\s*'
_NOTE: Final = r'note(?:\s+xml:lang="[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")?>[^<]*</'
_TIMESTAMP: Final = r"timestamp>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z</"
_URI: Final = r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9@:;=.,_~!*'()+$-]+"


def _extensions(group: str) -> str:
    """Elements of other namespaces; names that mean something in the data model are not among them."""
    name = rf"{_NAME}:(?!(?:person|device|note|timestamp|deviceID)\b){_NAME}"
    end = rf"[^<]*(?:<(?!/?(?P={group})[\s/>])[^<]*)*</(?P={group})\s*>"
    return rf"(?:<(?P<{group}>{name}){_ATTRIBUTES}(?:/>|>{end})\s*)*"


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Made when the first document comes: most processes of the server tell none."""
    return re.compile(
        rf"""
        <\?xml\s+version=["']1\.0["']\s+encoding=["'][Uu][Tt][Ff]-8["'](?:\s+standalone=["'](?:yes|no)["'])?\s*\?>\s*
        <presence(?P<before>{_ATTRIBUTES})\sentity="(?P<entity>[^"<]*)"(?P<after>{_ATTRIBUTES})>\s*
        (?:<tuple{_ID}>\s*
            <status>\s*(?:<basic>(?:open|closed)</basic>\s*)?{_extensions("status")}</status>\s*
            {_extensions("beside")}
            (?:<contact(?:\s+priority="(?:0(?:\.[0-9]{{0,3}})?|1(?:\.0{{0,3}})?)")?>{_URI}</contact>\s*)?
            (?:<{_NOTE}note>\s*)*
            (?:<{_TIMESTAMP}timestamp>\s*)?
        </tuple>\s*)*
        (?:<{_NOTE}note>\s*)*
        (?:<(?P<model>{_NAME}):person{_ID}>\s*
            {_extensions("about")}
            (?:<(?P=model):{_NOTE}(?P=model):note>\s*)*
            (?:<(?P=model):{_TIMESTAMP}(?P=model):timestamp>\s*)?
        </(?P=model):person>\s*)*
        {_extensions("other")}
        </presence>\s*
        """,
        re.VERBOSE | re.ASCII,
    )


_ATTRIBUTE: Final = re.compile(r'([^\s=]+)="([^"]*)"')
_IDENTIFIED: Final = re.compile('id="([^"]*)"')
_PREFIXED: Final = re.compile(r"<([\w.-]+):([\w.-]+)", re.ASCII)
_TIME: Final = re.compile("timestamp>([0-9][^<]*)<")


def told(body: bytes, content_type: str, entity: str, with_others: bool = True) -> str:
    """The document, where it is a plain one; "" where it has to be composed.

    Args:
        body: one that `pidf.read` has read with this content type.
        entity: the URI that the watcher subscribed to.
        with_others: elements of other namespaces under presence may be told (no permission is about them, RFC 5025 section 3.3).
    """
    if content_type.strip().lower() != MEDIA_TYPE:
        return ""
    try:
        document = body.decode()
    except UnicodeDecodeError:
        return ""
    found = _pattern().fullmatch(document)
    if found is None or found["entity"] != entity or (found["other"] and not with_others):
        return ""
    declarations, content = found["before"] + found["after"], found.end("after")
    ids = _IDENTIFIED.findall(document, content)
    are_usual = _usual if len(body) <= LARGEST_KEPT else _are_usual
    is_plain = (
        "<!" not in document
        and document.find("&", 0, content) < 0
        and document.count("<?") == 1
        and document.count("xmlns") == declarations.count("xmlns")
        and are_usual(declarations, tuple(_PREFIXED.findall(document)))
        and 0 < len(ids) == len(set(ids))
        and all(map(pidf.is_timestamp, _TIME.findall(document)))
    )
    return document if is_plain else ""


def _are_usual(declarations: str, names: tuple[tuple[str, str], ...]) -> bool:
    """Whether prefixes mean what they should.

    PIDF's namespace is the one without prefix, and of no other. Of the data model there is nothing but persons with notes, and of
    RPID no element twice (RFC 4480 section 3.1, as in `composition`).

    Args:
        declarations: attributes of presence, without its entity; nothing in them is escaped.
        names: prefix and name of each element that has a prefix.
    """
    declared = dict(_ATTRIBUTE.findall(declarations))
    namespace = {prefix: declared.get(f"xmlns:{prefix}") for prefix, _ in names}
    rpid = [name for prefix, name in names if namespace[prefix] == RPID]
    model = {name for prefix, name in names if namespace[prefix] == DATA_MODEL}
    others = {name for prefix, name in names if namespace[prefix] != DATA_MODEL}
    return (
        all(name.partition(":")[0] == "xmlns" for name in declared)
        and declared.get("xmlns") == PIDF
        and list(declared.values()).count(PIDF) == 1
        and len(rpid) == len(set(rpid))
        and model <= {"person", "note", "timestamp"}
        and "person" not in others
    )


_usual = lru_cache(maxsize=KEPT)(_are_usual)
"""A client says the same in most of its documents."""
