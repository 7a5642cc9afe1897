"""The processes that Ray Serve runs."""
