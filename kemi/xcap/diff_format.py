"""Changes of documents as a document: `application/xcap-diff+xml` (pure; RFC 5874 section 3).

    previous-etag  new-etag  inside                 the document
    -------------  --------  ---------------------  -------------------------------------------------
    -              yes       -                      is there; was created
    yes            -         -                      was removed
    yes            yes       -                      was changed: the client fetches it
    yes            yes       add, replace, remove   was changed like that (`kemi.xcap.patch`)
    yes            yes       body-not-changed       says the same as before under a new entity-tag

An element is told with all the namespaces it needs, an attribute by its value. What was told and is there no more has
exists="false". Everything has the prefix `d`, and there is no default namespace: what stands inside is of no namespace but its own.
"""

from collections.abc import Iterable

from kemi.xcap.errors import escaped
from kemi.xcap.selector import Target

MEDIA_TYPE = "application/xcap-diff+xml"
NAMESPACE = "urn:ietf:params:xml:ns:xcap-diff"
PREFIX = "d"
BODY_NOT_CHANGED = f"<{PREFIX}:body-not-changed/>"

_NAMES = {Target.ELEMENT: f"{PREFIX}:element", Target.ATTRIBUTE: f"{PREFIX}:attribute"}


def write(root: str, parts: Iterable[str]) -> str:
    """The whole document; `root` is the URI of the XCAP root."""
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{PREFIX}:xcap-diff xmlns:{PREFIX}="{NAMESPACE}" xcap-root="{escaped(root)}">\n'
    )
    return f"{head}{''.join(parts)}</{PREFIX}:xcap-diff>\n"


def document(sel: str, previous: str | None, new: str | None, inside: str = "") -> str:
    """What became of a document.

    Args:
        sel: its URI, as the client wrote it.
        previous, new: entity-tags before and after it, None where there was, or is, no document.
        inside: operations, or BODY_NOT_CHANGED.
    """
    tags = "".join(f' {name}="{escaped(tag)}"' for name, tag in (("previous-etag", previous), ("new-etag", new)) if tag is not None)
    return f'<{PREFIX}:document sel="{escaped(sel)}"{tags}>{inside}</{PREFIX}:document>\n'


def component(target: Target, sel: str, inside: str) -> str:
    """An element or attribute as it is (`kemi.xcap.edit.standalone`)."""
    return f'<{_NAMES[target]} sel="{escaped(sel)}">{inside}</{_NAMES[target]}>\n'


def gone(target: Target, sel: str) -> str:
    """An element or attribute that is there no more."""
    return f'<{_NAMES[target]} sel="{escaped(sel)}" exists="false"/>\n'
