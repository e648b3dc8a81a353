/* SPDX-License-Identifier: ISC */
/*
 * filterd: the verdict on a message. Rules judge in this process; the virus engine
 * is another one (scand), whose crash costs one message a retry and nothing
 * else. Mail that could not be judged is deferred, not let through, unless
 * fife.conf says so.
 */
#include <sys/queue.h>
#include <sys/stat.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/proto/charset.h"
#include "filterd/rules.h"

#define CHECKS_MAX 1024
#define READ_MAX ((size_t)8 * 1024 * 1024) /* what rules see of a large message */
#define SCAND_PATIENCE_MS 20000            /* while scand loads its signatures again */
/* scand does one at a time. What waits waits here, where it can be given up: in its
 * socket stale ones would pile up, each with a descriptor. */
#define SCANS_MAX 2
#define WANTS_FLUSH_MS 1000

struct check {
	TAILQ_ENTRY(check) entry; /* waits for a scand */
	int waiting;
	uint64_t channel;
	uint64_t request;
	int fd;
	uint64_t size;
	uint64_t since;
	char qid[24];
	char sender[321];
	char client[64];
	struct judgement j;
};

static struct msg_conf_filterd conf = { .on_error = VERDICT_DEFER };
static struct msg_conf_filterd next_conf;
static struct rules *rules, *next_rules;
static TAILQ_HEAD(, check) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static size_t n_checks;
static unsigned int n_scans; /* at scand */
static uint64_t n_verdicts[VERDICT_DEFER + 1];
static struct event *ev_patience;

static void
check_free(struct check *c)
{
	if (c->waiting)
		TAILQ_REMOVE(&waiting, c, entry);
	if (c->fd != -1)
		close(c->fd);
	n_checks--;
	free(c);
}

static void
say(struct check *c)
{
	static const char *const words[] = { "", "accepted", "junk", "quarantined",
		"rejected", "deferred" };
	struct channel *ch = channel_find(c->channel);
	struct msg_filter_verdict v = { .action = (uint8_t)c->j.action,
		.code = c->j.code };

	strlcpy(v.enhanced, c->j.enhanced, sizeof(v.enhanced));
	strlcpy(v.text, c->j.text, sizeof(v.text));
	strlcpy(v.judge, c->j.judge, sizeof(v.judge));
	v.headers = (const uint8_t *)c->j.headers;
	v.headers_len = c->j.headers_len;
	n_verdicts[c->j.action]++;
	log_fact(LOG_FILTER, c->j.action == VERDICT_ACCEPT ? LOGL_DEBUG : LOGL_INFO,
	    words[c->j.action], KS("qid", c->qid), KS("judge", c->j.judge),
	    KS("from", c->sender), KS("client", c->client), KS("text", c->j.text));
	if (ch != NULL)
		channel_send(ch, MSG_FILTERD_SMTPD_VERDICT, c->request, &v, -1);
	check_free(c);
}

/* The engine could not say: as fife.conf wants it. */
static void
not_scanned(struct check *c, const char *why)
{
	struct judgement *j = malloc(sizeof(*j));

	log_fact(
	    LOG_FILTER, LOGL_WARN, "not-scanned", KS("qid", c->qid), KS("reason", why));
	if (conf.on_error != VERDICT_ACCEPT && j != NULL) {
		judgement_init(j);
		j->action = VERDICT_DEFER;
		j->code = 451;
		strlcpy(j->enhanced, "4.7.1", sizeof(j->enhanced));
		strlcpy(j->text, "the message cannot be checked for viruses now",
		    sizeof(j->text));
		strlcpy(j->judge, "antivirus", sizeof(j->judge));
		judgement_merge(&c->j, j);
	}
	free(j);
	say(c);
}

static void scan_next(void);

static void
scanned(struct check *c, struct msg *m)
{
	struct judgement *j;

	if (m == NULL) {
		not_scanned(c, "the virus scanner went away or took too long");
		return;
	}
	if (m->p.scanned.status == SCAN_ERROR) {
		not_scanned(c, m->p.scanned.text);
		return;
	}
	if (m->p.scanned.status == SCAN_FOUND && (j = malloc(sizeof(*j))) != NULL) {
		judgement_init(j);
		j->action = VERDICT_REJECT;
		j->code = 554;
		strlcpy(j->enhanced, "5.7.1", sizeof(j->enhanced));
		strlcpy(j->text, "virus found: ", sizeof(j->text));
		strlcat(j->text, m->p.scanned.signature, sizeof(j->text));
		strlcpy(j->judge, "antivirus", sizeof(j->judge));
		judgement_merge(&c->j, j);
		free(j);
	} else if (m->p.scanned.status != SCAN_CLEAN) {
		not_scanned(c, "the virus scanner gave no answer that makes sense");
		return;
	}
	say(c);
}

static void
on_scanned(struct msg *m, void *arg)
{
	n_scans--;
	scanned(arg, m);
	/* A scand that was lost is replaced first; one that is slow hears no more for
	 * the moment. */
	if (m != NULL)
		scan_next();
}

/* 0: asked. */
static int
scan_ask(struct check *c)
{
	struct channel *ch = daemon_peer(ROLE_SCAND);
	struct msg_scan s = { .size = c->size };
	int fd;

	strlcpy(s.qid, c->qid, sizeof(s.qid));
	if (ch == NULL || n_scans >= SCANS_MAX ||
	    (fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    channel_ask(
		ch, MSG_FILTERD_SCAND_SCAN, &s, fd, conf.timeout_ms, on_scanned, c) == 0)
		return -1;
	n_scans++;
	return 0;
}

static void
scan(struct check *c)
{
	if (TAILQ_EMPTY(&waiting) && scan_ask(c) == 0)
		return;
	/* It is busy, or may just be loading new signatures. */
	c->waiting = 1;
	TAILQ_INSERT_TAIL(&waiting, c, entry);
}

static void
scan_next(void)
{
	struct check *c;

	while ((c = TAILQ_FIRST(&waiting)) != NULL) {
		if (channel_find(c->channel) == NULL) {
			check_free(c); /* nobody waits for it any more */
			continue;
		}
		if (scan_ask(c) == -1)
			return;
		c->waiting = 0;
		TAILQ_REMOVE(&waiting, c, entry);
	}
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 1, 0 };
	struct check *c, *next;
	uint64_t now = now_ms();
	int busy = daemon_peer(ROLE_SCAND) != NULL;

	scan_next();
	for (c = TAILQ_FIRST(&waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (now - c->since > (busy ? conf.timeout_ms : SCAND_PATIENCE_MS)) {
			c->waiting = 0;
			TAILQ_REMOVE(&waiting, c, entry);
			not_scanned(c, busy ? "the virus scanner is busy"
					    : "no virus scanner is running");
		}
	}
	event_add(ev_patience, &tv);
}

/* At most max octets of the content; pread, so that a file that shrinks cannot
 * kill us as a mapping could. */
static char *
read_content(int fd, uint64_t size, size_t max, size_t *len)
{
	size_t want = size < max ? (size_t)size : max;
	char *buf = malloc(want + 1);

	*len = 0;
	if (buf == NULL || file_read_at(fd, buf, want, 0) == -1) {
		free(buf);
		return NULL;
	}
	*len = want;
	return buf;
}

static void
judge_by_rules(struct check *c, const struct msg_filter_check *m)
{
	char rcpts[8193];
	struct rule_facts f = { .client = m->client,
		.client_name = m->client_name,
		.helo = m->helo,
		.sender = m->sender,
		.rcpts = rcpts };
	char *content;

	if (rules_count(rules) == 0)
		return;
	memcpy(rcpts, m->rcpt_list, m->rcpt_list_len);
	rcpts[m->rcpt_list_len] = '\0';
	if ((content = read_content(c->fd, c->size, READ_MAX, &f.len)) == NULL) {
		c->j.action = VERDICT_DEFER;
		c->j.code = 451;
		strlcpy(c->j.enhanced, "4.3.0", sizeof(c->j.enhanced));
		strlcpy(c->j.text, "the message cannot be read to check it",
		    sizeof(c->j.text));
		return;
	}
	f.message = content;
	rules_judge(rules, &f, &c->j);
	free(content);
}

static void
check(struct channel *ch, struct msg *m)
{
	const struct msg_filter_check *q = &m->p.filter_check;
	struct check *c;
	struct stat st;

	if (n_checks >= CHECKS_MAX || (c = calloc(1, sizeof(*c))) == NULL) {
		struct msg_filter_verdict v = { .action = VERDICT_DEFER,
			.code = 451,
			.enhanced = "4.3.2",
			.text = "too many messages at once, try again" };

		channel_send(ch, MSG_FILTERD_SMTPD_VERDICT, m->id, &v, -1);
		return;
	}
	n_checks++;
	c->channel = channel_serial(ch);
	c->request = m->id;
	c->fd = msg_take_fd(m);
	c->size = q->size;
	c->since = now_ms();
	strlcpy(c->qid, q->qid, sizeof(c->qid));
	strlcpy(c->sender, q->sender, sizeof(c->sender));
	strlcpy(c->client, q->client, sizeof(c->client));
	judgement_init(&c->j);
	/* Content in memory must be final: what is judged is what is kept. */
	if (fstat(c->fd, &st) == -1 || (uint64_t)st.st_size < c->size ||
	    (compat_is_sealed(c->fd) != 1 &&
		(fcntl(c->fd, F_GETFL) & O_ACCMODE) != O_RDONLY)) {
		c->j.action = VERDICT_DEFER;
		c->j.code = 451;
		strlcpy(c->j.enhanced, "4.3.0", sizeof(c->j.enhanced));
		strlcpy(c->j.text, "the message cannot be checked", sizeof(c->j.text));
		log_fact(LOG_FILTER, LOGL_WARN, "content-not-final", KS("qid", c->qid));
		say(c);
		return;
	}
	judge_by_rules(c, q);
	if (conf.antivirus && !verdict_stricter(c->j.action, VERDICT_QUARANTINE) &&
	    c->size <= conf.scan_size_max) {
		scan(c);
		return;
	}
	if (conf.antivirus && c->size > conf.scan_size_max)
		log_fact(LOG_FILTER, LOGL_WARN, "not-scanned", KS("qid", c->qid),
		    KS("reason", "larger than scan-size-max"));
	say(c);
}

static void
on_conf(struct msg *m)
{
	char why[200];

	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		rules_free(next_rules);
		next_rules = rules_new();
		break;
	case MSG_FIFED_FILTERD_CONF:
		next_conf = m->p.conf_filterd;
		break;
	case MSG_FIFED_FILTERD_RULE:
		if (next_rules != NULL &&
		    rules_add(next_rules, &m->p.conf_filter_rule, why, sizeof(why)) == -1)
			log_warnx("rule %s: %s: it is left out",
			    m->p.conf_filter_rule.name, why);
		break;
	default:
		break;
	}
}

static void
take_conf(void)
{
	/* Without memory for new rules the old ones stay: none would let all pass. */
	if (next_rules != NULL) {
		rules_free(rules);
		rules = next_rules;
		next_rules = NULL;
	} else
		log_warnx("no memory for the rules");
	conf = next_conf;
}

static int
on_open(void)
{
	int missing = charset_preload();

	if (missing > 0)
		log_info(
		    "%d character sets are not known to this system's iconv", missing);
	return 0;
}

/* smtpd need not ask where the answer is known. What it has heard before READY holds
 * for every message after a reload. */
static void
say_wants(struct channel *ch)
{
	struct msg_filter_wants w = { .content =
					  rules_count(rules) > 0 || conf.antivirus };

	(void)channel_send(ch, MSG_FILTERD_SMTPD_WANTS, 0, &w, -1);
	channel_flush(ch, WANTS_FLUSH_MS);
}

static void
say_wants_to_all(void)
{
	struct channel *ch;

	for (unsigned int i = 0; (ch = daemon_peer_at(ROLE_SMTPD, i)) != NULL; i++)
		say_wants(ch);
}

static void
on_reload(void)
{
	take_conf();
	say_wants_to_all();
}

static int
on_start(void)
{
	struct timeval tv = { 1, 0 };

	take_conf();
	if (rules == NULL)
		return -1;
	say_wants_to_all();
	ev_patience = event_new(daemon_base(), -1, 0, on_patience, NULL);
	return ev_patience != NULL && event_add(ev_patience, &tv) == 0 ? 0 : -1;
}

static void
on_peer_new(struct channel *ch)
{
	if (channel_role(ch) == ROLE_SCAND)
		scan_next();
	else if (channel_role(ch) == ROLE_SMTPD && rules != NULL)
		say_wants(ch);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_SMTPD_FILTERD_CHECK)
		check(ch, m);
}

static void
cmd_status(struct ctl *ctl, int argc, char **argv)
{
	ctl_row(ctl, CTL_FACTS);
	ctl_u64(ctl, "rules", rules_count(rules));
	ctl_bool(ctl, "antivirus", conf.antivirus);
	ctl_u64(ctl, "checks-now", n_checks);
	ctl_u64(ctl, "accepted", n_verdicts[VERDICT_ACCEPT]);
	ctl_u64(ctl, "junk", n_verdicts[VERDICT_JUNK]);
	ctl_u64(ctl, "quarantined", n_verdicts[VERDICT_QUARANTINE]);
	ctl_u64(ctl, "rejected", n_verdicts[VERDICT_REJECT]);
	ctl_u64(ctl, "deferred", n_verdicts[VERDICT_DEFER]);
	if (conf.antivirus && daemon_peer(ROLE_SCAND) == NULL)
		ctl_str(ctl, "degraded", "no virus scanner is running");
	ctl_row_end(ctl);
	ctl_done(ctl, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ "filter stats", 0, 0, cmd_status },
	{ NULL, 0, 0, NULL },
};

static const struct daemon filterd = {
	.role = ROLE_FILTERD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_new = on_peer_new,
	.peer_message = on_peer_message,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&filterd);
}
