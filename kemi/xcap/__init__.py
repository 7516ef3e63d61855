"""XCAP (RFC 4825): the documents that users keep on the server, and the rules and lists that are in them."""
