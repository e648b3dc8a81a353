#!/bin/sh
# make bench: fife beside Debian's Postfix, in one run on this machine, alternating.
# Both accept the same mail over loopback, with their spools on the same real disk and
# their own durability (the 250 after a sync); the load driver shares the processors.
#
#	BENCH_ROUNDS	rounds of each measurement (3); the table shows medians
#	BENCH_SECONDS	length of one measurement of accepting (4)
#	BENCH_MESSAGES	messages of one measurement of delivering (1000)
#	BENCH_ONLY	postfix or fife: just that one
#	BENCH_DIR	where to work (/var/tmp): a real disk
#	BUILD		fife's programs (build/prod)
#
# Postfix runs from a configuration, queue and data directory of its own; the system's
# configuration and service are not touched. What is started here is ended here.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$here/build/prod}
rounds=${BENCH_ROUNDS:-3}
seconds=${BENCH_SECONDS:-4}
messages=${BENCH_MESSAGES:-1000}
only=${BENCH_ONLY:-}
users=10
limit=20          # seconds of any one load
patience=200      # seconds after which no further round begins
began=$(date +%s)
tick_ms=$((1000 / $(getconf CLK_TCK)))

die() {
	echo "bench: $*" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || die "needs root: both suites run under several uids"

work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/fife-bench.XXXXXX")
chmod 755 "$work"
results=$work/results
errors=$work/errors
: >"$results"
: >"$errors"
load=$work/smtp_load
pconf=$work/postfix/conf
fife_pid=
postfix_pid=

# Asked to end, then made to: the tree of processes under a pid.
tree() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
	{ pid = $1; sub(/^.*\) /, ""); parent[pid] = $2 }
	END {
		for (p in parent) {
			for (q = p; q in parent && q != root && q > 1; q = parent[q])
				;
			if (q == root)
				print p
		}
	}'
}
wait_gone() { # pid tenths
	n=0
	while kill -0 "$1" 2>/dev/null && [ $n -lt "$2" ]; do
		sleep 0.1
		n=$((n + 1))
	done
	! kill -0 "$1" 2>/dev/null
}
stop_fife() {
	[ -n "$fife_pid" ] || return 0
	all=$(tree "$fife_pid")
	kill "$fife_pid" 2>/dev/null || :
	# shellcheck disable=SC2086
	wait_gone "$fife_pid" 200 || kill -9 $all 2>/dev/null || :
	wait "$fife_pid" 2>/dev/null || :
	fife_pid=
}
stop_postfix() {
	[ -n "$postfix_pid" ] || return 0
	all=$(tree "$postfix_pid")
	kill "$postfix_pid" 2>/dev/null || :
	# shellcheck disable=SC2086
	wait_gone "$postfix_pid" 100 || kill -9 $all 2>/dev/null || :
	postfix_pid=
}
cleanup() {
	trap - EXIT INT TERM HUP
	stop_fife
	stop_postfix
	rm -rf "$work"
}
trap 'cleanup' EXIT
trap 'cleanup; exit 1' INT TERM HUP

wants() {
	[ -z "$only" ] || [ "$only" = "$1" ]
}

# --- Postfix ---
install_postfix() {
	[ -x /usr/sbin/postfix ] && return
	echo "installing: postfix"
	# No configuration for the system: its service has nothing to start with.
	if command -v debconf-set-selections >/dev/null 2>&1; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install postfix \
		>"$work/apt" 2>&1 || {
		cat "$work/apt" >&2
		die "Postfix cannot be installed"
	}
	# Had it been started all the same, it was by this installation.
	/usr/sbin/postfix status >/dev/null 2>&1 && /usr/sbin/postfix stop >/dev/null 2>&1 || :
}

configure_postfix() {
	base=$work/postfix
	mkdir -p "$pconf" "$base/queue" "$base/data" "$base/mail"
	chown postfix "$base/data"
	chown 60990:60990 "$base/mail"
	for f in postfix-files dynamicmaps.cf; do
		[ ! -e /etc/postfix/$f ] || cp /etc/postfix/$f "$pconf/$f"
	done
	cat >"$pconf/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $base/queue
data_directory = $base/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = $pconf
maillog_file = $base/log
maillog_file_prefixes = $work
myhostname = mail.example.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_base = $base/mail
virtual_mailbox_maps = texthash:$pconf/users
virtual_mailbox_limit = 0
virtual_uid_maps = static:60990
virtual_gid_maps = static:60990
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_tls_security_level = none
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
message_size_limit = 52428800
biff = no
EOF
	cat >"$pconf/master.cf" <<EOF
127.0.0.1:$postfix_port inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
EOF
	i=0
	while [ $i -lt $users ]; do
		echo "u$i@example.test example.test/u$i/Maildir/"
		i=$((i + 1))
	done >"$pconf/users"
}

start_postfix() {
	postfix -c "$pconf" start >"$work/postfix.out" 2>&1 || {
		cat "$work/postfix.out" "$work/postfix/log" >&2 2>/dev/null || :
		die "Postfix does not start"
	}
	postfix_pid=$(tr -d ' \n' <"$work/postfix/queue/pid/master.pid")
}

# --- fife ---
run=$work/fife
spawn_fife() {
	: >"$work/fife.out"
	RUN=$run PORTS=$fife_base CONF='' UIDS='' BUILD=$BUILD \
		sh "$here/etc/setup-run.sh" </dev/null >"$work/fife.out" 2>&1 &
	fife_pid=$!
	n=0
	until grep -q '^fife: ready' "$work/fife.out"; do
		kill -0 "$fife_pid" 2>/dev/null || {
			cat "$work/fife.out" >&2
			fife_pid=
			die "fife does not start"
		}
		n=$((n + 1))
		[ $n -lt 600 ] || {
			cat "$work/fife.out" >&2
			die "fife is not ready after 60 seconds"
		}
		sleep 0.1
	done
}
configure_fife() { # adds a setting of the queue; Postfix scans for no viruses either
	sed 's/antivirus yes/antivirus no/' "$run/fife.conf" >"$run/fife.conf.edited"
	if [ -n "$1" ] && grep -q '^queue {' "$run/fife.conf.edited"; then
		sed -i "s/^queue {/&\n\t$1/" "$run/fife.conf.edited"
	elif [ -n "$1" ]; then
		printf '\nqueue {\n\t%s\n}\n' "$1" >>"$run/fife.conf.edited"
	fi
	mv "$run/fife.conf.edited" "$run/fife.conf"
}
fife_users() {
	i=0
	while [ $i -lt $users ]; do
		echo "password$i" | "$run/bin/fifectl" user add "u$i@example.test" >"$work/ctl.out" 2>&1 || {
			cat "$work/ctl.out" >&2
			die "fifectl user add u$i@example.test"
		}
		i=$((i + 1))
	done
}

# --- one measurement ---
ticks() { # of a tree, with its ended and awaited children
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
	{
		pid = $1
		sub(/^.*\) /, "")
		parent[pid] = $2
		t[pid] = $12 + $13 + $14 + $15
	}
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
busy() {
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat
}
folders() { # suite
	i=0
	while [ $i -lt $users ]; do
		case $1 in
		postfix) echo "$work/postfix/mail/example.test/u$i/Maildir/new" ;;
		fife) echo "$run/mail/example.test/u$i/Maildir/new" "$run/mail/example.test/u$i/Maildir/cur" ;;
		esac
		i=$((i + 1))
	done
}
measure() { # work suite options...
	what=$1
	suite=$2
	shift 2
	wants "$suite" || return 0
	case $suite in
	postfix) pid=$postfix_pid port=$postfix_port ;;
	fife) pid=$fife_pid port=$((fife_base + 25)) ;;
	esac
	sync
	kill -0 "$pid" 2>/dev/null || die "$suite has ended"
	b0=$(busy)
	t0=$(ticks "$pid")
	said=$("$load" -p "$port" -u $users -l $limit "$@" 2>>"$errors") || :
	sleep 0.2 # what is left to do for these messages belongs to them
	t1=$(ticks "$pid")
	b1=$(busy)
	echo "$what $suite own=$((t1 - t0)) busy=$((b1 - b0)) $said" >>"$results"
	printf '%-22s %-8s %s\n' "$what" "$suite" "$said"
}
late() {
	[ $(($(date +%s) - began)) -ge $patience ]
}

# --- the whole ---
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$load" "$here/regress/bench/smtp_load.c"
ports=$(PYTHONDONTWRITEBYTECODE=1 python3 - "$here/regress/e2e" <<'EOF'
import socket, sys
sys.path.insert(0, sys.argv[1])
import suite
base = suite.free_ports()
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(base, s.getsockname()[1])
EOF
) || die "no free ports"
fife_base=${ports% *}
postfix_port=${ports#* }

if wants postfix; then
	install_postfix
	configure_postfix
	start_postfix
fi
if wants fife; then
	[ -x "$BUILD/libexec/fifed" ] || die "$BUILD/libexec/fifed is not there; build first"
	spawn_fife
	fife_users
	stop_fife
	configure_fife ''
	spawn_fife
fi
echo "machine: $(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), kernel $(uname -r)"
echo "disk: $(df -PT "$work" | awk 'NR == 2 { print $1, $2 }')"
! wants postfix || echo "Postfix: $(postconf -c "$pconf" -h mail_version)"
! wants fife || echo "fife: $(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)"
echo

r=0
while [ $r -lt "$rounds" ] && ! late; do
	for s in postfix fife; do
		# shellcheck disable=SC2046
		measure deliver-10-clients $s -c 10 -m 0 -n "$messages" -w $(folders $s)
	done
	r=$((r + 1))
done

# Accepting alone: everything is held.
if wants postfix; then
	stop_postfix
	postconf -c "$pconf" -e 'smtpd_recipient_restrictions = static:HOLD'
	start_postfix
fi
if wants fife; then
	stop_fife
	configure_fife 'hold yes'
	spawn_fife
fi
r=0
while [ $r -lt "$rounds" ] && ! late; do
	for s in postfix fife; do
		measure accept-50-new $s -c 50 -m 1 -d "$seconds"
		measure accept-10-reused $s -c 10 -m 0 -d "$seconds"
		measure accept-1-client $s -c 1 -m 0 -d "$seconds"
	done
	r=$((r + 1))
done

echo
awk -v tick_ms="$tick_ms" '
function median(list, a, n, i, j, x) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) {
			x = a[j]; a[j] = a[j - 1]; a[j - 1] = x
		}
	if (n == 0)
		return 0
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
function show(v, form) { return v == "" ? "-" : sprintf(form, v) }
BEGIN {
	title["accept-50-new"] = "accept, 50 clients, a message a connection"
	title["accept-10-reused"] = "accept, 10 clients, connections reused"
	title["accept-1-client"] = "accept, 1 client, connection reused"
	title["deliver-10-clients"] = "10 clients, until the last is in its Maildir"
	n_order = split("accept-50-new accept-10-reused accept-1-client deliver-10-clients", order, " ")
}
{
	k = $1 SUBSEP $2
	split("", v)
	for (i = 3; i <= NF; i++) {
		split($i, kv, "=")
		v[kv[1]] = kv[2]
	}
	rates[k] = rates[k] " " ("delivered_rate" in v ? v["delivered_rate"] : v["rate"] + 0)
	p50[k] = p50[k] " " v["p50_ms"] + 0
	p99[k] = p99[k] " " v["p99_ms"] + 0
	errors[k] += v["errors"]
	if (!("errors" in v))
		errors[k]++ # the driver itself failed
	if (v["messages"] > 0)
		cpu[k] = cpu[k] " " v["own"] * tick_ms / v["messages"]
	all = all + v["busy"]
	mine += v["own"] + v["driver_cpu_s"] * 1000 / tick_ms
	seen[$1] = 1
}
END {
	form = "%-45s %9s %9s %7s %9s %9s %13s %13s %7s\n"
	printf form, "", "Postfix", "fife", "ratio", "CPU ms/", "message", "p50/p99 ms", "p50/p99 ms", "errors"
	printf form, "work", "msgs/s", "msgs/s", "", "Postfix", "fife", "Postfix", "fife", ""
	for (o = 1; o <= n_order; o++) {
		w = order[o]
		if (!(w in seen))
			continue
		split("", c)
		for (s = 1; s <= 2; s++) {
			k = w SUBSEP (s == 1 ? "postfix" : "fife")
			has = k in rates
			rate[s] = has ? median(rates[k]) : ""
			c[s] = k in cpu ? median(cpu[k]) : ""
			lat[s] = has ? sprintf("%.1f/%.1f", median(p50[k]), median(p99[k])) : "-"
			err[s] = errors[k] + 0
		}
		ratio = rate[1] > 0 && rate[2] != "" ? sprintf("%.2f", rate[2] / rate[1]) : "-"
		printf form, title[w], show(rate[1], "%.0f"), show(rate[2], "%.0f"), ratio,
		    show(c[1], "%.2f"), show(c[2], "%.2f"), lat[1], lat[2], err[1] "/" err[2]
	}
	if (all > 0)
		printf "\nof the processor time used during the measurements, %.0f %% was other work (and interrupts)\n",
		    (all - mine) * 100 / all
}' "$results"
ok=$(grep -c ' errors=0 ' "$results" || :)
bad=$(($(grep -c . "$results" || :) - ok))
if [ "$bad" != 0 ]; then
	echo
	echo "bench: $bad measurements with errors:" >&2
	sort "$errors" | uniq -c | head -n 20 >&2
	exit 1
fi
! late || echo "cut short after $patience seconds: fewer rounds than asked for"
echo "whole run: $(($(date +%s) - began)) seconds"
