"""What shard hosts and keeper read and write: leases, batches, the journal of aggregates."""
