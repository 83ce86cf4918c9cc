"""Reports: the results of attribution as pages for people, and as tables and JSON for programs."""
