/* SPDX-License-Identifier: ISC */
/* fife.conf: queue { }, when delivery is tried again and when it is given up. */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

static const struct conf_setting settings[] = {
	{ "expire", CONF_TIME, CONF_AT(msg_conf_queued, expire_s), 1, 30 * 86400, "5d" },
	{ "delay-warning", CONF_TIME, CONF_AT(msg_conf_queued, delay_warning_s), 0,
	    30 * 86400, "4h" },
	{ "bounce-expire", CONF_TIME, CONF_AT(msg_conf_queued, bounce_expire_s), 1,
	    30 * 86400, "2d" },
	{ "double-bounce", CONF_YES, CONF_AT(msg_conf_queued, double_bounce),
	    .initial = "yes" },
	{ "disk-reserve", CONF_SIZE, CONF_AT(msg_conf_queued, disk_reserve), 0,
	    1ull << 50, "100m" },
	{ "jobs", CONF_COUNT, CONF_AT(msg_conf_queued, jobs_max), 1, 10000, "200" },
	{ "jobs-per-destination", CONF_COUNT,
	    CONF_AT(msg_conf_queued, jobs_per_destination), 1, 10000, "20" },
	{ "hold", CONF_YES, CONF_AT(msg_conf_queued, hold), .initial = "no" },
	{ NULL },
};

/* The times of one retry: words that start with a digit, or all in quotes. */
static int
retry_words(struct conf_parser *p, char *list, size_t cap, const char *text)
{
	char word[32], canon[32];
	const char *s = text;
	size_t n;
	uint64_t ms;

	for (;;) {
		s += strspn(s, " \t");
		if (*s == '\0')
			return 0;
		n = strcspn(s, " \t");
		if (n >= sizeof(word))
			return conf_unexpected(p, "times such as 5m 15m 1h");
		memcpy(word, s, n);
		word[n] = '\0';
		s += n;
		if (conf_unit_ms(word, &ms) == -1 || ms % 1000 != 0 || ms < 1000 ||
		    ms > 7 * 86400000ull)
			return conf_error(p,
			    "\"%s\" as a time of retry, expected 1s to 7d, such as 5m "
			    "15m 1h",
			    word);
		conf_unit_print_ms(ms, canon, sizeof(canon));
		if (list[0] != '\0')
			strlcat(list, " ", cap);
		if (strlcat(list, canon, cap) >= cap)
			return conf_error(
			    p, "too many times, expected at most 255 characters");
	}
}

int
conf_get_retry(struct conf_parser *p, char *buf, size_t cap)
{
	char list[256] = "";

	if (p->lex.token == TOK_STRING) {
		if (retry_words(p, list, sizeof(list), p->lex.text) == -1)
			return -1;
		if (list[0] == '\0')
			return conf_unexpected(p, "times such as 5m 15m 1h");
		strlcpy(buf, list, cap);
		return conf_advance(p);
	}
	if (p->lex.token != TOK_WORD || p->lex.text[0] < '0' || p->lex.text[0] > '9')
		return conf_unexpected(p, "times such as 5m 15m 1h");
	while (p->lex.token == TOK_WORD && p->lex.text[0] >= '0' && p->lex.text[0] <= '9')
		if (retry_words(p, list, sizeof(list), p->lex.text) == -1 ||
		    conf_advance(p) == -1)
			return -1;
	strlcpy(buf, list, cap);
	return 0;
}

static int
retry(struct conf_parser *p, void *base)
{
	struct msg_conf_queued *q = base;

	return conf_get_retry(p, q->retry, sizeof(q->retry));
}

static const struct conf_special specials[] = { { "retry", retry },
	{ "class", conf_class_parse }, { NULL, NULL } };

static void
print(const struct conf *c, FILE *f)
{
	fprintf(f, "    retry %s\n", c->queue.retry);
	conf_class_print(c, f);
}

const struct conf_section conf_section_queue = { "queue", settings, specials, print,
	offsetof(struct conf, queue) };
