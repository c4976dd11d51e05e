-- A content is looked up by any of its hashes.
CREATE INDEX contents_md5 ON contents (md5);
CREATE INDEX contents_sha1 ON contents (sha1);
