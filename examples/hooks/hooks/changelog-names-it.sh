#!/bin/sh
# changelog-names-it: runs on the controller, in the playbook's folder; here one would look into the project.
set -eu
[ "${1-}" != --failed ] || echo "the run $NONSTOP_RUN ended in ${2-} as $NONSTOP_OUTCOME"
[ "${1-}" = --failed ] || echo "$NONSTOP_RELEASE goes out as $NONSTOP_KIND"
