"""Composition: the publications of one presentity become one presence document (pure; RFC 3863, RFC 4479, RFC 4480).

Nothing is merged and nothing is invented (RFC 4479 sections 3.5, 3.6): each tuple, person and device stays what it was.
What is done to them is what a valid document asks for:

* ids are xs:ID, unique over tuples, persons and devices together, and an element keeps its id from one NOTIFY to the
  next. See _allocated_ids.
* PIDF's own elements are written anew, in schema order and in the default namespace (PJSIP clients read no other), and
  without values that the schema forbids. Attributes of other namespaces on them are forbidden too, and not kept.
* Elements of other namespaces are serialised as they are, with the namespace declarations around them that they use, be it in
  a text only, as in xsi:type="x:foo". Those that the root of the composed document has are not repeated. How much the others
  may add is limited where documents are read (`pidf.MAX_GROWTH`).
* A note under presence describes persons without own note (RFC 4479 section 5), so it must not stand beside persons of
  another publication. See _homeless_notes.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

from lxml import etree

from kemi.presence import namespaces, pidf
from kemi.presence.pidf import DATA_MODEL, DEVICE, PERSON, PIDF, RPID, PidfDocument

_Elements = Sequence[etree._Element]

_DATA_NOTE = f"{{{DATA_MODEL}}}note"


class Offline(Enum):
    """What a watcher gets while nothing is published; never anything that changes with time (polite blocking)."""

    CLOSED = "closed"  # one tuple, closed, with a contact: Jitsi and PJSIP clients show nothing without these
    EMPTY = "empty"  # a presence element without tuples
    NONE = "none"  # no body


@dataclass(frozen=True, slots=True)
class Source:
    """A publication to be composed.

    Args:
        publication_id: a random token that outlives refresh and modify.
        document: what was published last.
        qualified: its ids were qualified before, and are for ever.
    """

    publication_id: str
    document: PidfDocument
    qualified: bool


@dataclass(frozen=True, slots=True)
class Composition:
    """A composed document, and the publications that the caller has to remember as qualified."""

    body: bytes
    newly_qualified: frozenset[str]


def compose(entity: str, sources: Sequence[Source], offline: Offline) -> Composition:
    """One document from all publications.

    Args:
        entity: the URI that the watcher subscribed to.
        sources: the publications, oldest first.
        offline: what to say if there is nothing to say.
    """
    filled = [source for source in sources if not source.document.is_empty]
    if not filled:
        return Composition(_offline_document(entity, offline), frozenset())
    homeless = _homeless_notes([source.document for source in filled])
    ids, newly_qualified = _allocated_ids(filled, homeless)
    scope = _Scope(filled, any(homeless))
    tuples: list[str] = []
    notes: list[str] = []
    others: list[str] = []
    for source, moved, names in zip(filled, homeless, ids, strict=True):
        document, name = source.document, iter(names)
        tuples += [_tuple(element, next(name), scope) for element in document.tuples]
        notes += [_note("note", note) for note in document.notes if not moved]
        described = _first_without_note(document)
        others += [
            _data_element("dm:person", element, next(name), scope, moved if element is described else ())
            for element in document.persons
        ]
        others += [_data_element("dm:device", element, next(name), scope) for element in document.devices]
        others += [_person_of_notes(next(name), moved)] if _needs_person(document, moved) else []
        others += map(scope.fragment, document.others)
    return Composition(_document(entity, scope.declarations, chain(tuples, notes, others)), newly_qualified)


def _document(entity: str, declarations: str, children: Iterable[str]) -> bytes:
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n<presence{declarations} entity="{_attribute(entity)}">\n'
    return (start + "".join(f"{child}\n" for child in children) + "</presence>\n").encode()


def _offline_document(entity: str, offline: Offline) -> bytes:
    if offline is Offline.NONE:
        return b""
    contact = re.sub(r"^pres:|^(?![A-Za-z][A-Za-z0-9+.-]*:)", "sip:", entity)
    closed = f'<tuple id="offline"><status><basic>closed</basic></status><contact>{_escaped(contact)}</contact></tuple>'
    return _document(entity, f' xmlns="{PIDF}"', [closed] if offline is Offline.CLOSED else [])


# ---------------------------------------------------------------------------------------------------------------------
# Notes under presence


def _homeless_notes(documents: Sequence[PidfDocument]) -> list[_Elements]:
    """For each document the notes that cannot stay under presence, because another one has persons.

    They go to the first person of their own publication that has no note: said once, however many persons there are. Without
    such a person they get one of their own.
    """
    with_persons = sum(bool(document.persons) for document in documents)
    return [document.notes if with_persons > bool(document.persons) else () for document in documents]


def _needs_person(document: PidfDocument, moved: _Elements) -> bool:
    return bool(moved) and _first_without_note(document) is None


def _first_without_note(document: PidfDocument) -> etree._Element | None:
    return next((person for person in document.persons if person.find(_DATA_NOTE) is None), None)


def _person_of_notes(name: str, notes: _Elements) -> str:
    return f'<dm:person id="{name}">{"".join(_note("dm:note", note) for note in notes)}</dm:person>'


# ---------------------------------------------------------------------------------------------------------------------
# Ids

# The letters that the second edition of XML 1.0 (which xs:ID refers to) and the fifth agree upon, without rare scripts.
_LETTERS = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u038e-\u03a1\u03a3-\u03ce"
    "\u0401-\u040c\u040e-\u044f\u0451-\u045c\u045e-\u0481\u05d0-\u05ea\u0621-\u063a\u0641-\u064a\u3041-\u3094"
    "\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)


@lru_cache(maxsize=1)
def _name_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A name, and a character that stands in none. Made when the first document comes: so many ranges take milliseconds."""
    return re.compile(f"[{_LETTERS}][{_LETTERS}0-9.-]*"), re.compile(f"[^{_LETTERS}0-9.-]")


def _allocated_ids(sources: Sequence[Source], homeless: Sequence[_Elements]) -> tuple[list[list[str]], frozenset[str]]:
    """The ids of each source in the order tuples, persons, devices, person of notes; and who became qualified now.

    A published id is kept as it is. When two publications use the same one, all ids of the later are qualified with a
    suffix that is its own. Qualified ids depend on nothing but their publication, so they are given out first and stay
    what they are when the other publication goes away. Each turn of the loop qualifies one more source: it ends.
    """
    ids = [_own_ids(source, moved, source.qualified) for source, moved in zip(sources, homeless, strict=True)]
    qualified = {index for index, source in enumerate(sources) if source.qualified}
    newly: set[str] = set()
    while (index := _first_clash(ids, qualified)) is not None:
        ids[index] = _own_ids(sources[index], homeless[index], qualified=True)
        qualified.add(index)
        newly.add(sources[index].publication_id)
    return ids, frozenset(newly)


def _first_clash(ids: Sequence[Sequence[str]], qualified: set[int]) -> int | None:
    taken = {name for index in qualified for name in ids[index]}
    for index, names in enumerate(ids):
        if index in qualified:
            continue
        if not taken.isdisjoint(names):
            return index
        taken.update(names)
    return None


def _own_ids(source: Source, moved: _Elements, qualified: bool) -> list[str]:
    document = source.document
    names: list[str] = []
    for kind, elements in (("tuple", document.tuples), ("person", document.persons), ("device", document.devices)):
        for number, element in enumerate(elements, 1):
            published = (element.get("id") or "").strip()
            names.append(_ncname(published) if published else f"{kind}{number}{_suffix(source)}")
    if _needs_person(document, moved):
        names.append(f"note{_suffix(source)}")
    if qualified:
        suffix = _suffix(source)
        names = [name if name.endswith(suffix) else name + suffix for name in names]
    return names if len(set(names)) == len(names) else _distinct(names)


def _suffix(source: Source) -> str:
    """Made from the publication's token, and does not show it: a watcher has no business with it."""
    return "." + blake2b(source.publication_id.encode(), digest_size=6).hexdigest()


def _ncname(published: str) -> str:
    name, no_name_character = _name_patterns()
    if name.fullmatch(published):
        return published
    repaired = no_name_character.sub("_", published)
    return repaired if name.match(repaired) else "_" + repaired


def _distinct(names: Sequence[str]) -> list[str]:
    """The first of equal names keeps it, the others get a number that no one else has."""
    taken, numbers = set(names), dict[str, int]()
    result = []
    for name in names:
        number, free = numbers.get(name, 1), name
        while number > 1 and free in taken:
            free, number = f"{name}-{number}", number + 1
        numbers[name] = max(number, 2)
        taken.add(free)
        result.append(free)
    return result


# ---------------------------------------------------------------------------------------------------------------------
# Elements of other namespaces

# What the serialiser writes first in a start tag: the declarations, always in double quotes.
_START_TAG = re.compile(r'(<[^\s/>]+)((?: xmlns(?::[^\s=]+)?="[^"]*")*)')
_DECLARATION = re.compile(r' xmlns(?::([^\s=]+))?="[^"]*"')
_DEFAULT = ' xmlns="'
_UNDECLARED = f'{_DEFAULT}"'


class _Scope:
    """The namespace declarations of the composed root, and elements serialised to stand below it.

    A prefix that two publications bind to different URIs: the first gets the root, the second keeps its declaration.
    """

    def __init__(self, sources: Sequence[Source], data_model: bool) -> None:
        documents = [source.document for source in sources]
        data_model = data_model or any(document.persons or document.devices for document in documents)
        prefixes: dict[str | None, str] = {None: PIDF}
        if data_model:
            prefixes["dm"] = DATA_MODEL
        for document in documents:
            for prefix, uri in document.root.nsmap.items():
                prefixes.setdefault(prefix, uri)
        written = [f' xmlns{f":{prefix}" if prefix else ""}="{_attribute(uri)}"' for prefix, uri in prefixes.items()]
        self.declarations = "".join(written)
        self._written = frozenset(written)
        self._remaining: dict[str, str] = {}  # elements of one publication mostly have the same ones: worked out once

    def fragment(self, element: etree._Element) -> str:
        """The element with its content and the declarations that it needs here."""
        text: str = etree.tostring(element, encoding="unicode", with_tail=False)
        return _START_TAG.sub(lambda tag: tag[1] + self._declarations(element, tag[2]), text, count=1)

    def _declarations(self, element: etree._Element, declarations: str) -> str:
        remaining = self._remaining.get(declarations)
        if remaining is None:
            remaining = self._remaining[declarations] = self._not_inherited(declarations)
        return remaining if remaining in ("", _UNDECLARED) else _without_unused(element, remaining)

    def _not_inherited(self, declarations: str) -> str:
        remaining = "".join(one[0] for one in _DECLARATION.finditer(declarations) if one[0] not in self._written)
        # Names without prefix had no namespace where they come from; below the composed root they would become PIDF.
        return remaining if _DEFAULT in declarations else remaining + _UNDECLARED

    def fragments(self, elements: Iterable[etree._Element]) -> list[str]:
        """The children of a tuple, status, person or device. RPID allows only one of a kind that has no from and until
        (RFC 4480 section 3.1): the first stays."""
        seen: set[str] = set()
        result = []
        for element in elements:
            tag: str = element.tag
            if tag.startswith(f"{{{RPID}}}") and element.get("from") is None and element.get("until") is None:
                if tag in seen:
                    continue
                seen.add(tag)
            result.append(self.fragment(element))
        return result


def _without_unused(element: etree._Element, declarations: str) -> str:
    """The declarations that it brought itself, that it uses, and the one without prefix, which no use can be seen of."""
    scope, around = element.nsmap, element.getparent().nsmap
    inherited = {prefix for prefix, uri in scope.items() if prefix and around.get(prefix) == uri}
    unused = inherited - namespaces.used(element) if inherited else set[str]()
    return _DECLARATION.sub(lambda one: "" if one[1] in unused else one[0], declarations)


# ---------------------------------------------------------------------------------------------------------------------
# PIDF's own elements and those of the data model, written anew


def _tuple(element: etree._Element, name: str, scope: _Scope) -> str:
    """RFC 3863 section 4.1.2. A status in which nothing can be read is written empty: the schema has all its children
    optional, and a basic would be an invention."""
    own, extensions = pidf.split(element, PIDF)
    basics: list[etree._Element] = []
    inside: list[etree._Element] = []
    for status in own.get("status", ()):
        known, others = pidf.split(status, PIDF)
        basics += known.get("basic", ())
        inside += others
    beside = [extension for extension in extensions if extension.tag not in (PERSON, DEVICE)]
    return "".join(
        [
            f'<tuple id="{name}">',
            _status(_first(basics, pidf.basic), scope.fragments(inside)),
            *scope.fragments(beside),
            _contact(own.get("contact", ())),
            *(_note("note", note) for note in own.get("note", ())),
            _simple("timestamp", _first(own.get("timestamp", ()), pidf.timestamp)),
            "</tuple>",
        ]
    )


def _data_element(kind: str, element: etree._Element, name: str, scope: _Scope, moved: _Elements = ()) -> str:
    """A person or device (RFC 4479 section 5), with the notes that moved to it if it has none."""
    own, extensions = pidf.split(element, DATA_MODEL)
    return "".join(
        [
            f'<{kind} id="{name}">',
            *scope.fragments(extensions),
            _simple("dm:deviceID", _first(own.get("deviceID", ()), pidf.uri)) if kind == "dm:device" else "",
            *(_note("dm:note", note) for note in own.get("note", moved)),
            _simple("dm:timestamp", _first(own.get("timestamp", ()), pidf.timestamp)),
            f"</{kind}>",
        ]
    )


def _first(elements: Iterable[etree._Element], read: Callable[[etree._Element], str]) -> str:
    """The value of the first element that has one which can be read, "" without one."""
    return next(filter(None, map(read, elements)), "")


def _status(basic: str, extensions: Sequence[str]) -> str:
    children = _simple("basic", basic) + "".join(extensions)
    return f"<status>{children}</status>" if children else "<status/>"


def _contact(elements: Iterable[etree._Element]) -> str:
    for element in elements:
        if uri := pidf.uri(element):
            priority = pidf.priority(element)
            attribute = f' priority="{priority}"' if priority else ""
            return f"<contact{attribute}>{_escaped(uri)}</contact>"
    return ""


def _note(name: str, element: etree._Element) -> str:
    language = pidf.language(element)
    attribute = f' xml:lang="{language}"' if language else ""
    return f"<{name}{attribute}>{_escaped(pidf.text(element))}</{name}>"


def _simple(name: str, value: str) -> str:
    return f"<{name}>{_escaped(value)}</{name}>" if value else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _attribute(text: str) -> str:
    return _escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
