#!/bin/sh
# shellcheck disable=SC2034
# asking: asks an HTTP endpoint with curl, wget, nc or bash, whichever the host has. Needs machine.
#
# Parameters: ADDRESS (IPv6 without brackets), PORT, REQUEST_PATH, HOST_HEADER, TIMEOUT_MS. Prints: nothing.

by_curl() {
    STATUS=$(curl -sS -g -m "$SECONDS_UP" -o "$SCRATCH/body" -w '%{http_code}' -H "Host: $HOST_HEADER" -- "$URL" 2>"$SCRATCH/error") || STATUS=
    [ "$STATUS" != 000 ] || STATUS=
}

# GNU's wget shows an error's body only if asked to, and busybox's cannot be asked. The time limit is
# kept from outside: busybox's wget 1.35 dies of its own `-T`.
by_wget() {
    f_option=
    if wget --help 2>&1 | grep -q -e --content-on-error; then f_option=--content-on-error; fi
    # shellcheck disable=SC2086
    timeout "$SECONDS_UP" wget -q -S $f_option --header "Host: $HOST_HEADER" -O "$SCRATCH/body" "$URL" 2>"$SCRATCH/error" || :
    STATUS=$(sed -n 's/.*HTTP\/1\.[01] \([0-9][0-9][0-9]\).*/\1/p' "$SCRATCH/error" | tail -n 1)
    # busybox's wget shows the status line of an error alone.
    if [ -z "$STATUS" ] && [ -s "$SCRATCH/body" ]; then STATUS=200; fi
}

# write_request: the request into its file. A carriage return belongs to each line.
write_request() {
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$REQUEST_PATH" "$HOST_HEADER" >"$SCRATCH/request"
}

# read_answer: takes the answer apart into STATUS and body.
read_answer() {
    STATUS=$(sed -n '1s/^HTTP\/1\.[01] \([0-9][0-9][0-9]\).*/\1/p' "$SCRATCH/answer")
    sed '1,/^\r*$/d' "$SCRATCH/answer" >"$SCRATCH/body"
}

by_nc() {
    write_request
    # The request's end is not the connection's: some nc hang up when their input ends.
    { cat "$SCRATCH/request" && await_answer; } | nc -w "$SECONDS_UP" "$ADDRESS" "$PORT" >"$SCRATCH/answer" 2>"$SCRATCH/error" || :
    : >"$SCRATCH/done"
    read_answer
}

# bash opens connections by itself; which shell runs this script is another matter.
by_bash() {
    write_request
    # shellcheck disable=SC2016
    timeout "$SECONDS_UP" bash -c 'exec 3<>"/dev/tcp/$1/$2" && cat "$3" >&3 && cat <&3' ask "$ADDRESS" "$PORT" \
        "$SCRATCH/request" >"$SCRATCH/answer" 2>"$SCRATCH/error" || :
    read_answer
}

await_answer() {
    deadline_in "$TIMEOUT_MS"
    while [ ! -s "$SCRATCH/answer" ] && time_left; do nap; done
}

# asking_tool: sets TOOL, the program that asks; false where the host has none.
asking_tool() {
    for TOOL in curl wget nc bash; do
        ! command -v "$TOOL" >/dev/null 2>&1 || return 0
    done
    TOOL=
    return 1
}

# ask: asks once, and leaves what was answered in the files body and error below SCRATCH, and in STATUS, which
# is empty where no answer came; false where there is nothing to ask with.
ask() {
    scratch
    SECONDS_UP=$(((TIMEOUT_MS + 999) / 1000))
    case $ADDRESS in
    *:*) URL="http://[$ADDRESS]:$PORT$REQUEST_PATH" ;;
    *) URL="http://$ADDRESS:$PORT$REQUEST_PATH" ;;
    esac
    : >"$SCRATCH/body"
    asking_tool || return 1
    # A login's proxy knows other addresses than the host itself.
    unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
    "by_$TOOL"
}
