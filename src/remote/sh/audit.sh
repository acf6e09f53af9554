#!/bin/sh
# audit: reads the end of the audit trail.
#
# Parameters: LINES. Prints: `audit`, its last lines.
fail unsupported "audit"
