-- What Asterisk kept of calls while ctserver was away, and the life of a recording.

-- Up to which byte the notes of ended calls have been read: one file for each PBX and day.
CREATE TABLE evidence (
    pbx     TEXT   NOT NULL,
    file    TEXT   NOT NULL,
    inode   TEXT   NOT NULL,
    read_to BIGINT NOT NULL,
    PRIMARY KEY (pbx, file)
);
