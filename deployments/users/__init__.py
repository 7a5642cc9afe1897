"""What people say about themselves, and what a platform's admins do to their accounts."""
