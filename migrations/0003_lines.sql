-- Calls that ctserver places: somebody of the company is rung first, then the other side. kind: site (a visitor asked for
-- it in a page), desk (somebody of the company rings a caller). state: waiting | calling | done | failed.
-- A row stands here before anything is dialled; `attempts` is raised with it, so that no attempt is made twice.
CREATE TABLE callbacks (
    id         TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    site       TEXT   NOT NULL,
    session    TEXT   NOT NULL,
    answers    TEXT   NOT NULL,           -- the call that is called back, "" for none
    number     TEXT   NOT NULL,
    line       TEXT   NOT NULL,
    page       TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    asked_at   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    started_at BIGINT,
    channel    TEXT   NOT NULL,           -- of the latest attempt: the id that was given to its channel
    result     TEXT   NOT NULL            -- of the latest attempt, see domain/callback.py
);
CREATE INDEX callbacks_due ON callbacks (state, due_at);
CREATE INDEX callbacks_number ON callbacks (number, asked_at);
CREATE INDEX callbacks_site ON callbacks (site, asked_at);
CREATE INDEX callbacks_channel ON callbacks (channel);

-- Calls from us to others: those that staff dial, seen in the PBX's outbound context, and the visitors of callbacks.
CREATE TABLE outgoing (
    id          TEXT   PRIMARY KEY,
    pbx         TEXT   NOT NULL,
    uniqueid    TEXT   NOT NULL,
    number      TEXT   NOT NULL,
    staff       TEXT   NOT NULL,          -- the phone it was dialled at
    callback    TEXT   NOT NULL,
    began_at    BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at    BIGINT,
    status      TEXT   NOT NULL,          -- Asterisk's DIALSTATUS
    UNIQUE (pbx, uniqueid)
);
CREATE INDEX outgoing_number ON outgoing (number, began_at);
