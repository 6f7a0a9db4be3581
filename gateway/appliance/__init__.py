"""The box itself: housekeeping, the clock's watch, daily upkeep."""
