"""Whom proxies trust: roots, chains, trust domains."""
