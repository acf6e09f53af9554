#!/bin/sh
# renew: lets the lease's term begin anew, unless it is over.
fail unsupported "renew"
