"""What every room shares, with nothing of ours beneath it."""
