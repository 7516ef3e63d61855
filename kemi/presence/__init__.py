"""The presence agent (RFC 3856): the presence event package, its publications and their composition."""
