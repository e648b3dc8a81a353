#!/bin/sh
# How long `fifectl why` takes over a log of many lines: WHY_LINES (10000000), in the day
# files of one day of the past, as the daemons write them. Prints the time for a message
# in the middle, for one that is not there, and that of a plain search with grep.
#
#	BUILD		fife's programs (build/prod)
#	BENCH_DIR	where to work (/var/tmp)
#	WHY_PORTS	ports for the suite (31000)
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$here/build/prod}
lines=${WHY_LINES:-10000000}
ports=${WHY_PORTS:-31000}
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/fife-why.XXXXXX")
chmod 755 "$work"
pid=

stop() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	[ -z "$pid" ] || wait "$pid" 2>/dev/null || :
	pid=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

start() {
	: >"$work/out"
	RUN=$work/run PORTS=$ports CONF='' UIDS='' BUILD=$BUILD \
	    sh "$here/etc/setup-run.sh" >"$work/out" 2>&1 </dev/null &
	pid=$!
	n=0
	until grep -q 'fife: ready' "$work/out"; do
		kill -0 "$pid" 2>/dev/null || { cat "$work/out" >&2; exit 1; }
		n=$((n + 1))
		[ $n -lt 600 ] || { echo "bench: the suite did not start" >&2; exit 1; }
		sleep 0.1
	done
}

# A first start makes the directory and its owners.
start
stop
day=$(date -u -d yesterday +%Y-%m-%d)
smtp=$work/run/log/smtp-$day.log
delivery=$work/run/log/delivery-$day.log
# A message has three lines: received; stored and done.
awk -v n=$((lines / 3)) -v day="$day" -v smtp="$smtp" -v delivery="$delivery" 'BEGIN {
	for (i = 0; i < n; i++) {
		s = i * 86000 / n
		t = sprintf("%sT%02d:%02d:%02d.%06dZ", day, s / 3600, s / 60 % 60, s % 60,
		    i * 7 % 1000000)
		q = sprintf("%08x%06x", i, i * 31 % 16777216)
		printf "%s smtpd[4711] received qid=%s from=<user%d@host%d.example> " \
		    "to=<alice@example.test> size=4096 client=192.0.2.%d " \
		    "msgid=%d.%x@host%d.example proto=ESMTPS\n", t, q, i % 50000, i % 977,
		    i % 256, i, i * 17, i % 977 >smtp
		printf "%s deliverd-local[4712] stored qid=%s mailbox=alice@example.test " \
		    "uid=%d folder=INBOX\n", t, q, i >delivery
		printf "%s queued[4713] done qid=%s\n", t, q >delivery
	}
}'
chown --reference="$work/run/log" "$smtp" "$delivery"
size=$(cat "$smtp" "$delivery" | wc -c)
start
# The index of the past is built in the background: wait until it covers all.
n=0
want=$(((size / 65536) * 2000))
until [ "$(cat "$work"/run/log/*"-$day.idx" 2>/dev/null | wc -c)" -ge "$want" ]; do
	n=$((n + 1))
	[ $n -lt 3000 ] || { echo "bench: the index was not built" >&2; exit 1; }
	sleep 0.1
done

seconds() {
	a=$(date +%s%N)
	"$@" >"$work/answer" 2>&1 || :
	b=$(date +%s%N)
	awk -v a="$a" -v b="$b" 'BEGIN { printf "%.2f s", (b - a) / 1e9 }'
}
i=$((lines / 6))
msgid=$(awk -v i=$i 'BEGIN { printf "%d.%x@host%d.example", i, i * 17, i % 977 }')
ctl="$work/run/bin/fifectl"
echo "log: $lines lines, $((size / 1000000)) MB; index $(cat "$work"/run/log/*.idx | wc -c | awk '{ printf "%d MB", $1 / 1e6 }')"
echo "why, a Message-ID:        $(seconds "$ctl" why "$msgid"), $(wc -l <"$work/answer") lines"
echo "why, the same again:      $(seconds "$ctl" why "$msgid")"
echo "why, one that is not there: $(seconds "$ctl" why nobody@nowhere.example)"
echo "grep -F in the same files:  $(seconds grep -cF "$msgid" "$smtp" "$delivery")"
