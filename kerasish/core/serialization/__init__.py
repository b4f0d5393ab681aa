"""Objects as configurations, and configurations as objects."""
