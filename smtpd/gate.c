/* SPDX-License-Identifier: ISC */
/* The decision about a stranger; see gate.h. */
#include "smtpd/gate.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"

static int
is_own_name(const struct gate_facts *f)
{
	size_t len = strlen(f->helo);

	if (len > 0 && f->helo[len - 1] == '.')
		len--;
	return len == strlen(f->hostname) && strncasecmp(f->helo, f->hostname, len) == 0;
}

static int
is_wrong_literal(const struct gate_facts *f)
{
	uint8_t ip[16];
	int family;

	if (f->helo[0] != '[')
		return 0;
	return address_literal_ip(f->helo, &family, ip) == -1 ||
	       (family == AF_INET ? 4u : 16u) != f->ip_len ||
	       memcmp(ip, f->ip, f->ip_len) != 0;
}

/* A name has a dot within, and is no bare IPv4 address: its last label begins with a
 * letter. */
static int
is_no_name(const struct gate_facts *f)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	const char *dot;
	size_t len;

	if (f->helo[0] == '[')
		return 0;
	if ((len = strlcpy(name, f->helo, sizeof(name))) >= sizeof(name))
		return 1;
	if (len > 0 && name[len - 1] == '.')
		name[--len] = '\0';
	if ((dot = strrchr(name, '.')) == NULL || dot == name)
		return 1;
	if (dot[1] >= '0' && dot[1] <= '9')
		return 1;
	return !address_domain_valid_loose(name, len);
}

/* What has been found so far. */
struct tally {
	struct gate_decision *d;
	int64_t score;
	int refuse;
	char reasons[600]; /* without the points, for the reply */
};

static void
append(char *list, size_t cap, const char *text)
{
	if (list[0] != '\0')
		strlcat(list, "; ", cap);
	strlcat(list, text, cap);
}

static void
note(struct tally *t, uint32_t value, const char *what, const char *said)
{
	char text[500];

	if (value == GATE_CHECK_REFUSE) {
		t->refuse = 1;
		append(t->d->why, sizeof(t->d->why), what);
	} else {
		t->score += value;
		snprintf(text, sizeof(text), "%s (%u)", what, value);
		append(t->d->why, sizeof(t->d->why), text);
	}
	snprintf(text, sizeof(text), "%s%s%.300s%s", what,
	    *said != '\0' ? ", which says \"" : "", said, *said != '\0' ? "\"" : "");
	append(t->reasons, sizeof(t->reasons), text);
}

static void
weigh_lists(struct tally *t, const struct gate_facts *f)
{
	char what[256];

	for (size_t i = 0; i < f->n_hits; i++) {
		const struct msg_conf_dnslist *l = f->hits[i].list;

		if (l->white) {
			t->score -= l->weight;
			snprintf(what, sizeof(what), "known good by %s (-%u)", l->zone,
			    l->weight);
			append(t->d->why, sizeof(t->d->why), what);
			continue;
		}
		snprintf(what, sizeof(what), "listed by %s", l->zone);
		note(t, l->weight, what, f->hits[i].text);
	}
}

void
gate_decide(
    const struct msg_conf_gate *c, const struct gate_facts *f, struct gate_decision *d)
{
	struct tally t = { .d = d };

	memset(d, 0, sizeof(*d));
	weigh_lists(&t, f);
	if (c->own_name != 0 && is_own_name(f))
		note(&t, c->own_name, "it greets with the name of this host", "");
	if (c->wrong_literal != 0 && is_wrong_literal(f))
		note(&t, c->wrong_literal,
		    "it greets with an address that is not its own", "");
	if (c->no_name != 0 && is_no_name(f))
		note(&t, c->no_name, "it greets without a full host name", "");
	if (c->no_reverse != 0 && f->reverse == GATE_REVERSE_NONE)
		note(&t, c->no_reverse, "the DNS has no name for it", "");
	if (c->unconfirmed_reverse != 0 && f->reverse == GATE_REVERSE_UNCONFIRMED)
		note(&t, c->unconfirmed_reverse,
		    "its name in the DNS does not lead back to it", "");
	d->score = (int32_t)t.score;
	if (t.refuse || (c->refuse_score != 0 && t.score >= (int64_t)c->refuse_score))
		d->verdict = GATE_REFUSE;
	else if (c->junk_score != 0 && t.score >= (int64_t)c->junk_score)
		d->verdict = GATE_JUNK;
	if (d->verdict == GATE_REFUSE)
		snprintf(d->reply, sizeof(d->reply), "%.63s is refused: %s", f->client,
		    t.reasons);
}

int
gate_is_open_for(const char *rcpt)
{
	static const char *const names[] = { "postmaster", "abuse" };
	size_t len = strcspn(rcpt, "@");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (len == strlen(names[i]) && strncasecmp(rcpt, names[i], len) == 0)
			return 1;
	return 0;
}
