-- What is known of a run beside the original's columns. Those keep their meaning; all of these may be null, because rows of
-- the original have none of them.
ALTER TABLE performancelog ADD COLUMN model_name VARCHAR;
ALTER TABLE performancelog ADD COLUMN request_id VARCHAR;
ALTER TABLE performancelog ADD COLUMN endpoint VARCHAR;
ALTER TABLE performancelog ADD COLUMN streamed BOOLEAN;
ALTER TABLE performancelog ADD COLUMN error_code VARCHAR;
ALTER TABLE performancelog ADD COLUMN queue_wait_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN cached_tokens INTEGER;
ALTER TABLE performancelog ADD COLUMN prefill_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN prefill_tokens_per_second FLOAT;
ALTER TABLE performancelog ADD COLUMN decode_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN decode_tokens_per_second FLOAT;
ALTER TABLE performancelog ADD COLUMN inter_token_mean_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN inter_token_p95_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN inter_token_max_ms FLOAT;
ALTER TABLE performancelog ADD COLUMN engine_mem_mb FLOAT;
ALTER TABLE performancelog ADD COLUMN repetition_ratio FLOAT;
ALTER TABLE performancelog ADD COLUMN engine_version VARCHAR;
ALTER TABLE performancelog ADD COLUMN parameters VARCHAR;
-- A name outlives its model's row, the link does not.
UPDATE performancelog SET model_name =
    (SELECT model_name FROM modelregistry WHERE modelregistry.id = performancelog.model_registry_id)
    WHERE model_registry_id IS NOT NULL;
-- Rows of a time, for retention and export.
CREATE INDEX homelab_performance_by_time ON performancelog (timestamp);

-- Switches of the server that survive its restart.
CREATE TABLE homelab_switch (
    name VARCHAR NOT NULL,
    is_on BOOLEAN NOT NULL,
    PRIMARY KEY (name)
);

-- Figures of the runs of one hour or day, so that a question about a million runs reads a few thousand rows
-- (docs/decisions/0019). The four last columns are sketches of a distribution (src/registry/sketch.h).
CREATE TABLE homelab_run_figures (
    id INTEGER NOT NULL,
    span_seconds INTEGER NOT NULL,
    begins_at INTEGER NOT NULL,
    model_name VARCHAR NOT NULL,
    revision VARCHAR NOT NULL,
    engine_version VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    runs INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    ttft_ms BLOB NOT NULL,
    latency_ms BLOB NOT NULL,
    decode_speed BLOB NOT NULL,
    prefill_speed BLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX homelab_run_figures_of ON homelab_run_figures
    (span_seconds, begins_at, model_name, revision, engine_version, endpoint);
CREATE INDEX homelab_run_figures_by_model ON homelab_run_figures (model_name, span_seconds, begins_at);
-- Rows of performancelog up to this id are in the figures.
CREATE TABLE homelab_run_mark (
    last_id INTEGER NOT NULL
);
INSERT INTO homelab_run_mark (last_id) VALUES (0);
