#!/bin/sh
# Runs each fuzz target given for FUZZ_SECONDS (default 20) from its kept corpus.
# A finding is left in build/fuzz/findings.
seconds=${FUZZ_SECONDS:-20}
mkdir -p build/fuzz/findings
failed=0
for bin in "$@"; do
	name=${bin#build/fuzz/bin/}
	base=regress/fuzz/${name%_fuzz}
	work=build/fuzz/corpus/$name
	mkdir -p "$work" "$base.corpus" 2>/dev/null
	dict=
	[ -f "$base.dict" ] && dict=-dict=$base.dict
	echo "fuzz: $name for $seconds s"
	if ! "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
	    -verbosity=0 -artifact_prefix=build/fuzz/findings/"$(echo "$name" | tr / -)"- \
	    $dict "$work" "$base.corpus" >build/fuzz/last.log 2>&1; then
		tail -40 build/fuzz/last.log
		echo "fuzz: $name FAILED"
		failed=$((failed + 1))
	fi
done
echo "fuzz: $# targets, $failed failed"
[ "$failed" = 0 ]
