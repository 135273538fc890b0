#!/bin/sh
# Create the log, unless it exists, and the API key that Prometheus reads metrics with, where Prometheus reads it.
set -eu
umask 027
file=/key/key

python -c "import os, eventstore; eventstore.open(os.environ['EVENTSTORE_DATA']).close()"
if [ -s "$file" ]; then
    echo "log: Prometheus has a key"
    exit 0
fi
# One that an earlier start made and could not store is shown nowhere: it is replaced.
eventstore api-keys revoke prometheus >/dev/null 2>&1 || true
eventstore api-keys add prometheus --scope read >"$file.new"
mv "$file.new" "$file"
echo "log: created a key for Prometheus, which may read and do nothing else"
