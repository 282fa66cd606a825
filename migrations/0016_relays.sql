-- Relays that a worker gives no mail to now, and why. A worker's rows go when it ends or is found dead.

CREATE TABLE relay_outages (
    worker_id  bigint NOT NULL REFERENCES workers ON DELETE CASCADE,
    relay      text NOT NULL,       -- its name in the settings
    reason     text NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (worker_id, relay)
);
