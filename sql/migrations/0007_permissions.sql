-- What the rules of a presentity say of a watcher besides the decision.
ALTER TABLE subscription ADD COLUMN permissions TEXT NOT NULL DEFAULT '';   -- what of the document is shown, empty: all of it
ALTER TABLE subscription ADD COLUMN judge_at DOUBLE PRECISION;              -- when to ask the rules again, NULL: when something happens
CREATE INDEX subscription_judge ON subscription (judge_at) WHERE judge_at IS NOT NULL;
