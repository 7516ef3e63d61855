"""The resource list server (RFC 4662): one subscription to many resources. Who is in a list, and what is told of them."""
