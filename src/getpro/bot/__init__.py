"""The bot's door for customers: understand an update, call one use case, show a screen."""
