/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_RESOLVE_H
#define FIFE_DNSD_RESOLVE_H

/*
 * Names to records through libunbound, which keeps the cache and validates.
 * Everything that the library would read from files is read by resolve_open()
 * beforehand, so a context can be made anew in the sandbox.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"
#include "dnsd/wire.h"

#define RESOLVE_SERVERS_MAX 16
#define RESOLVE_STUBS_MAX 256
#define RESOLVE_LOOKUPS_MAX 4096
#define RESOLVE_FLUSHED_MAX 256 /* names; more empty the whole cache */

struct resolve_conf {
	struct msg_conf_dnsd dnsd;
	struct msg_conf_dns_server servers[RESOLVE_SERVERS_MAX];
	size_t n_servers;
	struct msg_conf_dns_stub stubs[RESOLVE_STUBS_MAX];
	size_t n_stubs;
};

struct resolve_stats {
	uint64_t lookups, cached, ok, nxdomain, nodata, temp, bogus, timeouts, refused;
	uint64_t flushes;
	uint32_t running;
	uint32_t servers, stubs, anchors;
	int forwarding, from_resolv_conf, own_root, dnssec;
};

struct resolve_answer {
	enum dns_status status; /* never DNS_NULL_MX */
	int secure;             /* DNSSEC vouches for it, also for a denial */
	const char *text;       /* why, for DNS_TEMP and DNS_BOGUS; otherwise "" */
	/* With DNS_OK (records) and DNS_NODATA (canonical name); else NULL. */
	const struct wire_answer *wire;
};

/* What the answer borrows dies on return. Never called from inside
 * resolve_lookup(). */
typedef void (*resolve_cb)(const struct resolve_answer *, void *arg);

/* As root, before the sandbox: reads anchors and /etc/resolv.conf, makes a context,
 * tries it. 0, or -1 (logged). conf is copied. */
int resolve_open(const struct resolve_conf *);
/*
 * Other settings. 0; 1 when they need files (other anchors, or resolv.conf that has
 * not been read), which cannot be had in the sandbox; -1 when no context could be
 * made of them: the old one stays (logged).
 */
int resolve_reconfigure(const struct resolve_conf *);
/* Empty the cache. Questions under way are asked anew. 0 or -1 (logged). */
int resolve_flush(void);
/* The same for a name and what is below it. */
int resolve_flush_name(const char *name);
/* 0, or -1: no memory; cb is not called then. Everything else is an answer. */
int resolve_lookup(const char *name, uint16_t type, resolve_cb, void *arg);
void resolve_get_stats(struct resolve_stats *);
/* Once an hour: see whether the zones of trust anchors have new keys (RFC 5011, 2.3). */
void resolve_look_after_anchors(void);

#endif
