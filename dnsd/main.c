/* SPDX-License-Identifier: ISC */
/* dnsd: names to records and mail hosts, for the others; see dnsd(8). */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "dnsd/commands.h"
#include "dnsd/health.h"
#include "dnsd/hosts.h"
#include "dnsd/resolve.h"

#define ANCHORS_EVERY_S 3600

static struct event *hour;
static struct resolve_conf conf; /* as it comes in, for the next START */

/* Who gets the answer: by numbers, since the asker may be gone by then. */
struct asker {
	uint64_t channel;
	uint64_t request;
};

static void
on_conf(struct msg *m)
{
	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		memset(&conf, 0, sizeof(conf));
		conf.dnsd.cache_bytes = 8u << 20;
		conf.dnsd.timeout_ms = 20000;
		break;
	case MSG_FIFED_DNSD_CONF:
		conf.dnsd.dnssec = m->p.conf_dnsd.dnssec;
		conf.dnsd.cache_bytes = m->p.conf_dnsd.cache_bytes;
		conf.dnsd.timeout_ms = m->p.conf_dnsd.timeout_ms;
		conf.dnsd.serve_stale_s = m->p.conf_dnsd.serve_stale_s;
		conf.dnsd.anchors_follow = m->p.conf_dnsd.anchors_follow;
		conf.dnsd.anchors_hold_s = m->p.conf_dnsd.anchors_hold_s;
		strlcpy(conf.dnsd.anchor_file, m->p.conf_dnsd.anchor_file,
		    sizeof(conf.dnsd.anchor_file));
		break;
	case MSG_FIFED_DNSD_SERVER:
		if (conf.n_servers == RESOLVE_SERVERS_MAX) {
			log_warnx("too many name servers: %s is left out",
			    m->p.conf_dns_server.address);
			break;
		}
		strlcpy(conf.servers[conf.n_servers].address,
		    m->p.conf_dns_server.address, sizeof(conf.servers[0].address));
		conf.servers[conf.n_servers++].port = m->p.conf_dns_server.port;
		break;
	case MSG_FIFED_DNSD_STUB:
		if (conf.n_stubs == RESOLVE_STUBS_MAX) {
			log_warnx("too many stub zones: %s is left out",
			    m->p.conf_dns_stub.zone);
			break;
		}
		strlcpy(conf.stubs[conf.n_stubs].zone, m->p.conf_dns_stub.zone,
		    sizeof(conf.stubs[0].zone));
		strlcpy(conf.stubs[conf.n_stubs].address, m->p.conf_dns_stub.address,
		    sizeof(conf.stubs[0].address));
		conf.stubs[conf.n_stubs++].port = m->p.conf_dns_stub.port;
		break;
	default:
		break;
	}
}

static int
on_open(void)
{
	return resolve_open(&conf);
}

static void
on_hour(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { ANCHORS_EVERY_S, 0 };

	resolve_look_after_anchors();
	evtimer_add(hour, &tv);
}

static int
on_start(void)
{
	health_start(&conf);
	if ((hour = evtimer_new(daemon_base(), on_hour, NULL)) != NULL)
		on_hour(-1, 0, NULL);
	return 0;
}

static void
on_reload(void)
{
	static struct resolve_conf last;

	/* Files cannot be read any more: fifed starts us anew, and those who wait
	 * ask again. */
	if (resolve_reconfigure(&conf) == 1) {
		log_info("starting anew to read the resolver's files");
		daemon_stopped();
		return;
	}
	if (memcmp(&last, &conf, sizeof(conf)) != 0)
		health_start(&conf);
	last = conf;
}

static struct asker *
asker_new(struct channel *ch, const struct msg *m)
{
	struct asker *a = malloc(sizeof(*a));

	if (a != NULL) {
		a->channel = channel_serial(ch);
		a->request = m->id;
	}
	return a;
}

static void
send_answer(const struct resolve_answer *r, void *arg)
{
	struct asker *a = arg;
	struct channel *ch = channel_find(a->channel);
	struct msg_dns_answer m = { .status = (uint8_t)r->status,
		.secure = r->secure != 0 };

	strlcpy(m.text, r->text, sizeof(m.text));
	if (r->wire != NULL) {
		m.ttl = r->wire->ttl;
		m.count = r->wire->count;
		strlcpy(m.canonical, r->wire->canonical, sizeof(m.canonical));
		m.records = r->wire->records;
		m.records_len = r->wire->len;
	}
	if (ch != NULL)
		channel_send(ch, MSG_DNSD_ANY_ANSWER, a->request, &m, -1);
	free(a);
}

static void
answer_lookup(struct channel *ch, struct msg *m)
{
	struct asker *a = asker_new(ch, m);
	struct resolve_answer none = { .status = DNS_TEMP, .text = "out of memory" };
	char name[256];

	if (a == NULL)
		return;
	if (address_domain_ascii(m->p.dns_lookup.name, name, sizeof(name)) == -1)
		strlcpy(name, m->p.dns_lookup.name, sizeof(name));
	if (resolve_lookup(name, m->p.dns_lookup.rrtype, send_answer, a) == -1)
		send_answer(&none, a);
}

static void
send_hosts(const struct msg_dns_hosts_are *h, void *arg)
{
	struct asker *a = arg;
	struct channel *ch = channel_find(a->channel);

	if (ch != NULL)
		channel_send(ch, MSG_DNSD_RDELIVER_HOSTS_ARE, a->request, h, -1);
	free(a);
}

static void
answer_hosts(struct channel *ch, struct msg *m)
{
	struct asker *a = asker_new(ch, m);
	struct msg_dns_hosts_are none = { .status = DNS_TEMP, .text = "out of memory" };

	if (a == NULL)
		return;
	if (hosts_find(m->p.dns_hosts.domain, m->p.dns_hosts.mx, m->p.dns_hosts.sts,
		daemon_conf()->hostname, send_hosts, a) == -1)
		send_hosts(&none, a);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_ANY_DNSD_LOOKUP:
		answer_lookup(ch, m);
		break;
	case MSG_RDELIVER_DNSD_HOSTS:
		answer_hosts(ch, m);
		break;
	default:
		break;
	}
}

static const struct daemon dnsd = {
	.role = ROLE_DNSD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.commands = dnsd_commands,
};

int
main(void)
{
	return daemon_run(&dnsd);
}
