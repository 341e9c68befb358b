-- The original wrote the wall clock of its machine without a zone; from here on every time is UTC.
-- homelab_local_to_utc is a function of the program; text it cannot read stays as it is.
UPDATE modelregistry SET
    created_at = homelab_local_to_utc(created_at),
    last_loaded = homelab_local_to_utc(last_loaded),
    last_updated = homelab_local_to_utc(last_updated),
    last_update_check = homelab_local_to_utc(last_update_check);
UPDATE performancelog SET timestamp = homelab_local_to_utc(timestamp);
