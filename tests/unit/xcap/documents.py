"""Documents and selectors for the tests of the XCAP core: those of RFC 4825, and ones made at random."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st

from kemi.xcap.errors import XcapError
from kemi.xcap.selector import NodeSelector, parse

DEFAULT = "urn:test:default-namespace"
URI = "/xcap/test-app/users/sip:joe@example.com/index"

SECTION_6_4 = b"""<?xml version="1.0"?>
<foo xmlns="urn:test:default-namespace">
  <ns1:bar xmlns:ns1="urn:test:namespace1-uri"
           xmlns="urn:test:namespace1-uri">
    <baz/>
    <ns2:baz xmlns:ns2="urn:test:namespace2-uri"/>
  </ns1:bar>
  <ns3:hi xmlns:ns3="urn:test:namespace3-uri">
    <there/>
  </ns3:hi>
</foo>"""

SECTION_8_2_3 = b"""<?xml version="1.0"?>
<root>
 <el1 att="first"/>
 <el1 att="second"/>
 <!-- comment -->
 <el2 att="first"/>
</root>"""

LISTS = """<?xml version='1.0' encoding="utf-8" standalone='no'?>\r
<!-- caf\xe9 < & <list name="not"/> -->\r
<rl:resource-lists\txmlns:rl = "urn:ietf:params:xml:ns:resource-lists" xmlns='urn:other'
   xmlns:x="urn:x" >
  <rl:list name = 'fri"ends' >caf&#233; <![CDATA[<rl:list name="none">]]>
    <?pi <rl:entry?>
    <rl:entry uri="sip:bob@example.com?a=1&amp;b=2" x:rank='>'><rl:display-name xml:lang="de">B&ouml;b</rl:display-name></rl:entry>
    <rl:entry  uri="sip:caf\xe9@example.com" />
  </rl:list >
  <rl:list name="empty" x:note="&#x22;"/>
  <rl:list name="full"><rl:list/><rl:list name="a/b"></rl:list></rl:list>
</rl:resource-lists>
<!-- the end -->
""".replace("&ouml;", "&#246;").encode()
"""What a serialiser would change: line ends, quotes, blanks in tags, CDATA, references, comments, instructions, prefixes."""

RESOURCE_LISTS = "urn:ietf:params:xml:ns:resource-lists"


def selector(text: str, query: str = "", namespace: str = "") -> NodeSelector:
    """The selector that is written plainly, escaped as a client would."""
    return parse(quote(text), namespace, query, URI)


def status_of(call: Callable[..., object], *arguments: Any) -> int:
    """The status that a call ends with: 200, or that of its refusal; nothing else may be raised."""
    try:
        call(*arguments)
    except XcapError as error:
        return error.status
    return 200


# Made at random: few names, so that selectors find something

NAMESPACES = {"": "", "p": "urn:p", "q": "urn:q"}
QUERY = "xmlns(p=urn:p)xmlns(q=urn:q)xmlns(n=)"
"""Prefixes of random selectors; n is no namespace, whatever is the default."""

NAMES = ["a", "b", "p:a", "q:b"]
ATTRIBUTES = ["i", "j", "p:i"]
VALUES = {"1": "1", "2": "&#50;", "a/b": "a/b", "<&>": "&lt;&amp;>", "\xe9 \u4e2d": "\xe9 &#x4e2d;", "'": "'", "": ""}
"""Attribute values, and one way to write each between double quotes."""

BETWEEN = ["", " ", "\n  ", "text", "&#9;&amp;", "<!-- <a i='1'/> -->", "<![CDATA[</a><b/>]]>", "<?pi <a> ?>", "\xe9\r\n", "/>"]
BLANKS = ["", " ", "\n"]


@st.composite
def attributes(draw: st.DrawFn) -> str:
    chosen = draw(st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(list(VALUES.values())), max_size=2))
    return "".join(f'{draw(st.sampled_from(BLANKS))} {name}{draw(st.sampled_from(BLANKS))}="{chosen[name]}"' for name in chosen)


@st.composite
def _element(draw: st.DrawFn, content: st.SearchStrategy[str], declared: str = "") -> str:
    name, blank = draw(st.sampled_from(NAMES)), draw(st.sampled_from(BLANKS))
    rebound = draw(st.sampled_from(["", "", "", ' xmlns="urn:q"', ' xmlns=""', ' xmlns:q="urn:p"', ' xmlns:r="urn:p"']))
    start = name + draw(attributes()) + (declared or rebound)
    inside = draw(content)
    return f"<{start}{blank}>{inside}</{name}{blank}>" if inside or draw(st.booleans()) else f"<{start}{blank}/>"


def _mixed(element: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    part = st.builds("{}{}".format, st.sampled_from(BETWEEN), element)
    return st.builds("{}{}".format, st.lists(part, max_size=4).map("".join), st.sampled_from(BETWEEN))


ELEMENTS = st.recursive(_element(st.just("")), lambda inner: _element(_mixed(inner)), max_leaves=8)
"""Elements that need the prefixes p and q of their surroundings."""

DECLARED = ' xmlns:p="urn:p" xmlns:q="urn:q"'
DOCUMENTS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "\ufeff", '<?xml version="1.0"?>', "<!-- before -->\n", '<?xml version="1.0" encoding="UTF-8"?>\r\n']),
    _element(_mixed(ELEMENTS), DECLARED) | _element(_mixed(ELEMENTS), DECLARED + ' xmlns="urn:p"'),
    st.sampled_from(["", "\n", "<!-- behind -->"]),
).map(str.encode)


class PlainStep(NamedTuple):
    """What a random step says, before it is written down."""

    name: str
    position: int | None
    attribute: str | None
    value: str

    def written(self) -> str:
        position = "" if self.position is None else f"[{self.position}]"
        quote = '"' if "'" in self.value else "'"
        value = self.value.replace("&", "&amp;").replace("<", "&lt;")
        return self.name + position + (f"[@{self.attribute}={quote}{value}{quote}]" if self.attribute else "")


STEPS = st.builds(
    PlainStep,
    st.sampled_from(["*", "*", "a", "b", "p:a", "q:b", "n:a", "n:b"]),
    st.sampled_from([None, None, 1, 1, 2, 3, 0, 9]),
    st.sampled_from([None, None, None, "i", "j", "p:i"]),
    st.sampled_from(list(VALUES)),
)
PATHS = st.lists(STEPS, min_size=1, max_size=4)


def written(path: list[PlainStep], terminal: str = "") -> str:
    return "/".join(step.written() for step in path) + terminal
