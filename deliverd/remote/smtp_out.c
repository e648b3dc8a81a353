/* SPDX-License-Identifier: ISC */
/* The states of an SMTP client; see smtp_out.h. */
#include "deliverd/remote/smtp_out.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "deliverd/remote/smtp_out_int.h"

struct smtp_out *
smtp_out_new(const struct smtp_out_conf *conf)
{
	struct smtp_out *o = calloc(1, sizeof(*o));

	if (o == NULL || (o->out = evbuffer_new()) == NULL) {
		free(o);
		return NULL;
	}
	o->conf = *conf;
	reply_init(&o->reply);
	return o;
}

static void
drop_message(struct smtp_out *o)
{
	for (size_t i = 0; o->m != NULL && i < o->m->n_rcpts; i++) {
		free(o->rcpts[i].reply);
		free(o->rcpts[i].text);
	}
	free(o->rcpts);
	o->rcpts = NULL;
	o->m = NULL;
}

void
smtp_out_free(struct smtp_out *o)
{
	if (o == NULL)
		return;
	drop_message(o);
	evbuffer_free(o->out);
	if (o->body != NULL)
		evbuffer_free(o->body);
	free(o);
}

struct evbuffer *
smtp_out_output(struct smtp_out *o)
{
	return o->out;
}

/* ---- results ---- */

void
smtp_out_settle(struct smtp_out *o, size_t i, enum job_status status,
    const char *enhanced, const char *reply, const char *text)
{
	struct rcpt *r = &o->rcpts[i];

	if (r->state >= R_SETTLED)
		return;
	r->state = R_SETTLED;
	r->status = status;
	strlcpy(r->enhanced, enhanced, sizeof(r->enhanced));
	/* Without memory the code alone must do. */
	r->reply = reply[0] != '\0' ? strdup(reply) : NULL;
	r->text = text[0] != '\0' ? strdup(text) : NULL;
	o->n_unsettled--;
	if (i < o->tell)
		o->tell = i;
}

static enum job_status
reply_status(const struct reply *r)
{
	return r->code >= 500   ? JOB_FAILED
	       : r->code >= 400 ? JOB_DEFERRED
				: JOB_DELIVERED;
}

static const char *
reply_enhanced(const struct reply *r, enum reply_stage stage)
{
	return r->enhanced[0] != '\0' ? r->enhanced : explain_code(r->code, stage);
}

static void
settle_by_reply(struct smtp_out *o, size_t i, enum reply_stage stage)
{
	char reply[SMTP_OUT_REPLY_MAX + 1], text[SMTP_OUT_TEXT_MAX + 1] = "";
	enum job_status status = reply_status(&o->reply);
	const char *enhanced = reply_enhanced(&o->reply, stage);

	reply_format(&o->reply, reply, sizeof(reply));
	if (status != JOB_DELIVERED)
		explain_reply(enhanced, reply, text, sizeof(text));
	smtp_out_settle(o, i, status, enhanced, reply, text);
}

/* Everybody who is in that state (or has none yet) gets this reply. */
static void
settle_all_by_reply(struct smtp_out *o, enum reply_stage stage)
{
	for (size_t i = 0; i < o->m->n_rcpts; i++)
		if (o->rcpts[i].state < R_SETTLED)
			settle_by_reply(o, i, stage);
}

static void
settle_all(
    struct smtp_out *o, enum job_status status, const char *enhanced, const char *text)
{
	for (size_t i = 0; i < o->m->n_rcpts; i++)
		smtp_out_settle(o, i, status, enhanced, "", text);
}

/* The connection is over; whoever has no result may be tried elsewhere. */
void
smtp_out_trouble(struct smtp_out *o, enum job_status status, const char *enhanced,
    const char *reply, const char *text)
{
	if (o->state == S_CLOSED)
		return;
	if (o->m != NULL && o->state == S_END) {
		/* Perhaps it was taken: not to another host, that would make two of it.
		 */
		settle_all(o, JOB_DEFERRED, "4.4.2",
		    "The remote host did not say whether it took the message; it is "
		    "tried again.");
		o->want_close = true;
	} else if (o->m == NULL || o->n_unsettled == 0)
		o->want_close = true;
	else
		o->want_trouble = true;
	o->state = S_CLOSED;
	o->trouble_status = status;
	strlcpy(o->trouble_enhanced, enhanced, sizeof(o->trouble_enhanced));
	strlcpy(o->trouble_reply, reply, sizeof(o->trouble_reply));
	strlcpy(o->trouble_text, text, sizeof(o->trouble_text));
	o->want_tls = o->want_content = o->want_login = o->want_challenge = false;
	o->want_logged_in = false;
}

static void
trouble_by_reply(struct smtp_out *o, enum reply_stage stage)
{
	char reply[SMTP_OUT_REPLY_MAX + 1], text[SMTP_OUT_TEXT_MAX + 1];
	const char *enhanced = reply_enhanced(&o->reply, stage);

	reply_format(&o->reply, reply, sizeof(reply));
	explain_reply(enhanced, reply, text, sizeof(text));
	smtp_out_trouble(o,
	    reply_status(&o->reply) == JOB_FAILED ? JOB_FAILED : JOB_DEFERRED, enhanced,
	    reply, text);
}

void
smtp_out_broken(struct smtp_out *o)
{
	smtp_out_trouble(o, JOB_DEFERRED, "4.5.0", "",
	    "The remote host does not answer as a mail host does.");
}

void
smtp_out_no_memory(struct smtp_out *o)
{
	smtp_out_trouble(o, JOB_DEFERRED, "4.3.0", "", "This host is short of memory.");
}

/* ---- messages ---- */

static void
end_message(struct smtp_out *o)
{
	/* The transaction is over for the server too, unless something is left of it. */
	if (o->state == S_CLOSED)
		return;
	if (o->state == S_END)
		o->state = S_READY;
	else if (o->mail_sent) {
		smtp_out_say(o, "RSET\r\n");
		if (o->state != S_CLOSED)
			o->state = S_RSET;
	} else
		o->state = S_READY;
}

static void
begin_content(struct smtp_out *o, bool raw)
{
	if (o->state == S_CLOSED)
		return;
	o->state = S_CONTENT;
	o->chunked = false;
	o->chunks = 0;
	o->want_content = true;
	o->raw = raw;
	o->at_line_start = true;
	o->held_cr = false;
}

/* After everything that may have settled a recipient, or sent one. */
static void
envelope_step(struct smtp_out *o)
{
	bool waiting = false;

	if (o->state != S_ENVELOPE)
		return;
	if (!o->mail_refused &&
	    (!o->mail_sent || o->mail_replied || (o->ext & EXT_PIPELINING)))
		smtp_out_send_envelope(o);
	if (o->state != S_ENVELOPE)
		return;
	if ((o->mail_sent && !o->mail_replied) || o->stale > 0)
		return;
	for (; o->next_reply < o->next_send; o->next_reply++)
		if (o->rcpts[o->next_reply].state == R_SENT) {
			waiting = true;
			break;
		}
	if (waiting)
		return;
	if (o->n_unsettled == 0)
		end_message(o);
	else if (o->any_accepted && o->m->body == BODY_BINARYMIME && smtp_out_binary(o)) {
		/* RFC 3030: one chunk, whose size is known. */
		smtp_out_say(o, "BDAT %llu LAST\r\n", (unsigned long long)o->m->size);
		begin_content(o, true);
	} else if (o->any_accepted && smtp_out_chunks(o)) {
		begin_content(o, false);
		o->chunked = o->state == S_CONTENT;
	} else if (o->any_accepted) {
		smtp_out_say(o, "DATA\r\n");
		if (o->state != S_CLOSED)
			o->state = S_DATA;
	}
}

static void
begin_message(struct smtp_out *o)
{
	o->state = S_ENVELOPE;
	o->mail_sent = o->mail_replied = o->mail_refused = o->any_accepted = false;
	o->next_send = o->next_reply = o->stale = 0;
	envelope_step(o);
}

void
smtp_out_become_ready(struct smtp_out *o)
{
	if (o->conf.login && !o->logged_in) {
		o->state = S_LOGIN;
		o->want_login = true;
		return;
	}
	o->state = S_READY;
	if (o->m != NULL && o->n_unsettled > 0)
		begin_message(o);
}

int
smtp_out_message(struct smtp_out *o, const struct smtp_out_message *m)
{
	if (o->m != NULL || o->state >= S_QUIT || m->n_rcpts == 0)
		return -1;
	if ((o->rcpts = calloc(m->n_rcpts, sizeof(*o->rcpts))) == NULL)
		return -1;
	o->m = m;
	o->n_unsettled = m->n_rcpts;
	o->tell = m->n_rcpts;
	o->answered = false;
	o->want_done = false;
	if (o->state == S_READY)
		begin_message(o);
	return 0;
}

/* ---- replies, a function for each state ---- */

static void
say_hello(struct smtp_out *o)
{
	o->ext = 0;
	o->size_max = 0;
	o->by_min = 0;
	o->mechanisms[0] = '\0';
	o->state = S_EHLO;
	smtp_out_say(o, "%s %s\r\n", o->conf.lmtp ? "LHLO" : "EHLO", o->conf.helo);
}

static void
got_greeting(struct smtp_out *o)
{
	size_t n = strcspn(o->reply.text, " \t\n");

	snprintf(o->greeting, sizeof(o->greeting), "%.*s", (int)(n < 255 ? n : 255),
	    o->reply.text);
	if (o->reply.code == 220)
		say_hello(o);
	else if (o->reply.code >= 400)
		trouble_by_reply(o, STAGE_CONNECT);
	else
		smtp_out_broken(o);
}

void
smtp_out_unsuited(struct smtp_out *o, const char *enhanced, const char *text)
{
	smtp_out_say(o, "QUIT\r\n");
	smtp_out_trouble(o, JOB_FAILED, enhanced, "", text);
}

static void
no_tls(struct smtp_out *o)
{
	o->no_tls = true;
	if (o->m != NULL && o->m->require_tls) {
		smtp_out_unsuited(o, "5.7.10",
		    "The message may only go over a secure connection (REQUIRETLS), and "
		    "the remote host offers none.");
		return;
	}
	smtp_out_trouble(o, JOB_FAILED, "5.7.4", "",
	    "A secure connection is required to this host, and it offers none.");
}

static void
got_ehlo(struct smtp_out *o)
{
	if (o->reply.code / 100 == 2) {
		smtp_out_take_keywords(o);
		o->offered_tls |= (o->ext & EXT_STARTTLS) != 0;
		if (!o->tls && o->conf.tls != SMTP_OUT_TLS_NO &&
		    (o->ext & EXT_STARTTLS)) {
			o->state = S_STARTTLS;
			smtp_out_say(o, "STARTTLS\r\n");
		} else if (!o->tls && o->conf.tls == SMTP_OUT_TLS_REQUIRED)
			no_tls(o);
		else
			smtp_out_become_ready(o);
	} else if (o->reply.code >= 500 && o->reply.code != 521 && !o->conf.lmtp) {
		if (!o->tls && o->conf.tls == SMTP_OUT_TLS_REQUIRED) {
			no_tls(o);
			return;
		}
		o->state = S_HELO;
		smtp_out_say(o, "HELO %s\r\n", o->conf.helo);
	} else if (o->reply.code >= 400)
		trouble_by_reply(o, STAGE_CONNECT);
	else
		smtp_out_broken(o);
}

static void
got_helo(struct smtp_out *o)
{
	if (o->reply.code / 100 == 2)
		smtp_out_become_ready(o);
	else if (o->reply.code >= 400)
		trouble_by_reply(o, STAGE_CONNECT);
	else
		smtp_out_broken(o);
}

static void
got_starttls(struct smtp_out *o)
{
	if (o->reply.code == 220) {
		o->state = S_TLS;
		o->want_tls = true;
	} else if (o->conf.tls == SMTP_OUT_TLS_REQUIRED) {
		char reply[SMTP_OUT_REPLY_MAX + 1];

		reply_format(&o->reply, reply, sizeof(reply));
		o->tls_refused = true;
		smtp_out_trouble(o, JOB_DEFERRED, "4.7.5", reply,
		    "No secure connection can be made to the remote host now.");
	} else
		smtp_out_become_ready(o); /* offered and not had: as without */
}

static void
got_envelope(struct smtp_out *o)
{
	const struct reply *r = &o->reply;

	o->answered = true;
	if (!o->mail_replied) {
		o->mail_replied = true;
		if (r->code / 100 == 3) {
			smtp_out_broken(o);
			return;
		}
		if (r->code >= 400) {
			o->mail_refused = true;
			for (size_t i = 0; i < o->m->n_rcpts; i++)
				o->stale += o->rcpts[i].state == R_SENT;
			settle_all_by_reply(o, STAGE_MAIL);
		}
		return;
	}
	/* Replies to recipients that went out with a MAIL that was refused. */
	if (o->mail_refused) {
		o->stale--;
		return;
	}
	for (; o->next_reply < o->next_send; o->next_reply++) {
		struct rcpt *rc = &o->rcpts[o->next_reply];

		if (rc->state != R_SENT)
			continue;
		if (r->code / 100 == 2) {
			rc->state = R_ACCEPTED;
			o->any_accepted = true;
		} else if (r->code >= 400)
			settle_by_reply(o, o->next_reply, STAGE_RCPT);
		else
			smtp_out_broken(o);
		o->next_reply++;
		return;
	}
	smtp_out_broken(o);
}

static void
got_data(struct smtp_out *o)
{
	if (o->reply.code == 354)
		begin_content(o, false);
	else if (o->reply.code >= 400) {
		settle_all_by_reply(o, STAGE_DATA);
		end_message(o);
	} else
		smtp_out_broken(o);
}

/* A reply amid the content: the server has had enough, and what follows cannot be
 * told from commands any more. */
static void
got_early(struct smtp_out *o)
{
	if (o->reply.code < 400) {
		smtp_out_broken(o);
		return;
	}
	settle_all_by_reply(o, STAGE_DATA);
	smtp_out_trouble(o, JOB_DEFERRED, "4.3.0", "", "");
}

/*
 * The reply to a chunk that was not the last one. When it is refused, so is the message
 * (RFC 3030, 2): what has been sent gets its replies, and no more is sent.
 */
static void
got_chunk(struct smtp_out *o)
{
	if (o->chunks == 0 || o->reply.code / 100 == 3) {
		smtp_out_broken(o);
		return;
	}
	o->chunks--;
	if (o->reply.code / 100 == 2)
		return;
	settle_all_by_reply(o, STAGE_DATA);
	if (o->conf.lmtp) {
		/* How many replies there are to the last one then, nobody says. */
		smtp_out_trouble(o, JOB_DEFERRED, "4.3.0", "", "");
		return;
	}
	o->stale = o->chunks;
	smtp_out_say(o, "RSET\r\n");
	if (o->state != S_CLOSED)
		o->state = S_RSET;
}

static void
got_end(struct smtp_out *o)
{
	if (o->chunked && o->chunks > 1) {
		got_chunk(o);
		return;
	}
	if (o->reply.code / 100 == 3) {
		smtp_out_broken(o);
		return;
	}
	if (!o->conf.lmtp)
		settle_all_by_reply(o, STAGE_DATA);
	else
		/* RFC 2033, 4.2: a reply for each accepted one, in their order. */
		for (size_t i = 0; i < o->m->n_rcpts; i++)
			if (o->rcpts[i].state == R_ACCEPTED) {
				settle_by_reply(o, i, STAGE_DATA);
				break;
			}
	if (o->n_unsettled == 0)
		end_message(o);
}

static void
got_reply(struct smtp_out *o)
{
	enum state s = o->state;

	o->n_replies++;
	/* RFC 5321, 3.8: at any time. After the end of the content it is the answer. */
	if (o->reply.code == 421 && s != S_QUIT && s != S_GREETING) {
		if (s == S_END)
			settle_all_by_reply(o, STAGE_DATA);
		o->answered = true;
		trouble_by_reply(o, STAGE_CONNECT);
		return;
	}
	switch (s) {
	case S_GREETING:
		got_greeting(o);
		break;
	case S_EHLO:
		got_ehlo(o);
		break;
	case S_HELO:
		got_helo(o);
		break;
	case S_STARTTLS:
		got_starttls(o);
		break;
	case S_AUTH:
		smtp_out_got_auth(o);
		break;
	case S_ENVELOPE:
		got_envelope(o);
		envelope_step(o);
		break;
	case S_DATA:
		got_data(o);
		break;
	case S_CONTENT:
		if (o->chunked)
			got_chunk(o);
		else
			got_early(o);
		break;
	case S_END:
		got_end(o);
		break;
	case S_RSET:
		if (o->stale > 0)
			o->stale--;
		else if (o->reply.code / 100 == 2)
			smtp_out_become_ready(o);
		else
			smtp_out_broken(o);
		break;
	case S_QUIT:
		o->state = S_CLOSED;
		o->want_close = true;
		break;
	default: /* READY: nobody asked */
		smtp_out_broken(o);
	}
}

size_t
smtp_out_input(struct smtp_out *o, const uint8_t *p, size_t len)
{
	size_t done = 0, used;

	while (done < len && o->state != S_TLS && o->state != S_CLOSED &&
	       o->state != S_CHALLENGE) {
		int rc = reply_push(&o->reply, p + done, len - done, &used);

		done += used;
		if (rc == 0)
			break;
		if (rc == -1)
			smtp_out_broken(o);
		else
			got_reply(o);
		/* The caller reads a challenge before it answers. */
		if (o->state != S_CHALLENGE)
			reply_init(&o->reply);
		else
			break;
	}
	return o->state == S_CLOSED ? len : done;
}

void
smtp_out_tls_ready(struct smtp_out *o)
{
	if (o->state != S_TLS)
		return;
	o->tls = true;
	reply_init(&o->reply);
	say_hello(o);
}

void
smtp_out_lost(struct smtp_out *o, const char *why)
{
	char text[256];

	snprintf(
	    text, sizeof(text), "The connection to the remote host was lost: %s.", why);
	smtp_out_trouble(o, JOB_DEFERRED, "4.4.2", "", text);
}

void
smtp_out_timeout(struct smtp_out *o)
{
	smtp_out_trouble(
	    o, JOB_DEFERRED, "4.4.2", "", "The remote host does not answer.");
}

void
smtp_out_quit(struct smtp_out *o)
{
	if (o->state == S_READY || o->state == S_RSET) {
		smtp_out_say(o, "QUIT\r\n");
		if (o->state != S_CLOSED)
			o->state = S_QUIT;
	} else if (o->state != S_QUIT && o->state != S_CLOSED) {
		o->state = S_CLOSED;
		o->want_close = true;
	}
}

bool
smtp_out_idle(const struct smtp_out *o)
{
	return o->m == NULL && (o->state == S_READY || o->state == S_RSET);
}

bool
smtp_out_in_data(const struct smtp_out *o)
{
	return o->state == S_CONTENT || o->state == S_END;
}

bool
smtp_out_in_final(const struct smtp_out *o)
{
	return o->state == S_END;
}

bool
smtp_out_in_greeting(const struct smtp_out *o)
{
	return o->state == S_GREETING;
}

bool
smtp_out_said_hello(const struct smtp_out *o)
{
	return o->state >= S_LOGIN && o->state < S_QUIT;
}

const char *
smtp_out_greeting(const struct smtp_out *o)
{
	return o->greeting;
}

bool
smtp_out_offered_tls(const struct smtp_out *o)
{
	return o->offered_tls;
}

bool
smtp_out_needs_7bit(const struct smtp_out *o)
{
	return !(o->ext & EXT_8BITMIME) ||
	       (o->m != NULL && o->m->body == BODY_BINARYMIME && !smtp_out_binary(o));
}

bool
smtp_out_past_end(const struct smtp_out *o)
{
	return o->state == S_END;
}

bool
smtp_out_untouched(const struct smtp_out *o)
{
	return !o->answered;
}

uint64_t
smtp_out_replies(const struct smtp_out *o)
{
	return o->n_replies;
}

bool
smtp_out_has_dsn(const struct smtp_out *o)
{
	return (o->ext & EXT_DSN) != 0;
}

bool
smtp_out_has_deliverby(const struct smtp_out *o)
{
	return (o->ext & EXT_DELIVERBY) != 0;
}

/* ---- actions ---- */

static bool
next_result(struct smtp_out *o, struct smtp_out_action *a)
{
	if (o->m == NULL)
		return false;
	for (; o->tell < o->m->n_rcpts; o->tell++) {
		struct rcpt *r = &o->rcpts[o->tell];

		if (r->state != R_SETTLED)
			continue;
		r->state = R_TOLD;
		a->kind = SMTP_OUT_RESULT;
		a->index = o->m->rcpts[o->tell].index;
		a->status = r->status;
		a->enhanced = r->enhanced;
		a->reply = r->reply != NULL ? r->reply : "";
		a->text = r->text != NULL ? r->text : "";
		return true;
	}
	return false;
}

void
smtp_out_next(struct smtp_out *o, struct smtp_out_action *a)
{
	memset(a, 0, sizeof(*a));
	if (next_result(o, a))
		return;
	if (o->m != NULL && o->n_unsettled == 0 && o->state != S_ENVELOPE) {
		drop_message(o);
		a->kind = SMTP_OUT_DONE;
	} else if (o->want_tls) {
		o->want_tls = false;
		a->kind = SMTP_OUT_STARTTLS;
	} else if (o->want_login) {
		o->want_login = false;
		a->kind = SMTP_OUT_LOGIN;
		a->text = o->mechanisms;
	} else if (o->want_challenge) {
		o->want_challenge = false;
		a->kind = SMTP_OUT_CHALLENGE;
		strlcpy(o->trouble_reply, o->reply.text, sizeof(o->trouble_reply));
		reply_init(&o->reply);
		a->reply = o->trouble_reply;
	} else if (o->want_logged_in) {
		o->want_logged_in = false;
		a->kind = SMTP_OUT_LOGGED_IN;
	} else if (o->want_content) {
		o->want_content = false;
		a->kind = SMTP_OUT_CONTENT;
	} else if (o->want_trouble) {
		o->want_trouble = false;
		a->kind = SMTP_OUT_TROUBLE;
		a->status = o->trouble_status;
		a->enhanced = o->trouble_enhanced;
		a->reply = o->trouble_reply;
		a->text = o->trouble_text;
		a->no_tls = o->no_tls;
		a->tls_refused = o->tls_refused;
		drop_message(o);
	} else if (o->want_close) {
		o->want_close = false;
		a->kind = SMTP_OUT_CLOSE;
	}
}
