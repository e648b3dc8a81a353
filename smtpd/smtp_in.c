/* SPDX-License-Identifier: ISC */
/*
 * The machine behind smtp_in.h: states, actions, the DATA phase, answers.
 *
 *	START --EHLO--> HELLO --MAIL--> MAIL --RCPT--> RCPT --DATA--> DATA
 *	   ^              ^ |                                          |
 *	   |              | +--AUTH--> AUTH --+                        |
 *	  TLS <-STARTTLS--+-------------------+<------- end of data ---+
 *
 * BDAT (smtp_bdat.c) leads from RCPT to BDAT, and by CHUNKS from one chunk to the next.
 * RSET and EHLO lead to HELLO from everywhere. At DATA the queue is asked for a place
 * (WAIT_OPEN), at the end of data for its word (WAIT_COMMIT); so recipients that
 * are refused cost the queue nothing.
 */
#include "smtpd/smtp_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "smtpd/policy.h"
#include "smtpd/smtp_in_internal.h"

/* A few replies may wait at once: a refusal and the 421 behind it. */
#define OUT_CAP (3 * SMTP_REPLY_MAX)
/* NOOP, RSET and the like between two messages. */
#define IDLE_COMMANDS_MAX 100

struct smtp_in *
smtp_in_new(const struct smtp_in_conf *conf, const struct smtp_in_facts *facts)
{
	struct smtp_in *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->conf = conf;
	e->facts = *facts;
	smtp_lex_init(&e->lex);
	return e;
}

void
smtp_in_rcpt_clear(struct smtp_in_rcpt *r)
{
	free(r->address);
	free(r->orcpt);
	memset(r, 0, sizeof(*r));
}

static void
forget_transaction(struct smtp_in *e)
{
	for (size_t i = 0; i < e->nrcpt; i++)
		smtp_in_rcpt_clear(&e->rcpt[i]);
	free(e->rcpt);
	free(e->sender);
	free(e->envid);
	free(e->forward);
	e->rcpt = NULL;
	e->sender = NULL;
	e->envid = NULL;
	e->forward = NULL;
	e->ret = 0;
	memset(&e->ext, 0, sizeof(e->ext));
	e->nrcpt = 0;
	smtp_data_clear(&e->data);
	e->rcpt_cap = 0;
	e->rcpt_octets = 0;
	e->size_hint = 0;
	e->body = 0;
	e->smtputf8 = 0;
	e->opened = 0;
	e->refused_rcpt = 0;
	e->forget = 0;
	e->content_failed = SMTP_REPLY_NONE;
}

void
smtp_in_free(struct smtp_in *e)
{
	if (e == NULL)
		return;
	forget_transaction(e);
	sasl_exchange_clear(&e->sasl);
	smtp_lex_clear(&e->lex);
	free(e->helo);
	free(e->xattr);
	smtp_in_rcpt_clear(&e->pending);
	free(e->url);
	free(e->out);
	free(e->lmtp_reply);
	free(e);
}

void
smtp_in_act(struct smtp_in *e, const struct smtp_action *a)
{
	/* The bound holds by construction: no step queues more than a handful. */
	if (e->act_n < ACTIONS_MAX)
		e->act[(e->act_head + e->act_n++) % ACTIONS_MAX] = *a;
}

static void
act_simple(struct smtp_in *e, enum smtp_action_type type)
{
	smtp_in_act(e, &(struct smtp_action){ .type = type });
}

static void
close_now(struct smtp_in *e)
{
	if (e->state == ST_CLOSED)
		return;
	e->state = ST_CLOSED;
	e->wait = WAIT_NONE;
	act_simple(e, SMTP_ACT_CLOSE);
}

/* Replies lie in one buffer, which is given back when all of them are out. */
static int
out_ready(struct smtp_in *e)
{
	if (e->out == NULL && (e->out = malloc(OUT_CAP)) == NULL) {
		close_now(e);
		return -1;
	}
	return 0;
}

static void
act_reply(struct smtp_in *e, size_t from)
{
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_REPLY,
			   .data = e->out + from,
			   .len = e->out_len - from });
}

void
smtp_in_reply(struct smtp_in *e, enum smtp_reply r)
{
	size_t from = e->out_len;

	if (out_ready(e) == -1)
		return;
	e->out_len = smtp_reply_put(e->out, from, OUT_CAP, r, e->conf->hostname);
	act_reply(e, from);
}

void
smtp_in_reply_text(struct smtp_in *e, int code, const char *enhanced, const char *text)
{
	size_t from = e->out_len;

	if (out_ready(e) == -1)
		return;
	e->out_len = smtp_reply_put_text(e->out, from, OUT_CAP, code, enhanced, text);
	act_reply(e, from);
}

void
smtp_in_end(struct smtp_in *e, enum smtp_reply r)
{
	if (e->state == ST_CLOSED)
		return;
	smtp_in_reset(e);
	smtp_in_reply(e, r);
	close_now(e);
}

static void
check_errors(struct smtp_in *e)
{
	if (e->facts.kind != LISTENER_LOCAL &&
	    (e->errors > e->conf->errors_max ||
		e->bad_rcpts / BAD_RCPTS_FACTOR > e->conf->errors_max))
		smtp_in_end(e, SMTP_REPLY_TOO_MANY_ERRORS);
}

void
smtp_in_error(struct smtp_in *e, enum smtp_reply r)
{
	smtp_in_reply(e, r);
	e->errors++;
	check_errors(e);
}

void
smtp_in_idle(struct smtp_in *e)
{
	if (e->state == ST_CLOSED || ++e->idle_commands <= IDLE_COMMANDS_MAX)
		return;
	e->errors++;
	check_errors(e);
}

void
smtp_in_refuse(struct smtp_in *e, enum smtp_reply r, const char *rcpt, const char *text)
{
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_REFUSED,
			   .enhanced = smtp_reply_enhanced(r),
			   .name = rcpt,
			   .code = smtp_reply_code(r),
			   .text = smtp_reply_text(r) });
	if (*text != '\0')
		smtp_in_reply_text(e, smtp_reply_code(r), smtp_reply_enhanced(r), text);
	else
		smtp_in_reply(e, r);
}

void
smtp_in_reset(struct smtp_in *e)
{
	if (e->opened)
		act_simple(e, SMTP_ACT_ABORT);
	forget_transaction(e);
}

void
smtp_in_start(struct smtp_in *e)
{
	char text[600];

	snprintf(text, sizeof(text), "%s %s%s%s", e->conf->hostname,
	    e->facts.kind == LISTENER_LMTP ? "LMTP" : "ESMTP",
	    e->conf->banner[0] != '\0' ? " " : "", e->conf->banner);
	smtp_in_reply_text(e, 220, "", text);
}

/* The end of the content, or of a chunk that is refused: have it committed, or not. */
void
smtp_in_data_end(struct smtp_in *e)
{
	static const enum smtp_reply replies[] = {
		[SMTP_DATA_BARE] = SMTP_REPLY_MESSAGE_BARE,
		[SMTP_DATA_NUL] = SMTP_REPLY_MESSAGE_NUL,
		[SMTP_DATA_SIZE] = SMTP_REPLY_MESSAGE_SIZE,
		[SMTP_DATA_HEADER] = SMTP_REPLY_MESSAGE_HEADER,
		[SMTP_DATA_HOPS] = SMTP_REPLY_MESSAGE_HOPS,
	};
	enum smtp_reply r = e->content_failed;

	/* What is wrong with the content for good comes before what is wrong with us. */
	if (e->data.fault != SMTP_DATA_GOOD)
		r = replies[e->data.fault];
	if (r == SMTP_REPLY_NONE) {
		e->wait = WAIT_COMMIT;
		act_simple(e, SMTP_ACT_COMMIT);
		return;
	}
	/* A chunk that is not the last has one reply. */
	if (e->facts.kind == LISTENER_LMTP && (e->state != ST_BDAT || e->chunk_last))
		e->lmtp_left = e->nrcpt - 1;
	smtp_in_refuse(e, r, "", "");
	if (e->opened)
		act_simple(e, SMTP_ACT_ABORT);
	e->opened = 0;
	if (e->lmtp_left > 0)
		e->lmtp_reply = strndup(e->out, e->out_len);
	e->forget = 1;
	e->state = ST_HELLO;
}

size_t
smtp_in_data_feed(
    struct smtp_in *e, const char *in, size_t len, enum smtp_data_result *result)
{
	const char *span;
	size_t used, span_len;

	*result = smtp_data_feed(&e->data, in, len, &used, &span, &span_len);
	if (span_len > 0 && e->content_failed == SMTP_REPLY_NONE)
		smtp_in_act(
		    e, &(struct smtp_action){
			   .type = SMTP_ACT_CONTENT, .data = span, .len = span_len });
	if (*result != SMTP_DATA_END &&
	    e->data.total / 2 > smtp_in_size_max(e) + 1024 * 1024)
		/* It has been refused for long; no sender is owed more patience. */
		smtp_in_end(e, SMTP_REPLY_MESSAGE_SIZE);
	return used;
}

static size_t
data_input(struct smtp_in *e, const char *in, size_t len)
{
	enum smtp_data_result r;
	size_t used = smtp_in_data_feed(e, in, len, &r);

	if (r == SMTP_DATA_END)
		smtp_in_data_end(e);
	return used;
}

static void
line_fault(struct smtp_in *e, enum smtp_lex_result r)
{
	enum smtp_reply reply = SMTP_REPLY_LINE_TOO_LONG;

	if (r == SMTP_LEX_MEMORY) {
		smtp_in_end(e, SMTP_REPLY_MEMORY);
		return;
	}
	if (r == SMTP_LEX_NUL)
		reply = SMTP_REPLY_LINE_NUL;
	else if (r == SMTP_LEX_BARE_CR)
		reply = SMTP_REPLY_LINE_BARE_CR;
	else if (r == SMTP_LEX_BARE_LF)
		reply = SMTP_REPLY_LINE_BARE_LF;
	else if (e->state == ST_AUTH)
		reply = SMTP_REPLY_AUTH_LINE_TOO_LONG;
	if (e->state == ST_AUTH) {
		act_simple(e, SMTP_ACT_SASL_ABORT);
		e->lex.auth = 0;
		e->state = ST_HELLO;
	}
	smtp_in_error(e, reply);
}

size_t
smtp_in_input(struct smtp_in *e, const char *in, size_t len)
{
	enum smtp_lex_result r;
	size_t used;

	if (e->state == ST_CLOSED)
		return len;
	if (e->wait != WAIT_NONE || e->act_n > 0 || e->lmtp_left > 0 || len == 0)
		return 0;
	if (e->state == ST_DATA)
		return data_input(e, in, len);
	if (e->state == ST_BDAT)
		return smtp_bdat_input(e, in, len);
	r = smtp_lex_feed(&e->lex, in, len, &used);
	if (r == SMTP_LEX_MORE)
		return used;
	if (r != SMTP_LEX_LINE)
		line_fault(e, r);
	else if (e->state == ST_AUTH)
		smtp_auth_line(e, e->lex.buf, e->lex.len);
	else
		smtp_cmd_line(e, e->lex.buf, e->lex.len, used < len);
	return used;
}

int
smtp_in_next(struct smtp_in *e, struct smtp_action *a)
{
	if (e->act_n > 0) {
		*a = e->act[e->act_head];
		e->act_head = (e->act_head + 1) % ACTIONS_MAX;
		e->act_n--;
		return 1;
	}
	if (e->lmtp_left > 0 && e->state != ST_CLOSED) {
		e->lmtp_left--;
		memset(a, 0, sizeof(*a));
		a->type = SMTP_ACT_REPLY;
		a->data =
		    e->lmtp_reply != NULL ? e->lmtp_reply : "451 4.3.0 No memory\r\n";
		a->len = strlen(a->data);
		return 1;
	}
	if (e->forget)
		forget_transaction(e);
	free(e->lmtp_reply);
	e->lmtp_reply = NULL;
	free(e->out);
	e->out = NULL;
	e->out_len = 0;
	return 0;
}

int
smtp_in_waiting(const struct smtp_in *e)
{
	return e->wait != WAIT_NONE;
}

int
smtp_in_committing(const struct smtp_in *e)
{
	return e->wait == WAIT_COMMIT;
}

int
smtp_in_in_data(const struct smtp_in *e)
{
	return e->state == ST_DATA || e->state == ST_BDAT;
}

void
smtp_in_tls_ready(struct smtp_in *e)
{
	if (e->wait != WAIT_TLS)
		return;
	/* RFC 3207, 4.2: nothing that was said in plain text counts. */
	smtp_in_reset(e);
	smtp_lex_clear(&e->lex);
	free(e->helo);
	e->helo = NULL;
	e->esmtp = 0;
	e->authenticated = 0;
	e->facts.tls = 1;
	e->wait = WAIT_NONE;
	e->state = ST_START;
}

void
smtp_in_etrn_answer(struct smtp_in *e, enum answer_status status)
{
	if (e->wait != WAIT_ETRN)
		return;
	e->wait = WAIT_NONE;
	smtp_in_reply(e, status == MSG_OK ? SMTP_REPLY_ETRN_OK : SMTP_REPLY_ETRN_TEMP);
}

void
smtp_in_sender_answer(struct smtp_in *e, enum smtp_sender answer)
{
	static const enum smtp_reply replies[] = {
		[SMTP_SENDER_OK] = SMTP_REPLY_SENDER_OK,
		[SMTP_SENDER_UNKNOWN] = SMTP_REPLY_SENDER_UNKNOWN,
		[SMTP_SENDER_NULL_MX] = SMTP_REPLY_SENDER_NULL_MX,
		[SMTP_SENDER_TEMP] = SMTP_REPLY_SENDER_TEMP,
	};

	if (e->wait != WAIT_SENDER)
		return;
	e->wait = WAIT_NONE;
	if (answer == SMTP_SENDER_OK) {
		e->state = ST_MAIL;
		smtp_ext_sender_ok(e);
		return;
	}
	smtp_in_refuse(e, replies[answer], "", "");
	/* The log line borrows the sender. */
	e->forget = 1;
	e->errors++;
	check_errors(e);
}

static int
add_rcpt(struct smtp_in *e)
{
	if (e->nrcpt == e->rcpt_cap) {
		size_t cap = e->rcpt_cap == 0 ? 4 : e->rcpt_cap * 2;
		struct smtp_in_rcpt *p = reallocarray(e->rcpt, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		e->rcpt = p;
		e->rcpt_cap = cap;
	}
	e->rcpt_octets += strlen(e->pending.address) +
			  (e->pending.orcpt != NULL ? strlen(e->pending.orcpt) : 0);
	e->rcpt[e->nrcpt++] = e->pending;
	memset(&e->pending, 0, sizeof(e->pending));
	return 0;
}

void
smtp_in_rcpt_filing(struct smtp_in *e, uint8_t filing)
{
	if (e->wait == WAIT_RCPT)
		e->pending.notify |= filing & RCPT_FILING;
}

void
smtp_in_rcpt_answer(struct smtp_in *e, enum rclass rclass, const char *text)
{
	enum policy_client client = e->facts.kind == LISTENER_LOCAL ? POLICY_LOCAL
				    : e->authenticated              ? POLICY_LOGIN
								    : POLICY_STRANGER;
	enum smtp_reply r;

	if (e->wait != WAIT_RCPT)
		return;
	e->wait = WAIT_NONE;
	r = policy_rcpt(client, rclass);
	if (r == SMTP_REPLY_RCPT_OK) {
		if (add_rcpt(e) == -1)
			r = SMTP_REPLY_TROUBLE;
		else {
			e->state = ST_RCPT;
			smtp_in_reply(e, r);
			return;
		}
	}
	/* e->pending stays until the next RCPT: the log line borrows it. */
	e->refused_rcpt = 1;
	smtp_in_refuse(
	    e, r, e->pending.address, r == SMTP_REPLY_RELAY_DENIED ? "" : text);
	if (smtp_reply_code(r) >= 500)
		e->bad_rcpts++;
	check_errors(e);
}

enum smtp_reply
smtp_in_queue_reply(enum answer_status status)
{
	return status == MSG_FULL                           ? SMTP_REPLY_QUEUE_FULL
	       : status == MSG_PERM || status == MSG_DENIED ? SMTP_REPLY_QUEUE_REFUSED
							    : SMTP_REPLY_QUEUE_TEMP;
}

void
smtp_in_open_answer(struct smtp_in *e, enum answer_status status)
{
	if (e->wait != WAIT_OPEN)
		return;
	e->wait = WAIT_NONE;
	if (e->state == ST_BDAT) {
		smtp_bdat_opened(e, status);
		return;
	}
	if (status == MSG_OK) {
		e->opened = 1;
		e->state = ST_DATA;
		smtp_data_init(
		    &e->data, SMTP_DATA_DOTS, smtp_in_size_max(e), e->conf->hops_max);
		smtp_in_reply(e, SMTP_REPLY_DATA_GO);
		return;
	}
	smtp_in_refuse(e, smtp_in_queue_reply(status), "", "");
	e->forget = 1;
	e->state = ST_HELLO;
}

void
smtp_in_content_failed(struct smtp_in *e, enum answer_status status)
{
	if ((smtp_in_in_data(e) || e->state == ST_CHUNKS) &&
	    e->content_failed == SMTP_REPLY_NONE)
		e->content_failed =
		    status == MSG_FULL ? SMTP_REPLY_QUEUE_FULL : SMTP_REPLY_QUEUE_TEMP;
}

void
smtp_in_commit_answer(struct smtp_in *e, int code, const char *enhanced, const char *text)
{
	size_t from = e->out_len;

	if (e->wait != WAIT_COMMIT)
		return;
	e->wait = WAIT_NONE;
	e->state = ST_HELLO;
	e->opened = 0;
	if (code < 400) {
		e->errors = 0;
		e->bad_rcpts = 0;
		e->idle_commands = 0;
	}
	smtp_in_reply_text(e, code, enhanced, text);
	if (e->facts.kind == LISTENER_LMTP && e->nrcpt > 1 && e->out != NULL) {
		e->lmtp_left = e->nrcpt - 1;
		e->lmtp_reply = strndup(e->out + from, e->out_len - from);
	}
	e->forget = 1;
}

void
smtp_in_timeout(struct smtp_in *e)
{
	smtp_in_end(e, SMTP_REPLY_TIMEOUT);
}

void
smtp_in_shutdown(struct smtp_in *e)
{
	smtp_in_end(e, SMTP_REPLY_SHUTDOWN);
}

void
smtp_in_login_ended(struct smtp_in *e)
{
	smtp_in_end(e, SMTP_REPLY_LOGIN_ENDED);
}

void
smtp_in_limit_size(struct smtp_in *e, uint64_t size_max)
{
	/* No octets at all is a limit as well. */
	e->login_size_max = size_max == 0 ? 1 : size_max;
}

uint64_t
smtp_in_size_max(const struct smtp_in *e)
{
	return e->login_size_max != 0 && e->login_size_max < e->conf->size_max
		   ? e->login_size_max
		   : e->conf->size_max;
}

void
smtp_in_certificate(struct smtp_in *e)
{
	e->facts.certificate = 1;
}

const char *
smtp_in_helo(const struct smtp_in *e)
{
	return e->helo == NULL ? "" : e->helo;
}

int
smtp_in_esmtp(const struct smtp_in *e)
{
	return e->esmtp;
}

int
smtp_in_authenticated(const struct smtp_in *e)
{
	return e->authenticated;
}

const char *
smtp_in_sender(const struct smtp_in *e)
{
	return e->sender == NULL ? "" : e->sender;
}

size_t
smtp_in_nrcpt(const struct smtp_in *e)
{
	return e->nrcpt;
}

const char *
smtp_in_rcpt(const struct smtp_in *e, size_t i)
{
	return e->rcpt[i].address;
}

const char *
smtp_in_envid(const struct smtp_in *e)
{
	return e->envid == NULL ? "" : e->envid;
}

uint8_t
smtp_in_ret(const struct smtp_in *e)
{
	return e->ret;
}

uint8_t
smtp_in_notify(const struct smtp_in *e, size_t i)
{
	return e->rcpt[i].notify;
}

const char *
smtp_in_orcpt(const struct smtp_in *e, size_t i)
{
	return e->rcpt[i].orcpt == NULL ? "" : e->rcpt[i].orcpt;
}

uint64_t
smtp_in_size_hint(const struct smtp_in *e)
{
	return e->size_hint;
}

uint8_t
smtp_in_body(const struct smtp_in *e)
{
	return e->body;
}

int
smtp_in_smtputf8(const struct smtp_in *e)
{
	return e->smtputf8;
}

const struct smtp_data *
smtp_in_content(const struct smtp_in *e)
{
	return &e->data;
}
