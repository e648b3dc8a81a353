/* SPDX-License-Identifier: ISC */
/* The login of an SMTP client (RFC 4954); see smtp_out.h. */
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "deliverd/remote/smtp_out_int.h"

void
smtp_out_auth(struct smtp_out *o, const char *mechanism, const char *initial)
{
	if (o->state != S_LOGIN)
		return;
	smtp_out_say(
	    o, initial != NULL ? "AUTH %s %s\r\n" : "AUTH %s\r\n", mechanism, initial);
	if (o->state != S_CLOSED)
		o->state = S_AUTH;
}

void
smtp_out_auth_answer(struct smtp_out *o, const char *answer)
{
	if (o->state != S_CHALLENGE)
		return;
	smtp_out_say(o, "%s\r\n", answer != NULL ? answer : "*");
	if (o->state != S_CLOSED)
		o->state = S_AUTH;
}

void
smtp_out_auth_done(struct smtp_out *o)
{
	if (o->state != S_LOGIN || o->want_login)
		return;
	o->logged_in = true;
	smtp_out_become_ready(o);
}

void
smtp_out_auth_failed(struct smtp_out *o, const char *reply, const char *text)
{
	smtp_out_trouble(o, JOB_DEFERRED, "4.7.8", reply, text);
}

void
smtp_out_got_auth(struct smtp_out *o)
{
	char reply[SMTP_OUT_REPLY_MAX + 1];

	if (o->reply.code == 334) {
		o->state = S_CHALLENGE;
		o->want_challenge = true;
	} else if (o->reply.code == 235) {
		o->state = S_LOGIN;
		o->want_logged_in = true;
	} else if (o->reply.code >= 400) {
		/* It is this host's affair: nothing that the sender could mend. */
		reply_format(&o->reply, reply, sizeof(reply));
		smtp_out_auth_failed(o, reply,
		    "The relay does not accept this host's login: its administrator has "
		    "to see to that.");
	} else
		smtp_out_broken(o);
}
