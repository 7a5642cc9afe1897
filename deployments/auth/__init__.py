"""Who people are, which business they act for, and the keys that machines use."""

from deployments.auth.routes import capability

__all__ = ["capability"]
