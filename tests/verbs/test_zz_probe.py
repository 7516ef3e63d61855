import importlib.util, collections
spec=importlib.util.spec_from_file_location('ao','/tmp/ao.py'); m=importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
from random import Random
from tests.verbs.conftest import *
from tests.conftest import *
def test_probe(world):
    C=collections.Counter()
    for seed in range(500):
        r=Random(seed); w=m.Watching(world)
        try:
            for _ in range(40):
                m_e=r.choice(m.EVENTS); m_e(w,r); w.agrees()
            w.ends_with_the_newest_state()
            C['ok']+=1
        except AssertionError as err: C[str(err).splitlines()[0]]+=1
    print(C)
