-- Challenges of several that are passed on the way: each line of `challenge` begins with what nonce_count was when it came, and `tried`
-- is how many of them, the last ones, came since a request was accepted. What asks again is answered again.
UPDATE outgoing SET challenge = '', nonce_count = 0, tried = 0 WHERE challenge <> '';
