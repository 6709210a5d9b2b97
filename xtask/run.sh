#!/bin/sh
# Cargo runs every program through this (.cargo/config.toml). A test program that hangs is ended, so that it fails; nextest
# ends each test by itself (.config/nextest.toml). The longest suite takes a minute.
if [ -z "${NEXTEST:-}" ] && command -v timeout >/dev/null; then
    case $1 in
        */deps/*) exec timeout --foreground --kill-after=10 "${FASTSYNC_TEST_SECONDS:-600}" "$@" ;;
    esac
fi
exec "$@"
