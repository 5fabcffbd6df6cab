"""What is asked of finished recipes: leakage, settings, robustness, comparison."""
