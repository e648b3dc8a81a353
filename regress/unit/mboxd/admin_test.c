/* SPDX-License-Identifier: ISC */
/* The words of commands on one mailbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbox/store.h"
#include "mboxd/admin_words.h"

static struct msg_mbox_admin q;
static char why[256];

/* A copy, as words of a command are not constant. */
static int
parse(int verb, const char *text)
{
	char copy[512], *argv[32], *save = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while (save != NULL && *save != '\0')
		argv[argc++] = strsep(&save, " ");
	why[0] = '\0';
	return admin_parse(verb, argc, argv, 100000, &q, why, sizeof(why));
}

static void
purge(void **state)
{
	assert_int_equal(parse(MBOX_PURGE, ""), 0);
	assert_int_equal(q.verb, MBOX_PURGE);
	assert_int_equal(q.before, 0);
	assert_int_equal(q.options, 0);
	assert_int_equal(
	    parse(MBOX_PURGE, "--folder a/b --older 2h --larger 3K --from @x "
			      "--flag seen --flag \\Draft --unflag $x --dry-run"),
	    0);
	assert_string_equal(q.folder, "a/b");
	assert_int_equal(q.before, 100000 - 7200);
	assert_int_equal(q.larger, 3072);
	assert_string_equal(q.from, "@x");
	assert_int_equal(q.flags, FLAG_SEEN | FLAG_DRAFT);
	assert_string_equal(q.not_keyword, "$x");
	assert_string_equal(q.keyword, "");
	assert_int_equal(q.options, MBOX_ADMIN_DRY_RUN);
	assert_int_equal(parse(MBOX_PURGE, "--older 90"), 0);
	assert_int_equal(q.before, 100000 - 90);
	/* So old that nothing is: not "any age". */
	assert_int_equal(parse(MBOX_PURGE, "--older 60y"), 0);
	assert_int_equal(q.before, 1);
}

static void
wrong(void **state)
{
	static const char *const bad[] = { "--older", "--older x", "--older -1",
		"--older 1dd", "--older 99999999999999999999", "--older 99999y",
		"--larger 1t", "--larger 99999999999999g", "--flag", "--flag \\Other",
		"--flag a --flag b", "--mbox", "--nonsense", "--nonsense x", "INBOX",
		"--dry-run x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(MBOX_PURGE, bad[i]), -1);
		assert_true(why[0] != '\0');
	}
	assert_int_equal(parse(MBOX_EXPORT, "--mbox --folder x"), 0);
	assert_int_equal(q.options, MBOX_ADMIN_MBOX);
	assert_int_equal(parse(MBOX_EXPORT, "--older 1d"), -1);
	assert_int_equal(parse(MBOX_IMPORT, "--folder x"), 0);
	assert_int_equal(parse(MBOX_IMPORT, "--mbox"), -1);
	assert_int_equal(parse(MBOX_REINDEX, "--folder x"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(purge),
		cmocka_unit_test(wrong) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
