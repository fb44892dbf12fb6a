"""What everything stands on: API servers, nodes, clocks, admission."""
