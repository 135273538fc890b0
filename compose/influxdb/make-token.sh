#!/bin/sh
# Create a token that may read one bucket, and store it where Grafana reads it. Keep an existing one that works.
set -eu
umask 077
file=/token/token

if [ -s "$file" ] && influx bucket list --name "$BUCKET" --token "$(cat "$file")" --hide-headers >/dev/null 2>&1; then
    echo "grafana-token: the existing token works"
    exit 0
fi
id=$(influx bucket list --name "$BUCKET" --hide-headers | cut -f 1)
if [ -z "$id" ]; then
    echo "grafana-token: InfluxDB has no bucket $BUCKET: create it, or set another in compose/.env" >&2
    exit 1
fi
token=$(influx auth create --read-bucket "$id" --description "Grafana reads $BUCKET" --hide-headers | cut -f 3)
if [ -z "$token" ]; then
    echo "grafana-token: InfluxDB created no token" >&2
    exit 1
fi
printf %s "$token" >"$file.new"
# Grafana's user in its image.
chown 472 /token "$file.new"
mv "$file.new" "$file"
echo "grafana-token: created a token that may read $BUCKET"
