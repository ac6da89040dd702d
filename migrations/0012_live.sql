-- Sums of reports by the hour: most zones' hours and days are whole hours of UTC, and need a quarter of the rows.
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
);

INSERT INTO hours (start, site, sessions, calls, answered, missed, targets, newcomers, talk_ms, ring_ms, deals, revenue)
SELECT start - start % 3600000, site, SUM(sessions), SUM(calls), SUM(answered), SUM(missed), SUM(targets), SUM(newcomers),
       SUM(talk_ms), SUM(ring_ms), SUM(deals), SUM(revenue)
FROM quarters GROUP BY 1, 2;
