#!/bin/sh
# arm: arms a token and its watch, and touches nothing else.
fail unsupported "arm"
