/* SPDX-License-Identifier: ISC */
/* Rules: what each field sees, what each action says, and how judgements add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "filterd/rules.h"

static char last_log[512];

static void
keep_log(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
	strlcpy(last_log, text, sizeof(last_log));
}

static int
add(struct rules *r, const char *name, enum rule_field field, const char *header,
    const char *pattern, enum verdict action, const char *text)
{
	struct msg_conf_filter_rule c = { .field = (uint8_t)field,
		.action = (uint8_t)action };
	char why[200] = "";

	strlcpy(c.name, name, sizeof(c.name));
	strlcpy(c.header, header, sizeof(c.header));
	strlcpy(c.pattern, pattern, sizeof(c.pattern));
	strlcpy(c.text, text, sizeof(c.text));
	return rules_add(r, &c, why, sizeof(why));
}

static const char message[] = "From: =?utf-8?q?Th=C3=A9odore?= <t@sender.test>\r\n"
			      "Subject: =?utf-8?b?WW91IGhhdmUgd29u?=\r\n a\r\n car\r\n"
			      "X-Empty:\r\n"
			      "MIME-Version: 1.0\r\n"
			      "Content-Type: text/plain; charset=iso-8859-1\r\n"
			      "Content-Transfer-Encoding: quoted-printable\r\n"
			      "\r\n"
			      "Caf=E9 and caf=\r\neine\r\n";

static const struct rule_facts facts = { .client = "192.0.2.7",
	.client_name = "mx.sender.test",
	.helo = "helo.sender.test",
	.sender = "t@sender.test",
	.rcpts = "alice@example.test\nbob@example.test\n",
	.message = message,
	.len = sizeof(message) - 1 };

static int
one(enum rule_field field, const char *header, const char *pattern)
{
	struct rules *r = rules_new();
	struct judgement j;

	assert_int_equal(add(r, "one", field, header, pattern, VERDICT_JUNK, ""), 0);
	rules_judge(r, &facts, &j);
	rules_free(r);
	return j.action == VERDICT_JUNK;
}

static void
each_field_sees_its_own(void **state)
{
	static const struct {
		enum rule_field field;
		const char *header, *pattern;
		int hit;
	} rows[] = {
		{ RULE_HEADER, "Subject", "^You have won a car$", 1 },
		{ RULE_HEADER, "subject", "won", 1 },
		{ RULE_HEADER, "Subject", "WON", 0 },
		{ RULE_HEADER, "Subject", "(?i)WON", 1 },
		{ RULE_HEADER, "From", "^Th\xc3\xa9odore", 1 },
		{ RULE_HEADER, "From", "^Th.odore", 1 },
		{ RULE_HEADER, "X-Empty", "^$", 1 },
		{ RULE_HEADER, "X-Absent", "", 0 },
		{ RULE_SENDER, "", "@sender\\.test$", 1 },
		{ RULE_SENDER, "", "@other\\.test$", 0 },
		{ RULE_RECIPIENT, "", "^bob@", 1 },
		{ RULE_RECIPIENT, "", "^alice@example\\.test$", 1 },
		{ RULE_RECIPIENT, "", "alice.*bob", 0 },
		{ RULE_CLIENT, "", "^192\\.0\\.2\\.", 1 },
		{ RULE_CLIENT, "", "\\.sender\\.test$", 1 },
		{ RULE_HELO, "", "^helo", 1 },
		{ RULE_BODY, "", "Caf\xc3\xa9 and cafeine", 1 },
		{ RULE_BODY, "", "=E9", 0 },
		{ RULE_BODY, "", "won", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (one(rows[i].field, rows[i].header, rows[i].pattern) != rows[i].hit)
			fail_msg("row %zu: %s", i, rows[i].pattern);
}

static void
actions_say_what_they_mean(void **state)
{
	struct rules *r = rules_new();
	struct judgement j;

	rules_judge(r, &facts, &j);
	assert_int_equal(j.action, VERDICT_ACCEPT);
	assert_int_equal(rules_count(r), 0);

	assert_int_equal(
	    add(r, "h", RULE_SENDER, "", "", VERDICT_ACCEPT, "X-Seen: yes"), 0);
	rules_judge(r, &facts, &j);
	assert_int_equal(j.action, VERDICT_ACCEPT);
	assert_int_equal(j.headers_len, 13);
	assert_memory_equal(j.headers, "X-Seen: yes\r\n", 13);

	assert_int_equal(add(r, "q", RULE_SENDER, "", "", VERDICT_QUARANTINE, ""), 0);
	assert_int_equal(add(r, "j", RULE_SENDER, "", "", VERDICT_JUNK, ""), 0);
	rules_judge(r, &facts, &j);
	assert_int_equal(j.action, VERDICT_QUARANTINE);
	assert_string_equal(j.judge, "rule:q");

	assert_int_equal(add(r, "d", RULE_SENDER, "", "", VERDICT_DEFER, ""), 0);
	rules_judge(r, &facts, &j);
	assert_int_equal(j.action, VERDICT_DEFER);
	assert_int_equal(j.code, 451);
	assert_string_equal(j.enhanced, "4.7.1");
	assert_true(j.text[0] != '\0');

	assert_int_equal(add(r, "r", RULE_SENDER, "", "", VERDICT_REJECT, "go away"), 0);
	assert_int_equal(
	    add(r, "r2", RULE_SENDER, "", "", VERDICT_REJECT, "not the first"), 0);
	rules_judge(r, &facts, &j);
	assert_int_equal(j.action, VERDICT_REJECT);
	assert_int_equal(j.code, 550);
	assert_string_equal(j.enhanced, "5.7.1");
	assert_string_equal(j.text, "go away");
	assert_string_equal(j.judge, "rule:r");
	/* The header of the first rule is still there. */
	assert_int_equal(j.headers_len, 13);
	rules_free(r);
}

static void
order_of_strictness(void **state)
{
	static const enum verdict order[] = { VERDICT_ACCEPT, VERDICT_JUNK,
		VERDICT_QUARANTINE, VERDICT_DEFER, VERDICT_REJECT };

	for (int a = 0; a < 5; a++)
		for (int b = 0; b < 5; b++)
			assert_int_equal(verdict_stricter(order[a], order[b]), a > b);
}

static void
headers_fill_up_and_no_more(void **state)
{
	struct judgement *j = malloc(sizeof(*j)), *more = malloc(sizeof(*more));

	judgement_init(j);
	judgement_init(more);
	more->headers_len = 3000;
	memset(more->headers, 'x', 3000);
	judgement_merge(j, more);
	judgement_merge(j, more);
	assert_int_equal(j->headers_len, 6000);
	judgement_merge(j, more);
	assert_int_equal(j->headers_len, 6000);
	more->headers_len = sizeof(j->headers) - 6000;
	judgement_merge(j, more);
	assert_int_equal(j->headers_len, sizeof(j->headers));
	free(j);
	free(more);
}

static void
bad_rules_are_refused(void **state)
{
	struct rules *r = rules_new();
	struct msg_conf_filter_rule c = { .field = RULE_SENDER, .action = VERDICT_JUNK };
	char why[200] = "";

	strlcpy(c.pattern, "a(b", sizeof(c.pattern));
	assert_int_equal(rules_add(r, &c, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "at character 3"));
	/* \C would match half a character. */
	assert_int_equal(add(r, "c", RULE_SENDER, "", "a\\Cb", VERDICT_JUNK, ""), -1);
	assert_int_equal(add(r, "f", (enum rule_field)0, "", "a", VERDICT_JUNK, ""), -1);
	assert_int_equal(add(r, "f", (enum rule_field)7, "", "a", VERDICT_JUNK, ""), -1);
	assert_int_equal(add(r, "a", RULE_SENDER, "", "a", (enum verdict)0, ""), -1);
	assert_int_equal(add(r, "a", RULE_SENDER, "", "a", (enum verdict)6, ""), -1);
	/* Lines that are no header, or that would bring another one in. */
	assert_int_equal(
	    add(r, "h", RULE_SENDER, "", "a", VERDICT_ACCEPT, "no colon"), -1);
	assert_int_equal(add(r, "h", RULE_SENDER, "", "a", VERDICT_ACCEPT, ": x"), -1);
	assert_int_equal(add(r, "h", RULE_SENDER, "", "a", VERDICT_ACCEPT, "X Y: x"), -1);
	assert_int_equal(
	    add(r, "h", RULE_SENDER, "", "a", VERDICT_ACCEPT, "X: a\r\nY: b"), -1);
	assert_int_equal(rules_count(r), 0);
	for (int i = 0; i < RULES_MAX; i++)
		assert_int_equal(
		    add(r, "n", RULE_SENDER, "", "nothing", VERDICT_JUNK, ""), 0);
	assert_int_equal(add(r, "n", RULE_SENDER, "", "nothing", VERDICT_JUNK, ""), -1);
	assert_int_equal(rules_count(r), RULES_MAX);
	rules_free(r);
	rules_free(NULL);
}

/* A pattern that would take for ever on some text gives up, says so, and does not
 * match. */
static void
hard_patterns_give_up(void **state)
{
	struct rules *r = rules_new();
	struct rule_facts f = facts;
	char text[4096];
	struct judgement j;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	f.helo = text;
	last_log[0] = '\0';
	assert_int_equal(
	    add(r, "hard", RULE_HELO, "", "^(a+)+b$|(?:a|aa)+$x", VERDICT_JUNK, ""), 0);
	rules_judge(r, &f, &j);
	assert_int_equal(j.action, VERDICT_ACCEPT);
	assert_non_null(strstr(last_log, "rule-gave-up rule=hard"));
	rules_free(r);
}

static void
hostile_octets_in_facts(void **state)
{
	struct rules *r = rules_new();
	struct rule_facts f = facts;
	struct judgement j;

	f.sender = "\xff\xfe"
		   "broken@x";
	f.rcpts = "\n\n\n";
	f.message = "no header at all";
	f.len = strlen(f.message);
	assert_int_equal(
	    add(r, "s", RULE_SENDER, "", "^..broken@x$", VERDICT_JUNK, ""), 0);
	assert_int_equal(add(r, "r", RULE_RECIPIENT, "", "x", VERDICT_REJECT, ""), 0);
	assert_int_equal(add(r, "h", RULE_HEADER, "Subject", "", VERDICT_REJECT, ""), 0);
	assert_int_equal(add(r, "b", RULE_BODY, "", "zzz", VERDICT_REJECT, ""), 0);
	rules_judge(r, &f, &j);
	assert_int_equal(j.action, VERDICT_JUNK);
	f.message = "";
	f.len = 0;
	rules_judge(r, &f, &j);
	assert_int_equal(j.action, VERDICT_JUNK);
	rules_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_sees_its_own),
		cmocka_unit_test(actions_say_what_they_mean),
		cmocka_unit_test(order_of_strictness),
		cmocka_unit_test(headers_fill_up_and_no_more),
		cmocka_unit_test(bad_rules_are_refused),
		cmocka_unit_test(hard_patterns_give_up),
		cmocka_unit_test(hostile_octets_in_facts),
	};

	log_set_stderr(0);
	log_set_sink(keep_log);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
