-- After the missing columns are there: what the original's newest version has besides columns.
CREATE UNIQUE INDEX IF NOT EXISTS ix_modelregistry_model_name ON modelregistry (model_name);
-- The original did not enforce its foreign key; links to rows that are gone say nothing.
UPDATE performancelog SET model_registry_id = NULL
    WHERE model_registry_id IS NOT NULL AND model_registry_id NOT IN (SELECT id FROM modelregistry);
