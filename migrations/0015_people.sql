-- Who answered, as people say it: "alice" of "PJSIP/alice-0000000c". Each call's channel has a name of its own, so reports by who
-- answered had a row for each call, and the filter of Calls found one.

-- Without the channel's number (hexadecimal; the halves of a Local channel end with ;1 and ;2) and without the technology.
ALTER TABLE calls ADD COLUMN person TEXT GENERATED ALWAYS AS (
    CASE WHEN RTRIM(RTRIM(answered_by, '0123456789abcdef;'), '-') <> RTRIM(answered_by, '0123456789abcdef;')
         THEN SUBSTR(RTRIM(RTRIM(answered_by, '0123456789abcdef;'), '-'), INSTR(answered_by, '/') + 1)
         ELSE SUBSTR(answered_by, INSTR(answered_by, '/') + 1) END
) VIRTUAL;

DROP INDEX calls_answered_by;
CREATE INDEX calls_person ON calls (person, id);

DROP VIEW call_measures;
CREATE VIEW call_measures AS
SELECT c.id, c.site, c.arrived_at, c.source_channel, c.medium, c.source, c.campaign, c.term, c.content, c.did, c.line,
       c.person, c.category, s.landing_url, s.region, s.country, s.device,
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

-- The sums by who answered are of channels: all are made anew.
UPDATE report_hours SET changes = changes + 1;
