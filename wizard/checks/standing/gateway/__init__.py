"""The east-west gateways: Pods, Services, what they let in, and whether they are reached."""
