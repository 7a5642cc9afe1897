"""The HTTP edge, a kit that every deployment uses: it says who the caller is, what the caller may
do, and how often."""
