-- What Asterisk kept of calls while ctserver was away, and the life of a recording.

-- Up to which byte the notes of ended calls have been read: one file for each PBX and day.
CREATE TABLE evidence (
    pbx     TEXT   NOT NULL,
    file    TEXT   NOT NULL,
    inode   TEXT   NOT NULL,
    read_to BIGINT NOT NULL,
    PRIMARY KEY (pbx, file)
);

-- stage: new (just joined) | kept (small, proved, put away) | failed (it stays as it was joined; problem says why).
-- place: disk | s3. state may also be expired: removed when its time was over.
ALTER TABLE recordings ADD COLUMN format TEXT NOT NULL DEFAULT 'wav';
ALTER TABLE recordings ADD COLUMN place TEXT NOT NULL DEFAULT 'disk';
ALTER TABLE recordings ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN stage TEXT NOT NULL DEFAULT 'new';
ALTER TABLE recordings ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recordings ADD COLUMN problem TEXT NOT NULL DEFAULT '';
CREATE INDEX recordings_stage ON recordings (stage, state, due_at);
