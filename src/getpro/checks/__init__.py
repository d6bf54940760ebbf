"""What can be wrong with a shop and around it, looked at for real; each finding says what to do."""
