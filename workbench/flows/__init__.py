"""Use cases that compose the packages below; a button, a command and an API route that do one thing call one flow."""
