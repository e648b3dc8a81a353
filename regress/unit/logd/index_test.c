/* SPDX-License-Identifier: ISC */
/* The index beside a log: what it rules out, and what it must not, also when damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logd/files.h"
#include "logd/index_file.h"
#include "logd/line.h"
#include "logd/scan.h"
#include "logd/words.h"

#define DAY 20000
#define LINES 4000
#define STAMP "2024-10-04T00:00:00.000000Z smtpd[1] "

static char top[4096];
static char dir[] = "/tmp/fife-index.XXXXXX";
static char log_name[FILES_NAME_MAX], index_name[FILES_NAME_MAX];

/* Line n names message n, and only it. */
static void
write_log(void)
{
	FILE *f = fopen(log_name, "w");

	assert_non_null(f);
	for (int n = 0; n < LINES; n++)
		fprintf(f,
		    STAMP "received qid=%08x from=<user%d@example.test> "
			  "msgid=<m%d.Xy@Host.Example> client=192.0.2.%d\n",
		    n * 7919, n, n, n % 256);
	fclose(f);
}

static int
setup(void **state)
{
	if (mkdir("d", 0700) == -1 || chdir("d") == -1)
		return -1;
	files_name(log_name, LOG_SMTP, DAY);
	memcpy(index_name, log_name, sizeof(index_name));
	memcpy(index_name + strlen(index_name) - 3, "idx", 3);
	write_log();
	return 0;
}

static int
teardown(void **state)
{
	index_stop();
	unlink(log_name);
	unlink(index_name);
	return chdir("..") == -1 || rmdir("d") == -1 ? -1 : 0;
}

static int
build_all(int whole)
{
	int r, n = 0;

	while ((r = index_build(LOG_SMTP, DAY, whole)) == 1)
		n++;
	assert_int_equal(r, 0);
	return n;
}

/* Lines that a search for text reads, and those of them that mention it. */
static void
search(const char *text, int *read, int *found)
{
	struct index_query *q = index_query_new();
	enum log_kind kind;
	struct scan *s;
	struct line l;
	int r;

	*read = *found = 0;
	assert_non_null(q);
	assert_int_equal(index_query_add(q, text), 0);
	s = scan_new(SCAN_ALL, DAY, 0, q);
	assert_non_null(s);
	while ((r = scan_next(s, &l, &kind)) != 0) {
		if (r == -1)
			continue;
		++*read;
		*found += line_mentions(&l, text);
	}
	scan_free(s);
	index_query_free(q);
}

static void
finds_all_and_reads_little(void **state)
{
	int read, found, blocks;

	search("user1234@example.test", &read, &found);
	assert_int_equal(read, LINES); /* no index yet */
	blocks = build_all(0);
	assert_in_range(blocks, 5, 20);
	for (int n = 0; n < LINES; n += 37) {
		char text[64];

		snprintf(text, sizeof(text), "USER%d@example.test", n);
		search(text, &read, &found);
		assert_int_equal(found, 1);
		snprintf(text, sizeof(text), "m%d.xy@host.example", n);
		search(text, &read, &found);
		assert_int_equal(found, 1);
		snprintf(text, sizeof(text), "%08x", n * 7919);
		search(text, &read, &found);
		assert_true(found >= 1);
	}
	assert_int_equal(build_all(1), 1);
	assert_int_equal(build_all(1), 0);
	search("nobody@elsewhere.test", &read, &found);
	assert_int_equal(found, 0);
	assert_in_range(read, 0, LINES / 5);
	search("192.0.2.7", &read, &found);
	assert_int_equal(found, LINES / 256 + 1);
	/* Nothing to look for in the filters: all is read. */
	search("<>", &read, &found);
	assert_int_equal(read, LINES);
}

static void
several_words_are_alternatives(void **state)
{
	struct index_query *q = index_query_new();
	uint8_t filter[INDEX_FILTER] = { 0 };
	const char *line = STAMP "done qid=abc to=<x@y.test>\n";

	index_fill(filter, line, strlen(line));
	assert_false(index_query_wants(q, filter));
	index_query_add(q, "other");
	assert_false(index_query_wants(q, filter));
	index_query_add(q, "abc x@y.test");
	assert_true(index_query_wants(q, filter));
	index_query_free(q);
	/* All words of one text, not some of them. */
	q = index_query_new();
	index_query_add(q, "abc other");
	assert_false(index_query_wants(q, filter));
	index_query_free(q);
	/* The name of the process is not searched. */
	q = index_query_new();
	index_query_add(q, "smtpd");
	assert_false(index_query_wants(q, filter));
	index_query_free(q);
}

static void
damage_costs_only_time(void **state)
{
	int read, found, fd, before;
	struct stat st;

	build_all(1);
	index_stop();
	assert_int_equal(stat(index_name, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 991) {
		uint8_t c, bad;

		fd = open(index_name, O_RDWR);
		assert_int_equal(pread(fd, &c, 1, at), 1);
		bad = c ^ 0xff;
		assert_int_equal(pwrite(fd, &bad, 1, at), 1);
		search("user3999@example.test", &read, &found);
		assert_int_equal(found, 1);
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		close(fd);
	}
	/* Torn in an entry: what is whole stays, the rest is made again. */
	before = (int)((st.st_size - INDEX_HEAD) / INDEX_ENTRY);
	assert_int_equal(truncate(index_name, st.st_size - INDEX_ENTRY - 5), 0);
	search("user3999@example.test", &read, &found);
	assert_int_equal(found, 1);
	assert_int_equal(build_all(1), 2);
	index_stop();
	assert_int_equal(truncate(index_name, 3), 0);
	assert_int_equal(build_all(1), before);
	index_stop();
	/* A log shorter than its index says. */
	assert_int_equal(truncate(log_name, INDEX_BLOCK / 2), 0);
	search("user3@example.test", &read, &found);
	assert_int_equal(found, 1);
	assert_int_equal(build_all(1), 2); /* the line cut through is a block */
}

/* Random texts of few letters: what line_mentions() finds is never ruled out. */
static void
never_rules_out_a_mention(void **state)
{
	static const char letters[] = "aB0.@-=<> \"";
	unsigned int seed = 7, mentions = 0;

	for (int round = 0; round < 200000; round++) {
		char line[sizeof(STAMP) + 40], word[12];
		uint8_t filter[INDEX_FILTER] = { 0 };
		struct index_query *q;
		struct line l;
		size_t n = sizeof(STAMP) - 1, len;

		memcpy(line, STAMP, n);
		for (len = 5 + (size_t)(rand_r(&seed) % 30); len > 0; len--)
			line[n++] =
			    letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		len = 3 + (size_t)(rand_r(&seed) % 8);
		if (len > n - sizeof(STAMP) + 1)
			continue;
		/* A piece of the text, so that there is something to find. */
		memcpy(word,
		    line + n - len -
			(size_t)rand_r(&seed) % (n - sizeof(STAMP) + 2 - len),
		    len);
		word[len] = '\0';
		assert_int_equal(line_parse(line, n, &l), 0);
		if (!line_mentions(&l, word))
			continue;
		mentions++;
		q = index_query_new();
		index_query_add(q, word);
		index_fill(filter, line, n);
		assert_true(index_query_wants(q, filter));
		index_query_free(q);
	}
	assert_in_range(mentions, 1000, 200000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    finds_all_and_reads_little, setup, teardown),
		cmocka_unit_test(several_words_are_alternatives),
		cmocka_unit_test_setup_teardown(damage_costs_only_time, setup, teardown),
		cmocka_unit_test(never_rules_out_a_mention),
	};
	int r;

	if (getcwd(top, sizeof(top)) == NULL || mkdtemp(dir) == NULL || chdir(dir) == -1)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir(top) == -1 || rmdir(dir) == -1)
		return 1;
	return r;
}
