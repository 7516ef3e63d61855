"""Loaded by Kamailio's app_python3 (kamailio.cfg: `modparam("app_python3", "load", ...)`).

Puts the project and its virtual environment on the path of the embedded interpreter, then hands Kamailio the handler object.
"""

import site
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT))
for packages in (ROOT / ".venv" / "lib").glob("python3*/site-packages"):
    site.addsitedir(str(packages))

from kemi.handler import mod_init  # noqa: E402

__all__ = ["mod_init"]
