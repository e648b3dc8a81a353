#!/bin/sh
# A complete mail host in a directory of its own, in the foreground: what `make run`
# starts. Nothing outside RUN is written. A second run keeps configuration,
# accounts, passwords and mail.
#
#	RUN	the directory (./run)
#	PORTS	added to each standard port (2000)
#	CONF	another fife.conf instead of RUN/fife.conf
#	UIDS	the range of uids, FIRST-LAST; otherwise derived from PORTS
#	BUILD	where the programs are: BUILD/bin, BUILD/libexec
set -eu

RUN=${RUN:-./run}
PORTS=${PORTS:-2000}
CONF=${CONF:-}
UIDS=${UIDS:-}
here=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$here/build/prod}
libexec=$BUILD/libexec

die() {
	echo "setup-run: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: daemons and mailboxes get their own uids"
case $PORTS in
'' | *[!0-9]*) die "PORTS=$PORTS: expected a number" ;;
esac
[ "$PORTS" -le 64000 ] || die "PORTS=$PORTS: expected at most 64000"
[ -x "$libexec/fifed" ] || die "$libexec/fifed is not there; build first"

umask 022
mkdir -p "$RUN"
RUN=$(cd "$RUN" && pwd)
# Whoever owns it could lay links where root writes.
[ -O "$RUN" ] || die "$RUN belongs to somebody else"
# The files of an earlier run belong to its uids.
if [ -z "$UIDS" ] && [ -s "$RUN/fife.conf" ]; then
	UIDS=$(sed -n 's/^uids *//p' "$RUN/fife.conf" | head -n 1)
fi
if [ -z "$UIDS" ]; then
	# 25 ranges, chosen so that round numbers of PORTS do not share one.
	first=$((10000 + 2000 * ((PORTS / 1000 + PORTS / 100) % 25)))
	UIDS=$first-$((first + 1999))
fi

port() {
	echo $(($1 + PORTS))
}

# --- certificate ---
# (some clients look for an address among the DNS names only)
mkdir -p "$RUN/tls" "$RUN/bin" "$RUN/signatures"
if [ ! -s "$RUN/tls/cert.pem" ]; then
	(
		umask 077
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
			-subj /CN=mail.example.test \
			-addext 'subjectAltName=DNS:localhost,DNS:mail.example.test,DNS:127.0.0.1,IP:127.0.0.1,IP:::1' \
			-keyout "$RUN/tls/key.pem.new" -out "$RUN/tls/cert.pem.new" 2>"$RUN/tls/log"
	) || die "openssl: $(cat "$RUN/tls/log")"
	rm -f "$RUN/tls/log"
	chmod 0644 "$RUN/tls/cert.pem.new"
	mv "$RUN/tls/key.pem.new" "$RUN/tls/key.pem"
	mv "$RUN/tls/cert.pem.new" "$RUN/tls/cert.pem"
fi

# --- signatures: our own, since there are none without the network ---
# The body of the EICAR test file, in hexadecimal, as a signature of any file type.
if [ ! -s "$RUN/signatures/fife-test.ndb" ]; then
	echo "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a" \
		>"$RUN/signatures/fife-test.ndb"
fi

# --- configuration: made anew unless somebody has changed it ---
cat >"$RUN/fife.conf.new" <<END
# Made by setup-run.sh for a demonstration; see fife.conf(5).
hostname mail.example.test
state "$RUN"
libexec "$libexec"
uids $UIDS
postmaster alice@example.test

# Loopback only, so passwords may pass without TLS too.
listen smtp on 127.0.0.1, ::1 port $(port 25)
listen submission on 127.0.0.1, ::1 port $(port 587) auth-without-tls
listen submission on 127.0.0.1, ::1 port $(port 465) tls implicit
listen imap on 127.0.0.1, ::1 port $(port 143) auth-without-tls
listen imap on 127.0.0.1, ::1 port $(port 993) tls implicit
listen pop3 on 127.0.0.1, ::1 port $(port 110) auth-without-tls
listen pop3 on 127.0.0.1, ::1 port $(port 995) tls implicit
listen managesieve on 127.0.0.1, ::1 port $(port 4190) auth-without-tls
listen local

tls {
	certificate "tls/cert.pem"
	key "tls/key.pem"
	names mail.example.test, localhost
}

smtp {
	trust-loopback yes
	connections-per-address 1000
}

filter {
	antivirus yes
	signatures "signatures"
}

imap {
	connections-per-address 1000
}

pop3 {
	connections-per-address 1000
}

managesieve {
	connections-per-address 1000
}
END
if [ ! -s "$RUN/fife.conf" ] || cmp -s "$RUN/fife.conf" "$RUN/fife.conf.made"; then
	cp "$RUN/fife.conf.new" "$RUN/fife.conf.made"
	mv "$RUN/fife.conf.new" "$RUN/fife.conf"
else
	cmp -s "$RUN/fife.conf.new" "$RUN/fife.conf.made" ||
		echo "setup-run: $RUN/fife.conf has been changed by hand and stays as it is" >&2
	rm -f "$RUN/fife.conf.new"
fi
if [ -n "$CONF" ]; then
	[ -r "$CONF" ] || die "CONF=$CONF: cannot be read"
	CONF=$(cd "$(dirname "$CONF")" && pwd)/$(basename "$CONF")
else
	CONF=$RUN/fife.conf
fi

# --- programs that speak to this host ---
quote() {
	printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}
wrapper() {
	printf '#!/bin/sh\n%s\n' "$2" >"$RUN/bin/$1.new"
	chmod 0755 "$RUN/bin/$1.new"
	mv "$RUN/bin/$1.new" "$RUN/bin/$1"
}
# Copies, since unprivileged users run them, who may not be able to reach the build.
for program in fifectl sendmail; do
	cp "$BUILD/bin/$program" "$RUN/bin/.$program.new"
	mv "$RUN/bin/.$program.new" "$RUN/bin/.$program"
done
wrapper fifectl "exec $(quote "$RUN/bin/.fifectl") -f $(quote "$CONF") \"\$@\""
wrapper sendmail "FIFE_CONF=$(quote "$CONF") FIFE_STATE=$(quote "$RUN") exec $(quote "$RUN/bin/.sendmail") \"\$@\""

# --- accounts, with a suite that nobody is told of yet ---
password() {
	LC_ALL=C tr -dc 'a-km-zA-HJ-NP-Z2-9' </dev/urandom | head -c 16
}

make_accounts() {
	ctl="$RUN/bin/fifectl"
	log=$RUN/log.first
	: >"$log"
	"$libexec/fifed" -d -f "$CONF" -L "$libexec" </dev/null >"$log" 2>&1 &
	pid=$!
	trap 'kill $pid 2>/dev/null; exit 1' INT TERM HUP
	n=0
	until grep -q '^fife: ready$' "$log"; do
		if ! kill -0 $pid 2>/dev/null; then
			cat "$log" >&2
			die "fifed has ended"
		fi
		n=$((n + 1))
		if [ $n -gt 600 ]; then
			kill $pid 2>/dev/null || :
			cat "$log" >&2
			die "fifed is not ready after 60 seconds"
		fi
		sleep 0.1
	done
	while read -r address word; do
		domain=${address#*@}
		# Of an earlier try that was broken off, they may be there.
		"$ctl" domain add "$domain" >"$log.ctl" 2>&1 || :
		if ! printf '%s\n' "$word" | "$ctl" user add "$address" >>"$log.ctl" 2>&1 &&
			! printf '%s\n' "$word" | "$ctl" user passwd "$address" >>"$log.ctl" 2>&1; then
			cat "$log" "$log.ctl" >&2
			kill $pid 2>/dev/null || :
			die "cannot make the account $address"
		fi
	done <"$RUN/accounts.new"
	kill $pid 2>/dev/null || :
	wait $pid || true
	trap - INT TERM HUP
	rm -f "$log" "$log.ctl"
}

if [ ! -s "$RUN/accounts" ]; then
	(
		umask 077
		: >"$RUN/accounts.new"
		for who in alice bob; do
			echo "$who@example.test $(password)" >>"$RUN/accounts.new"
		done
	)
	make_accounts
	mv "$RUN/accounts.new" "$RUN/accounts"
fi

exec "$libexec/fifed" -d -f "$CONF" -L "$libexec"
