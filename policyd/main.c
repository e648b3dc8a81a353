/* SPDX-License-Identifier: ISC */
/* policyd: MTA-STS policies for dnsd, and reports on TLS; see policyd(8). */
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/address.h"
#include "common/proto/tlsrpt.h"
#include "policyd/fetch.h"
#include "policyd/reporter.h"
#include "policyd/store.h"

#define WAITING_MAX 4096
#define TRIED_MAX 4096
#define TRY_AGAIN_S 300 /* RFC 8461, 3.3: not for each message */
#define REFRESH_S 86400 /* 3.3: once a day, so that it does not expire unseen */

/* Somebody who waits for a fetch. */
struct waiter {
	LIST_ENTRY(waiter) entry;
	uint64_t channel, request;
};

struct task {
	LIST_ENTRY(task) entry;
	char domain[256];
	char id[33];
	LIST_HEAD(, waiter) waiters;
};

/* A fetch that failed: not to be tried again at once. By hash of domain and id. */
static struct {
	uint64_t hash;
	int64_t until;
	char why[200];
} tried[TRIED_MAX];

static LIST_HEAD(, task) tasks = LIST_HEAD_INITIALIZER(tasks);
static unsigned int n_waiting;
static struct msg_conf_policyd conf, next_conf;
static struct {
	uint64_t asked, kept, fetched, failed;
} stats;

static uint64_t
hash_of(const char *domain, const char *id)
{
	uint64_t h = 14695981039346656037ull;

	for (; *domain != '\0'; domain++)
		h = (h ^ (unsigned char)*domain) * 1099511628211ull;
	for (h *= 31; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 1099511628211ull;
	return h;
}

static void
answer(uint64_t channel, uint64_t request, const struct stored *s, const char *why)
{
	struct channel *ch = channel_find(channel);
	struct msg_sts_policy p = { .status = s != NULL ? MSG_OK : MSG_UNKNOWN };

	if (ch == NULL)
		return;
	if (s != NULL) {
		p.mode = (uint8_t)s->policy.mode;
		p.expires = s->expires;
		strlcpy(p.id, s->id, sizeof(p.id));
		strlcpy(p.mx, s->policy.mx, sizeof(p.mx));
	}
	strlcpy(p.text, why, sizeof(p.text));
	channel_send(ch, MSG_POLICYD_DNSD_STS_IS, request, &p, -1);
}

static void
fetch_failed(const struct task *t, uint8_t result, const char *why)
{
	uint64_t h = hash_of(t->domain, t->id);
	size_t i = h % TRIED_MAX;

	stats.failed++;
	tried[i].hash = h;
	tried[i].until = (int64_t)(now_ms() / 1000) + TRY_AGAIN_S;
	strlcpy(tried[i].why, why, sizeof(tried[i].why));
	log_fact(LOG_HOST, LOGL_WARN, "policy-failed", KS("domain", t->domain),
	    KS("id", t->id), KS("why", why));
	reporter_count_fetch(t->domain, result, why);
}

static void
fetched(const char *text, size_t len, const char *why, int untrusted, void *arg)
{
	struct task *t = arg;
	struct stored s = { .fetched = wall_s() };
	struct waiter *w;

	if (text != NULL && policy_parse(text, len, &s.policy, &why) == 0) {
		stats.fetched++;
		s.expires = s.fetched + s.policy.max_age_s;
		strlcpy(s.domain, t->domain, sizeof(s.domain));
		strlcpy(s.id, t->id, sizeof(s.id));
		store_put(&s, text, len);
		log_fact(LOG_HOST, LOGL_INFO, "policy", KS("domain", t->domain),
		    KS("id", t->id),
		    KS("mode", s.policy.mode == STS_ENFORCE   ? "enforce"
			       : s.policy.mode == STS_TESTING ? "testing"
							      : "none"),
		    KS("mx", s.policy.mx));
		why = "";
	} else
		fetch_failed(t,
		    text != NULL ? TLSRPT_STS_POLICY_INVALID
		    : untrusted  ? TLSRPT_STS_WEBPKI_INVALID
				 : TLSRPT_STS_POLICY_FETCH_ERROR,
		    why);
	LIST_REMOVE(t, entry);
	/* What was kept counts until it expires (5.1). */
	while ((w = LIST_FIRST(&t->waiters)) != NULL) {
		LIST_REMOVE(w, entry);
		n_waiting--;
		answer(w->channel, w->request, store_find(t->domain, wall_s()), why);
		free(w);
	}
	free(t);
}

static struct task *
task_get(const char *domain, const char *id)
{
	struct task *t;

	LIST_FOREACH (t, &tasks, entry)
		if (strcmp(t->domain, domain) == 0)
			return t;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	strlcpy(t->domain, domain, sizeof(t->domain));
	strlcpy(t->id, id, sizeof(t->id));
	LIST_INIT(&t->waiters);
	if (fetch_start(domain, fetched, t) == NULL) {
		free(t);
		return NULL;
	}
	LIST_INSERT_HEAD(&tasks, t, entry);
	return t;
}

static const char *
tried_lately(const char *domain, const char *id)
{
	uint64_t h = hash_of(domain, id);
	size_t i = h % TRIED_MAX;

	return tried[i].hash == h && tried[i].until > (int64_t)(now_ms() / 1000)
		   ? tried[i].why
		   : NULL;
}

static void
on_ask(struct channel *ch, struct msg *m)
{
	const struct msg_sts_ask *q = &m->p.sts_ask;
	int64_t now = wall_s();
	const struct stored *s;
	const char *why;
	struct waiter *w = NULL;
	struct task *t;
	char domain[256];

	stats.asked++;
	if (address_domain_ascii(q->domain, domain, sizeof(domain)) == -1) {
		answer(channel_serial(ch), m->id, NULL, "no domain name");
		return;
	}
	s = store_find(domain, now);
	if (q->id[0] == '\0' || (s != NULL && strcmp(s->id, q->id) == 0)) {
		if (s != NULL && q->id[0] != '\0' && now - s->fetched > REFRESH_S &&
		    tried_lately(domain, q->id) == NULL)
			(void)task_get(domain, q->id);
		stats.kept += s != NULL;
		answer(channel_serial(ch), m->id, s, s != NULL ? "" : "no record");
		return;
	}
	why = tried_lately(domain, q->id);
	if (why == NULL && n_waiting < WAITING_MAX &&
	    (w = calloc(1, sizeof(*w))) != NULL &&
	    (t = task_get(domain, q->id)) != NULL) {
		w->channel = channel_serial(ch);
		w->request = m->id;
		LIST_INSERT_HEAD(&t->waiters, w, entry);
		n_waiting++;
		return;
	}
	free(w);
	answer(channel_serial(ch), m->id, s,
	    why != NULL ? why : "too many policies are being fetched");
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_DNSD_POLICYD_STS)
		on_ask(ch, m);
	else if (m->type == MSG_RDELIVER_POLICYD_TLS)
		reporter_count(&m->p.tls_result);
}

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_POLICYD_CONF)
		next_conf = m->p.conf_policyd;
}

static int
on_open(void)
{
	conf = next_conf;
	fetch_settings(conf.port, conf.timeout_s);
	if (fetch_open(conf.ca_file) == -1)
		log_warnx("no policy can be fetched");
	return 0;
}

static int
on_start(void)
{
	store_open(wall_s());
	reporter_open(conf.tls_reports);
	return 0;
}

static void
on_reload(void)
{
	if (strcmp(conf.ca_file, next_conf.ca_file) != 0) {
		log_info("starting anew to read the certificates of authorities");
		daemon_stopped();
		return;
	}
	conf = next_conf;
	fetch_settings(conf.port, conf.timeout_s);
	reporter_set(conf.tls_reports);
}

static void
on_stop(void)
{
	reporter_stop();
	daemon_stopped();
}

static void
status(struct ctl *c, int argc, char **argv)
{
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "policies", store_count());
	ctl_u64(c, "fetching", fetch_running());
	ctl_u64(c, "asked", stats.asked);
	ctl_u64(c, "kept", stats.kept);
	ctl_u64(c, "fetched", stats.fetched);
	ctl_u64(c, "failed", stats.failed);
	ctl_u64(c, "reports", reporter_sent());
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static void
policy_list(struct ctl *c, int argc, char **argv)
{
	static const char *const modes[] = { "none", "testing", "enforce" };
	const struct stored *s;

	for (unsigned int i = 0; (s = store_at(i)) != NULL; i++) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "domain", s->domain);
		ctl_str(c, "mode", modes[s->policy.mode]);
		ctl_str(c, "id", s->id);
		ctl_time(c, "fetched", s->fetched);
		ctl_time(c, "expires", s->expires);
		ctl_str(c, "mx", s->policy.mx);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

static void
policy_remove(struct ctl *c, int argc, char **argv)
{
	if (store_find(argv[0], wall_s()) == NULL) {
		ctl_done(c, CTL_REFUSED, "%s: no policy is kept", argv[0]);
		return;
	}
	store_remove(argv[0]);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, status },
	{ "policy list", 0, 0, policy_list },
	{ "policy remove", 1, 1, policy_remove },
	{ "tlsrpt show", 0, 1, reporter_show },
	{ "tlsrpt send", 0, 2, reporter_send },
	{ NULL, 0, 0, NULL },
};

static const struct daemon policyd = {
	.role = ROLE_POLICYD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.stop = on_stop,
	.peer_message = on_peer_message,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&policyd);
}
