/* SPDX-License-Identifier: ISC */
/* MTA-STS: the record here, the policy from policyd; see sts.h. */
#include "dnsd/sts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/dnsrr.h"
#include "dnsd/resolve.h"

#define POLICYD_TIMEOUT_MS 40000

struct sts_find {
	sts_cb cb; /* NULL: cancelled */
	void *arg;
	char domain[256];
	char id[33];
};

static int
is_field(const uint8_t *p, size_t len, const char *name, const uint8_t **value,
    size_t *value_len)
{
	size_t n = strlen(name);

	if (len < n || memcmp(p, name, n) != 0)
		return 0;
	p += n;
	len -= n;
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	if (len == 0 || *p != '=')
		return 0;
	p++;
	len--;
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	*value = p;
	*value_len = len;
	return 1;
}

int
sts_record_id(const uint8_t *txt, size_t len, char id[33])
{
	const uint8_t *end = txt + len, *v;
	size_t n;
	int first = 1;

	id[0] = '\0';
	while (txt < end) {
		const uint8_t *semi = memchr(txt, ';', (size_t)(end - txt));
		const uint8_t *stop = semi != NULL ? semi : end;

		while (txt < stop && (*txt == ' ' || *txt == '\t'))
			txt++;
		if (first) {
			if (!is_field(txt, (size_t)(stop - txt), "v", &v, &n) || n != 5 ||
			    memcmp(v, "STSv1", 5) != 0)
				return -1;
			first = 0;
		} else if (is_field(txt, (size_t)(stop - txt), "id", &v, &n)) {
			if (n == 0 || n > 32 || id[0] != '\0')
				return -1;
			for (size_t i = 0; i < n; i++)
				if (!isalnum(v[i]) || v[i] >= 0x80)
					return -1;
			memcpy(id, v, n);
			id[n] = '\0';
		}
		txt = semi != NULL ? semi + 1 : end;
	}
	return id[0] != '\0' ? 0 : -1;
}

static void
end(struct sts_find *s, const struct msg_sts_policy *p)
{
	static const struct msg_sts_policy none;

	if (s->cb != NULL)
		s->cb(p != NULL ? p : &none, s->arg);
	free(s);
}

static void
got_policy(struct msg *m, void *arg)
{
	/* The expiry and the state of it are policyd's to judge. */
	end(arg,
	    m != NULL && m->p.sts_policy.mode <= STS_ENFORCE ? &m->p.sts_policy : NULL);
}

static void
got_record(const struct resolve_answer *a, void *arg)
{
	struct sts_find *s = arg;
	struct channel *ch = daemon_peer(ROLE_POLICYD);
	struct msg_sts_ask ask = { "" };
	struct dnsrr rr;
	size_t off = 0;
	unsigned int n = 0;
	char id[33];

	if (s->cb == NULL) {
		end(s, NULL);
		return;
	}
	while (a->status == DNS_OK &&
	       dnsrr_next(a->wire->records, a->wire->len, &off, &rr) == 1)
		if (rr.type == DNSRR_TXT && sts_record_id(rr.data, rr.len, id) == 0) {
			strlcpy(s->id, id, sizeof(s->id));
			n++;
		}
	/* 3.1: several are none. Without an id a policy that is still kept counts. */
	strlcpy(ask.domain, s->domain, sizeof(ask.domain));
	if (n == 1)
		strlcpy(ask.id, s->id, sizeof(ask.id));
	if (ch == NULL || channel_ask(ch, MSG_DNSD_POLICYD_STS, &ask, -1,
			      POLICYD_TIMEOUT_MS, got_policy, s) == 0)
		end(s, NULL);
}

struct sts_find *
sts_find(const char *domain, sts_cb cb, void *arg)
{
	struct sts_find *s = calloc(1, sizeof(*s));
	char name[300];

	if (s == NULL)
		return NULL;
	s->cb = cb;
	s->arg = arg;
	strlcpy(s->domain, domain, sizeof(s->domain));
	snprintf(name, sizeof(name), "_mta-sts.%s", domain);
	if (resolve_lookup(name, DNSRR_TXT, got_record, s) == 0)
		return s;
	free(s);
	return NULL;
}

void
sts_cancel(struct sts_find *s)
{
	if (s != NULL)
		s->cb = NULL;
}
