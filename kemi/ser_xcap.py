"""SER's script functions for the XCAP server that documents are fetched from (SER handbook section 8), and all others.

    if ($rd == "example.com") {
        python_exec("set_xcap_root", "https://xcap.example.com/xcap-root");
    }
    python_exec("handle_subscription", "registrar");

What stays with whom: `kemi.xcap.roots`. A root that the operator has not written down may be one that somebody has put into the
request: nothing is decided by what is there, nor by what the usual root has, which the script did not want. What asks for documents
after that is answered 500.
"""

from kemi import gateway, ser_lists
from kemi.ser import FALSE, TRUE, Mistake, OfMessage
from kemi.settings import Settings
from kemi.xcap import roots


class Script(ser_lists.Script):
    """The callbacks, and all functions for scripts; one object in each of Kamailio's processes.

    `_set` is the root that was set for a message, "" where it is none that may be asked.
    """

    def __init__(self, configured: Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._set = OfMessage[str]()

    def set_xcap_root(self, msg: object, root: str) -> int:
        """Documents of the request that is worked on are below this root.

        False: it is neither `xcap.xcap_root` nor one of `xcap.other_roots`, and the request will be refused.
        """
        allowed = roots.allowed(self.settings, root)
        self._set.keep(allowed)
        if not allowed:
            gateway.error(f"set_xcap_root: {root!r} is neither xcap.xcap_root nor one of xcap.other_roots")
        return TRUE if allowed else FALSE

    def set_xcap_filename(self, msg: object, name: str) -> int:
        """Without effect, as it was in SER: what documents are called is said by pa.pres_rules_file and others."""
        return TRUE

    @property
    def _root(self) -> str:
        root = self._set.kept
        if root is None:
            return ""
        if not root:
            raise Mistake("set_xcap_root: the root is none that may be asked")
        return root
