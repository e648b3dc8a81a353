/* SPDX-License-Identifier: ISC */
/*
 * The configuration: each regress/conf/X.in prints as X.ok or fails as X.err; what
 * is printed reads back as the same; units; no prefix of a file is mishandled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/conf/conf_int.h"

#define DIRECTORY "regress/conf"

static char *
read_file(const char *name, const char *suffix, size_t *len)
{
	char path[300], *buf;
	FILE *f;

	snprintf(path, sizeof(path), DIRECTORY "/%s%s", name, suffix);
	if ((f = fopen(path, "r")) == NULL)
		return NULL;
	buf = calloc(1, 65536);
	assert_non_null(buf);
	*len = fread(buf, 1, 65535, f);
	fclose(f);
	return buf;
}

static char *
print(const struct conf *c)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	assert_non_null(f);
	assert_int_equal(conf_print(c, f), 0);
	fclose(f);
	return buf;
}

static void
check_ok(const char *name, const char *in, size_t len, const char *ok, size_t ok_len)
{
	char err[1400], *printed;
	struct conf *c;

	c = conf_parse(name, in, len, err, sizeof(err));
	if (c == NULL)
		fail_msg("%s: %s", name, err);
	printed = print(c);
	if (strcmp(printed, ok) != 0)
		fail_msg("%s: printed differently:\n%s", name, printed);
	free(printed);
	conf_free(c);
	c = conf_parse(name, ok, ok_len, err, sizeof(err));
	if (c == NULL)
		fail_msg("%s, printed: %s", name, err);
	printed = print(c);
	assert_string_equal(printed, ok);
	free(printed);
	conf_free(c);
}

static void
check_err(const char *name, const char *in, size_t len, char *expected)
{
	char err[1400];
	struct conf *c = conf_parse(name, in, len, err, sizeof(err));

	assert_null(c);
	expected[strcspn(expected, "\n")] = '\0';
	if (strcmp(err, expected) != 0)
		fail_msg("%s: got      %s\n   expected %s", name, err, expected);
}

static void
pairs(void **state)
{
	DIR *d = opendir(DIRECTORY);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name), in_len, out_len;
		char name[256], *in, *ok, *expected;

		if (len < 4 || strcmp(e->d_name + len - 3, ".in") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(len - 3), e->d_name);
		in = read_file(name, ".in", &in_len);
		assert_non_null(in);
		ok = read_file(name, ".ok", &out_len);
		if (ok != NULL)
			check_ok(e->d_name, in, in_len, ok, out_len);
		else {
			expected = read_file(name, ".err", &out_len);
			if (expected == NULL)
				fail_msg("%s has neither .ok nor .err", e->d_name);
			check_err(e->d_name, in, in_len, expected);
			free(expected);
		}
		free(ok);
		free(in);
		n++;
	}
	closedir(d);
	assert_true(n > 20);
}

/* Each beginning of a file is a configuration or has an error with its place. */
static void
prefixes(void **state)
{
	char err[1400], *in, *copy;
	size_t len;

	in = read_file("full", ".in", &len);
	assert_non_null(in);
	for (size_t i = 0; i < len; i++) {
		struct conf *c;

		/* exact size, for the sanitizer */
		copy = malloc(i == 0 ? 1 : i);
		assert_non_null(copy);
		memcpy(copy, in, i);
		c = conf_parse("x", copy, i, err, sizeof(err));
		if (c == NULL)
			assert_memory_equal(err, "x:", 2);
		conf_free(c);
		free(copy);
	}
	free(in);
}

static void
units(void **state)
{
	static const struct {
		const char *text;
		int size; /* a size, or else a time */
		int ok;
		uint64_t value;
		const char *printed;
	} rows[] = {
		{ "0", 1, 1, 0, "0" },
		{ "1", 1, 1, 1, "1" },
		{ "1024", 1, 1, 1024, "1k" },
		{ "50m", 1, 1, 50 << 20, "50m" },
		{ "50M", 1, 1, 50 << 20, "50m" },
		{ "1536k", 1, 1, 1536 << 10, "1536k" },
		{ "2048k", 1, 1, 2 << 20, "2m" },
		{ "16777216t", 1, 0, 0, NULL },
		{ "16777215t", 1, 1, 16777215ull << 40, "16777215t" },
		{ "", 1, 0, 0, NULL },
		{ "k", 1, 0, 0, NULL },
		{ "-1", 1, 0, 0, NULL },
		{ "1 k", 1, 0, 0, NULL },
		{ "1kk", 1, 0, 0, NULL },
		{ "0", 0, 1, 0, "0s" },
		{ "5", 0, 0, 0, NULL },
		{ "5s", 0, 1, 5000, "5s" },
		{ "90s", 0, 1, 90000, "90s" },
		{ "60s", 0, 1, 60000, "1m" },
		{ "24h", 0, 1, 86400000, "1d" },
		{ "1500ms", 0, 1, 1500, "1500ms" },
		{ "1w", 0, 0, 0, NULL },
	};
	char buf[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v = 0;
		int r = rows[i].size ? conf_unit_size(rows[i].text, &v)
				     : conf_unit_ms(rows[i].text, &v);

		assert_int_equal(r, rows[i].ok ? 0 : -1);
		if (!rows[i].ok)
			continue;
		assert_true(v == rows[i].value);
		if (rows[i].size)
			conf_unit_print_size(v, buf, sizeof(buf));
		else
			conf_unit_print_ms(v, buf, sizeof(buf));
		assert_string_equal(buf, rows[i].printed);
	}
}

static void
names(void **state)
{
	char label[70];

	assert_true(conf_is_host("a"));
	assert_true(conf_is_host("a-b.example"));
	assert_true(conf_is_host("b\xc3\xbc"
				 "cher.example"));
	assert_false(conf_is_host(""));
	assert_false(conf_is_host("."));
	assert_false(conf_is_host("a."));
	assert_false(conf_is_host("a..b"));
	assert_false(conf_is_host("-a"));
	assert_false(conf_is_host("a-.b"));
	assert_false(conf_is_host("a b"));
	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	assert_true(conf_is_host(label));
	label[63] = 'a';
	label[64] = '\0';
	assert_false(conf_is_host(label));
	assert_true(conf_is_mail("a@b.c"));
	assert_false(conf_is_mail("a"));
	assert_false(conf_is_mail("@b.c"));
	assert_false(conf_is_mail("a@"));
	assert_false(conf_is_mail("a@b@c"));
}

/* Relative paths start where the file is. */
static void
paths(void **state)
{
	char err[200], buf[200], small[8];
	struct conf *c =
	    conf_parse("/nowhere/etc/fife.conf", "hostname a.b", 12, err, sizeof(err));

	assert_non_null(c);
	assert_int_equal(conf_path(c, "/x", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "/x");
	assert_int_equal(conf_path(c, "tls/x", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "/nowhere/etc/tls/x");
	assert_int_equal(conf_path(c, "tls/x", small, sizeof(small)), -1);
	conf_free(c);
}

/* The state directory is found in a file with mistakes. */
static void
state_of_broken(void **state)
{
	char buf[300], path[] = "/tmp/fife-conf-XXXXXX";
	static const char text[] =
	    "hostnam x \"unfinished\n\001 smtp { state no\n state no }\n"
	    "  state \"/srv/x\"; state /no\n";
	int fd = mkstemp(path);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(conf_find_state(path, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "/srv/x");
	unlink(path);
	assert_int_equal(conf_find_state(path, buf, sizeof(buf)), -1);
}

/* Bounds of lists are errors, not ends. */
static void
bounds(void **state)
{
	char *text = NULL, err[400];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fputs("hostname a.b\n", f);
	for (int i = 1; i <= CONF_LISTENERS_MAX + 1; i++)
		fprintf(f, "listen smtp on 127.0.0.1 port %d tls none\n", i);
	fclose(f);
	assert_null(conf_parse("x", text, len, err, sizeof(err)));
	assert_string_equal(err, "x:66: too many listeners, expected at most 64");
	free(text);

	f = open_memstream(&text, &len);
	assert_non_null(f);
	fputs("hostname a.b\nstate ", f);
	for (int i = 0; i < 2000; i++)
		fputc('x', f);
	fclose(f);
	assert_null(conf_parse("x", text, len, err, sizeof(err)));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(units),
		cmocka_unit_test(names),
		cmocka_unit_test(paths),
		cmocka_unit_test(state_of_broken),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
