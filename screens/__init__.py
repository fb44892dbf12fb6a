"""The Textual app: one file a screen, styles beside it. Renders what `wizard` declares and reports; decides nothing itself."""
