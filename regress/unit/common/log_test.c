/* SPDX-License-Identifier: ISC */
/* Log lines: one line a fact, whatever the values hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"

static char said[4096];
static enum log_level said_level;
static enum log_kind said_kind;
static int n_said;

static void
sink(enum log_kind kind, enum log_level level, int64_t time_us, const char *text)
{
	assert_true(time_us > 1700000000ll * 1000000);
	strlcpy(said, text, sizeof(said));
	said_kind = kind;
	said_level = level;
	n_said++;
}

static int
setup(void **state)
{
	log_set_stderr(0);
	log_set_sink(sink);
	said[0] = '\0';
	n_said = 0;
	return 0;
}

static void
escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "", "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"x\"", "\"say \\\"x\\\"\"" },
		{ "back\\slash", "\"back\\\\slash\"" },
		{ "two\nlines\r", "\"two\\x0alines\\x0d\"" },
		{ "\x1b[31m", "\"\\x1b[31m\"" },
		{ "tab\there", "\"tab\\x09here\"" },
		{ "\x7f", "\"\\x7f\"" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "<a@b.test>", "<a@b.test>" },
	};
	char buf[100];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = log_escape(buf, 0, sizeof(buf), rows[i].in);

		assert_string_equal(buf, rows[i].out);
		assert_int_equal(len, strlen(rows[i].out));
	}
}

/* At every size of the buffer: ended by NUL, within bounds, quotes closed, no half
 * escape. */
static void
escapes_cut_well(void **state)
{
	static const char in[] = "a \"b\" \\ \n\x01 end";

	for (size_t cap = 2; cap < 50; cap++) {
		char *buf = malloc(cap);
		size_t len;

		memset(buf, 'Z', cap);
		len = log_escape(buf, 0, cap, in);
		assert_true(len < cap);
		assert_int_equal(strlen(buf), len);
		if (cap >= 3) {
			assert_true(buf[0] == '"' && len >= 2);
			assert_int_equal(buf[len - 1], '"');
		}
		for (size_t i = 1; i + 1 < len; i++)
			if (buf[i] == '\\') {
				if (buf[i + 1] == 'x') {
					assert_true(i + 3 < len - 1);
					i += 3;
				} else {
					assert_true(i + 1 < len - 1);
					i++;
				}
			}
		free(buf);
	}
}

static void
facts(void **state)
{
	log_fact(LOG_SMTP, LOGL_INFO, "received", KS("qid", "0A"), KS("from", "a b\nc"),
	    KU("size", UINT64_MAX), KS("none", (const char *)NULL));
	assert_string_equal(said,
	    "received qid=0A from=\"a b\\x0ac\" size=18446744073709551615 none=\"\"");
	assert_int_equal(said_kind, LOG_SMTP);
	assert_int_equal(said_level, LOGL_INFO);
	log_fact(LOG_HOST, LOGL_WARN, "alone");
	assert_string_equal(said, "alone");
}

static void
long_facts_are_cut(void **state)
{
	char *big = malloc(10001);

	memset(big, '\n', 10000);
	big[10000] = '\0';
	log_fact(LOG_SMTP, LOGL_INFO, "e", KS("a", big), KS("b", big), KU("c", 1));
	assert_true(strlen(said) < 3000);
	assert_true(strncmp(said, "e a=\"\\x0a", 9) == 0);
	assert_int_equal(said[strlen(said) - 1], '"');
	memset(big, 'x', 10000);
	log_fact(LOG_SMTP, LOGL_INFO, big, KS("a", "b"));
	assert_true(strlen(said) <= 3000);
	log_info("%s", big);
	assert_true(strlen(said) <= 3000);
	for (size_t n = 2900; n < 3010; n++) {
		big[n] = '\0';
		log_fact(
		    LOG_SMTP, LOGL_INFO, "e", KS("a", big), KS("b", "\"\""), KU("c", 1));
		assert_true(strlen(said) < 3000);
		big[n] = 'x';
	}
	free(big);
}

static void
lines(void **state)
{
	errno = ENOENT;
	log_warn("open %s", "a\nfile \"x\"");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(said, "open a\\x0afile \"x\": No such file or directory");
	assert_int_equal(said_level, LOGL_WARN);
	assert_int_equal(said_kind, LOG_HOST);
	log_warnx("100%%");
	assert_string_equal(said, "100%");
}

static void
debug_lines_are_off_at_first(void **state)
{
	log_debug("x");
	log_fact(LOG_SMTP, LOGL_DEBUG, "x");
	assert_int_equal(n_said, 0);
	log_init("test", 1);
	log_debug("x");
	log_fact(LOG_SMTP, LOGL_DEBUG, "x");
	assert_int_equal(n_said, 2);
	log_init("test", 0);
}

/* Without logd: lines are kept up to a bound, then counted, and both told later. */
static int got_lines;
static uint64_t got_dropped;
static int any_text;

static void
logd_message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_ANY_LOGD_LINE) {
		char want[40];

		snprintf(want, sizeof(want), "line %d", got_lines++);
		if (!any_text)
			assert_string_equal(m->p.log_line.text, want);
	} else if (m->type == MSG_ANY_LOGD_DROPPED)
		got_dropped += m->p.log_dropped.count;
}

static void
lost(struct channel *ch, const char *why, void *arg)
{
	fail_msg("%s", why);
}

static void
ignore(struct channel *ch, struct msg *m, void *arg)
{
}

static int wanted;

static void
on_wanted(void)
{
	wanted++;
}

/* Who has no channel is told that one is wanted; what stays is told to standard error. */
static void
channel_is_wanted(void **state)
{
	char spilt[256] = "";
	int p[2], saved = dup(STDERR_FILENO);

	log_set_sink(NULL);
	log_set_wanted(on_wanted);
	assert_int_equal(wanted, 0);
	log_info("one");
	assert_int_equal(wanted, 1);
	log_set_wanted(on_wanted);
	assert_int_equal(wanted, 2); /* there was one already */
	log_set_wanted(NULL);
	log_info("two");
	assert_int_equal(wanted, 2);
	assert_int_equal(pipe(p), 0);
	assert_true(dup2(p[1], STDERR_FILENO) != -1);
	log_spill();
	log_spill();
	assert_true(dup2(saved, STDERR_FILENO) != -1);
	close(saved);
	close(p[1]);
	assert_true(read(p[0], spilt, sizeof(spilt) - 1) > 0);
	close(p[0]);
	assert_string_equal(spilt, "test: info: one\ntest: info: two\n");
	/* Those of the process before a fork are not this one's. */
	log_info("three");
	log_init("test", 0);
	log_set_wanted(on_wanted);
	assert_int_equal(wanted, 2);
	log_set_wanted(NULL);
}

static void
logd_comes_late(void **state)
{
	struct event_base *base = event_base_new();
	struct channel *here, *logd;
	int fds[2];

	log_set_sink(NULL);
	for (int i = 0; i < 300; i++)
		log_info("line %d", i);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	here = channel_new(base, fds[0], ROLE_SMTPD, 0, ROLE_LOGD, ignore, lost, NULL);
	logd =
	    channel_new(base, fds[1], ROLE_LOGD, 0, ROLE_SMTPD, logd_message, lost, NULL);
	log_set_channel(here);
	log_info("line %d", 256);
	for (int i = 0; i < 10000 && (got_lines < 257 || got_dropped == 0); i++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(got_lines, 257);
	assert_int_equal(got_dropped, 300 - 256);
	/* A logd that is there and slow: told with the next line that goes. */
	any_text = 1;
	got_lines = 0;
	got_dropped = 0;
	for (int i = 0; i < 2000; i++)
		log_info("%01000d", i);
	for (int i = 0; i < 10000 && channel_queued(here) > 0; i++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(got_dropped, 0);
	log_info("there again");
	for (int i = 0; i < 10000 && got_dropped == 0; i++)
		event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < 10000 && (uint64_t)got_lines + got_dropped < 2001; i++)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(got_lines + (int)got_dropped, 2001);
	assert_true(got_dropped > 0);
	log_set_channel(NULL);
	channel_free(here);
	channel_free(logd);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(escapes, setup),
		cmocka_unit_test_setup(escapes_cut_well, setup),
		cmocka_unit_test_setup(facts, setup),
		cmocka_unit_test_setup(long_facts_are_cut, setup),
		cmocka_unit_test_setup(lines, setup),
		cmocka_unit_test_setup(debug_lines_are_off_at_first, setup),
		cmocka_unit_test_setup(channel_is_wanted, setup),
		cmocka_unit_test_setup(logd_comes_late, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
