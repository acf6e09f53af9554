#!/bin/sh
# ApplicationStart: deploys the jar that the agent has just copied. The deadline is the hook's timeout less a little:
# what does not get healthy by then is taken back, and the hook fails with the truth.
cd "$(dirname "$0")" && exec nonstop deploy --deadline 55s
