"""What stands in a cluster and whose it is: ownership, foreign owners, putting objects there and taking them back."""
