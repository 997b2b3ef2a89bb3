#!/usr/bin/env bash
# A real LocalStack 4.14.0 (the last free release) without Docker: host mode, DynamoDB Local from npm, and an executor
# plugin that runs provided.* zips as child processes. Stays in the foreground; Ctrl-C ends it.
#   up.sh DIR [PORT]      DIR keeps the installation (made once, in about a minute) and the state; PORT is 4566 by default
# Needs: Python 3.13 (python3.13, one of pyenv's, or named in PYTHON), a JDK (java, javac, jar), npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mkdir -p "$1" && cd "$1" && pwd); port=${2:-4566}; py=${PYTHON:-}
for candidate in python3.13 "$(pyenv root 2>/dev/null)"/versions/3.13*/bin/python3.13; do
  [ -n "$py" ] || { "$candidate" --version >/dev/null 2>&1 && py=$candidate; } || true
done
[ -n "$py" ] || { echo "Python 3.13 is missing: install it, or name it in PYTHON (pyenv install 3.13)" >&2; exit 1; }
for program in java javac jar npm; do
  command -v "$program" >/dev/null || { echo "$program is missing: install a JDK (default-jdk-headless) and npm" >&2; exit 1; }
done
if [ ! -e "$dir/ready" ]; then
  "$py" -m venv "$dir/venv"
  "$dir/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements-4.14.txt"
  cp -r "$here/executor" "$dir/executor" && "$dir/venv/bin/pip" install -q --disable-pip-version-check --no-deps "$dir/executor"
  (cd "$dir" && npm pack amplify-dynamodb-simulator@2.9.30 --silent >/dev/null && tar xzf amplify-*.tgz)
  lib=$dir/fs/var/lib/localstack/lib; mkdir -p "$lib/java" "$lib/dynamodb-local/2" "$dir/fs/tmp"
  ln -sfn "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")" "$lib/java/21"
  cp -r "$dir/package/emulator/." "$lib/dynamodb-local/2/"
  # LocalStack loads DynamoDB Local with an agent that it fetches from elsewhere: one that does nothing will do.
  t=$(mktemp -d); echo 'public class NoAgent { public static void premain(String a) {} }' >"$t/NoAgent.java"
  javac --release 11 -d "$t" "$t/NoAgent.java"; echo 'Premain-Class: NoAgent' >"$t/m.txt"
  jar cfm "$lib/dynamodb-local/2/ddb-local-loader-0.1.jar" "$t/m.txt" -C "$t" NoAgent.class; rm -r "$t"
  touch "$dir/ready"
fi
cd "$dir/fs"
export OVERRIDE_IN_DOCKER=0 FILESYSTEM_ROOT=$dir/fs GATEWAY_LISTEN=127.0.0.1:$port LOCALSTACK_HOST=localhost.localstack.cloud:$port \
  DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0 DYNAMODB_IN_MEMORY=1 HOME=$dir/fs XDG_CACHE_HOME=$dir/fs/cache \
  TMPDIR=$dir/fs/tmp LAMBDA_RUNTIME_EXECUTOR=native
exec "$dir/venv/bin/python" -m localstack.runtime.main
