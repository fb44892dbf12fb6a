"""What the proxies made of all this."""
