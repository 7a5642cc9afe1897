"""What every room of the store uses: connections, transactions, events, paging."""
