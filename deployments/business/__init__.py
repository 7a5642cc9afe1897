"""What a business is: its profile, its locations, its taxes and when it is open."""
