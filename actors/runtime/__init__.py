"""The machinery under every aggregate: it knows of commands, shards and commits, of no stock."""
