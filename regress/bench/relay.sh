#!/bin/sh
# How fast mail passes through: in by SMTP from 50 clients, out to a sink on loopback, 4 KB
# each, fife beside Debian's Postfix if that is there; then to many destinations half of
# which are dead; then cached lookups of dnsd. fife relays for nobody without a login, so
# that its way is one longer: an alias of a domain of its own leads out.
#
#	RELAY_MESSAGES		messages of one measurement (5000)
#	RELAY_DESTINATIONS	domains of the second measurement (2000)
#	RELAY_ROUNDS		rounds (3); medians are shown
#	BENCH_DIR		where to work (/var/tmp): a real disk
#	BUILD			fife's programs (build/prod)
#
# What is started here is ended here.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$here/build/prod}
messages=${RELAY_MESSAGES:-5000}
destinations=${RELAY_DESTINATIONS:-2000}
rounds=${RELAY_ROUNDS:-3}
[ "$(id -u)" = 0 ] || {
	echo "relay: needs root" >&2
	exit 1
}
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/fife-relay.XXXXXX")
chmod 755 "$work"
run=$work/fife
base=$((20000 + $$ % 9000))
sink_port=$((base + 900))
dead_port=$((base + 901))
postfix_port=$((base + 902))
pids=
fife_pid=
postfix_pid=

cleanup() {
	trap - EXIT INT TERM HUP
	for p in $pids $fife_pid $postfix_pid; do
		kill "$p" 2>/dev/null || :
	done
	for p in $fife_pid $postfix_pid; do
		n=0
		while kill -0 "$p" 2>/dev/null && [ $n -lt 200 ]; do
			sleep 0.1
			n=$((n + 1))
		done
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'cleanup; exit 1' INT TERM HUP

cc -O2 -o "$work/smtp_load" "$here/regress/bench/smtp_load.c"
cc -O2 -D_GNU_SOURCE -o "$work/smtp_sink" "$here/regress/bench/smtp_sink.c"

start_fife() {
	: >"$work/fife.out"
	RUN=$run PORTS=$base CONF='' UIDS='' BUILD=$BUILD sh "$here/etc/setup-run.sh" \
		</dev/null >"$work/fife.out" 2>&1 &
	fife_pid=$!
	n=0
	until grep -q '^fife: ready' "$work/fife.out"; do
		kill -0 "$fife_pid" 2>/dev/null && [ $n -lt 600 ] || {
			cat "$work/fife.out" >&2
			exit 1
		}
		n=$((n + 1))
		sleep 0.1
	done
}

start_postfix() {
	conf=$work/postfix
	mkdir -p "$conf" "$work/pqueue" "$work/pdata"
	chown postfix "$work/pdata"
	for f in postfix-files dynamicmaps.cf; do
		[ ! -e /etc/postfix/$f ] || cp /etc/postfix/$f "$conf/$f"
	done
	cat >"$conf/main.cf" <<END
compatibility_level = 3.6
queue_directory = $work/pqueue
data_directory = $work/pdata
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = $conf
maillog_file = $work/postfix.log
maillog_file_prefixes = $work
myhostname = mail.example.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:$sink_port
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
disable_dns_lookups = yes
END
	{
		echo "127.0.0.1:$postfix_port inet n - n - - smtpd"
		for l in 'pickup unix n - n 60 1' 'cleanup unix n - n - 0' 'qmgr unix n - n 300 1' \
			'rewrite unix - - n - -' 'bounce unix - - n - 0' 'defer unix - - n - 0' 'trace unix - - n - 0' \
			'proxymap unix - - n - -' 'smtp unix - - n - -' 'relay unix - - n - -' 'showq unix n - n - -' \
			'error unix - - n - -' 'retry unix - - n - -' 'anvil unix - - n - 1' 'scache unix - - n - 1'; do
			s=${l%% *}
			case $s in
			rewrite) p=trivial-rewrite ;;
			defer | trace) p=bounce ;;
			relay) p=smtp ;;
			retry) p=error ;;
			*) p=$s ;;
			esac
			echo "$l $p"
		done
		echo 'postlog unix-dgram n - n - 1 postlogd'
	} >"$conf/master.cf"
	postfix -c "$conf" start >"$work/postfix.out" 2>&1 || {
		cat "$work/postfix.out" >&2
		return 1
	}
	postfix_pid=$(tr -d ' \n' <"$work/pqueue/pid/master.pid")
}

ticks() { # of a process and all below it
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
	{ pid = $1; sub(/^.*\) /, ""); parent[pid] = $2; t[pid] = $12 + $13 + $14 + $15 }
	END {
		for (p in parent) {
			for (q = p; q in parent && q != root && q > 1; q = parent[q])
				;
			if (q == root)
				sum += t[p]
		}
		print sum + 0
	}'
}

relay() { # suite root port recipients
	"$work/smtp_sink" -p $sink_port -n "$messages" -l 300 >"$work/sink.out" &
	sink=$!
	pids="$pids $sink"
	before=$(ticks "$2")
	"$work/smtp_load" -p "$3" -c 50 -n "$messages" -s 4096 -f sender@example.test -t "$4" -u 100 >/dev/null 2>>"$work/errors" || :
	wait $sink || echo "relay: not all of it came through $1" >&2
	after=$(ticks "$2")
	rate=$(sed -n 's/.*rate=\([0-9.]*\).*/\1/p' "$work/sink.out")
	cpu=$(awk -v t=$((after - before)) -v n="$messages" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", t * 1000 / hz / n }')
	echo "$1 $rate $cpu" >>"$work/results"
	echo "relay $1: $rate/s, $cpu ms CPU a message"
}

median() { # suite column
	awk -v s="$1" -v c="$2" '$1 == s { print $c }' "$work/results" | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

start_fife
ctl=$run/bin/fifectl
"$ctl" route add sink.test "smtp://127.0.0.1:$sink_port" concurrency=20
{
	echo 'domain fwd.test'
	awk -v n="$destinations" 'BEGIN {
		for (i = 0; i < 100; i++)
			print "alias x" i "@fwd.test x" i "@sink.test"
		for (i = 0; i < n; i++) {
			print "alias l" i "@fwd.test x@l" i ".live.test"
			print "alias m" i "@fwd.test x@m" i ".live.test"
			print "alias d" i "@fwd.test x@d" i ".dead.test"
		}
	}'
} | "$ctl" load
[ ! -x /usr/sbin/postfix ] || start_postfix
i=0
while [ $i -lt "$rounds" ]; do
	relay fife "$fife_pid" $((base + 25)) 'x%d@fwd.test'
	[ -z "$postfix_pid" ] || relay postfix "$postfix_pid" $postfix_port 'x%d@sink.test'
	i=$((i + 1))
done

# Many destinations: all live, then as many again that are dead. The dead ones refuse the
# connection; the live ones must not wait for them.
spread() { # what; files of domains
	"$work/smtp_sink" -p $sink_port -n "$destinations" -l 300 >"$work/sink.out" &
	sink=$!
	pids="$pids $sink"
	"$work/smtp_load" -p $((base + 25)) -c 20 -n "$2" -s 1024 -f sender@example.test -t "$3" -u "$2" >/dev/null 2>>"$work/errors" || :
	wait $sink || echo "relay: not all of it came ($1)" >&2
	sed -n 's/.*seconds=\([0-9.]*\).*/\1/p' "$work/sink.out"
}
"$ctl" route add .live.test "smtp://127.0.0.1:$sink_port" concurrency=20
alone=$(spread alone "$destinations" 'l%d@fwd.test')
"$ctl" route add .dead.test "smtp://127.0.0.1:$dead_port"
"$work/smtp_load" -p $((base + 25)) -c 20 -n "$destinations" -s 1024 -f sender@example.test -t 'd%d@fwd.test' -u "$destinations" \
	>/dev/null 2>>"$work/errors" || :
beside=$(spread beside "$destinations" 'm%d@fwd.test')

echo
printf '%-34s %10s %10s %7s\n' work fife postfix ratio
fr=$(median fife 2)
pr=$(median postfix 2)
printf '%-34s %10s %10s %7s\n' 'relay, 4 KB, 50 clients, /s' "$fr" "${pr:--}" \
	"$(awk -v a="$fr" -v b="${pr:-0}" 'BEGIN { if (b > 0) printf "%.1f", a / b; else print "-" }')"
printf '%-34s %10s %10s\n' 'CPU a message, ms' "$(median fife 3)" "$(median postfix 3)"
printf '%-34s %10s\n' "$destinations domains alone, s" "$alone"
printf '%-34s %10s\n' 'the same beside as many dead, s' "$beside"
"$ctl" resolver measure localhost 200000 || :
[ ! -s "$work/errors" ] || head -3 "$work/errors" >&2
