-- The way of a call through transfers, queues and menus.

-- Of a call: who hung up (caller | company | system | network), the last queue and what it said, where in the line the
-- caller was last, whether the line was closed or the caller unwanted, the keys that he pressed, the seconds of his message.
ALTER TABLE calls ADD COLUMN hung_up_by TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN queue TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN queue_status TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN stage TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN closed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN blocked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN keys TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN message_seconds BIGINT NOT NULL DEFAULT 0;

-- Times of an ended call (domain/times.py). ring_ms and ivr_ms are parts of wait_ms; talk_ms is without hold_ms.
ALTER TABLE calls ADD COLUMN wait_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN ring_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN ivr_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN talk_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN hold_ms BIGINT NOT NULL DEFAULT 0;
UPDATE calls SET wait_ms = COALESCE(answered_at, ended_at) - arrived_at
WHERE COALESCE(answered_at, ended_at) > arrived_at AND ended_at IS NOT NULL;
UPDATE calls SET ring_ms = COALESCE(answered_at, ended_at) - ringing_at
WHERE COALESCE(answered_at, ended_at) > ringing_at AND ended_at IS NOT NULL;
UPDATE calls SET talk_ms = ended_at - answered_at WHERE ended_at > answered_at;

-- Whose phone it is, as the PBX has it.
ALTER TABLE legs ADD COLUMN name TEXT NOT NULL DEFAULT '';

-- What happened on the way (domain/call.py Step): stages of the line, queues, keys, hold, transfers, pick-ups, forwards.
CREATE TABLE steps (
    call   TEXT   NOT NULL REFERENCES calls (id),
    at     BIGINT NOT NULL,
    kind   TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    leg    TEXT   NOT NULL,
    PRIMARY KEY (call, at, kind, detail, leg)
);
