-- Sums of single hours by every dimension: what a report needs beside whole days is read, not counted call by call.

-- Each hour in which something happened. Its changes are counted by the triggers below; its sums are valid when they were made at the
-- latest count, and those of a day when they were made at the sum of its hours' counts. Hours that are not here are empty.
CREATE TABLE report_hours (
    hour    BIGINT PRIMARY KEY,
    changes BIGINT NOT NULL,
    rolled  BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO report_hours (hour, changes, rolled)
WITH RECURSIVE hours (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM hours WHERE place < 23)
SELECT d.day + h.place * 3600000, CASE WHEN h.place = 0 THEN d.changes ELSE 0 END, -1 FROM report_days d CROSS JOIN hours h;

INSERT INTO report_spans (span, start, changes) SELECT 'day', day, rolled FROM report_days;

DROP TRIGGER calls_added;
DROP TRIGGER calls_changed;
DROP TRIGGER calls_moved;
DROP TRIGGER calls_removed;
DROP TRIGGER sessions_added;
DROP TRIGGER sessions_changed;
DROP TRIGGER sessions_removed;
DROP TABLE report_days;

CREATE TRIGGER calls_added AFTER INSERT ON calls BEGIN
    INSERT INTO report_hours (hour, changes, rolled) VALUES (NEW.arrived_at - NEW.arrived_at % 3600000, 1, 0)
    ON CONFLICT (hour) DO UPDATE SET changes = changes + 1;
    UPDATE report_hours SET changes = changes + 1 WHERE hour IN (
        SELECT e.arrived_at - e.arrived_at % 3600000 FROM calls e
        WHERE e.caller = NEW.caller AND e.caller <> '' AND e.arrived_at > NEW.arrived_at);
END;

CREATE TRIGGER calls_changed AFTER UPDATE ON calls BEGIN
    UPDATE report_hours SET changes = changes + 1 WHERE hour = NEW.arrived_at - NEW.arrived_at % 3600000;
END;

CREATE TRIGGER calls_moved AFTER UPDATE OF arrived_at, caller, site ON calls BEGIN
    INSERT INTO report_hours (hour, changes, rolled) VALUES (NEW.arrived_at - NEW.arrived_at % 3600000, 1, 0)
    ON CONFLICT (hour) DO UPDATE SET changes = changes + 1;
    UPDATE report_hours SET changes = changes + 1 WHERE hour = OLD.arrived_at - OLD.arrived_at % 3600000 OR hour IN (
        SELECT e.arrived_at - e.arrived_at % 3600000 FROM calls e
        WHERE e.caller IN (OLD.caller, NEW.caller) AND e.caller <> '');
END;

CREATE TRIGGER calls_removed AFTER DELETE ON calls BEGIN
    UPDATE report_hours SET changes = changes + 1 WHERE hour = OLD.arrived_at - OLD.arrived_at % 3600000 OR hour IN (
        SELECT e.arrived_at - e.arrived_at % 3600000 FROM calls e
        WHERE e.caller = OLD.caller AND e.caller <> '' AND e.arrived_at > OLD.arrived_at);
END;

CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN
    INSERT INTO report_hours (hour, changes, rolled) VALUES (NEW.started_at - NEW.started_at % 3600000, 1, 0)
    ON CONFLICT (hour) DO UPDATE SET changes = changes + 1;
END;

CREATE TRIGGER sessions_changed AFTER UPDATE OF site, started_at, landing_url, medium, source, campaign, term, content,
    channel, country, region, device ON sessions BEGIN
    INSERT INTO report_hours (hour, changes, rolled) VALUES (NEW.started_at - NEW.started_at % 3600000, 1, 0)
    ON CONFLICT (hour) DO UPDATE SET changes = changes + 1;
    UPDATE report_hours SET changes = changes + 1 WHERE hour = OLD.started_at - OLD.started_at % 3600000
        OR hour IN (SELECT c.arrived_at - c.arrived_at % 3600000 FROM calls c WHERE c.session = OLD.id);
END;

CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN
    UPDATE report_hours SET changes = changes + 1 WHERE hour = OLD.started_at - OLD.started_at % 3600000
        OR hour IN (SELECT c.arrived_at - c.arrived_at % 3600000 FROM calls c WHERE c.session = OLD.id);
END;

-- The sums of one hour by one dimension. sums (JSON): site -> value -> sums in the order of the columns of rollups, without the
-- zeros at the end. Hours in which nothing happened have no row.
CREATE TABLE hour_values (
    dimension TEXT   NOT NULL,
    start     BIGINT NOT NULL,
    sums      TEXT   NOT NULL,
    PRIMARY KEY (dimension, start)
) WITHOUT ROWID;

-- The sums that there are, each once: a table with rows of its own beside the key takes twice the room and the reading.
ALTER TABLE rollups RENAME TO old_rollups;
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
) WITHOUT ROWID;
INSERT INTO rollups SELECT * FROM old_rollups ORDER BY dimension, span, start, site, value;
DROP TABLE old_rollups;

ALTER TABLE quarters RENAME TO old_quarters;
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
) WITHOUT ROWID;
INSERT INTO quarters SELECT * FROM old_quarters ORDER BY start, site;
DROP TABLE old_quarters;

ALTER TABLE hours RENAME TO old_hours;
CREATE TABLE hours (
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
) WITHOUT ROWID;
INSERT INTO hours SELECT * FROM old_hours ORDER BY start, site;
DROP TABLE old_hours;

-- One caller's calls in the order of their arrival, to each site: two indexes that began alike.
DROP INDEX calls_first;
DROP INDEX calls_caller;
CREATE INDEX calls_caller ON calls (caller, arrived_at, id, site);

-- The missed calls, and the talks in which those who were missed may have come through: a list of weeks reads these alone. The
-- condition of the first is written as it is asked for, so that the index of all outcomes is not taken for it.
CREATE INDEX calls_missed ON calls (arrived_at, id, site, line, caller, outcome) WHERE outcome || '' = 'missed';
CREATE INDEX calls_talked ON calls (arrived_at, caller, site, routed_by, answered_at) WHERE answered_at IS NOT NULL;
