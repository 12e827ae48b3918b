"""What people and monitors see: the command line, health and metrics over HTTP, and the words for both."""
