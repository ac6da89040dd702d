-- Facts that others are told of, what was delivered and what waits.

-- once: a fact with this key is written one time only, however often its cause is saved. call: "" where it is about none.
-- data: what web hooks are told (JSON).
ALTER TABLE facts ADD COLUMN once TEXT;
ALTER TABLE facts ADD COLUMN call TEXT NOT NULL DEFAULT '';
ALTER TABLE facts ADD COLUMN data TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX facts_once ON facts (once);
CREATE INDEX facts_call ON facts (call, at);
CREATE INDEX facts_at ON facts (at);

-- One row for each fact and each sink that is to be told of it. via: the web hook or channel that carries it, which may serve
-- many sinks. What shares sink and lane is delivered in the order of `place`; "" stands for no order. topic: what repeats
-- are grouped by. state: waiting | sending | done | failed (given up) | dropped (not needed any more; `answer` says why).
CREATE TABLE outbox (
    id            TEXT   PRIMARY KEY,
    fact          TEXT   NOT NULL REFERENCES facts (id),
    sink          TEXT   NOT NULL,
    via           TEXT   NOT NULL,
    addressee     TEXT   NOT NULL,
    lane          TEXT   NOT NULL,
    place         BIGINT NOT NULL,
    topic         TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    written_at    BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    claim         TEXT   NOT NULL,
    claimed_until BIGINT NOT NULL,
    tries         BIGINT NOT NULL,
    settled_at    BIGINT,
    said          TEXT   NOT NULL,
    answer        TEXT   NOT NULL,
    UNIQUE (fact, sink)
);
CREATE INDEX outbox_due ON outbox (via, state, due_at, place);
CREATE INDEX outbox_lane ON outbox (sink, lane, place);
CREATE INDEX outbox_topic ON outbox (sink, topic, settled_at);
CREATE INDEX outbox_state ON outbox (state, claimed_until);

-- Every try: how long it took, and the other side's words. outcome: done | retry |
-- refused (our key) | failed.
CREATE TABLE tries (
    outbox  TEXT   NOT NULL REFERENCES outbox (id),
    at      BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    outcome TEXT   NOT NULL,
    answer  TEXT   NOT NULL,
    PRIMARY KEY (outbox, at)
);

-- What is wrong with a web hook or channel: failures in a row, and until when it rests after its key was refused.
CREATE TABLE vias (
    via          TEXT   PRIMARY KEY,
    failures     BIGINT NOT NULL,
    refusals     BIGINT NOT NULL,
    failing_at   BIGINT,
    paused_until BIGINT NOT NULL,
    problem      TEXT   NOT NULL
);
