/* SPDX-License-Identifier: ISC */
/*
 * What the client of smtp_out.h looks at before MAIL: may the message go to this server
 * at all, with what the server offers? Where another server of the domain may do, the
 * connection is given up; otherwise the recipients have failed.
 */
#include "common/daemon.h"
#include "deliverd/remote/smtp_out_int.h"

#define BY_MAX 999999999 /* RFC 2852, 4 */

void
smtp_out_settle_waiting(struct smtp_out *o, const char *enhanced, const char *text)
{
	for (size_t i = 0; i < o->m->n_rcpts; i++)
		if (o->rcpts[i].state == R_WAIT)
			smtp_out_settle(o, i, JOB_FAILED, enhanced, "", text);
}

long long
smtp_out_by_left(const struct smtp_out *o)
{
	int64_t now = o->conf.now != NULL ? o->conf.now() : wall_s();
	int64_t left = o->m->by - now;

	return left > BY_MAX ? BY_MAX : left < -BY_MAX ? -BY_MAX : left;
}

/* RFC 2852, 4.1.4.1, and 7: no other server is looked for. */
static bool
in_time(struct smtp_out *o)
{
	long long left;

	if (o->m->by_mode != 'R')
		return true;
	left = smtp_out_by_left(o);
	if (left <= 0)
		smtp_out_settle_waiting(o, "5.4.7",
		    "The message could not be delivered in the time that was set for "
		    "it.");
	else if (!(o->ext & EXT_DELIVERBY))
		smtp_out_settle_waiting(o, "5.3.3",
		    "The message has to be delivered by a certain time, and the remote "
		    "host does not promise any (DELIVERBY): send it without one.");
	else if ((uint64_t)left < o->by_min)
		smtp_out_settle_waiting(o, "5.4.7",
		    "The remote host needs more time than was set for the message.");
	else
		return true;
	return false;
}

/* RFC 8689, 4.2.1. A bounce is not lost for it (5). */
static bool
is_secure(struct smtp_out *o)
{
	if (!o->m->require_tls || o->m->sender[0] == '\0')
		return true;
	if (o->conf.verified && (o->ext & EXT_REQUIRETLS))
		return true;
	smtp_out_unsuited(o, o->conf.verified ? "5.7.30" : "5.7.10",
	    o->conf.verified
		? "The message may only go to hosts that promise secure connections all "
		  "the way (REQUIRETLS), and the remote host does not."
		: "The message may only go over a secure connection (REQUIRETLS).");
	return false;
}

/* RFC 7293, 5.1.1: per recipient. */
static void
refuse_unknown_owners(struct smtp_out *o)
{
	if (o->ext & EXT_RRVS)
		return;
	for (size_t i = 0; i < o->m->n_rcpts; i++)
		if (o->m->rcpts[i].rrvs_action == 'R')
			smtp_out_settle(o, i, JOB_FAILED, "5.7.19", "",
			    "The remote host cannot tell whether the address still has "
			    "the owner that it is meant for (RRVS).");
}

bool
smtp_out_suits(struct smtp_out *o)
{
	if (!is_secure(o) || !in_time(o))
		return false;
	if ((o->ext & EXT_SIZE) && o->size_max != 0 && o->m->size > o->size_max) {
		smtp_out_settle_waiting(o, "5.3.4",
		    "The message is too big for the remote host: send a smaller one, or "
		    "a link.");
		return false;
	}
	if (o->m->utf8_header && !(o->ext & EXT_SMTPUTF8)) {
		smtp_out_settle_waiting(o, "5.6.7",
		    "The header of the message has letters beyond ASCII, which the "
		    "remote "
		    "host cannot handle: write it in ASCII, or encoded.");
		return false;
	}
	refuse_unknown_owners(o);
	return o->n_unsettled > 0;
}
