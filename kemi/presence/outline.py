"""What a presence document says, in a few words for people (pure; RFC 3863 section 4.1, RFC 4479 section 5)."""

from collections.abc import Iterable
from typing import NamedTuple

from lxml import etree

from kemi.presence import pidf
from kemi.presence.pidf import CLOSED, DATA_MODEL, OPEN, PIDF, PidfDocument


class Note(NamedTuple):
    """A note and its language, "" where none is said."""

    text: str
    language: str


class TupleOutline(NamedTuple):
    """One tuple.

    Args:
        basic: open, closed, or "" where it is not said.
        status_extensions: names of the elements of other namespaces inside of status.
        extensions: of those beside it.
    """

    id: str
    basic: str
    contact: str
    priority: str
    notes: tuple[Note, ...]
    extensions: tuple[str, ...]
    status_extensions: tuple[str, ...]


class DataOutline(NamedTuple):
    """One person or device; `extensions` are names, as above."""

    id: str
    notes: tuple[Note, ...]
    extensions: tuple[str, ...]


class Outline(NamedTuple):
    """One document; `notes` and `extensions` are those directly under presence."""

    tuples: tuple[TupleOutline, ...]
    persons: tuple[DataOutline, ...]
    devices: tuple[DataOutline, ...]
    notes: tuple[Note, ...]
    extensions: tuple[str, ...]

    @property
    def basic(self) -> str:
        """open when any tuple is, else closed when any is, else ""."""
        said = {each.basic for each in self.tuples}
        return next((each for each in (OPEN, CLOSED) if each in said), "")


def outline(document: PidfDocument) -> Outline:
    """Read a document."""
    return Outline(
        tuple(_tuple(each) for each in document.tuples),
        tuple(_data(each) for each in document.persons),
        tuple(_data(each) for each in document.devices),
        _notes(document.notes),
        _names(document.others),
    )


def _tuple(element: etree._Element) -> TupleOutline:
    own, extensions = pidf.split(element, PIDF)
    status = [pidf.split(each, PIDF) for each in own.get("status", ())]
    basics = [pidf.basic(each) for inside, _ in status for each in inside.get("basic", ())]
    contact = next(iter(own.get("contact", ())), None)
    return TupleOutline(
        id=element.get("id") or "",
        basic=next(filter(None, basics), ""),
        contact="" if contact is None else pidf.uri(contact),
        priority="" if contact is None else pidf.priority(contact),
        notes=_notes(own.get("note", ())),
        extensions=_names(extensions),
        status_extensions=_names(each for _, others in status for each in others),
    )


def _data(element: etree._Element) -> DataOutline:
    own, extensions = pidf.split(element, DATA_MODEL)
    return DataOutline(element.get("id") or "", _notes(own.get("note", ())), _names(extensions))


def _notes(elements: Iterable[etree._Element]) -> tuple[Note, ...]:
    return tuple(Note(pidf.text(each).strip(), pidf.language(each)) for each in elements)


def _names(elements: Iterable[etree._Element]) -> tuple[str, ...]:
    """Each with the names of what is inside, as in rp:activities(away)."""
    return tuple(name_of(each) for each in elements)


def name_of(element: etree._Element) -> str:
    """The name of an element, and of those that it holds."""
    name = etree.QName(element).localname
    inside = [etree.QName(each).localname for each in element if isinstance(each.tag, str)]
    shown = f"{element.prefix}:{name}" if element.prefix else name
    return f"{shown}({', '.join(inside)})" if inside else shown
