/* SPDX-License-Identifier: ISC */
/* fife.conf: what must hold between settings, and what follows from others. */
#include "common/conf/conf_int.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <errno.h>
#include <string.h>

#include "common/compat/compat.h"

static int
check_hostname(struct conf *c, char *err, size_t cap)
{
	if (c->hostname[0] == '\0' &&
	    (gethostname(c->hostname, sizeof(c->hostname) - 1) == -1 ||
		!conf_is_host(c->hostname))) {
		snprintf(err, cap,
		    "%s:1: no hostname and the system's is none, expected hostname",
		    c->file);
		return -1;
	}
	return 0;
}

static int
check_tls(struct conf *c, char *err, size_t cap)
{
	struct conf_tls *first = NULL;

	for (size_t i = 0; i < c->n_tls; i++) {
		struct conf_tls *t = &c->tls[i];

		if (!t->is_default)
			continue;
		if (first != NULL) {
			snprintf(err, cap,
			    "%s:%u: a second default certificate, expected one (line %u)",
			    c->file, t->line, first->line);
			return -1;
		}
		first = t;
	}
	if (first == NULL && c->n_tls > 0)
		c->tls[0].is_default = 1;
	if (c->n_tls > 0)
		return 0;
	for (size_t i = 0; i < c->n_listeners; i++) {
		if (c->listeners[i].m.tls == LISTENER_TLS_NONE)
			continue;
		snprintf(err, cap,
		    "%s:%u: a listener with TLS but no certificate, expected a tls block "
		    "or "
		    "\"tls none\"",
		    c->file, c->listeners[i].line);
		return -1;
	}
	return 0;
}

/* *:: takes in 0.0.0.0's family never (v6only), so only equal pairs collide,
 * which conf_listen.c has seen to. */
static int
check_listeners(struct conf *c, char *err, size_t cap)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->m.kind == LISTENER_LMTP && l->m.tls != LISTENER_TLS_NONE) {
			snprintf(err, cap, "%s:%u: LMTP with TLS, expected \"tls none\"",
			    c->file, l->line);
			return -1;
		}
	}
	return 0;
}

static int
check_rules(struct conf *c, char *err, size_t cap)
{
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct conf_rule *r = &c->rules[i];
		PCRE2_UCHAR why[160] = "";
		PCRE2_SIZE at = 0;
		pcre2_code *re;
		int code = 0;

		re = pcre2_compile((PCRE2_SPTR)r->m.pattern, PCRE2_ZERO_TERMINATED,
		    PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
		if (re == NULL) {
			pcre2_get_error_message(code, why, sizeof(why));
			snprintf(err, cap,
			    "%s:%u: pattern of rule \"%s\" at character %zu: %s, "
			    "expected a "
			    "PCRE2 pattern",
			    c->file, r->line, r->m.name, (size_t)at, (const char *)why);
			return -1;
		}
		pcre2_code_free(re);
	}
	return 0;
}

/* What a class does not say is the queue's. */
static void
check_classes(struct conf *c)
{
	for (size_t i = 0; i < c->n_classes; i++) {
		struct msg_conf_queue_class *k = &c->classes[i].m;
		int bounces = strcmp(k->name, "bounce") == 0;

		if (k->retry[0] == '\0')
			strlcpy(k->retry, c->queue.retry, sizeof(k->retry));
		if (k->expire_s == UINT32_MAX)
			k->expire_s =
			    bounces ? c->queue.bounce_expire_s : c->queue.expire_s;
		if (k->delay_warning_s == UINT32_MAX)
			k->delay_warning_s = c->queue.delay_warning_s;
		if (k->delay_warning_s >= k->expire_s)
			k->delay_warning_s = 0;
	}
}

/* RFC 9738, 3: one of them is announced, and is not low. */
static int
check_imap(struct conf *c, char *err, size_t cap)
{
	uint32_t all = c->imap.message_limit, save = c->imap.save_limit;

	if ((all != 0 && all < 1000) || (save != 0 && save < 1000))
		snprintf(err, cap,
		    "%s: imap: a limit of %u messages, expected 0 for none or at least "
		    "1000",
		    c->file, all != 0 && all < 1000 ? all : save);
	else if (all != 0 && save != 0)
		snprintf(err, cap,
		    "%s: imap: message-limit and save-limit, expected one of them",
		    c->file);
	else {
		c->mailbox.message_limit = all;
		c->mailbox.save_limit = save;
		c->directory.quotaset = c->imap.quotaset;
		return 0;
	}
	return -1;
}

int
conf_check(struct conf *c, char *err, size_t cap)
{
	if (check_hostname(c, err, cap) == -1 || check_tls(c, err, cap) == -1 ||
	    check_listeners(c, err, cap) == -1 || check_rules(c, err, cap) == -1 ||
	    check_imap(c, err, cap) == -1)
		return -1;
	if (c->queue.delay_warning_s >= c->queue.expire_s)
		c->queue.delay_warning_s = 0; /* the bounce says it all */
	check_classes(c);
	c->queue.message_size_max = c->smtp.message_size_max;
	c->scan.scan_size_max = c->filter.scan_size_max;
	c->scan.timeout_ms = c->filter.timeout_ms;
	c->directory.trust_loopback = c->smtp.trust_loopback;
	c->imap.trust_loopback = c->pop3.trust_loopback = c->managesieve.trust_loopback =
	    c->smtp.trust_loopback;
	if (c->delivery.helo[0] == '\0')
		strlcpy(c->delivery.helo, c->hostname, sizeof(c->delivery.helo));
	return 0;
}
