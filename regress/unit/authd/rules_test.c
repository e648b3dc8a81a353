/* SPDX-License-Identifier: ISC */
/* Settings of a user as Sieve: the script, simple rules as they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authd/rules.h"
#include "common/compat/compat.h"

static const char *
add(struct user *u, const char *field, const char *text, const char *action,
    const char *argument)
{
	char contains[] = "contains";
	char *words[] = { (char *)(uintptr_t)field, contains, (char *)(uintptr_t)text,
		(char *)(uintptr_t)action, (char *)(uintptr_t)argument };
	struct rule r;
	const char *bad = rule_parse(&r, argument == NULL ? 4 : 5, words);

	if (bad == NULL && rules_add(u, &r) == -1)
		bad = "no room";
	return bad;
}

static void
kept(void **state)
{
	static struct user u;
	char words[700];
	const char *at;
	struct rule r;

	assert_null(add(&u, "subject", "a \\, b\\; \"c\"", "folder", "X/Y z"));
	assert_null(add(&u, "header:X-A", "\xc3\xbc", "flag", NULL));
	assert_null(add(&u, "to", "t@", "forward", "a@b.test"));
	assert_null(strchr(u.rules, ' '));
	at = u.rules;
	assert_int_equal(rules_next(&at, &r), 1);
	assert_string_equal(r.needle, "a \\, b\\; \"c\"");
	assert_string_equal(r.argument, "X/Y z");
	rule_print(&r, words, sizeof(words));
	assert_string_equal(
	    words, "the subject contains \"a \\, b\\; \"c\"\": filed into X/Y z");
	assert_int_equal(rules_next(&at, &r), 1);
	assert_string_equal(r.header, "X-A");
	rule_print(&r, words, sizeof(words));
	assert_string_equal(words, "the field X-A contains \"\xc3\xbc\": flagged");
	assert_int_equal(rules_next(&at, &r), 1);
	assert_int_equal(r.action, RULE_FORWARD);
	assert_int_equal(rules_next(&at, &r), 0);
	assert_int_equal(rules_delete(&u, 4), -1);
	assert_int_equal(rules_delete(&u, 0), -1);
	assert_int_equal(rules_delete(&u, 2), 0);
	at = u.rules;
	assert_int_equal(rules_next(&at, &r) + rules_next(&at, &r), 2);
	assert_string_equal(r.argument, "a@b.test");
	assert_int_equal(rules_next(&at, &r), 0);
	/* What cannot be a rule. */
	assert_non_null(add(&u, "size", "x", "flag", NULL));
	assert_non_null(add(&u, "header:", "x", "flag", NULL));
	assert_non_null(add(&u, "header:a b", "x", "flag", NULL));
	assert_non_null(add(&u, "from", "", "flag", NULL));
	assert_non_null(add(&u, "from", "a\nb", "flag", NULL));
	assert_non_null(add(&u, "from", "x", "flag", "y"));
	assert_non_null(add(&u, "from", "x", "folder", NULL));
	assert_non_null(add(&u, "from", "x", "copy", "nobody"));
	assert_non_null(add(&u, "from", "x", "burn", NULL));
	for (int i = 0; i < 1000; i++)
		if (add(&u, "from", "somebody", "junk", NULL) != NULL)
			return;
	fail_msg("rules without end");
}

static void
script(void **state)
{
	static struct user u;
	char s[RULES_SCRIPT_MAX + 1];

	assert_int_equal(rules_script(&u, s), 0);
	strlcpy(u.forward, "a@b.test,|cmd,c@d.test", sizeof(u.forward));
	assert_int_equal(rules_only_commands(&u), 0);
	assert_int_equal(rules_keep_nothing(&u), 1);
	assert_true(rules_script(&u, s) > 0);
	assert_non_null(strstr(s, "redirect :copy \"a@b.test\";\r\n"
				  "redirect :copy \"c@d.test\";\r\ndiscard;\r\n"));
	assert_null(strstr(s, "cmd"));
	u.forward_keep = 1;
	assert_true(rules_script(&u, s) > 0);
	assert_null(strstr(s, "discard"));
	assert_int_equal(rules_keep_nothing(&u), 0);
	u.forward_keep = 0;
	strlcpy(u.forward, "|one,|two", sizeof(u.forward));
	assert_int_equal(rules_only_commands(&u), 1);
	strlcpy(u.vacation, "I\\sam\\s\"away\"\\nback\\bsoon", sizeof(u.vacation));
	assert_int_equal(rules_only_commands(&u), 0);
	assert_true(rules_script(&u, s) > 0);
	assert_non_null(strstr(s, "vacation \"I am \\\"away\\\"\r\nback\\\\soon\";"));
	assert_null(add(&u, "from", "a\"b\\", "folder", "F"));
	assert_null(add(&u, "to", "c", "discard", NULL));
	assert_int_equal(rules_keep_nothing(&u), 0);
	assert_true(rules_script(&u, s) > 0);
	assert_non_null(
	    strstr(s, "if header :contains \"from\" \"a\\\"b\\\\\" { fileinto "
		      ":create \"F\"; }\r\n"
		      "elsif header :contains [\"to\", \"cc\"] \"c\" { "
		      "discard; stop; }\r\n"));
	/* Too long is said, never cut. */
	memset(u.vacation, '"', sizeof(u.vacation) - 1);
	memset(u.vacation_subject, '"', sizeof(u.vacation_subject) - 1);
	while (add(&u, "from", "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"",
		   "folder", "\"\"\"\"\"\"\"\"\"\"\"\"\"") == NULL)
		;
	assert_int_equal(rules_script(&u, s), -1);
	assert_string_equal(s, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept),
		cmocka_unit_test(script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
