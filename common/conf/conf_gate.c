/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: gate { }, what strangers have to pass before their mail is taken.
 *	dnsbl|dnswl ZONE [weight N] [answer A.B.C.D[/LEN]]...
 *	check own-name|wrong-literal|no-name|no-reverse|unconfirmed-reverse
 *	    refuse|score N
 */
#include "common/conf/conf_int.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/compat/compat.h"

#define G(member) CONF_AT(msg_conf_gate, member)

static const struct conf_setting settings[] = {
	{ "connection-rate", CONF_COUNT, G(connection_rate), 0, 1000000, "0" },
	{ "message-rate", CONF_COUNT, G(message_rate), 0, 1000000, "0" },
	{ "rate-period", CONF_TIME, G(rate_period_s), 1, 86400, "1m" },
	{ "ipv4-prefix", CONF_COUNT, G(ipv4_prefix), 8, 32, "32" },
	/* RFC 5321, 4.5.3.2.1: a client waits 5 minutes for the greeting. */
	{ "greet-wait", CONF_TIME, G(greet_wait_s), 0, 60, "0" },
	{ "dnsbl-timeout", CONF_MS, G(dnsbl_timeout_ms), 100, 60000, "5s" },
	{ "refuse-score", CONF_COUNT, G(refuse_score), 0, 1000, "5" },
	{ "junk-score", CONF_COUNT, G(junk_score), 0, 1000, "0" },
	{ "greylist", CONF_YES, G(greylist), .initial = "no" },
	{ "greylist-delay", CONF_TIME, G(greylist_delay_s), 1, 86400, "5m" },
	/* RFC 5321, 4.5.4.1: senders try for days, with pauses of hours. */
	{ "greylist-retry", CONF_TIME, G(greylist_retry_s), 60, 30 * 86400, "1d" },
	{ "greylist-keep", CONF_TIME, G(greylist_keep_s), 3600, 366 * 86400, "36d" },
	{ "greylist-hosts", CONF_COUNT, G(greylist_hosts), 0, 1000, "5" },
	{ "greylist-entries", CONF_COUNT, G(greylist_entries), 1000, 1000000, "100000" },
	{ "tarpit", CONF_TIME, G(tarpit_s), 0, 60, "0" },
	{ "tarpit-errors", CONF_COUNT, G(tarpit_errors), 0, 10000, "3" },
	{ "refused-recipients-max", CONF_COUNT, G(refused_rcpts_max), 0, 100000, "0" },
	{ NULL },
};

/* A.B.C.D or A.B.C.D/LEN behind the others. */
static int
answer(struct conf_parser *p, struct msg_conf_dnslist *l)
{
	static const char expected[] = "an answer such as 127.0.0.2 or 127.0.0.4/30";
	char word[32], *slash;
	unsigned char ip[4];
	uint64_t len = 32;

	if (p->lex.token != TOK_WORD ||
	    strlcpy(word, p->lex.text, sizeof(word)) >= sizeof(word))
		return conf_unexpected(p, expected);
	if ((slash = strchr(word, '/')) != NULL) {
		*slash = '\0';
		if (conf_unit_number(slash + 1, &len) == -1 || len < 8 || len > 32)
			return conf_unexpected(p, expected);
	}
	if (inet_pton(AF_INET, word, ip) != 1 || ip[0] != 127)
		return conf_unexpected(p, expected);
	if (l->answers[0] != '\0')
		strlcat(l->answers, " ", sizeof(l->answers));
	if (strlcat(l->answers, p->lex.text, sizeof(l->answers)) >= sizeof(l->answers))
		return conf_error(p, "too many answers, expected at most 255 characters");
	return conf_advance(p);
}

static int
list(struct conf_parser *p, uint8_t white)
{
	struct conf *c = p->conf;
	struct msg_conf_dnslist *l;
	uint64_t weight = 5;
	int r;

	if (c->n_dnslists == CONF_DNSLISTS_MAX)
		return conf_error(p, "too many lists in the DNS, expected at most %d",
		    CONF_DNSLISTS_MAX);
	if ((p->lex.token != TOK_WORD && p->lex.token != TOK_STRING) ||
	    !conf_is_host(p->lex.text))
		return conf_unexpected(p, "the name of a zone");
	for (size_t i = 0; i < c->n_dnslists; i++)
		if (strcasecmp(c->dnslists[i].zone, p->lex.text) == 0 &&
		    c->dnslists[i].white == white)
			return conf_error(p,
			    "%s is there already, expected it once with all its answers",
			    c->dnslists[i].zone);
	l = &c->dnslists[c->n_dnslists++];
	l->white = white;
	if (conf_get_text(p, "the name of a zone", l->zone, sizeof(l->zone)) == -1)
		return -1;
	if ((r = conf_accept(p, "weight")) == -1 ||
	    (r == 1 && conf_get_u64(p, "a weight", 1, 1000, &weight) == -1))
		return -1;
	l->weight = (uint32_t)weight;
	while ((r = conf_accept(p, "answer")) == 1)
		do
			if (answer(p, l) == -1)
				return -1;
		while (p->lex.token == TOK_WORD && p->lex.text[0] >= '0' &&
		       p->lex.text[0] <= '9');
	return r;
}

static int
dnsbl(struct conf_parser *p, void *base)
{
	(void)base;
	return list(p, 0);
}

static int
dnswl(struct conf_parser *p, void *base)
{
	(void)base;
	return list(p, 1);
}

static const struct {
	const char *word;
	size_t offset;
} checks[] = {
	{ "own-name", offsetof(struct msg_conf_gate, own_name) },
	{ "wrong-literal", offsetof(struct msg_conf_gate, wrong_literal) },
	{ "no-name", offsetof(struct msg_conf_gate, no_name) },
	{ "no-reverse", offsetof(struct msg_conf_gate, no_reverse) },
	{ "unconfirmed-reverse", offsetof(struct msg_conf_gate, unconfirmed_reverse) },
};
#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static const struct conf_choice check_names[N_CHECKS + 1] = {
	{ "own-name", 0 },
	{ "wrong-literal", 1 },
	{ "no-name", 2 },
	{ "no-reverse", 3 },
	{ "unconfirmed-reverse", 4 },
	{ NULL, 0 },
};

static int
check(struct conf_parser *p, void *base)
{
	uint64_t score;
	uint32_t *at;
	uint8_t which;
	int r;

	if (conf_get_choice(p, "a check", check_names, &which) == -1)
		return -1;
	at = (uint32_t *)(void *)((char *)base + checks[which].offset);
	if (*at != 0)
		return conf_error(
		    p, "check %s is given twice, expected it once", checks[which].word);
	if ((r = conf_accept(p, "refuse")) == -1)
		return -1;
	if (r == 1) {
		*at = GATE_CHECK_REFUSE;
		return 0;
	}
	if ((r = conf_accept(p, "score")) == -1)
		return -1;
	if (r == 0)
		return conf_unexpected(p, "refuse or score");
	if (conf_get_u64(p, "a score", 1, 1000, &score) == -1)
		return -1;
	*at = (uint32_t)score;
	return 0;
}

static const struct conf_special specials[] = {
	{ "dnsbl", dnsbl },
	{ "dnswl", dnswl },
	{ "check", check },
	{ NULL, NULL },
};

static void
print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_dnslists; i++) {
		const struct msg_conf_dnslist *l = &c->dnslists[i];

		fprintf(f, "    %s %s weight %u%s%s\n", l->white ? "dnswl" : "dnsbl",
		    l->zone, l->weight, l->answers[0] != '\0' ? " answer " : "",
		    l->answers);
	}
	for (size_t i = 0; i < N_CHECKS; i++) {
		uint32_t v = *(const uint32_t *)(const void *)((const char *)&c->gate +
							       checks[i].offset);

		if (v == GATE_CHECK_REFUSE)
			fprintf(f, "    check %s refuse\n", checks[i].word);
		else if (v != 0)
			fprintf(f, "    check %s score %u\n", checks[i].word, v);
	}
}

const struct conf_section conf_section_gate = { "gate", settings, specials, print,
	offsetof(struct conf, gate) };
