"""Applications that bring their own settings."""
