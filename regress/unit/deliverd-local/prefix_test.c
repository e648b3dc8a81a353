/* SPDX-License-Identifier: ISC */
/* The fields of final delivery, the search for loops, and the codes of results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "deliverd/local/outcome.h"
#include "deliverd/local/prefix.h"

#define OWN "Return-Path: <a@b.test>\r\nDelivered-To: c@d.test\r\n"

static void
build(void **state)
{
	uint8_t buf[PREFIX_MAX];
	const char *rest = "Received: from x\r\n\tby y\r\nX-A: 1\r\n";
	size_t n, own = strlen(OWN);

	n = prefix_build(buf, sizeof(buf), "a@b.test", "c@d.test", (const uint8_t *)rest,
	    strlen(rest));
	assert_int_equal(n, own + strlen(rest));
	assert_memory_equal(buf, OWN, own);
	assert_memory_equal(buf + own, rest, strlen(rest));
	n = prefix_build(buf, sizeof(buf), "", "c@d.test", NULL, 0);
	assert_memory_equal(buf, "Return-Path: <>\r\nDelivered-To: c@d.test\r\n", n);
	/* No address makes a line of its own. */
	n = prefix_build(buf, sizeof(buf), "a\r\nX: y@b.test", "c@d.test", NULL, 0);
	assert_memory_equal(
	    buf, "Return-Path: <a??X: y@b.test>\r\nDelivered-To: c@d.test\r\n", n);
}

static void
build_bounded(void **state)
{
	uint8_t *rest = malloc(PREFIX_MAX), *buf;
	const char *fields = "Received: from x\r\n\tby y\r\nX-A: 1\r\n";
	size_t own = strlen(OWN), len = strlen(fields),
	       first = len - strlen("X-A: 1\r\n"), n;

	/* At every room: own fields, then whole fields only. */
	for (size_t cap = 0; cap <= own + len; cap++) {
		buf = malloc(cap + 1);
		n = prefix_build(
		    buf, cap, "a@b.test", "c@d.test", (const uint8_t *)fields, len);
		if (cap <= own)
			assert_int_equal(n, 0);
		else if (cap < own + first)
			assert_int_equal(n, own);
		else if (cap < own + len)
			assert_int_equal(n, own + first);
		else
			assert_int_equal(n, own + len);
		free(buf);
	}
	memset(rest, 'x', PREFIX_MAX);
	buf = malloc(PREFIX_MAX);
	n = prefix_build(buf, PREFIX_MAX, "a@b.test", "c@d.test", rest, PREFIX_MAX);
	assert_int_equal(n, own);
	free(buf);
	free(rest);
}

static void
printed_address(void **state)
{
	static const char *const rows[][2] = {
		{ "c@d.test", "c@d.test" },
		{ "john doe@d.test", "\"john doe\"@d.test" },
		{ "\"john doe\"@d.test", "\"john doe\"@d.test" },
		{ "a@b@d.test", "\"a@b\"@d.test" },
		{ "nothing", "nothing" },
	};
	char out[321];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		prefix_address(rows[i][0], out, sizeof(out));
		assert_string_equal(out, rows[i][1]);
	}
}

static int
content(const char *text, size_t len)
{
	int fd = compat_memfd_create("content");

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, text, len, 0), len);
	return fd;
}

static void
loop(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		int found;
	} rows[] = {
		{ "Delivered-To: bob@d.test\r\n\r\nx", "bob@d.test", 1 },
		{ "Delivered-To: bob@d.test\r\n\r\nx", "ann@d.test", 0 },
		{ "delivered-TO:Bob@D.Test\r\n\r\nx", "bob@d.test", 1 },
		{ "Delivered-To: <bob@d.test>\r\n\r\nx", "BOB@d.test", 1 },
		{ "Delivered-To:\r\n bob@d.test\r\n\r\nx", "bob@d.test", 1 },
		{ "Delivered-To: \"john doe\"@d.test\r\n\r\n", "john doe@d.test", 1 },
		{ "Delivered-To: bob@xn--mnchen-3ya.test\r\n\r\n",
		    "bob@m\xc3\xbcnchen.test", 1 },
		{ "Subject: x\r\nDelivered-To: a@x.test\r\nDelivered-To: bob@d.test\r\n",
		    "bob@d.test", 1 },
		{ "Subject: x\r\n\r\nDelivered-To: bob@d.test\r\n", "bob@d.test", 0 },
		{ "X-Delivered-To: bob@d.test\r\n\r\n", "bob@d.test", 0 },
		{ "Delivered-To: bob\r\n\r\n", "bob@d.test", 0 },
		{ "Delivered-To: bob+list@d.test\r\n\r\n", "bob@d.test", 0 },
		{ "", "bob@d.test", 0 },
		{ "Delivered-To: bob@d.test", "bob@d.test", 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct delivered_to d;
		size_t len = strlen(rows[i].text);
		int fd = content(rows[i].text, len);

		assert_int_equal(delivered_to_read(&d, fd, len), 0);
		assert_int_equal(delivered_to_has(&d, rows[i].address), rows[i].found);
		delivered_to_clear(&d);
		assert_int_equal(delivered_to_parse(&d, rows[i].text, len), 0);
		assert_int_equal(delivered_to_has(&d, rows[i].address), rows[i].found);
		delivered_to_clear(&d);
		/* Shorter than the queue says: no answer at all. */
		if (strstr(rows[i].text, "\r\n\r\n") == NULL) {
			assert_int_equal(delivered_to_read(&d, fd, len + 1), -1);
			delivered_to_clear(&d);
		}
		close(fd);
	}
}

/* A field behind each border of a read, and one beyond what is read. */
static void
loop_far(void **state)
{
	static const char field[] = "Delivered-To: bob@d.test\r\n";
	static const size_t at[] = { 16 * 1024 - 10, 16 * 1024, 100000,
		PREFIX_HEADER_MAX - sizeof(field) + 1, PREFIX_HEADER_MAX };
	size_t len = PREFIX_HEADER_MAX + 1000;
	char *text = malloc(len);

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct delivered_to d;
		int fd;

		for (size_t k = 0; k < len; k++)
			text[k] = k % 64 == 0    ? 'X'
				  : k % 64 == 1  ? ':'
				  : k % 64 == 63 ? '\n'
						 : 'y';
		/* The line before ends where the field starts. */
		text[at[i] - 1] = '\n';
		memcpy(text + at[i], field, sizeof(field) - 1);
		fd = content(text, len);
		assert_int_equal(delivered_to_read(&d, fd, len), 0);
		assert_int_equal(
		    delivered_to_has(&d, "bob@d.test"), at[i] < PREFIX_HEADER_MAX);
		delivered_to_clear(&d);
		close(fd);
	}
	free(text);
}

static void
loop_many(void **state)
{
	struct delivered_to d;
	char *text = malloc(40 * (PREFIX_DELIVERED_TO_MAX + 1));
	size_t len = 0;

	for (int i = 0; i <= PREFIX_DELIVERED_TO_MAX; i++) {
		assert_int_equal(delivered_to_parse(&d, text, len), 0);
		assert_int_equal(d.n, i);
		assert_int_equal(delivered_to_has(&d, "bob@d.test"), 0);
		delivered_to_clear(&d);
		len +=
		    (size_t)snprintf(text + len, 40, "Delivered-To: u%d@d.test\r\n", i);
	}
	assert_int_equal(delivered_to_parse(&d, text, len), 0);
	assert_int_equal(delivered_to_has(&d, "bob@d.test"), 1);
	delivered_to_clear(&d);
	free(text);
}

static void
outcomes(void **state)
{
	static const struct {
		uint8_t status;
		const char *said;
		enum job_status js;
		const char *code;
	} rows[] = {
		{ MSG_OK, "", JOB_DELIVERED, "2.0.0" },
		{ MSG_FULL, "", JOB_DEFERRED, "4.2.2" },
		{ MSG_FULL, "4.2.2", JOB_DEFERRED, "4.2.2" },
		{ MSG_FULL, "5.2.2", JOB_FAILED, "5.2.2" },
		{ MSG_FULL, "5.nonsense", JOB_FAILED, "5.2.2" },
		{ MSG_TEMP, "4.3.1", JOB_DEFERRED, "4.3.1" },
		{ MSG_TEMP, "5.1.1", JOB_DEFERRED, "4.3.0" },
		{ MSG_PERM, "5.6.0", JOB_FAILED, "5.6.0" },
		{ MSG_PERM, "4.6.0", JOB_FAILED, "5.3.0" },
		{ MSG_PERM, "5.6", JOB_FAILED, "5.3.0" },
		{ MSG_PERM, "5.6.1000", JOB_FAILED, "5.3.0" },
		{ MSG_DENIED, "", JOB_FAILED, "5.2.1" },
		{ MSG_UNKNOWN, "", JOB_FAILED, "5.1.1" },
		{ 77, "", JOB_DEFERRED, "4.3.0" },
	};
	struct outcome o;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_delivered d = { .status = rows[i].status };

		strlcpy(d.enhanced, rows[i].said, sizeof(d.enhanced));
		outcome_from_mailbox(&o, &d);
		assert_int_equal(o.status, rows[i].js);
		assert_string_equal(o.enhanced, rows[i].code);
		assert_true(o.text[0] != '\0');
	}
	outcome_from_authd(&o, MSG_UNKNOWN, "");
	assert_string_equal(o.enhanced, "5.1.1");
	outcome_from_authd(&o, MSG_DENIED, "off");
	assert_string_equal(o.enhanced, "5.2.1");
	assert_string_equal(o.text, "off");
	outcome_from_authd(&o, MSG_PERM, "");
	assert_string_equal(o.enhanced, "5.4.6");
	outcome_from_authd(&o, MSG_TEMP, "");
	assert_int_equal(o.status, JOB_DEFERRED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build),
		cmocka_unit_test(build_bounded),
		cmocka_unit_test(printed_address),
		cmocka_unit_test(loop),
		cmocka_unit_test(loop_far),
		cmocka_unit_test(loop_many),
		cmocka_unit_test(outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
