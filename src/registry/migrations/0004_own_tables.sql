-- Newest rows of one model, without reading the whole log.
CREATE INDEX homelab_performance_by_model ON performancelog (model_registry_id, timestamp);

-- SQLite gives the id of a deleted last row to the next one; this remembers the highest id ever given.
CREATE TABLE homelab_last_id (
    table_name VARCHAR NOT NULL,
    last_id INTEGER NOT NULL,
    PRIMARY KEY (table_name)
);
INSERT INTO homelab_last_id (table_name, last_id)
    VALUES ('modelregistry', (SELECT COALESCE(MAX(id), 0) FROM modelregistry));
