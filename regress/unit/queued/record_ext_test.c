/*
 * What the extensions of SMTP ask for, in a message's record: there and back, damaged at
 * each octet, through a checkpoint, a replay and a rewrite; and a spool of before them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/spool.h"
#include "queued/spool_private.h"

static char dir[64];

static const struct rec_ext all = { .priority = -9,
	.tls = REC_TLS_REQUIRED,
	.release = 1800000000,
	.hold = "until;2027-01-15T08:00:00Z",
	.by = 1800003600,
	.by_mode = REC_BY_RETURN,
	.by_trace = 1,
	.utf8_header = 1,
	.list = "talk@x.test 00112233445566778899aabbccddeeff a https://x.test/{token}" };

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-ext.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static size_t
encode(const struct rec_ext *x, uint8_t *buf, size_t cap)
{
	struct bytes_out o = { .p = buf, .cap = cap };

	rec_ext_encode(x, &o);
	assert_int_equal(o.bad, 0);
	return o.len;
}

static void
check_all(const struct rec_ext *x)
{
	assert_int_equal(x->priority, all.priority);
	assert_int_equal(x->tls, all.tls);
	assert_int_equal(x->release, all.release);
	assert_string_equal(x->hold, all.hold);
	assert_int_equal(x->by, all.by);
	assert_int_equal(x->by_mode, all.by_mode);
	assert_int_equal(x->by_trace, all.by_trace);
	assert_int_equal(x->utf8_header, all.utf8_header);
	assert_string_equal(x->list, all.list);
}

static void
test_round_trip(void **state)
{
	struct rec_ext x, some = { .priority = 4 }, none = { 0 };
	struct bytes_in in;
	uint8_t buf[256];
	size_t len;

	(void)state;
	assert_true(rec_ext_is_empty(&none));
	assert_false(rec_ext_is_empty(&some));
	len = encode(&all, buf, sizeof(buf));
	memset(&x, 0, sizeof(x));
	in = (struct bytes_in){ .p = buf, .len = len };
	assert_int_equal(rec_ext_decode(&in, &x), 0);
	assert_int_equal(in.len, 0);
	check_all(&x);
	assert_int_equal(encode(&some, buf, sizeof(buf)), 4);
	/* Cut anywhere it is refused, and nothing behind it is read. */
	len = encode(&all, buf, sizeof(buf));
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, buf, n);
		memset(&x, 0, sizeof(x));
		in = (struct bytes_in){ .p = cut, .len = n };
		assert_int_equal(rec_ext_decode(&in, &x), -1);
		free(cut);
	}
}

static void
refused(const char *octets, size_t len)
{
	struct rec_ext x = { 0 };
	struct bytes_in in = { .p = (const uint8_t *)octets, .len = len };

	assert_int_equal(rec_ext_decode(&in, &x), -1);
}
#define REFUSED(s) refused(s, sizeof(s) - 1)

static void
test_refused(void **state)
{
	(void)state;
	REFUSED("\0\0");                       /* an empty block */
	REFUSED("\2\0\1\0");                   /* a default */
	REFUSED("\2\0\1\12");                  /* priority 10 */
	REFUSED("\2\0\1\366");                 /* -10 */
	REFUSED("\2\0\2\3");                   /* both of TLS's */
	REFUSED("\2\0\11\1");                  /* no such field */
	REFUSED("\4\0\1\1\1\2");               /* one twice */
	REFUSED("\4\0\2\1\1\2");               /* out of order */
	REFUSED("\13\0\4\0\0\0\0\0\0\0\0X\0"); /* no such mode */
	REFUSED("\13\0\4\0\0\0\0\0\0\0\0R\2");
}

static struct spool *
reopen(void)
{
	struct spool_conf c = { .root = dir, .segment_size = JOURNAL_SEGMENT_MIN };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 0, why, sizeof(why));

	if (sp == NULL)
		fail_msg("%s", why);
	return sp;
}

static uint64_t
add(struct spool *sp, const struct rec_ext *x, int rrvs)
{
	struct spool_message sm = { .fd = -1, .data = (const uint8_t *)"hello" };
	struct rec_rcpt rc = { .state = RCPT_LIVE,
		.has = (uint8_t)(REC_R_ADDRESS | (rrvs ? REC_R_RRVS : 0)),
		.address = "r@d.test",
		.rrvs = 1400000000,
		.rrvs_action = 'C' };
	uint8_t list[200];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	uint64_t id = spool_id(sp);

	rec_rcpt_encode(&rc, &o);
	sm.rec.created = 1700000000;
	sm.rec.size = 5;
	sm.rec.sender = "s@x.test";
	sm.rec.ext = *x;
	sm.rec.nrcpt = 1;
	sm.rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
	assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
	assert_non_null(spool_put_message(sp, id, &sm, 0));
	index_find(spool_index(sp), id)->flags &= ~(uint32_t)QM_PENDING;
	spool_commit(sp, 1, NULL, NULL);
	return id;
}

static void
check(struct spool *sp, uint64_t with, uint64_t without)
{
	struct qmsg *m = index_find(spool_index(sp), with);
	struct spool_view v;

	assert_non_null(m);
	assert_int_equal(m->priority, -9);
	assert_int_equal(m->by, all.by);
	assert_int_equal(m->ext, QX_BY_RETURN | QX_RELEASE);
	assert_int_equal(m->created, all.release);
	assert_int_equal(spool_view(sp, m, &v), 0);
	check_all(&v.rec.ext);
	assert_int_equal(v.rec.created, 1700000000);
	assert_int_equal(v.rcpts[0].rrvs, 1400000000);
	assert_int_equal(v.rcpts[0].rrvs_action, 'C');
	spool_view_clear(&v);
	m = index_find(spool_index(sp), without);
	assert_int_equal(m->priority, 0);
	assert_int_equal(m->by, 0);
	assert_int_equal(m->ext, 0);
	assert_int_equal(spool_view(sp, m, &v), 0);
	assert_true(rec_ext_is_empty(&v.rec.ext));
	assert_int_equal(v.rcpts[0].rrvs_action, 0);
	assert_int_equal(v.rec.size, 5);
	assert_memory_equal(v.rec.content, "hello", 5);
	spool_view_clear(&v);
}

static void
test_kept(void **state)
{
	struct rec_ext none = { 0 };
	struct spool *sp = reopen();
	uint64_t with = add(sp, &all, 1), without = add(sp, &none, 0);

	(void)state;
	check(sp, with, without);
	spool_abandon(sp); /* a replay */
	sp = reopen();
	check(sp, with, without);
	spool_close(sp); /* the checkpoint */
	sp = reopen();
	check(sp, with, without);
	assert_int_equal(spool_rewrite(sp, index_find(spool_index(sp), with)), 0);
	assert_int_equal(spool_rewrite(sp, index_find(spool_index(sp), without)), 0);
	check(sp, with, without);
	spool_abandon(sp);
	sp = reopen();
	check(sp, with, without);
	spool_close(sp);
}

static void
first_line(const char *put, char *got, size_t cap)
{
	char path[128], rest[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/format", dir);
	assert_non_null(f = fopen(path, "r+"));
	assert_non_null(fgets(got, (int)cap, f));
	assert_non_null(fgets(rest, sizeof(rest), f));
	rewind(f);
	if (put != NULL)
		fprintf(f, "%s\n%s", put, rest);
	fclose(f);
}

/* A spool of version 1 has the same records without these fields. */
static void
test_old_spool(void **state)
{
	struct rec_ext none = { 0 };
	struct spool *sp = reopen();
	uint64_t id = add(sp, &none, 0);
	struct spool_conf c = { .root = dir };
	char line[64], why[256];

	(void)state;
	spool_close(sp);
	first_line("fife-spool 1", line, sizeof(line));
	assert_string_equal(line, "fife-spool 3\n");
	sp = reopen();
	assert_non_null(index_find(spool_index(sp), id));
	spool_close(sp);
	first_line("fife-spool 2", line, sizeof(line));
	assert_string_equal(line, "fife-spool 3\n");
	sp = reopen();
	assert_non_null(index_find(spool_index(sp), id));
	spool_close(sp);
	first_line("fife-spool 4", line, sizeof(line));
	assert_string_equal(line, "fife-spool 3\n");
	assert_null(spool_open(NULL, &c, 0, why, sizeof(why)));
	assert_non_null(strstr(why, "the file format"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_spool, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
