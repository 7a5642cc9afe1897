"""What the doctor asks, and whether what is sold from agrees with its ledgers."""
