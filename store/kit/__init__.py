"""What every room of the store stands on: connections, transactions, events, paging."""
