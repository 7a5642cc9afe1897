"""The HTTP edge, as a kit that every deployment puts on: who calls, may they, how fast."""
