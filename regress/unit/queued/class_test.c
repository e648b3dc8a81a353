/*
 * Which class a recipient is of, and with which times.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "common/compat/compat.h"
#include "queued/class.h"

static struct classes c;

static void
add(const char *name, const char *from, const char *to, const char *login, int min,
    int max, uint32_t expire)
{
	struct msg_conf_queue_class m = { .priority_min = (uint8_t)(int8_t)min,
		.priority_max = (uint8_t)(int8_t)max,
		.expire_s = expire };

	strlcpy(m.name, name, sizeof(m.name));
	strlcpy(m.from, from, sizeof(m.from));
	strlcpy(m.to, to, sizeof(m.to));
	strlcpy(m.login, login, sizeof(m.login));
	strlcpy(m.retry, "1h", sizeof(m.retry));
	assert_int_equal(classes_add(&c, &m), 0);
}

static void
is(const char *sender, const char *rcpt, const char *login, int priority,
    const char *name)
{
	struct class_facts f = { sender, rcpt, login, priority };

	assert_string_equal(classes_find(&c, &f)->name, name);
}

static void
test_find(void **state)
{
	struct msg_conf_queued q = { .retry = "5m 10m",
		.expire_s = 1000,
		.bounce_expire_s = 500,
		.delay_warning_s = 100 };
	struct msg_conf_queue_class bad = { .retry = "soon", .expire_s = 1 };

	(void)state;
	classes_set_default(&c, &q);
	assert_int_equal(c.expire_min_s, 500);
	is("", "r@x.test", "", 0, "bounce");
	is("a@x.test", "r@x.test", "", 0, "default");
	assert_int_equal(c.normal.retry.step_s[1], 600);
	add("bulk", "news@*", "", "", -9, 9, 2000);
	add("partner", "", "partner.test", "*@example.test", -9, 9, 3000);
	add("urgent", "", "", "", 5, 9, 300);
	add("bounce", "", "big.test", "", -9, 9, 400);
	assert_int_equal(c.expire_min_s, 300);
	is("News@list.test", "r@partner.test", "a@example.test", 9, "bulk");
	is("a@example.test", "r@partner.test", "a@example.test", 9, "partner");
	is("a@example.test", "r@partner.test", "", 0, "default");
	is("a@example.test", "r@partner.test", "a@other.test", 0, "default");
	is("a@example.test", "r@x.test", "", 5, "urgent");
	is("a@example.test", "r@x.test", "", 4, "default");
	is("a@example.test", "r@x.test", "", -5, "default");
	is("", "r@big.test", "", 0, "bounce");
	is("a@example.test", "r@big.test", "", 0, "default");
	assert_int_equal(classes_add(&c, &bad), -1);
	while (c.n < CLASSES_MAX)
		add("more", "x", "", "", -9, 9, 1);
	strlcpy(bad.retry, "1h", sizeof(bad.retry));
	assert_int_equal(classes_add(&c, &bad), -1);
	/* A reload starts anew. */
	classes_set_default(&c, &q);
	assert_int_equal(c.n, 0);
	is("news@list.test", "r@x.test", "", 0, "default");
	classes_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_find) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
