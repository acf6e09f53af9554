#!/bin/sh
# take: copies a jar that somebody else has put on this host. It is a copy and no link: who put it there may
# write over it, and what runs must stay as it is.
#
# Parameters: FROM (its path), and those of `storing`.
# Prints: what `storing` says, with the key `take`.
bytes() {
    # A file that is gone is the same as one of other bytes.
    cat <"$FROM" || :
}

pass_over() { :; }

store take
