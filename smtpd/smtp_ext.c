/* SPDX-License-Identifier: ISC */
/*
 * Extensions that only mark a message: who is offered them, and what their parameters of
 * MAIL may say. REQUIRETLS (RFC 8689), FUTURERELEASE (4865), DELIVERBY (2852),
 * MT-PRIORITY (6710), RRVS (7293).
 */
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/date.h"
#include "smtpd/smtp_in_internal.h"

static int64_t
now(const struct smtp_in *e)
{
	return e->conf->now != NULL ? e->conf->now() : wall_s();
}

static int
has_release(const struct smtp_in *e)
{
	/* RFC 4865, 4.2: on no other port. */
	return e->facts.kind == LISTENER_SUBMISSION && e->conf->release_max_s != 0;
}

/* RFC 8689, 2: only what came over TLS can be said to need it. */
static int
has_requiretls(const struct smtp_in *e)
{
	return e->facts.tls && e->facts.kind != LISTENER_LMTP;
}

static int
has_priority(const struct smtp_in *e)
{
	return e->conf->priority_policy != NULL &&
	       (e->facts.kind != LISTENER_SMTP || e->facts.priority || e->authenticated);
}

const char *
smtp_ext_ehlo(const struct smtp_in *e, char *buf, size_t cap)
{
	char by[32] = "", hold[96] = "", until[DATE_MAX], priority[48] = "";

	if (e->conf->by_min_s != 0)
		snprintf(by, sizeof(by), " %u", e->conf->by_min_s);
	if (has_release(e) &&
	    date_format_iso(now(e) + e->conf->release_max_s, until, sizeof(until)) != -1)
		snprintf(hold, sizeof(hold), "250-FUTURERELEASE %u %s\r\n",
		    e->conf->release_max_s, until);
	if (has_priority(e))
		snprintf(priority, sizeof(priority), "250-MT-PRIORITY%s%.20s\r\n",
		    e->conf->priority_policy[0] != '\0' ? " " : "",
		    e->conf->priority_policy);
	snprintf(buf, cap, "250-DELIVERBY%s\r\n%s%s%s250-RRVS\r\n", by, hold, priority,
	    has_requiretls(e) ? "250-REQUIRETLS\r\n" : "");
	return buf;
}

static enum smtp_reply
take_release(struct smtp_in *e, const struct smtp_command *c)
{
	int64_t at, t = now(e);

	if (c->hold[0] == '\0')
		return SMTP_REPLY_NONE;
	if (!has_release(e))
		return SMTP_REPLY_UNKNOWN_PARAMETER;
	at = c->hold_for != 0 ? t + c->hold_for : c->hold_until;
	if (at <= t || at > t + e->conf->release_max_s)
		return SMTP_REPLY_BAD_RELEASE;
	/* RFC 4865, 5.2.2. */
	if (c->by_mode != 0 && at > t + c->by)
		return SMTP_REPLY_RELEASE_LATE;
	e->ext.release = at;
	strlcpy(e->ext.hold, c->hold, sizeof(e->ext.hold));
	return SMTP_REPLY_NONE;
}

/* RFC 6710, 4.1: nobody without the right raises it; everybody may lower his own. */
static void
take_priority(struct smtp_in *e, const struct smtp_command *c)
{
	int8_t most = e->facts.priority ? INT8_MAX
		      : e->facts.kind == LISTENER_LOCAL || e->authenticated
			  ? e->conf->priority_login_max
			  : 0;

	e->ext.has_priority = c->has_priority;
	e->ext.priority = c->priority > most ? most : c->priority;
	e->ext.priority_lowered = e->ext.priority != c->priority;
}

enum smtp_reply
smtp_ext_mail(struct smtp_in *e, const struct smtp_command *c)
{
	enum smtp_reply r;

	memset(&e->ext, 0, sizeof(e->ext));
	if (c->require_tls && !has_requiretls(e))
		return e->facts.kind == LISTENER_LMTP ? SMTP_REPLY_UNKNOWN_PARAMETER
						      : SMTP_REPLY_REQUIRETLS_PLAIN;
	if (c->has_priority && !has_priority(e))
		return SMTP_REPLY_UNKNOWN_PARAMETER;
	/* RFC 2852, 3: strictly less is refused. */
	if (c->by_mode == 'R' && (uint32_t)c->by < e->conf->by_min_s)
		return SMTP_REPLY_BY_SHORT;
	if ((r = take_release(e, c)) != SMTP_REPLY_NONE)
		return r;
	e->ext.require_tls = c->require_tls;
	take_priority(e, c);
	if (c->by_mode != 0) {
		e->ext.by = now(e) + c->by;
		e->ext.by_mode = c->by_mode;
		e->ext.by_trace = c->by_trace;
	}
	return SMTP_REPLY_NONE;
}

void
smtp_ext_sender_ok(struct smtp_in *e)
{
	char text[80];

	if (!e->ext.priority_lowered) {
		smtp_in_reply(e, SMTP_REPLY_SENDER_OK);
		return;
	}
	snprintf(text, sizeof(text),
	    "%d is the new priority assigned to the message; sender ok", e->ext.priority);
	smtp_in_reply_text(e, 250, "2.3.6", text);
}

const struct smtp_in_ext *
smtp_in_ext(const struct smtp_in *e)
{
	return &e->ext;
}

uint8_t
smtp_in_rrvs(const struct smtp_in *e, size_t i, int64_t *since)
{
	*since = e->rcpt[i].rrvs;
	return e->rcpt[i].rrvs_action;
}

const char *
smtp_in_pending(const struct smtp_in *e)
{
	return e->pending.address == NULL ? "" : e->pending.address;
}

uint8_t
smtp_in_rrvs_pending(const struct smtp_in *e, int64_t *since)
{
	*since = e->pending.rrvs;
	return e->pending.rrvs_action;
}
