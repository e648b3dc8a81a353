/* SPDX-License-Identifier: ISC */
/* Scripts of the site: read from files with mistakes named, in one piece, taken out of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/conf/conf.h"
#include "mailbox/site.h"

static char dir[] = "/tmp/site_test.XXXXXX";

static void
file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void
reading(void **state)
{
	struct conf *c = calloc(1, sizeof(*c));
	char err[1400], *text;
	struct site_script s;
	uint8_t *piece;
	size_t len, at = 0, n = 0;
	FILE *f;

	assert_non_null(c);
	snprintf(c->file, sizeof(c->file), "%s/fife.conf", dir);
	assert_int_equal(site_read(c, &piece, &len, err, sizeof(err)), 0);
	assert_null(piece);
	snprintf(c->sieve_global, sizeof(c->sieve_global), "%s", dir);
	snprintf(c->sieve_after, sizeof(c->sieve_after), "%s/a.sieve", dir);
	file("a.sieve", "require \"include\"; include :global \"b\";");
	file("b.sieve", "keep;");
	file(".c.sieve", "no script");
	file("other", "no script");
	assert_int_equal(site_read(c, &piece, &len, err, sizeof(err)), 0);
	while (site_next(piece, len, &at, &s) == 1)
		n += s.kind == SITE_GLOBAL ? 1 : 10;
	assert_int_equal(n, 12);
	assert_int_equal(at, len);
	/* As a mailbox process takes it. */
	assert_non_null(f = tmpfile());
	assert_int_equal(fwrite(piece, 1, len, f), len);
	fflush(f);
	assert_int_equal(site_take(fileno(f), len + 1), -1);
	assert_null(site_program(SITE_AFTER));
	assert_int_equal(site_take(fileno(f), len), 0);
	assert_non_null(site_program(SITE_AFTER));
	assert_ptr_equal(site_program(SITE_AFTER), site_program(SITE_AFTER));
	assert_null(site_program(SITE_BEFORE));
	assert_int_equal(site_text("b", &text, &len), 0);
	assert_string_equal(text, "keep;");
	free(text);
	assert_int_equal(site_text("after", &text, &len), 1);
	assert_int_equal(site_take(-1, 0), 0);
	assert_null(site_program(SITE_AFTER));
	fclose(f);
	free(piece);
	/* Mistakes. */
	file("b.sieve", "kep;");
	assert_int_equal(site_read(c, &piece, &len, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "line 1"));
	file("b.sieve", "keep;");
	file("a.sieve", "require \"include\"; include :global \"gone\";");
	assert_int_equal(site_read(c, &piece, &len, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "gone"));
	strlcpy(c->sieve_before, "/no/such/file", sizeof(c->sieve_before));
	assert_int_equal(site_read(c, &piece, &len, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "/no/such/file"));
	free(c);
}

static void
malformed(void **state)
{
	static const uint8_t good[] = { 3, 1, 'a', 0, 0, 0, 2, 'x', 'y' };
	uint8_t bad[sizeof(good)];
	struct site_script s;
	size_t at;

	for (size_t len = 1; len < sizeof(good); len++) {
		at = 0;
		assert_int_equal(site_next(good, len, &at, &s), -1);
	}
	at = 0;
	assert_int_equal(site_next(good, sizeof(good), &at, &s), 1);
	assert_string_equal(s.name, "a");
	assert_int_equal(s.len, 2);
	assert_int_equal(site_next(good, sizeof(good), &at, &s), 0);
	for (int i = 0; i < 3; i++) {
		memcpy(bad, good, sizeof(bad));
		bad[i] = i == 0 ? 4 : i == 1 ? 200 : 0;
		at = 0;
		assert_int_equal(site_next(bad, sizeof(bad), &at, &s), -1);
	}
}

static int
setup(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reading, setup, teardown),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
