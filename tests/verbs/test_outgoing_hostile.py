"""Users elsewhere, on a server that means harm: where it sends us, how often, how much it tells."""

import time

import pytest

from kemi.b2bua import outside
from kemi.b2bua.outgoing import Phase, Shown
from kemi.errors import BadRequest
from kemi.event_package import Document
from tests.unit.values import BOB, CAROL
from tests.verbs.abroad import DAN, FAR, Abroad
from tests.verbs.lists import RLMI_TYPE  # noqa: F401 placeholder
