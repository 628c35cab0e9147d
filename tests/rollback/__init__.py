"""Taking back what phases left behind."""
