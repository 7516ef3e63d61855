-- How many entries of a watcher wait for decisions is counted before another one comes (pa.max_subscriptions).
CREATE INDEX watcher_waiting ON watcher (watcher) WHERE status || '' = 'waiting';        -- an expression: see 0009
