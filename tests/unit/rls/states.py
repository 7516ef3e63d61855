"""States of lists for the tests of what is written of them, chosen and made at random."""

from html import escape

from hypothesis import strategies as st

from kemi.event_package import Document
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.subscription import Reason, State
from tests.unit.rls.lists import ALICE, BOB, CAROL, DAVE

LIST = "sip:alice+presence@example.org"
PIDF = "application/pidf+xml"


def document(note: str = "", tag: str = "") -> Document:
    content = f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{ALICE}">\n<note>{escape(note)}</note></presence>'
    return Document(content, PIDF, tag or note or "d")


def active(note: str = "here", identifier: str = "1") -> Instance:
    return Instance(identifier, State.ACTIVE, body=document(note))


PENDING = Instance("1", State.PENDING)
REJECTED = Instance("1", State.TERMINATED, Reason.REJECTED)
SILENT = Instance("1", State.ACTIVE)

NAMES = (("en", "Bob <Smith> & Co"), ("", "B\xf6b"))

STATE = ListState(
    LIST,
    (Resource(BOB, NAMES, (active(),)), Resource(CAROL, (), (PENDING,)), Resource(DAVE, (), (REJECTED,)), Resource(ALICE)),
    (("", "Friends"),),
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["<a>&\"'", "\0", "\r\n--kp0xtoken--\r\n", "kp0xtoken", "]]>"]
)
URIS = st.from_regex(r"sip:[a-z%0-9;=&']{1,6}@[a-z]{1,4}\.org", fullmatch=True).filter(lambda uri: "%" not in uri)
LANGUAGES = st.sampled_from(["", "en", "de-CH"])
NAMES_OF = st.lists(st.tuples(LANGUAGES, TEXTS.map(str.strip).filter(bool)), max_size=2).map(tuple)
DOCUMENTS = TEXTS.map(lambda text: Document(f"text\n{text}", "text/plain", "t"))


def _instances(bodies: st.SearchStrategy[Document | ListState]) -> st.SearchStrategy[Instance]:
    ids = st.sampled_from(["1", "2", "<&\"'>"])
    return (
        st.builds(Instance, ids, st.just(State.ACTIVE), body=bodies)
        | st.builds(Instance, ids, st.sampled_from([State.ACTIVE, State.PENDING]))
        | st.builds(Instance, ids, st.just(State.TERMINATED), st.sampled_from(list(Reason)))
    )


def _resource(uri: str, names: tuple[tuple[str, str], ...], instances: list[Instance]) -> Resource:
    """A list in a list has the URI of the resource."""
    own = [
        Instance(each.id, each.state, body=each.body._replace(uri=uri)) if isinstance(each.body, ListState) else each
        for each in instances
    ]
    return Resource(uri, names, tuple(own))


def _states(bodies: st.SearchStrategy[Document | ListState]) -> st.SearchStrategy[ListState]:
    instances = st.lists(_instances(bodies), max_size=2, unique_by=lambda each: each.id)
    resources = st.lists(st.builds(_resource, URIS, NAMES_OF, instances), max_size=3, unique_by=lambda each: each.uri).map(tuple)
    return st.builds(ListState, URIS, resources, NAMES_OF, st.booleans(), st.sampled_from([None, 0, 7]))


STATES: st.SearchStrategy[ListState] = st.recursive(_states(DOCUMENTS), lambda inner: _states(DOCUMENTS | inner), max_leaves=4)
