/*
 * The tables of what bounces say are complete in each language, and say the right thing.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "queued/words.h"

static size_t
count(const char *s, const char *what)
{
	size_t n = 0;

	for (; (s = strstr(s, what)) != NULL; s += strlen(what))
		n++;
	return n;
}

/* Something is said, in that language, with the same places to fill in. */
static void
check(const char *en, const char *other, enum lang l)
{
	size_t beyond = 0;

	assert_true(en[0] != '\0' && other[0] != '\0');
	assert_true(utf8_valid(other, strlen(other)));
	assert_int_equal(count(en, "%s"), count(other, "%s"));
	assert_int_equal(count(en, "%zu"), count(other, "%zu"));
	for (const char *s = other; *s != '\0'; s++)
		beyond += (unsigned char)*s > 127;
	if (l == LANG_EN)
		assert_int_equal(beyond, 0);
	else
		assert_true(beyond > 0);
}

static void
test_complete(void **state)
{
	const char *en, *other;

	(void)state;
	for (int l = 0; l < LANGS; l++) {
		assert_int_equal(words_lang(words_code((enum lang)l)), l);
		for (int w = 0; w < WORDS; w++) {
			en = words_get(LANG_EN, (enum word)w);
			other = words_get((enum lang)l, (enum word)w);
			if (w == WORD_DATE)
				assert_true(other[0] != '\0');
			else
				check(en, other, (enum lang)l);
		}
		for (size_t i = 0; words_advice_row(i, (enum lang)l, &other) != NULL;
		     i++) {
			words_advice_row(i, LANG_EN, &en);
			check(en, other, (enum lang)l);
		}
	}
	assert_int_equal(words_lang("xx"), LANGS);
	/* Subjects are one encoded word, of at most 75 (RFC 2047, 2). */
	for (int w = WORD_SUBJECT_FAILED; w <= WORD_SUBJECT_EXPANDED; w++)
		assert_true(strlen(words_get(LANG_ZH, (enum word)w)) <= 45);
}

/* Each of what bounces are about has advice of its own. */
static void
test_advice(void **state)
{
	static const char *const codes[] = { "5.1.1", "5.3.4", "5.2.3", "5.2.2", "4.2.2",
		"4.4.1", "4.4.2", "5.7.1", "5.4.4", "5.1.2", "5.1.10", "4.4.7", "4.3.2",
		"5.5.0", "5.4.6", "5.1.7", "5.1.8", "5.7.23", "5.7.26", "5.7.4",
		"4.7.5" };
	char fallback[600], buf[600];

	(void)state;
	for (int l = 0; l < LANGS; l++) {
		words_advice((enum lang)l, "5.9.9", "", fallback, sizeof(fallback));
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			words_advice((enum lang)l, codes[i], "", buf, sizeof(buf));
			assert_string_not_equal(buf, fallback);
		}
		words_advice((enum lang)l, "", "", buf, sizeof(buf));
		assert_string_equal(buf, fallback);
		/* A block list by its name, where the reply has it. */
		words_advice((enum lang)l, "5.7.1",
		    "554 192.0.2.1 blocked using zen.spamhaus.org; see "
		    "https://spamhaus.org/x",
		    buf, sizeof(buf));
		assert_non_null(strstr(buf, "(zen.spamhaus.org)"));
		words_advice((enum lang)l, "5.7.1", "550 you are on our blacklist.", buf,
		    sizeof(buf));
		assert_null(strstr(buf, "("));
		words_advice((enum lang)l, "5.7.1",
		    "550 Blocked using b.barracudacentral.org.", buf, sizeof(buf));
		assert_non_null(strstr(buf, "(b.barracudacentral.org)"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_complete),
		cmocka_unit_test(test_advice) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
