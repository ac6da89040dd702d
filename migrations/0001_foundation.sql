-- Times are epoch milliseconds, ids are time-ordered text, phone numbers are E.164, empty text means "not known".

CREATE TABLE sessions (
    id           TEXT   PRIMARY KEY,
    site         TEXT   NOT NULL,
    visitor      TEXT   NOT NULL,
    started_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    landing_url  TEXT   NOT NULL,
    referrer     TEXT   NOT NULL,
    medium       TEXT   NOT NULL,
    source       TEXT   NOT NULL,
    campaign     TEXT   NOT NULL,
    term         TEXT   NOT NULL,
    content      TEXT   NOT NULL,
    click_ids    TEXT   NOT NULL,
    channel      TEXT   NOT NULL,
    country      TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    city         TEXT   NOT NULL,
    device       TEXT   NOT NULL,
    browser      TEXT   NOT NULL,
    os           TEXT   NOT NULL,
    ip           TEXT   NOT NULL,
    ids          TEXT   NOT NULL,
    properties   TEXT   NOT NULL
);
CREATE INDEX sessions_visitor ON sessions (visitor, started_at);

CREATE TABLE visits (
    id       TEXT   PRIMARY KEY,
    session  TEXT   NOT NULL REFERENCES sessions (id),
    at       BIGINT NOT NULL,
    url      TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    referrer TEXT   NOT NULL
);
CREATE INDEX visits_session ON visits (session, at);

-- Who was shown which number, and for how long it is his. Rows stay: calls ask for them later.
CREATE TABLE leases (
    id       TEXT   PRIMARY KEY,
    number   TEXT   NOT NULL,
    pool     TEXT   NOT NULL,
    session  TEXT   NOT NULL REFERENCES sessions (id),
    how      TEXT   NOT NULL,
    shown_at BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    left_at  BIGINT
);
CREATE INDEX leases_number ON leases (number, shown_at);
CREATE INDEX leases_pool ON leases (pool, shown_at);
CREATE INDEX leases_session ON leases (session);

-- The latest lease of each number, and when the last of its holders lets it go. A lease is taken by changing this row
-- from the state that was seen in it.
CREATE TABLE numbers (
    number   TEXT   PRIMARY KEY,
    pool     TEXT   NOT NULL,
    lease    TEXT   NOT NULL,
    session  TEXT   NOT NULL,
    shown_at BIGINT NOT NULL,
    until    BIGINT NOT NULL
);

-- A pool had no number free: what the visitor got instead. shown: shared | static | overflow | page.
CREATE TABLE shortages (
    id      TEXT   PRIMARY KEY,
    at      BIGINT NOT NULL,
    site    TEXT   NOT NULL,
    pool    TEXT   NOT NULL,
    session TEXT   NOT NULL,
    shown   TEXT   NOT NULL
);
CREATE INDEX shortages_pool ON shortages (pool, at);

CREATE TABLE signals (
    id      TEXT   PRIMARY KEY,
    session TEXT   NOT NULL REFERENCES sessions (id),
    number  TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX signals_session ON signals (session, at);

CREATE TABLE calls (
    id               TEXT   PRIMARY KEY,
    pbx              TEXT   NOT NULL,
    linkedid         TEXT   NOT NULL,
    uniqueid         TEXT   NOT NULL,
    channel          TEXT   NOT NULL,
    site             TEXT   NOT NULL,
    did              TEXT   NOT NULL,
    caller           TEXT   NOT NULL,
    caller_name      TEXT   NOT NULL,
    line             TEXT   NOT NULL,
    routed_by        TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    arrived_at       BIGINT NOT NULL,
    ringing_at       BIGINT,
    answered_at      BIGINT,
    ended_at         BIGINT,
    outcome          TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    hangup_cause     BIGINT,
    dial_status      TEXT   NOT NULL,
    caller_gave_up   BIGINT NOT NULL,
    answered_by      TEXT   NOT NULL,
    attribution      TEXT   NOT NULL,
    confidence       DOUBLE PRECISION NOT NULL,
    why              TEXT   NOT NULL,
    session          TEXT   NOT NULL,
    medium           TEXT   NOT NULL,
    source           TEXT   NOT NULL,
    campaign         TEXT   NOT NULL,
    term             TEXT   NOT NULL,
    content          TEXT   NOT NULL,
    click_ids        TEXT   NOT NULL,
    UNIQUE (pbx, linkedid)
);
CREATE INDEX calls_arrived ON calls (arrived_at, id);
CREATE INDEX calls_caller ON calls (caller, arrived_at);
CREATE INDEX calls_session ON calls (session);
CREATE INDEX calls_state ON calls (state);

-- Whose call it may have been, and with which probability: the best guess, the runners-up, "" for nobody we know.
CREATE TABLE credits (
    call    TEXT NOT NULL REFERENCES calls (id),
    session TEXT NOT NULL,
    share   DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (call, session)
);

-- What a site's calls have taught of delays and rates (JSON), up to which time.
CREATE TABLE models (
    site         TEXT   PRIMARY KEY,
    learnt_until BIGINT NOT NULL,
    counts       TEXT   NOT NULL
);

CREATE TABLE legs (
    call        TEXT   NOT NULL REFERENCES calls (id),
    uniqueid    TEXT   NOT NULL,
    channel     TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    ringing_at  BIGINT,
    answered_at BIGINT,
    ended_at    BIGINT,
    status      TEXT   NOT NULL,
    cause       BIGINT,
    PRIMARY KEY (call, uniqueid)
);

-- state: waiting (Asterisk writes it) | ready | missing. file is relative to the recordings folder.
CREATE TABLE recordings (
    call     TEXT   PRIMARY KEY REFERENCES calls (id),
    state    TEXT   NOT NULL,
    file     TEXT   NOT NULL,
    bytes    BIGINT NOT NULL,
    millis   BIGINT NOT NULL,
    due_at   BIGINT NOT NULL
);
CREATE INDEX recordings_state ON recordings (state, due_at);

-- What agi-scripts/ct_route.py answers while ctserver cannot: CT_ROUTE by the digits that a trunk sends; no digits: the rest.
CREATE TABLE routes (
    digits TEXT PRIMARY KEY,
    route  TEXT NOT NULL
);

CREATE TABLE users (
    id            TEXT   PRIMARY KEY,
    login         TEXT   NOT NULL UNIQUE,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE logins (
    token_hash TEXT   PRIMARY KEY,
    login      TEXT   NOT NULL REFERENCES users (login),
    csrf       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
