-- Tags, notes, categories and what reports ask for.

-- Of a call: the channel of its source (domain/channel.py; `channel` is Asterisk's), its category, and what it was worth
-- in hundredths of the currency; a call with a value is a deal.
ALTER TABLE calls ADD COLUMN source_channel TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN category TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN value BIGINT;
UPDATE calls SET source_channel = COALESCE((SELECT channel FROM sessions WHERE sessions.id = calls.session), '');

-- One for each filter of the journal: equal values lie in the order of the ids, newest last.
CREATE INDEX calls_site ON calls (site, id);
CREATE INDEX calls_source ON calls (source, id);
CREATE INDEX calls_campaign ON calls (campaign, id);
CREATE INDEX calls_term ON calls (term, id);
CREATE INDEX calls_did ON calls (did, id);
CREATE INDEX calls_line ON calls (line, id);
CREATE INDEX calls_answered_by ON calls (answered_by, id);
CREATE INDEX calls_outcome ON calls (outcome, id);
CREATE INDEX calls_reason ON calls (reason, id);
CREATE INDEX calls_source_channel ON calls (source_channel, id);
CREATE INDEX calls_category ON calls (category, id);
CREATE INDEX calls_first ON calls (caller, site, arrived_at);

-- The filters and columns that a person has given a name.
CREATE TABLE saved_views (
    id    TEXT PRIMARY KEY,
    login TEXT NOT NULL,
    page  TEXT NOT NULL,
    name  TEXT NOT NULL,
    query TEXT NOT NULL,
    UNIQUE (login, page, name)
);

-- Which calls count as target calls, from the settings. first_ms: only the first within this time; 0: any.
CREATE TABLE target_rules (
    site     TEXT   PRIMARY KEY,
    answered BIGINT NOT NULL,
    talk_ms  BIGINT NOT NULL,
    first_ms BIGINT NOT NULL
);

-- What reports count of a call, and by what. A caller is new when the journal has no earlier call of his to this site.
CREATE VIEW call_measures AS
SELECT c.id, c.site, c.arrived_at, c.source_channel, c.medium, c.source, c.campaign, c.term, c.content, c.did, c.line,
       c.answered_by, c.category, s.landing_url, s.region, s.country, s.device,
       CASE WHEN c.answered_at IS NOT NULL THEN 1 ELSE 0 END AS answered,
       CASE WHEN c.outcome = 'missed' THEN 1 ELSE 0 END AS missed,
       CASE WHEN c.answered_at IS NULL THEN 0 ELSE COALESCE(c.ended_at, c.answered_at) - c.answered_at END AS talk_ms,
       CASE WHEN c.ringing_at IS NULL THEN 0
            ELSE COALESCE(c.answered_at, c.ended_at, c.ringing_at) - c.ringing_at END AS ring_ms,
       CASE WHEN c.caller <> '' AND EXISTS (
                SELECT 1 FROM calls e WHERE e.caller = c.caller AND e.site = c.site AND e.arrived_at < c.arrived_at)
            THEN 0 ELSE 1 END AS newcomer,
       CASE WHEN COALESCE(t.answered, 1) = 1 AND c.answered_at IS NULL THEN 0
            WHEN c.answered_at IS NULL AND COALESCE(t.talk_ms, 30000) > 0 THEN 0
            WHEN COALESCE(c.ended_at, c.answered_at) - c.answered_at < COALESCE(t.talk_ms, 30000) THEN 0
            WHEN COALESCE(t.first_ms, 0) > 0 AND c.caller <> '' AND EXISTS (
                SELECT 1 FROM calls e WHERE e.caller = c.caller AND e.site = c.site
                AND e.arrived_at < c.arrived_at AND e.arrived_at >= c.arrived_at - t.first_ms) THEN 0
            ELSE 1 END AS target,
       CASE WHEN c.value IS NULL THEN 0 ELSE 1 END AS deal,
       COALESCE(c.value, 0) AS revenue
FROM calls c LEFT JOIN target_rules t ON t.site = c.site LEFT JOIN sessions s ON s.id = c.session;

-- Sums of whole days, weeks (from Monday) and months of UTC by one dimension; span: day | week | month. Valid while report_days says so; else reports count for themselves.
CREATE TABLE rollups (
    dimension TEXT   NOT NULL,
    span      TEXT   NOT NULL,
    start     BIGINT NOT NULL,
    site      TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    sessions  BIGINT NOT NULL,
    calls     BIGINT NOT NULL,
    answered  BIGINT NOT NULL,
    missed    BIGINT NOT NULL,
    targets   BIGINT NOT NULL,
    newcomers BIGINT NOT NULL,
    talk_ms   BIGINT NOT NULL,
    ring_ms   BIGINT NOT NULL,
    deals     BIGINT NOT NULL,
    revenue   BIGINT NOT NULL,
    PRIMARY KEY (dimension, span, start, site, value)
);

-- The same by quarters of an hour: every time zone's hours and days are made of them.
CREATE TABLE quarters (
    start     BIGINT NOT NULL,
    site      TEXT   NOT NULL,
    sessions  BIGINT NOT NULL,
    calls     BIGINT NOT NULL,
    answered  BIGINT NOT NULL,
    missed    BIGINT NOT NULL,
    targets   BIGINT NOT NULL,
    newcomers BIGINT NOT NULL,
    talk_ms   BIGINT NOT NULL,
    ring_ms   BIGINT NOT NULL,
    deals     BIGINT NOT NULL,
    revenue   BIGINT NOT NULL,
    PRIMARY KEY (start, site)
);

-- Each day with calls or sessions. Its changes are counted by the triggers below; its sums are valid when they were made at the latest count.
CREATE TABLE report_days (
    day     BIGINT PRIMARY KEY,
    changes BIGINT NOT NULL,
    rolled  BIGINT NOT NULL
);

INSERT INTO report_days (day, changes, rolled)
SELECT arrived_at - arrived_at % 86400000, 1, 0 FROM calls
UNION SELECT started_at - started_at % 86400000, 1, 0 FROM sessions;

-- The same for weeks and months: the sum of their days' changes when their sums were made.
CREATE TABLE report_spans (
    span    TEXT   NOT NULL,
    start   BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    PRIMARY KEY (span, start)
);

CREATE TRIGGER calls_added AFTER INSERT ON calls BEGIN
    INSERT INTO report_days (day, changes, rolled) VALUES (NEW.arrived_at - NEW.arrived_at % 86400000, 1, 0)
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
    UPDATE report_days SET changes = changes + 1 WHERE day IN (
        SELECT e.arrived_at - e.arrived_at % 86400000 FROM calls e
        WHERE e.caller = NEW.caller AND e.caller <> '' AND e.arrived_at > NEW.arrived_at);
END;

CREATE TRIGGER calls_changed AFTER UPDATE ON calls BEGIN
    UPDATE report_days SET changes = changes + 1 WHERE day = NEW.arrived_at - NEW.arrived_at % 86400000;
END;

CREATE TRIGGER calls_moved AFTER UPDATE OF arrived_at, caller, site ON calls BEGIN
    INSERT INTO report_days (day, changes, rolled) VALUES (NEW.arrived_at - NEW.arrived_at % 86400000, 1, 0)
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
    UPDATE report_days SET changes = changes + 1 WHERE day = OLD.arrived_at - OLD.arrived_at % 86400000 OR day IN (
        SELECT e.arrived_at - e.arrived_at % 86400000 FROM calls e
        WHERE e.caller IN (OLD.caller, NEW.caller) AND e.caller <> '');
END;

CREATE TRIGGER calls_removed AFTER DELETE ON calls BEGIN
    UPDATE report_days SET changes = changes + 1 WHERE day = OLD.arrived_at - OLD.arrived_at % 86400000 OR day IN (
        SELECT e.arrived_at - e.arrived_at % 86400000 FROM calls e
        WHERE e.caller = OLD.caller AND e.caller <> '' AND e.arrived_at > OLD.arrived_at);
END;

CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN
    INSERT INTO report_days (day, changes, rolled) VALUES (NEW.started_at - NEW.started_at % 86400000, 1, 0)
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER sessions_changed AFTER UPDATE OF site, started_at, landing_url, medium, source, campaign, term, content,
    channel, country, region, device ON sessions BEGIN
    UPDATE report_days SET changes = changes + 1 WHERE day = OLD.started_at - OLD.started_at % 86400000
        OR day = NEW.started_at - NEW.started_at % 86400000
        OR day IN (SELECT c.arrived_at - c.arrived_at % 86400000 FROM calls c WHERE c.session = OLD.id);
END;

CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN
    UPDATE report_days SET changes = changes + 1 WHERE day = OLD.started_at - OLD.started_at % 86400000
        OR day IN (SELECT c.arrived_at - c.arrived_at % 86400000 FROM calls c WHERE c.session = OLD.id);
END;

-- How a person wants it written. language: en | ru; zone: an IANA name; empty: as the browser and the server have it.
-- phones: international | national.
CREATE TABLE preferences (
    login    TEXT PRIMARY KEY,
    language TEXT NOT NULL,
    zone     TEXT NOT NULL,
    phones   TEXT NOT NULL
);

-- What people say of a call: tags, and a note. Category and value are columns of the call.
CREATE TABLE call_tags (
    call  TEXT   NOT NULL REFERENCES calls (id),
    tag   TEXT   NOT NULL,
    login TEXT   NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (call, tag)
);
CREATE INDEX call_tags_tag ON call_tags (tag, call);

CREATE TABLE call_notes (
    call  TEXT   PRIMARY KEY REFERENCES calls (id),
    text  TEXT   NOT NULL,
    login TEXT   NOT NULL,
    at    BIGINT NOT NULL
);

-- The work on a missed call. state: '' (to do) | called_back | given_up, set by a person; assignee: whose job it is.
CREATE TABLE missed_work (
    call     TEXT   PRIMARY KEY REFERENCES calls (id),
    assignee TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    login    TEXT   NOT NULL,
    at       BIGINT NOT NULL
);

-- The score card of a call: 1 to 5 for each criterion, by the last who rated it.
CREATE TABLE call_scores (
    call      TEXT   NOT NULL REFERENCES calls (id),
    criterion TEXT   NOT NULL,
    score     BIGINT NOT NULL,
    login     TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (call, criterion)
);

-- The library: calls to learn from.
CREATE TABLE model_calls (
    call  TEXT   PRIMARY KEY REFERENCES calls (id),
    why   TEXT   NOT NULL,
    login TEXT   NOT NULL,
    at    BIGINT NOT NULL
);

-- Links that let somebody without a login hear one call, until they end.
CREATE TABLE shares (
    token_hash TEXT   PRIMARY KEY,
    call       TEXT   NOT NULL REFERENCES calls (id),
    login      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX shares_call ON shares (call);
