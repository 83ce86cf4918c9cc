"""The events of a run, and who hears them: bars, lines, logs, metrics and records of executions."""
