"""Pure decisions: facts in, a verdict out. No database, no clock, no I/O; time is passed in."""
