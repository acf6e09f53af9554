#!/bin/sh
# AfterInstall: shows what the deploy will do; fails where it would be refused. Changes nothing.
cd "$(dirname "$0")" && exec nonstop plan
