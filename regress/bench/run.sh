#!/bin/sh
# make bench: fife beside Debian's Postfix, in one run on this machine, alternating.
# Both accept the same mail over loopback, with their spools on the same real disk and
# their own durability (the 250 after a sync); the load driver shares the processors.
#
#	BENCH_ROUNDS	rounds of each measurement (3); the table shows medians
#	BENCH_SECONDS	length of one measurement of accepting (4)
#	BENCH_MESSAGES	messages of one measurement of delivering (2000)
#	BENCH_IDLE	idle connections to fife (1000); a fifth of them to Postfix
#	BENCH_ONLY	postfix or fife: just that one
#	BENCH_DIR	where to work (/var/tmp): a real disk
#	BUILD		fife's programs (build/prod)
#
# Postfix runs from a configuration, queue and data directory of its own; the system's
# configuration and service are not touched. It has Debian's defaults but for what the
# work asks: no limit of connections from one address, no lookups, no chroot (which costs
# it nothing), and virtual(8) instead of local(8), which spares it looking for each
# user's .forward. fife checks recipients too and scans for no viruses, as Postfix does
# not. What is started here is ended here.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$here/build/prod}
rounds=${BENCH_ROUNDS:-3}
seconds=${BENCH_SECONDS:-4}
messages=${BENCH_MESSAGES:-2000}
idle=${BENCH_IDLE:-1000}
only=${BENCH_ONLY:-}
users=100
limit=20          # seconds of any one load
patience=300      # seconds after which no further round begins
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
idle_conn=$work/idle_conn
memory=$work/memory
: >"$memory"
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

make_cert() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 10 -subj /CN=mail.example.test \
		-keyout "$pconf/key.pem" -out "$pconf/cert.only" 2>/dev/null
	cat "$pconf/key.pem" "$pconf/cert.only" >"$pconf/cert.pem"
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
# Flushes of the disk that everything lies on; of other work too. 0 where it is not told.
device=$(basename "$(df -P "$work" | awk 'NR == 2 { print $1 }')")
flushes() {
	awk -v dev="$device" '$3 == dev { n = $19 } END { print n + 0 }' /proc/diskstats
}
pss_kb() { # of a tree
	for p in $(tree "$1") $1; do
		cat "/proc/$p/smaps_rollup" 2>/dev/null || :
	done | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'
}
root_of() { # suite
	case $1 in
	postfix) echo "$postfix_pid" ;;
	fife) echo "$fife_pid" ;;
	esac
}
port_of() { # suite
	case $1 in
	postfix) echo "$postfix_port" ;;
	fife) echo $((fife_base + 25)) ;;
	esac
}
measure_rest() { # suite
	wants "$1" || return 0
	echo "rest $1 $(pss_kb "$(root_of "$1")")" >>"$memory"
}
# What a connection costs while it is held open and idle.
measure_idle() { # what suite connections options
	wants "$2" || return 0
	what=$1 suite=$2 n=$3
	shift 3
	"$idle_conn" -p "$(port_of "$suite")" -c 8 "$@" </dev/null >/dev/null 2>>"$errors" || : # what is loaded once
	sleep 1
	before=$(pss_kb "$(root_of "$suite")")
	mkfifo "$work/held"
	"$idle_conn" -p "$(port_of "$suite")" -c "$n" "$@" <"$work/held" >"$work/idle.out" 2>>"$errors" &
	idle_pid=$!
	exec 8>"$work/held"
	i=0
	until grep -q ready "$work/idle.out" || [ $i -ge 600 ] || ! kill -0 $idle_pid 2>/dev/null; do
		sleep 0.1
		i=$((i + 1))
	done
	if grep -q ready "$work/idle.out"; then
		sleep 0.5
		after=$(pss_kb "$(root_of "$suite")")
		echo "$what $suite $before $after $n" >>"$memory"
		printf '%-22s %-8s %d connections: %d KB\n' "$what" "$suite" "$n" $((after - before))
	else
		echo "bench: $n idle connections to $suite were not made" >>"$errors"
		echo "$what $suite 0 0 0" >>"$memory"
	fi
	exec 8>&-
	wait $idle_pid || :
	rm -f "$work/held"
}
# By how much smtpd and queued grow while one large message passes: their peak.
peaks() { # reset or show
	for p in $(tree "$fife_pid"); do
		read -r name <"/proc/$p/comm" || continue
		case $name in
		smtpd | queued) ;;
		*) continue ;;
		esac
		if [ "$1" = reset ]; then
			echo 5 >"/proc/$p/clear_refs"
			echo "$p $name $(awk '/^VmRSS:/ { print $2 }' "/proc/$p/status")"
		else
			echo "$p $name $(awk '/^VmHWM:/ { print $2 }' "/proc/$p/status")"
		fi
	done
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
	pid=$(root_of "$suite") port=$(port_of "$suite")
	sync
	kill -0 "$pid" 2>/dev/null || die "$suite has ended"
	f0=$(flushes)
	b0=$(busy)
	t0=$(ticks "$pid")
	said=$("$load" -p "$port" -u $users -l $limit "$@" 2>>"$errors") || :
	sleep 0.2 # what is left to do for these messages belongs to them
	t1=$(ticks "$pid")
	b1=$(busy)
	f1=$(flushes)
	echo "$what $suite own=$((t1 - t0)) busy=$((b1 - b0)) flushes=$((f1 - f0)) $said" >>"$results"
	printf '%-22s %-8s %s\n' "$what" "$suite" "$said"
}
late() {
	[ $(($(date +%s) - began)) -ge $patience ]
}

# --- the whole ---
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$load" "$here/regress/bench/smtp_load.c"
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -o "$idle_conn" "$here/regress/bench/idle_conn.c" -lssl -lcrypto
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

sleep 2
for s in postfix fife; do
	measure_rest $s
done
r=0
while [ $r -lt "$rounds" ] && ! late; do
	for s in postfix fife; do
		# shellcheck disable=SC2046
		measure deliver-50 $s -c 50 -m 1 -n "$messages" -w $(folders $s)
	done
	r=$((r + 1))
done
! wants fife || peaks reset >"$work/peaks.before"
r=0
while [ $r -lt "$rounds" ] && ! late; do
	for s in postfix fife; do
		# shellcheck disable=SC2046
		measure deliver-25MB $s -c 1 -n 1 -s 26214400 -w $(folders $s)
	done
	r=$((r + 1))
done
! wants fife || peaks show >"$work/peaks.after"

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
		measure accept-50-reused $s -c 50 -m 0 -d "$seconds"
		measure accept-1-client $s -c 1 -m 0 -d "$seconds"
	done
	r=$((r + 1))
done

# Idle connections. Postfix refuses nobody, but answers no more of them at once than it
# may have processes.
if wants postfix; then
	stop_postfix
	cat "$run/tls/key.pem" "$run/tls/cert.pem" >"$pconf/cert.pem" 2>/dev/null || make_cert
	chmod 600 "$pconf/cert.pem"
	postconf -c "$pconf" -e "default_process_limit = 1200" "smtpd_tls_chain_files = $pconf/cert.pem" \
		'smtpd_tls_security_level = may'
	start_postfix
fi
# Each kind with daemons that have not done anything yet: no memory of before, no
# processes that are still there.
for kind in plain tls; do
	if wants postfix; then
		stop_postfix
		start_postfix
	fi
	if wants fife; then
		stop_fife
		spawn_fife
	fi
	options=
	[ $kind = plain ] || options=-t
	# shellcheck disable=SC2086
	measure_idle idle-$kind postfix $((idle / 5)) $options
	# shellcheck disable=SC2086
	measure_idle idle-$kind fife "$idle" $options
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
	title["accept-50-reused"] = "accept, 50 clients, connections reused"
	title["accept-1-client"] = "accept, 1 client, connection reused"
	title["deliver-50"] = "50 clients, until the last is in its Maildir"
	title["deliver-25MB"] = "a message of 25 MB, until it is in its Maildir"
	n_order = split("accept-50-new accept-50-reused deliver-50 accept-1-client deliver-25MB", order, " ")
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
	if (v["messages"] > 0)
		flush[k] = flush[k] " " v["flushes"] / v["messages"]
	all = all + v["busy"]
	mine += v["own"] + v["driver_cpu_s"] * 1000 / tick_ms
	seen[$1] = 1
}
END {
	form = "%-46s %9s %9s %7s %9s %9s %13s %13s %9s %7s\n"
	printf form, "", "Postfix", "fife", "ratio", "CPU ms/", "message", "p50/p99 ms", "p50/p99 ms", "flushes/m", "errors"
	printf form, "work", "msgs/s", "msgs/s", "", "Postfix", "fife", "Postfix", "fife", "P / f", "P/f"
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
			fl[s] = has ? sprintf("%.2f", median(flush[k])) : "-"
		}
		ratio = rate[1] > 0 && rate[2] != "" ? sprintf("%.2f", rate[2] / rate[1]) : "-"
		f = w == "deliver-25MB" ? "%.2f" : "%.0f"
		printf form, title[w], show(rate[1], f), show(rate[2], f), ratio,
		    show(c[1], "%.3f"), show(c[2], "%.3f"), lat[1], lat[2], fl[1] "/" fl[2], err[1] "/" err[2]
	}
	if (all > 0)
		printf "\nof the processor time used during the measurements, %.0f %% was other work (and interrupts)\n",
		    (all - mine) * 100 / all
}' "$results"
echo
awk '
function kb(v) { return v == "" ? "-" : sprintf("%.1f", v) }
$1 == "rest" { rest[$2] = $3 / 1024 }
$1 ~ /^idle/ && $5 > 0 { each[$1, $2] = ($4 - $3) / $5 }
END {
	printf "%-46s %9s %9s\n", "memory (PSS)", "Postfix", "fife"
	printf "%-46s %9s %9s\n", "at rest, MB", kb(rest["postfix"]), kb(rest["fife"])
	printf "%-46s %9s %9s\n", "an idle SMTP connection, KB", kb(each["idle-plain", "postfix"]), kb(each["idle-plain", "fife"])
	printf "%-46s %9s %9s\n", "an idle SMTP connection with TLS, KB", kb(each["idle-tls", "postfix"]), kb(each["idle-tls", "fife"])
}' "$memory"
! wants fife || awk '
FNR == NR { before[$1] = $3; next }
$1 in before { if ($3 - before[$1] > most[$2]) most[$2] = $3 - before[$1] }
END { printf "fife grows while 25 MB pass, KB: smtpd %d, queued %d\n", most["smtpd"], most["queued"] }' \
	"$work/peaks.before" "$work/peaks.after"
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
