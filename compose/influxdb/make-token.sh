#!/bin/sh
# Create a token for one bucket, and store it where its user reads it: make-token.sh USER WHAT FLAG... Keep an existing
# one that works. The flags say what it may do: --read-bucket, --write-bucket.
set -eu
umask 077
user=$1 what=$2
shift 2
file=/token/token

if [ -s "$file" ] && influx bucket list --name "$BUCKET" --token "$(cat "$file")" --hide-headers >/dev/null 2>&1; then
    echo "token: the existing one works"
    exit 0
fi
id=$(influx bucket list --name "$BUCKET" --hide-headers | cut -f 1)
if [ -z "$id" ]; then
    echo "token: InfluxDB has no bucket $BUCKET: create it, or set another in compose/.env" >&2
    exit 1
fi
for flag in "$@"; do
    shift
    set -- "$@" "$flag" "$id"
done
token=$(influx auth create "$@" --description "$what $BUCKET" --hide-headers | cut -f 3)
if [ -z "$token" ]; then
    echo "token: InfluxDB created none" >&2
    exit 1
fi
printf %s "$token" >"$file.new"
# The user of its program's image, which alone may read it.
chown "$user" /token "$file.new"
mv "$file.new" "$file"
echo "token: created one: $what $BUCKET"
