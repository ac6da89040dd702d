-- Lists of a million calls: what they look through is in an index whole, in the order in which it is shown.

-- The calls by their arrival, with all that lists filter and count by: a day's figures and a search through the latest calls read
-- this index alone.
DROP INDEX calls_arrived;
CREATE INDEX calls_arrived ON calls (arrived_at, id, site, line, did, caller, outcome, state, source, campaign, term, caller_name,
                                     answered_at, ended_at, confidence, routed_by);

-- One caller's calls in the order of their arrival.
DROP INDEX calls_caller;
CREATE INDEX calls_caller ON calls (caller, arrived_at, id);

-- Deliveries in one state, in the order in which they were written. (Few are claimed at any moment: those are found by it, too.)
DROP INDEX outbox_state;
CREATE INDEX outbox_state ON outbox (state, id);
