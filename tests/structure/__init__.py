"""What holds of the code itself, read as syntax trees."""
