"""What each class of case asks of a backend, and what shows that it fails."""
