"""A client that applies operations of RFC 5261 to the document that it has, as RFC 5874 hands them over."""

from collections.abc import Callable

from lxml import etree

DIFF = "{urn:ietf:params:xml:ns:xcap-diff}"


class Patched:
    """A document, and what becomes of it. Texts are nodes of their own while operations are applied."""

    def __init__(self, document: bytes) -> None:
        parser = etree.XMLParser(resolve_entities=False)
        self.root = etree.fromstring(document, parser)

    def apply(self, operation: etree._Element) -> None:
        """One operation; it has to find exactly one node."""
        does: dict[str, Callable[[etree._Element], None]] = {"add": self._add, "replace": self._replace, "remove": self._remove}
        does[etree.QName(operation).localname](operation)

    @property
    def octets(self) -> bytes:
        return bytes(etree.tostring(self.root.getroottree(), encoding="utf-8"))

    def _one(self, operation: etree._Element, sel: str) -> etree._Element | etree._ElementUnicodeResult:
        prefixes = {prefix: namespace for prefix, namespace in operation.nsmap.items() if prefix}
        found = self.root.getroottree().xpath(f"/{sel}", namespaces=prefixes)
        assert len(found) == 1, f"{sel} finds {len(found)} nodes"
        return found[0]

    def _add(self, operation: etree._Element) -> None:
        target = self._one(operation, operation.get("sel", ""))
        kind, position = operation.get("type"), operation.get("pos")
        if kind is not None:
            target.set(_name(operation, kind.removeprefix("@")), operation.text or "")
        elif position is None:
            _insert(target, len(target), operation)
        elif position == "prepend":
            text, target.text = target.text, None
            _append_text(target, _insert(target, 0, operation), text)
        else:
            parent = target.getparent()
            at = parent.index(target)
            if position == "after":
                tail, target.tail = target.tail, None
                last = _insert(parent, at + 1, operation)
                _append_text(parent, last, tail)
            else:
                assert position == "before"
                _insert(parent, at, operation)

    def _replace(self, operation: etree._Element) -> None:
        sel = operation.get("sel", "")
        found = self._one(operation, sel)
        if isinstance(found, str):
            self._set(operation, found, operation.text or "")
            return
        assert not (operation.text or "").strip(), "one node takes the place of one"
        (new,) = operation
        assert not new.tail
        if found is self.root:
            self.root = etree.fromstring(etree.tostring(new))
            return
        new.tail = found.tail
        found.getparent().replace(found, new)

    def _set(self, operation: etree._Element, found: etree._ElementUnicodeResult, value: str) -> None:
        parent = found.getparent()
        if found.is_attribute:
            parent.set(_name(operation, operation.get("sel", "").rpartition("/@")[2]), value)
        elif found.is_tail:
            parent.tail = value
        else:
            parent.text = value

    def _remove(self, operation: etree._Element) -> None:
        found = self._one(operation, operation.get("sel", ""))
        if not isinstance(found, str):
            parent, before = found.getparent(), found.getprevious()
            left = parent.text if before is None else before.tail
            assert not (left and found.tail), "two texts would become one"
            tail, found.tail = found.tail, None
            parent.remove(found)
            if tail:
                _append_text(parent, before, tail)
        elif found.is_attribute:
            del found.getparent().attrib[_name(operation, operation.get("sel", "").rpartition("/@")[2])]
        elif found.is_tail:
            found.getparent().tail = None
        else:
            found.getparent().text = None


def apply(document: bytes, operations: str) -> bytes:
    """The document after all operations, written as `kemi.xcap.patch` writes them."""
    patched = Patched(document)
    for each in etree.fromstring(f'<d:document xmlns:d="{DIFF[1:-1]}">{operations}</d:document>'):
        patched.apply(each)
    return patched.octets


def canonical(document: bytes) -> bytes:
    """The same for documents that say the same."""
    root = etree.fromstring(document)
    return bytes(etree.tostring(root.getroottree(), method="c14n", exclusive=True, with_comments=True))


def _name(operation: etree._Element, qualified: str) -> str:
    prefix, _, local = qualified.rpartition(":")
    if not prefix:
        return local
    namespace = "http://www.w3.org/XML/1998/namespace" if prefix == "xml" else operation.nsmap[prefix]
    return f"{{{namespace}}}{local}"


def _insert(parent: etree._Element, at: int, operation: etree._Element) -> etree._Element | None:
    """What stands in the operation goes in front of the child at `at`; the last node of it."""
    last = None if at == 0 else parent[at - 1]
    if operation.text:
        left = parent.text if last is None else last.tail
        assert not left, "two texts would become one"
        _append_text(parent, last, operation.text)
    for offset, each in enumerate(list(operation)):
        parent.insert(at + offset, each)
        last = each
    return last


def _append_text(parent: etree._Element, before: etree._Element | None, text: str | None) -> None:
    if not text:
        return
    if before is None:
        assert not parent.text, "two texts would become one"
        parent.text = text
    else:
        assert not before.tail, "two texts would become one"
        before.tail = text
