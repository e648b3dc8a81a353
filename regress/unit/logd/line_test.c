/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "logd/explain.h"
#include "logd/line.h"
#include "logd/pattern.h"
#include "logd/qids.h"

#define STAMP "2026-11-24T18:40:00.123456Z "

static int
parse(const char *s, struct line *l)
{
	return line_parse(s, strlen(s), l);
}

static void
test_parse(void **state)
{
	struct line l;
	struct line_kv kv;
	size_t pos = 0;

	assert_int_equal(
	    parse(STAMP "smtpd[4711] received qid=0001 from=<a@b> size=10", &l), 0);
	assert_int_equal(l.time_us, 1795545600123456);
	assert_memory_equal(l.name, "smtpd[", 6);
	assert_int_equal(l.name_len, 5);
	assert_int_equal(l.pid, 4711);
	assert_int_equal(l.event_len, 8);
	assert_int_equal(line_kv_next(&l, &pos, &kv), 1);
	assert_memory_equal(kv.key, "qid=0001 ", 9);
	assert_int_equal(kv.val_len, 4);
	assert_int_equal(line_kv_next(&l, &pos, &kv), 1);
	assert_memory_equal(kv.val, "<a@b> ", 6);
	assert_int_equal(line_kv_next(&l, &pos, &kv), 1);
	assert_int_equal(line_kv_next(&l, &pos, &kv), 0);
	assert_int_equal(line_get(&l, "size", &kv), 1);
	assert_int_equal(line_get(&l, "siz", &kv), 0);
}

static void
test_parse_bad(void **state)
{
	static const char *const bad[] = { "", "x", STAMP, STAMP "smtpd", STAMP "smtpd[",
		STAMP "smtpd[12", STAMP "smtpd[12]", STAMP "smtpd[]  x",
		STAMP "smtpd[1a] x", STAMP "[12] x", STAMP "smtpd[1234567890] x",
		"2026-11-24T18:40:00.12345Z smtpd[1] x",
		"2026-13-24T18:40:00.123456Z smtpd[1] x",
		"2026-02-30T18:40:00.123456Z smtpd[1] x",
		"2026-11-24 18:40:00.123456Z smtpd[1] x",
		"2026-11-24T24:40:00.123456Z smtpd[1] x" };
	struct line l;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &l) != -1)
			fail_msg("taken: %s", bad[i]);
	/* free text is no fact */
	assert_int_equal(parse(STAMP "fifed[1] cannot open /x: No such file", &l), 0);
	assert_int_equal(l.event_len, 0);
	assert_int_equal(parse(STAMP "fifed[1] ready", &l), 0);
	assert_int_equal(l.event_len, 5);
}

static void
test_quotes(void **state)
{
	struct line l;
	struct line_kv kv;
	char buf[64];

	assert_int_equal(
	    parse(
		STAMP "d[1] deferred text=\"450 a \\\"b\\\" \\\\ \\x0a=c\" to=<x@y>", &l),
	    0);
	assert_int_equal(line_get(&l, "text", &kv), 1);
	assert_int_equal(
	    line_value(&kv, buf, sizeof(buf)), strlen("450 a \"b\" \\ \\x0a=c"));
	assert_string_equal(buf, "450 a \"b\" \\ \\x0a=c");
	assert_int_equal(line_get(&l, "to", &kv), 1);
	/* cut inside the quotes */
	assert_int_equal(parse(STAMP "d[1] deferred text=\"450 a\\", &l), 0);
	assert_int_equal(line_get(&l, "text", &kv), 1);
	line_value(&kv, buf, sizeof(buf));
	assert_string_equal(buf, "450 a\\");
	assert_int_equal(line_value(&kv, buf, 4), 3);
	assert_string_equal(buf, "450");
}

static void
test_truncated(void **state)
{
	static const char text[] =
	    STAMP "d[1] deferred text=\"4\\\" \\x00\" to=<x@y> size=1 =x y= \"z\"";
	struct line l;
	struct line_kv kv;
	char out[256], *copy;

	for (size_t n = 0; n < sizeof(text); n++) {
		size_t pos = 0;

		copy =
		    malloc(n + 1); /* exact, so that the sanitizer sees a step beyond */
		assert_non_null(copy);
		memcpy(copy + 1, text, n);
		if (line_parse(copy + 1, n, &l) == 0) {
			while (line_kv_next(&l, &pos, &kv))
				line_value(&kv, out, sizeof(out));
			explain_line(&l, out, sizeof(out));
			line_mentions(&l, "x@y");
		}
		free(copy);
	}
}

static void
test_mentions(void **state)
{
	static const struct {
		const char *text;
		const char *word;
		int found;
	} rows[] = {
		{ "received from=<bob@x.test> qid=1", "bob@x.test", 1 },
		{ "received from=<BOB@X.test> qid=1", "bob@x.TEST", 1 },
		{ "received from=<rob.bob@x.test> qid=1", "bob@x.test", 0 },
		{ "received from=<bob@x.test.com> qid=1", "bob@x.test", 0 },
		{ "received from=bob@x.test qid=1", "bob@x.test", 1 },
		{ "failed text=\"no bob@x.test.\"", "bob@x.test", 1 },
		{ "failed to=a@b,bob@x.test,c@d", "bob@x.test", 1 },
		{ "received qid=12345", "1234", 0 },
		{ "received qid=1234", "1234", 1 },
		{ "received qid=1234", "", 0 },
		{ "received msgid=<a.b@c>", "a.b@c", 1 },
	};
	char buf[200];
	struct line l;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(buf, sizeof(buf), STAMP "d[1] %s", rows[i].text);
		assert_int_equal(parse(buf, &l), 0);
		if (line_mentions(&l, rows[i].word) != rows[i].found)
			fail_msg("%s: %s", rows[i].text, rows[i].word);
	}
}

static void
test_clean(void **state)
{
	char buf[64];

	line_clean(buf, sizeof(buf), "a\nb\x1b[31m\x7f");
	assert_string_equal(buf, "a\\x0ab\\x1b[31m\\x7f");
	line_clean(buf, sizeof(buf), "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_string_equal(buf, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	/* C1, overlong, lone, surrogate, cut, direction override */
	line_clean(buf, sizeof(buf), "\xc2\x9b \xc0\xaf \x80 \xed\xa0\x80 \xe2\x82");
	assert_string_equal(
	    buf, "\\xc2\\x9b \\xc0\\xaf \\x80 \\xed\\xa0\\x80 \\xe2\\x82");
	line_clean(buf, sizeof(buf), "\xe2\x80\xae");
	assert_string_equal(buf, "\\xe2\\x80\\xae");
	assert_int_equal(line_clean(buf, 6, "\n\n"), 4);
}

static void
test_days(void **state)
{
	char buf[LINE_STAMP_LEN + 1];
	int32_t day;

	assert_int_equal(day_parse("1970-01-01", 10, &day), 0);
	assert_int_equal(day, 0);
	assert_int_equal(day_parse("2024-02-29", 10, &day), 0);
	assert_int_equal(day, 19782);
	assert_int_equal(day_parse("2023-02-29", 10, &day), -1);
	assert_int_equal(day_parse("9999-12-31", 10, &day), 0);
	for (int32_t d = 0; d <= day; d += 97) {
		int32_t back;

		day_format(buf, d);
		assert_int_equal(day_parse(buf, strlen(buf), &back), 0);
		assert_int_equal(back, d);
	}
	line_stamp(buf, 1795545600123456);
	assert_string_equal(buf, "2026-11-24T18:40:00.123456Z");
	line_stamp(buf, INT64_MAX);
	line_stamp(buf, INT64_MIN);
	assert_string_equal(buf, "1970-01-01T00:00:00.000000Z");
}

static void
test_explain(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} rows[] = {
		{ "received qid=1 from=<a@b> to=c@d client=192.0.2.1 size=10 tls=TLSv1.3",
		    "accepted a message from <a@b> for <c@d>, sent by 192.0.2.1, 10 "
		    "octets: "
		    "queue id 1 (tls TLSv1.3)" },
		{ "received qid=1 from=\"\" size=10",
		    "accepted a message from the empty reverse-path, 10 octets: queue id "
		    "1" },
		{ "failed qid=1 to=<c@d> host=mx.d text=\"550 5.1.1 no \\\"c\\\" here\"",
		    "failed to deliver 1 to <c@d> at mx.d for good: 550 5.1.1 no \"c\" "
		    "here" },
		{ "deferred qid=1", "could not deliver 1 for now" },
		{ "deferred qid=1 next=1795545666",
		    "could not deliver 1 for now, next try 1m 6s later" },
		{ "deferred qid=1 next=1795552800",
		    "could not deliver 1 for now, next try 2h later" },
		{ "deferred qid=1 next=soon",
		    "could not deliver 1 for now, next try soon later" },
		{ "deferred qid=1 next=-9223372036854775808",
		    "could not deliver 1 for now, next try -9223372036854775808 later" },
		{ "quarantined qid=1 from=a@b why=\"it looks stolen\"",
		    "put 1 aside from <a@b>: it looks stolen" },
		{ "frozen qid=1 to=a@b rule=3 why=attack by=me until=0",
		    "keeps 1 back for <a@b> by rule 3 of me: attack" },
		{ "frozen qid=1 to=a@b rule=3 why=attack by=me until=1795632000",
		    "keeps 1 back for <a@b>, 1d at most, by rule 3 of me: attack" },
		{ "warned qid=1 notice=2 to=a@b",
		    "told the sender <a@b> that 1 is late (notice 2)" },
		{ "given-up qid=1 by=administrator",
		    "gave 1 up, on the word of an administrator" },
		{ "host-failed qid=1 host=[192.0.2.1] code=4.4.1 why=refused",
		    "tried 1 in vain at [192.0.2.1]: refused (code 4.4.1)" },
		{ "never-heard-of qid=1", "never-heard-of qid=1" },
		{ "plain text: nothing known", "plain text: nothing known" },
		{ "log-lost", "? lines before this one could not be written" },
	};
	char buf[300], out[300];
	struct line l;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(buf, sizeof(buf), STAMP "d[1] %s", rows[i].text);
		assert_int_equal(parse(buf, &l), 0);
		explain_line(&l, out, sizeof(out));
		assert_string_equal(out, rows[i].sentence);
		for (size_t cap = 1; cap < 80; cap++)
			assert_true(explain_line(&l, out, cap) < cap);
	}
}

static void
test_pattern(void **state)
{
	char err[200];
	struct pattern *p;
	char hard[64];

	assert_null(pattern_new("a(b", err, sizeof(err)));
	assert_non_null(strstr(err, "not a regular expression"));
	p = pattern_new("^(a+)+$", err, sizeof(err));
	assert_non_null(p);
	assert_int_equal(pattern_match(p, "aaa", 3), 1);
	assert_int_equal(pattern_match(p, "b", 1), 0);
	memset(hard, 'a', sizeof(hard));
	hard[sizeof(hard) - 1] = '!';
	assert_int_equal(pattern_match(p, hard, sizeof(hard)), -1);
	pattern_free(p);
	pattern_free(NULL);
}

static void
test_qids(void **state)
{
	struct qids q = { .n = 0 };
	struct line l;
	char buf[200];

	assert_int_equal(parse(STAMP "d[1] bounced qid=7 bounce=8", &l), 0);
	assert_int_equal(qids_in_line(&q, &l), 0);
	qids_collect(&q, &l);
	qids_collect(&q, &l);
	assert_int_equal(q.n, 2);
	assert_int_equal(parse(STAMP "d[1] received qid=8", &l), 0);
	assert_int_equal(qids_in_line(&q, &l), 1);
	assert_int_equal(parse(STAMP "d[1] received qid=88", &l), 0);
	assert_int_equal(qids_in_line(&q, &l), 0);
	for (int i = 0; i < 1200; i++) {
		snprintf(buf, sizeof(buf), STAMP "d[1] received qid=%d", i * 7919 % 1200);
		assert_int_equal(parse(buf, &l), 0);
		qids_collect(&q, &l);
	}
	assert_int_equal(q.n, QIDS_MAX);
	assert_int_equal(q.full, 1);
	for (size_t i = 1; i < q.n; i++)
		assert_true(strcmp(q.ids[i - 1], q.ids[i]) < 0);
	qids_clear(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_mentions),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_qids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
