-- What waits, by who is to hear it: a long queue of one hides no other's.
CREATE INDEX deliveries_queued ON deliveries (tenant, subscription, next_at_ms, event)
    WHERE state = 'pending';
