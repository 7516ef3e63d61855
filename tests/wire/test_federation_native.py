"""Users of another server as members of a list, where Kamailio's own language routes: examples/full.cfg with `b2b.domains`."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.multipart import Reader
from tests.server import Server
from tests.useragent import pidf
from tests.wire.federation import FAR, NEAR, Pair
from tests.wire.test_federation_lists import LISTS, SUPPORTED, put, told_of


@pytest.fixture
def pair(start_server: Callable[..., Server]) -> Iterator[Pair]:
    """The near one has the example, the far one what operators get."""

    def start(variables: Mapping[str, str]) -> Server:
        example = {"KP_CONFIGURATION": "examples/full.cfg"} if variables["KP_DOMAINS"] == NEAR else {}
        return start_server({**variables, **example})

    made = Pair(start, **LISTS)
    yield made
    made.close()


def test_a_member_elsewhere_is_subscribed_to(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    friends = f"sip:friends@{NEAR}"
    put(pair.servers[0], bob.aor, friends, dan.aor)
    tag = dan.publish(pidf("open", user="dan", domain=FAR, note="far")).get("SIP-ETag")
    assert bob.subscribe(friends, *SUPPORTED).status == 200
    reader = Reader()
    told_of(bob, reader, dan.aor, b"far")
    dan.publish(pidf("closed", user="dan", domain=FAR, note="away"), etag=tag)
    told_of(bob, reader, dan.aor, b"away")
