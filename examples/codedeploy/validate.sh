#!/bin/sh
# ValidateService: what runs where, for the deployment's log; fails where hosts disagree or cannot be asked.
cd "$(dirname "$0")" && exec nonstop status
