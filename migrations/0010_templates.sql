-- The texts of templates, so that an edition keeps those that it began with: on every host, and under every later binary.

CREATE TABLE template_versions (
    hash        text PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),   -- SHA-256 of all names and texts
    files       jsonb NOT NULL CHECK (jsonb_typeof(files) = 'object'),  -- part -> text
    first_seen  timestamptz NOT NULL
);

-- Null until the planning of the edition begins, and again when none of its deliveries is kept.
ALTER TABLE editions ADD COLUMN template_version text REFERENCES template_versions;

-- Half of an edition in one dress and half in another is what this is for.
CREATE FUNCTION editions_keep_template_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an edition keeps the version of the templates that it began with' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER editions_keep_template_version BEFORE UPDATE OF template_version ON editions
    FOR EACH ROW WHEN (OLD.template_version <> NEW.template_version) EXECUTE FUNCTION editions_keep_template_version();
