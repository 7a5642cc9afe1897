"""Everything that `holdfast up` starts, watches and stops."""
