-- Pauses of recordings while calls go on. until: when it resumes by itself, NULL: not by itself. login: who paused it;
-- resumed_by: who resumed it, '' if it resumed by itself or the call ended.
CREATE TABLE pauses (
    call       TEXT   NOT NULL REFERENCES calls (id),
    began_at   BIGINT NOT NULL,
    until      BIGINT,
    ended_at   BIGINT,
    login      TEXT   NOT NULL,
    resumed_by TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (call, began_at)
);
CREATE UNIQUE INDEX pauses_open ON pauses (call) WHERE ended_at IS NULL;
