"""The report on where to cut."""
