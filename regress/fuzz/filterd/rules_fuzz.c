/* SPDX-License-Identifier: ISC */
/*
 * Rules on hostile facts. The input: a pattern, client, HELO, sender and recipients, each
 * ended by NUL, then the message. The pattern goes to every field; fixed rules that have
 * to hold for every message run beside it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "filterd/rules.h"

#define WORDS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
	if (strchr(text, '\n') != NULL)
		abort();
}

static void
add(struct rules *r, enum rule_field field, const char *pattern, enum verdict action,
    const char *text)
{
	struct msg_conf_filter_rule c = { .field = (uint8_t)field,
		.action = (uint8_t)action,
		.name = "fuzz",
		.header = "Subject" };
	char why[200];

	strlcpy(c.pattern, pattern, sizeof(c.pattern));
	strlcpy(c.text, text, sizeof(c.text));
	(void)rules_add(r, &c, why, sizeof(why));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *words[WORDS], *copy, *p, *end;
	struct rules *r;
	struct judgement j;

	log_set_stderr(0);
	log_set_sink(quiet);
	if (len > 65536 || (copy = malloc(len + WORDS)) == NULL)
		return 0;
	memcpy(copy, data, len);
	memset(copy + len, 0, WORDS);
	p = copy;
	end = copy + len;
	for (int i = 0; i < WORDS; i++) {
		words[i] = p;
		if (i < WORDS - 1)
			p += strlen(p) + (p < end);
	}
	if ((r = rules_new()) == NULL)
		abort();
	for (int f = RULE_HEADER; f <= RULE_BODY; f++)
		add(r, (enum rule_field)f, words[0], VERDICT_JUNK, "");
	add(r, RULE_SENDER, "^", VERDICT_ACCEPT, words[0]);
	add(r, RULE_SENDER, "^", VERDICT_QUARANTINE, "");
	rules_judge(r,
	    &(struct rule_facts){ .client = words[1],
		.client_name = words[2],
		.helo = words[2],
		.sender = words[3],
		.rcpts = words[4],
		.message = words[5],
		.len = words[5] < end ? (size_t)(end - words[5]) : 0 },
	    &j);
	/* The rule on "^" matches whatever the sender is. */
	if (j.action != VERDICT_QUARANTINE || j.headers_len > sizeof(j.headers))
		abort();
	for (size_t i = 0; i < j.headers_len; i++) {
		char c = j.headers[i];

		if ((unsigned char)c < 0x20 && i + 2 < j.headers_len)
			abort();
	}
	rules_free(r);
	free(copy);
	return 0;
}
