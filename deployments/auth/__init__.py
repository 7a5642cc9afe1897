"""Who people are, which business they act for, and the keys that machines use."""
