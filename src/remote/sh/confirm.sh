#!/bin/sh
# confirm: moves a token from armed to confirmed.
fail unsupported "confirm"
