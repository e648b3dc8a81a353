#!/bin/sh
# make bench-search: SEARCH TEXT of a rare word in a large folder, the first time and
# again, and what the search index takes on the disk; Debian's Dovecot beside it, on the
# same messages, when it is installed.
#
#	BENCH_SEARCH	messages (50000), of about 4 KB
#	BENCH_DIR	where to work (/var/tmp): a real disk
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
FIFE_BUILD=${BUILD:-$here/build/prod} exec python3 "$here/regress/bench/search.py"
