/* SPDX-License-Identifier: ISC */
/*
 * libunbound and its ways (see resolve.h).
 *
 *	resolve_lookup() -> struct lookup -> struct ask -> ub_resolve_event()
 *
 * The library answers what it has in its cache from inside ub_resolve_event(), and
 * it cannot be told to forget a question safely. So an ask belongs to the library
 * until it has been answered or its context is gone, whatever became of the lookup, and
 * answers are put into a list that is told from the loop.
 *
 * A bogus answer comes with rcode 0 and its records; only sec says so.
 */
#include "dnsd/resolve.h"

#include <sys/queue.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unbound-event.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "dnsd/anchors.h"

#define CLASS_IN 1
#define RCODE_NXDOMAIN 3
#define SEC_BOGUS 1
#define SEC_SECURE 2
#define TELL_BATCH 256

#ifndef FIFE_ROOT_ANCHORS
#define FIFE_ROOT_ANCHORS "/usr/share/dns/root.key"
#endif

struct lookup {
	TAILQ_ENTRY(lookup) entry;
	struct ask *ask; /* NULL once answered */
	struct event *deadline;
	resolve_cb cb;
	void *arg;
	char name[DNSRR_NAME_MAX + 1];
	uint16_t type;
	enum dns_status status;
	int secure;
	char text[256];
	struct wire_answer *wire;
};
TAILQ_HEAD(lookup_list, lookup);

struct ask {
	LIST_ENTRY(ask) entry;
	struct ub_ctx *ctx;    /* that it was asked of */
	struct lookup *lookup; /* NULL: nobody waits any more */
};

static struct ub_ctx *ctx;
/*
 * The library forgets nothing by name. What is to be forgotten is from then on asked of
 * another context, which is made anew with each such wish.
 */
static struct ub_ctx *side;
static char *flushed[RESOLVE_FLUSHED_MAX];
static size_t n_flushed;
static LIST_HEAD(, ask) asks = LIST_HEAD_INITIALIZER(asks);
static int asking;   /* inside ub_resolve_event() */
static int deleting; /* inside ub_ctx_delete() */
static struct lookup_list running = TAILQ_HEAD_INITIALIZER(running);
static struct lookup_list answered = TAILQ_HEAD_INITIALIZER(answered);
static struct event *tell_event;

static struct resolve_conf conf;
static struct msg_conf_dns_server system_servers[RESOLVE_SERVERS_MAX];
static size_t n_system_servers;
static struct resolve_stats stats;
/* Decoding takes place here; a copy is kept of what there is. */
static struct wire_answer scratch;

/* Names that unbound answers itself unless told otherwise. */
static const char *const builtin_zones[] = { "test", "invalid", "example", "localhost",
	"in-addr.arpa", "ip6.arpa", "onion", "home.arpa", "internal" };

static int
below(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	return n >= z && strcasecmp(name + n - z, zone) == 0 &&
	       (n == z || name[n - z - 1] == '.');
}

static int
reserved(const char *zone)
{
	for (size_t i = 0; i < sizeof(builtin_zones) / sizeof(builtin_zones[0]); i++)
		if (below(zone, builtin_zones[i]))
			return 1;
	return 0;
}

static int
is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* ---- making a context ---- */

static int
option(struct ub_ctx *c, const char *name, const char *value)
{
	int rc = ub_ctx_set_option(c, name, value);

	if (rc != 0)
		log_warnx("resolver: option %s %s: %s", name, value, ub_strerror(rc));
	return rc == 0 ? 0 : -1;
}

static int
option_num(struct ub_ctx *c, const char *name, unsigned long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%lu", value);
	return option(c, name, buf);
}

static int
transparent(struct ub_ctx *c, const char *zone)
{
	char buf[300];

	snprintf(buf, sizeof(buf), "%s%s transparent", zone,
	    strcmp(zone, ".") == 0 ? "" : ".");
	return option(c, "local-zone:", buf);
}

/* As the library wants it: 192.0.2.1@53. */
static void
server_text(const char *address, uint16_t port, char out[80])
{
	snprintf(out, 80, "%.63s@%u", address, port);
}

static int
add_stub(
    struct ub_ctx *c, const struct resolve_conf *rc, const struct msg_conf_dns_stub *s)
{
	char at[80];
	int r;

	server_text(s->address, s->port, at);
	/* The library primes a stub of the root by its NS records, which a server for a
	 * few zones does not have. */
	r = strcmp(s->zone, ".") == 0 ? ub_ctx_set_fwd(c, at)
				      : ub_ctx_set_stub(c, s->zone, at, 0);
	if (r != 0) {
		log_warnx("resolver: stub %s at %s: %s", s->zone, at, ub_strerror(r));
		return -1;
	}
	if (strcmp(s->zone, ".") == 0) {
		/* Everything is asked there, localhost apart. */
		static const char *const unblock[] = { "test", "invalid", "onion",
			"home.arpa", "127.in-addr.arpa" };

		if (option(c, "unblock-lan-zones:", "yes") == -1)
			return -1;
		for (size_t i = 0; i < sizeof(unblock) / sizeof(unblock[0]); i++)
			if (transparent(c, unblock[i]) == -1)
				return -1;
	} else if (transparent(c, s->zone) == -1)
		return -1;
	/* The root's keys deny these zones, unless there are keys of the site's own. */
	if (rc->dnsd.dnssec && strcmp(s->zone, ".") != 0 && reserved(s->zone) &&
	    rc->dnsd.anchor_file[0] == '\0' &&
	    option(c, "domain-insecure:", s->zone) == -1)
		return -1;
	return 0;
}

/* With a stub of the root everything is asked there, whatever servers there are, and the
 * keys of the real root are not its keys. */
static int
own_root(const struct resolve_conf *rc)
{
	for (size_t i = 0; i < rc->n_stubs; i++)
		if (strcmp(rc->stubs[i].zone, ".") == 0)
			return 1;
	return 0;
}

static int
use_anchors(const struct resolve_conf *rc)
{
	return rc->dnsd.dnssec && (!own_root(rc) || rc->dnsd.anchor_file[0] != '\0');
}

static int
configure(struct ub_ctx *c, const struct resolve_conf *rc)
{
	static const struct {
		const char *name, *value;
	} fixed[] = {
		{ "edns-buffer-size:", "1232" },
		{ "outgoing-range:", "256" },
		{ "outgoing-num-tcp:", "16" },
		{ "num-queries-per-thread:", "2048" },
		/* A server that was away is tried again soon: mail waits for it. */
		{ "infra-host-ttl:", "60" },
		{ "infra-keep-probing:", "yes" },
		{ "cache-max-ttl:", "86400" },
		{ "cache-max-negative-ttl:", "600" },
		{ "harden-referral-path:", "no" },
	};
	const struct msg_conf_dns_server *servers =
	    rc->n_servers > 0 ? rc->servers : system_servers;
	size_t n_servers = rc->n_servers > 0 ? rc->n_servers : n_system_servers;
	int r, loopback = 0;

	/* RFC 8767: an old answer rather than none, when nobody gives another in time. */
	if (rc->dnsd.serve_stale_s > 0 &&
	    (option(c, "serve-expired:", "yes") == -1 ||
		option_num(c, "serve-expired-ttl:", rc->dnsd.serve_stale_s) == -1 ||
		option_num(c, "serve-expired-client-timeout:", 1800) == -1))
		return -1;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (option(c, fixed[i].name, fixed[i].value) == -1)
			return -1;
	if (own_root(rc))
		n_servers = 0;
	if (option(c, "module-config:",
		rc->dnsd.dnssec ? "validator iterator" : "iterator") == -1 ||
	    option_num(c, "msg-cache-size:", rc->dnsd.cache_bytes / 3) == -1 ||
	    option_num(c, "rrset-cache-size:", rc->dnsd.cache_bytes / 3 * 2) == -1)
		return -1;
	for (size_t i = 0; i < n_servers; i++) {
		char at[80];

		server_text(servers[i].address, servers[i].port, at);
		if ((r = ub_ctx_set_fwd(c, at)) != 0) {
			log_warnx("resolver: server %s: %s", at, ub_strerror(r));
			return -1;
		}
		loopback |= is_loopback(servers[i].address);
	}
	for (size_t i = 0; i < rc->n_stubs; i++) {
		if (add_stub(c, rc, &rc->stubs[i]) == -1)
			return -1;
		loopback |= is_loopback(rc->stubs[i].address);
	}
	if (loopback && option(c, "do-not-query-localhost:", "no") == -1)
		return -1;
	return use_anchors(rc) ? anchors_apply(c, rc->dnsd.anchors_hold_s) : 0;
}

static void
tried(void *arg, int rcode, void *pkt, int len, int sec, char *why, int limited)
{
	*(int *)arg = rcode == 0 && len > 0;
}

/*
 * The library reads its settings, and finds their mistakes, with the first question:
 * one that it answers out of itself. NULL: none of these settings (logged).
 */
static struct ub_ctx *
make_context(const struct resolve_conf *rc)
{
	struct ub_ctx *c = ub_ctx_create_event(daemon_base());
	int ok = 0, r;

	if (c == NULL) {
		log_warnx("resolver: no memory");
		return NULL;
	}
	if (configure(c, rc) == -1) {
		ub_ctx_delete(c);
		return NULL;
	}
	r = ub_resolve_event(c, "localhost", DNSRR_A, CLASS_IN, &ok, tried, NULL);
	if (r != 0 || !ok) {
		log_warnx("resolver: the settings do not work: %s",
		    r != 0 ? ub_strerror(r) : "no answer");
		ub_ctx_delete(c);
		return NULL;
	}
	return c;
}

/* ---- files, before the sandbox ---- */

static void
read_resolv_conf(void)
{
	char line[512], address[64];
	unsigned char ip[16];
	FILE *f = fopen("/etc/resolv.conf", "re");

	n_system_servers = 0;
	if (f == NULL)
		return;
	while (n_system_servers < RESOLVE_SERVERS_MAX &&
	       fgets(line, sizeof(line), f) != NULL) {
		struct msg_conf_dns_server *s = &system_servers[n_system_servers];

		if (sscanf(line, " nameserver %63s", address) != 1 ||
		    (inet_pton(AF_INET, address, ip) != 1 &&
			inet_pton(AF_INET6, address, ip) != 1))
			continue;
		strlcpy(s->address, address, sizeof(s->address));
		s->port = 53;
		n_system_servers++;
	}
	fclose(f);
}

static void tell(evutil_socket_t, short, void *);

/* ---- the keys of the anchors' zones ---- */

/* The library looks at them when it needs them; so that it does, they are asked for. */
static void
on_keys(const struct resolve_answer *a, void *arg)
{
	anchors_note_changes();
}

void
resolve_look_after_anchors(void)
{
	const char *zone;

	for (size_t i = 0; use_anchors(&conf) && (zone = anchors_zone(i)) != NULL; i++)
		(void)resolve_lookup(zone, DNSRR_DNSKEY, on_keys, NULL);
}

int
resolve_open(const struct resolve_conf *rc)
{
	conf = *rc;
	if (conf.n_servers == 0)
		read_resolv_conf();
	if (conf.dnsd.dnssec && conf.dnsd.anchor_file[0] != '\0') {
		if (anchors_open(conf.dnsd.anchor_file, conf.dnsd.anchors_follow,
			daemon_conf()->root) == -1)
			return -1;
	} else if (conf.dnsd.dnssec && access(FIFE_ROOT_ANCHORS, R_OK) == 0)
		(void)anchors_open(
		    FIFE_ROOT_ANCHORS, conf.dnsd.anchors_follow, daemon_conf()->root);
	if (conf.dnsd.dnssec && anchors_count() == 0)
		log_warnx("resolver: no trust anchors: nothing will be validated");
	if ((tell_event = event_new(daemon_base(), -1, 0, tell, NULL)) == NULL)
		return -1;
	return (ctx = make_context(&conf)) == NULL ? -1 : 0;
}

/* ---- asking ---- */

static void
settle(struct lookup *l, enum dns_status status, const char *text)
{
	l->status = status;
	strlcpy(l->text, text == NULL ? "" : text, sizeof(l->text));
	if (l->ask != NULL)
		l->ask->lookup = NULL;
	l->ask = NULL;
	TAILQ_REMOVE(&running, l, entry);
	TAILQ_INSERT_TAIL(&answered, l, entry);
	event_active(tell_event, EV_TIMEOUT, 0);
}

static void
keep_wire(struct lookup *l)
{
	/* Just as much as there is; the blob is last. */
	size_t size = offsetof(struct wire_answer, records) + scratch.len;

	if ((l->wire = malloc(size)) != NULL)
		memcpy(l->wire, &scratch, size);
}

static void
take_answer(
    struct lookup *l, int rcode, const uint8_t *pkt, int len, int sec, const char *why)
{
	l->secure = sec == SEC_SECURE;
	if (sec == SEC_BOGUS) {
		settle(l, DNS_BOGUS, why != NULL ? why : "DNSSEC validation failed");
		return;
	}
	if (rcode == RCODE_NXDOMAIN) {
		settle(l, DNS_NXDOMAIN, NULL);
		return;
	}
	if (rcode != 0) {
		settle(l, DNS_TEMP,
		    rcode == 5 ? "the name server refuses to answer"
			       : "no usable answer from the name servers");
		return;
	}
	if (pkt == NULL || len <= 0 ||
	    wire_decode(pkt, (size_t)len, l->name, l->type, &scratch) == -1) {
		settle(l, DNS_TEMP, "malformed answer from the name server");
		return;
	}
	if (scratch.rcode == RCODE_NXDOMAIN) {
		settle(l, DNS_NXDOMAIN, NULL);
		return;
	}
	if (scratch.truncated) {
		settle(l, DNS_TEMP, "the answer is too large");
		return;
	}
	keep_wire(l);
	if (l->wire == NULL)
		settle(l, DNS_TEMP, "out of memory");
	else
		settle(l, scratch.count > 0 ? DNS_OK : DNS_NODATA, NULL);
}

static void
on_answer(void *arg, int rcode, void *pkt, int len, int sec, char *why, int limited)
{
	struct ask *a = arg;
	struct lookup *l = a->lookup;

	/* A context that goes calls back for what it leaves: all of that is freed by
	 * replace_context(). */
	if (deleting)
		return;
	LIST_REMOVE(a, entry);
	free(a);
	if (l == NULL)
		return;
	l->ask = NULL;
	if (asking)
		stats.cached++;
	take_answer(l, rcode, pkt, len, sec, why);
}

static struct ub_ctx *
context_for(const char *name)
{
	for (size_t i = 0; i < n_flushed; i++)
		if (below(name, flushed[i]))
			return side;
	return ctx;
}

static int
ask(struct lookup *l)
{
	struct ask *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -1;
	a->ctx = context_for(l->name);
	a->lookup = l;
	l->ask = a;
	LIST_INSERT_HEAD(&asks, a, entry);
	asking++;
	r = ub_resolve_event(a->ctx, l->name, l->type, CLASS_IN, a, on_answer, NULL);
	asking--;
	if (r == 0)
		return 0;
	/* Not called back then. */
	LIST_REMOVE(a, entry);
	l->ask = NULL;
	free(a);
	settle(l, DNS_TEMP, ub_strerror(r));
	return 0;
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l = arg;

	/* Answered, and just not told yet. */
	if (l->ask == NULL)
		return;
	stats.timeouts++;
	settle(l, DNS_TEMP, "the name servers do not answer");
}

static void
count(const struct lookup *l)
{
	switch (l->status) {
	case DNS_OK:
		stats.ok++;
		break;
	case DNS_NXDOMAIN:
		stats.nxdomain++;
		break;
	case DNS_NODATA:
		stats.nodata++;
		break;
	case DNS_BOGUS:
		stats.bogus++;
		log_fact(LOG_HOST, LOGL_WARN, "dns-bogus", KS("name", l->name),
		    KU("type", l->type), KS("why", l->text));
		break;
	default:
		stats.temp++;
	}
}

static void
lookup_free(struct lookup *l)
{
	if (l->deadline != NULL)
		event_free(l->deadline);
	free(l->wire);
	free(l);
}

static void
tell(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l;

	for (int i = 0; i < TELL_BATCH && (l = TAILQ_FIRST(&answered)) != NULL; i++) {
		struct resolve_answer a = { .status = l->status,
			.secure = l->secure,
			.text = l->text,
			.wire = l->wire };

		TAILQ_REMOVE(&answered, l, entry);
		stats.running--;
		count(l);
		l->cb(&a, l->arg);
		lookup_free(l);
	}
	if (!TAILQ_EMPTY(&answered))
		event_active(tell_event, EV_TIMEOUT, 0);
}

int
resolve_lookup(const char *name, uint16_t type, resolve_cb cb, void *arg)
{
	struct timeval tv = { conf.dnsd.timeout_ms / 1000,
		(suseconds_t)(conf.dnsd.timeout_ms % 1000) * 1000 };
	struct lookup *l = calloc(1, sizeof(*l));
	size_t n = strlen(name);

	if (l == NULL)
		return -1;
	stats.lookups++;
	l->cb = cb;
	l->arg = arg;
	l->type = type;
	strlcpy(l->name, name, sizeof(l->name));
	if (n > 1 && n < sizeof(l->name) && name[n - 1] == '.')
		l->name[--n] = '\0';
	TAILQ_INSERT_TAIL(&running, l, entry);
	stats.running++;
	if (type == 0 || !address_domain_valid_loose(l->name, n)) {
		settle(l, DNS_NXDOMAIN, NULL);
		return 0;
	}
	if (stats.running > RESOLVE_LOOKUPS_MAX) {
		stats.refused++;
		settle(l, DNS_TEMP, "too many lookups at a time");
		return 0;
	}
	l->deadline = event_new(daemon_base(), -1, 0, on_deadline, l);
	if (l->deadline == NULL || event_add(l->deadline, &tv) == -1 || ask(l) == -1)
		settle(l, DNS_TEMP, "out of memory");
	return 0;
}

/* ---- other settings ---- */

/* Its questions under way are asked anew, of whoever is right for them now. */
static void
delete_context(struct ub_ctx *old)
{
	struct lookup *l, *next;
	struct ask *a, *next_ask;

	if (old == NULL)
		return;
	deleting = 1;
	ub_ctx_delete(old);
	deleting = 0;
	for (a = LIST_FIRST(&asks); a != NULL; a = next_ask) {
		next_ask = LIST_NEXT(a, entry);
		if (a->ctx != old)
			continue;
		LIST_REMOVE(a, entry);
		if (a->lookup != NULL)
			a->lookup->ask = NULL;
		free(a);
	}
	for (l = TAILQ_FIRST(&running); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (l->ask == NULL && ask(l) == -1)
			settle(l, DNS_TEMP, "out of memory");
	}
}

/* All that was known goes, of both contexts. */
static void
replace_context(struct ub_ctx *fresh)
{
	struct ub_ctx *old = ctx, *old_side = side;

	while (n_flushed > 0)
		free(flushed[--n_flushed]);
	ctx = fresh;
	side = NULL;
	delete_context(old);
	delete_context(old_side);
}

int
resolve_reconfigure(const struct resolve_conf *rc)
{
	struct ub_ctx *fresh;

	if (memcmp(&conf, rc, sizeof(conf)) == 0)
		return 0;
	if (strcmp(rc->dnsd.anchor_file, conf.dnsd.anchor_file) != 0 ||
	    rc->dnsd.anchors_follow != conf.dnsd.anchors_follow ||
	    (rc->dnsd.dnssec && !conf.dnsd.dnssec && anchors_count() == 0) ||
	    (rc->n_servers == 0 && conf.n_servers != 0 && n_system_servers == 0))
		return 1;
	if ((fresh = make_context(rc)) == NULL)
		return -1;
	conf = *rc;
	replace_context(fresh);
	return 0;
}

int
resolve_flush(void)
{
	struct ub_ctx *fresh = make_context(&conf);

	if (fresh == NULL)
		return -1;
	replace_context(fresh);
	stats.flushes++;
	return 0;
}

int
resolve_flush_name(const char *name)
{
	struct ub_ctx *fresh, *old = side;
	size_t i;
	char *copy;

	for (i = 0; i < n_flushed && strcasecmp(flushed[i], name) != 0; i++)
		;
	if (i == RESOLVE_FLUSHED_MAX || strcmp(name, ".") == 0)
		return resolve_flush();
	if ((copy = strdup(name)) == NULL)
		return -1;
	if ((fresh = make_context(&conf)) == NULL) {
		free(copy);
		return -1;
	}
	free(i < n_flushed ? flushed[i] : NULL);
	flushed[i] = copy;
	if (i == n_flushed)
		n_flushed++;
	side = fresh;
	delete_context(old);
	stats.flushes++;
	return 0;
}

void
resolve_get_stats(struct resolve_stats *s)
{
	*s = stats;
	s->stubs = (uint32_t)conf.n_stubs;
	s->own_root = own_root(&conf);
	s->servers = (uint32_t)(conf.n_servers > 0 ? conf.n_servers : n_system_servers);
	s->from_resolv_conf = conf.n_servers == 0 && n_system_servers > 0;
	if (s->own_root)
		s->servers = 0;
	s->forwarding = s->servers > 0;
	s->dnssec = conf.dnsd.dnssec;
	s->anchors = use_anchors(&conf) ? (uint32_t)anchors_count() : 0;
}
