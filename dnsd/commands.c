/* SPDX-License-Identifier: ISC */
/* What fifectl(8) asks of dnsd. */
#include "dnsd/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/address.h"
#include "common/proto/dnshosts.h"
#include "dnsd/anchors.h"
#include "dnsd/health.h"
#include "dnsd/resolve.h"

struct question {
	struct ctl *ctl; /* NULL: fifectl has gone */
	char name[256];
	uint16_t type;
};

static const char *
status_word(enum dns_status s)
{
	static const char *const words[] = { [DNS_OK] = "ok",
		[DNS_NXDOMAIN] = "no such domain",
		[DNS_NODATA] = "no such record",
		[DNS_TEMP] = "temporary failure",
		[DNS_BOGUS] = "bogus",
		[DNS_NULL_MX] = "null MX" };

	return words[s];
}

static void
gone(struct ctl *c, void *arg)
{
	struct question *q = arg;

	q->ctl = NULL;
}

static void
show(const struct resolve_answer *a, void *arg)
{
	struct question *q = arg;
	struct ctl *c = q->ctl;
	struct dnsrr rr;
	size_t off = 0;
	char text[2048], type[16];

	if (c == NULL)
		goto done;
	while (a->wire != NULL &&
	       dnsrr_next(a->wire->records, a->wire->len, &off, &rr) == 1) {
		dnsrr_text(&rr, text, sizeof(text));
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "name", a->wire->canonical);
		ctl_str(c, "type", dnsrr_type_name(rr.type, type));
		ctl_u64(c, "ttl", rr.ttl);
		ctl_str(c, "data", text);
		ctl_bool(c, "secure", a->secure);
		ctl_row_end(c);
	}
	if (a->status == DNS_OK)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, a->status == DNS_TEMP ? CTL_TEMPFAIL : CTL_REFUSED,
		    "%s %s: %s%s%s", q->name, dnsrr_type_name(q->type, type),
		    status_word(a->status), a->text[0] != '\0' ? ": " : "", a->text);
done:
	free(q);
}

static void
resolver_lookup(struct ctl *c, int argc, char **argv)
{
	struct question *q = calloc(1, sizeof(*q));
	struct dnsaddr a;
	int is_address = dnsaddr_parse(argv[0], &a) == 0;

	if (q == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "out of memory");
		return;
	}
	q->type = is_address ? DNSRR_PTR : DNSRR_A;
	if (argc > 1 && (q->type = dnsrr_type_by_name(argv[1])) == 0) {
		ctl_done(c, CTL_USAGE, "%s: no such type of record", argv[1]);
		free(q);
		return;
	}
	if (is_address)
		(void)dnsrr_reverse_name(a.family, a.ip, q->name, sizeof(q->name));
	else if (address_domain_ascii(argv[0], q->name, sizeof(q->name)) == -1)
		strlcpy(q->name, argv[0], sizeof(q->name));
	q->ctl = c;
	ctl_on_gone(c, gone, q);
	if (resolve_lookup(q->name, q->type, show, q) == -1) {
		ctl_done(c, CTL_TEMPFAIL, "out of memory");
		free(q);
	}
}

/* One name again and again, some at a time: how many answers a second. */
struct measure {
	struct ctl *ctl;
	char name[256];
	uint64_t left, running, began, count;
};

#define MEASURE_AT_A_TIME 64

static void measured(const struct resolve_answer *, void *);

static void
measure_more(struct measure *m)
{
	while (m->ctl != NULL && m->left > 0 && m->running < MEASURE_AT_A_TIME &&
	       resolve_lookup(m->name, DNSRR_A, measured, m) == 0) {
		m->left--;
		m->running++;
	}
	if (m->running > 0)
		return;
	if (m->ctl != NULL) {
		uint64_t ms = now_ms() - m->began;

		ctl_row(m->ctl, CTL_FACTS);
		ctl_u64(m->ctl, "lookups", m->count);
		ctl_u64(m->ctl, "ms", ms);
		ctl_u64(m->ctl, "a-second", ms > 0 ? m->count * 1000 / ms : 0);
		ctl_row_end(m->ctl);
		ctl_done(m->ctl, CTL_OK, NULL);
	}
	free(m);
}

static void
measured(const struct resolve_answer *a, void *arg)
{
	struct measure *m = arg;

	m->running--;
	if (m->running < MEASURE_AT_A_TIME / 2)
		measure_more(m);
}

static void
measure_gone(struct ctl *c, void *arg)
{
	((struct measure *)arg)->ctl = NULL;
}

static void
resolver_measure(struct ctl *c, int argc, char **argv)
{
	const char *bad = NULL;
	long long n = argc > 1 ? strtonum(argv[1], 1, 10000000, &bad) : 100000;
	struct measure *m;

	if (bad != NULL) {
		ctl_done(c, CTL_USAGE, "%s: expected a number of lookups", argv[1]);
		return;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "out of memory");
		return;
	}
	m->ctl = c;
	m->left = m->count = (uint64_t)n;
	m->began = now_ms();
	strlcpy(m->name, argv[0], sizeof(m->name));
	ctl_on_gone(c, measure_gone, m);
	measure_more(m);
}

static void
resolver_flush(struct ctl *c, int argc, char **argv)
{
	char name[256];
	bool all = argc == 0 || strcmp(argv[0], "all") == 0;
	size_t n;

	if (!all && address_domain_ascii(argv[0], name, sizeof(name)) == -1)
		strlcpy(name, argv[0], sizeof(name));
	if (!all && (n = strlen(name)) > 1 && name[n - 1] == '.')
		name[n - 1] = '\0';
	if ((all ? resolve_flush() : resolve_flush_name(name)) == -1) {
		ctl_done(c, CTL_TEMPFAIL, "no new cache could be made: see the log");
		return;
	}
	ctl_done(c, CTL_OK, NULL);
}

static void
resolver_servers(struct ctl *c, int argc, char **argv)
{
	static const char *const words[] = { "unknown", "up", "down" };
	struct health_row r;

	for (size_t i = 0; health_at(i, &r); i++) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "server", r.address);
		ctl_u64(c, "port", r.port);
		ctl_str(c, "zone", r.zone);
		ctl_str(c, "health", words[r.health]);
		ctl_time(c, "since", r.since);
		ctl_u64(c, "ms", r.took_ms);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

/* "192.0.2.53 does not answer", or how many. */
static void
name_the_down(struct ctl *c)
{
	struct health_row r;
	char text[600] = "";
	int n = 0;

	for (size_t i = 0; health_at(i, &r); i++) {
		char one[100];

		if (r.health != HEALTH_DOWN)
			continue;
		/* One server may be there for several zones. */
		snprintf(one, sizeof(one), "%s port %u,", r.address, r.port);
		if (strstr(text, one) != NULL)
			continue;
		if (text[0] != '\0')
			strlcat(text, " ", sizeof(text));
		strlcat(text, one, sizeof(text));
		n++;
	}
	if (text[0] == '\0')
		return;
	text[strlen(text) - 1] = '\0';
	strlcat(text, n == 1 ? " does not answer" : " do not answer", sizeof(text));
	ctl_str(c, "degraded", text);
}

static void
facts(struct ctl *c, const struct resolve_stats *s)
{
	ctl_str(c, "mode",
	    s->own_root           ? "a stub of the root"
	    : !s->forwarding      ? "recursion from the root"
	    : s->from_resolv_conf ? "servers of /etc/resolv.conf"
				  : "configured servers");
	ctl_u64(c, "servers", s->servers);
	ctl_u64(c, "stubs", s->stubs);
	ctl_bool(c, "dnssec", s->dnssec);
	ctl_u64(c, "anchors", s->anchors);
	ctl_u64(c, "running", s->running);
	ctl_u64(c, "lookups", s->lookups);
	ctl_u64(c, "cached", s->cached);
}

static void
resolver_stats(struct ctl *c, int argc, char **argv)
{
	struct resolve_stats s;

	resolve_get_stats(&s);
	ctl_row(c, CTL_FACTS);
	facts(c, &s);
	ctl_u64(c, "ok", s.ok);
	ctl_u64(c, "no-domain", s.nxdomain);
	ctl_u64(c, "no-data", s.nodata);
	ctl_u64(c, "failed", s.temp);
	ctl_u64(c, "timeouts", s.timeouts);
	ctl_u64(c, "bogus", s.bogus);
	ctl_u64(c, "refused", s.refused);
	ctl_u64(c, "flushes", s.flushes);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static void
resolver_anchors(struct ctl *c, int argc, char **argv)
{
	struct anchor_key keys[16];
	const char *zone;

	for (size_t i = 0; (zone = anchors_zone(i)) != NULL; i++) {
		size_t n = anchors_keys(i, keys, 16);

		for (size_t k = 0; k < n; k++) {
			ctl_row(c, CTL_TABLE);
			ctl_str(c, "zone", zone);
			ctl_u64(c, "key", keys[k].tag);
			ctl_str(c, "state", keys[k].state);
			ctl_time(c, "since", keys[k].since);
			ctl_row_end(c);
		}
	}
	ctl_done(c, CTL_OK, NULL);
}

static void
status(struct ctl *c, int argc, char **argv)
{
	static uint64_t told_ok, told_timeouts;
	struct resolve_stats s;

	resolve_get_stats(&s);
	ctl_row(c, CTL_FACTS);
	facts(c, &s);
	/* Time-outs and not one answer since the last look. */
	if (s.timeouts > told_timeouts && s.ok + s.nodata + s.nxdomain == told_ok)
		ctl_str(c, "degraded", "the name servers do not answer");
	else if (s.dnssec && s.anchors == 0 && !s.own_root)
		ctl_str(c, "degraded", "DNSSEC is on, but there are no trust anchors");
	else
		name_the_down(c);
	told_ok = s.ok + s.nodata + s.nxdomain;
	told_timeouts = s.timeouts;
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

const struct ctl_command dnsd_commands[] = {
	{ "resolver lookup", 1, 2, resolver_lookup },
	{ "resolver flush", 0, 1, resolver_flush },
	{ "resolver servers", 0, 0, resolver_servers },
	{ "resolver measure", 1, 2, resolver_measure },
	{ "resolver stats", 0, 0, resolver_stats },
	{ "resolver anchors", 0, 0, resolver_anchors },
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};
