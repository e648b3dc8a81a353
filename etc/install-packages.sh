#!/bin/sh
# Installs what building, running and testing fife needs and this system lacks, and
# says what that is. On a system with all of it nothing happens.
#
# FreeBSD:	pkg install gmake libevent lmdb libidn libidn2 pcre2 unbound clamav cmocka swaks
#		curl python3 llvm
# OpenBSD:	pkg_add gmake libevent lmdb libidn libidn2 pcre2 libunbound clamav cmocka swaks
#		curl python3
#		(base has imsg, pledge and LibreSSL)
set -eu

case $(uname -s) in
Linux) ;;
FreeBSD | OpenBSD)
	echo "fife needs these packages on $(uname -s); see the head of $0:"
	sed -n "/^# $(uname -s):/,/^# [A-Zs]/p" "$0" | sed -n '/^#/p' | sed 's/^# *//'
	exit 0
	;;
*)
	echo "$0: packages for $(uname -s) are not known; trying to build" >&2
	exit 0
	;;
esac
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "$0: no Debian system: install the packages that $0 names by hand" >&2
	exit 0
fi

# To build.
wanted="gcc make libc6-dev libevent-dev libssl-dev libbsd-dev liblmdb-dev libidn-dev libidn2-dev
	libpcre2-dev libcrypt-dev libseccomp-dev zlib1g-dev libunbound-dev libclamav-dev"
# To run the demonstration, to resolve names with DNSSEC, and to test.
useful="openssl dns-root-data ca-certificates git clang clang-format libclang-rt-14-dev libcmocka-dev mandoc python3 curl swaks
	sieve-connect isync offlineimap3 libsasl2-modules fetchmail getmail6 mpop mutt neomutt procps iproute2 libnet-ssleay-perl msmtp libdb5.3 libicu72 libnsl2
	libexttextcat-2.0-0 liblua5.4-0 libsodium23 libstemmer0d libtirpc3 libunwind8 libwrap0"
# Servers to test with, which are unpacked by the tests and never installed: they would
# start, and take the place of the system's own.
peers="postfix opensmtpd exim4-base exim4-daemon-light
	dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd"
imapflow=2.10.2

fetch_peers() {
	dir=$(dirname "$0")/../build/peers
	for p in $peers; do
		ls "$dir/$p"_*.deb >/dev/null 2>&1 && continue
		mkdir -p "$dir"
		(cd "$dir" && apt-get download -q "$p" >/dev/null 2>&1) ||
			echo "$0: could not fetch $p: its tests will be skipped" >&2
	done
	fetch_imapflow
	install_thunderbird
}

# A client from npm's configured registry, whose scripts are not run; npm itself is too
# large to be installed for one test.
fetch_imapflow() {
	at=$dir/imapflow
	if [ ! -d "$at/node_modules/imapflow" ] && command -v npm >/dev/null 2>&1; then
		mkdir -p "$at"
		timeout 90 npm install --prefix "$at" --no-package-lock --no-save --no-audit --no-fund \
			--ignore-scripts "imapflow@$imapflow" >/dev/null 2>&1 ||
			echo "$0: could not fetch imapflow: its tests will be skipped" >&2
	fi
}

# A client with a window, some 150 MB with what it needs: not worth waiting for long. Only
# the fetching is bounded, since what is cut off while it unpacks has to be repaired.
install_thunderbird() {
	[ -n "$(lacking thunderbird)" ] || return 0
	export DEBIAN_FRONTEND=noninteractive
	if [ "$(id -u)" = 0 ] && timeout 40 apt-get install -q -y --no-install-recommends --download-only \
		thunderbird >/dev/null 2>&1; then
		apt-get install -q -y --no-install-recommends thunderbird >/dev/null 2>&1 || true
	fi
	[ -z "$(lacking thunderbird)" ] ||
		echo "$0: could not install thunderbird: its test will be skipped" >&2
}

lacking() {
	for p; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
		[ "$state" = installed ] || printf ' %s' "$p"
	done
}

# shellcheck disable=SC2086
missing=$(lacking $wanted $useful)
[ "${1:-}" != --peers ] || { fetch_peers; exit 0; }
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "$0: needs root to install:$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q || echo "$0: apt-get update failed; trying what is known" >&2
# shellcheck disable=SC2086
if ! apt-get install -q -y --no-install-recommends $missing; then
	missing=$(lacking $wanted)
	if [ -n "$missing" ]; then
		echo "$0: could not install what building needs:$missing" >&2
		exit 1
	fi
	echo "$0: could not install$(lacking $useful): some tests will be skipped" >&2
fi
