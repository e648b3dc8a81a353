/* SPDX-License-Identifier: ISC */
/*
 * The commands: one row each with the states in which it is legal, the reply where it
 * is not, and what it does (RFC 5321, 4.1.4).
 */
#include "smtpd/smtp_in_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

#define S_ANY                                                                      \
	(ST_BIT(ST_START) | ST_BIT(ST_HELLO) | ST_BIT(ST_MAIL) | ST_BIT(ST_RCPT) | \
	    ST_BIT(ST_CHUNKS))

/* Addresses of usual length reach recipients-max first; memory is bounded for others. */
#define RCPT_OCTETS_EACH 128

static void
out_of_memory(struct smtp_in *e)
{
	smtp_in_end(e, SMTP_REPLY_MEMORY);
}

static void
hello(struct smtp_in *e, const struct smtp_command *c)
{
	char *helo = strdup(c->word);

	smtp_in_reset(e);
	if (helo == NULL) {
		out_of_memory(e);
		return;
	}
	free(e->helo);
	e->helo = helo;
	e->chunk_failed = 0;
	e->state = ST_HELLO;
}

static int
need_auth(const struct smtp_in *e)
{
	return e->facts.kind == LISTENER_SUBMISSION && !e->authenticated;
}

/* The extensions, each on a line (RFC 5321, 4.1.1.1). */
static void
run_ehlo(struct smtp_in *e, const struct smtp_command *c, int more)
{
	char buf[1600], auth[SMTP_AUTH_EHLO_MAX], ext[SMTP_EXT_EHLO_MAX];
	int n;

	if ((c->verb == SMTP_LHLO) != (e->facts.kind == LISTENER_LMTP)) {
		smtp_in_error(e, SMTP_REPLY_NOT_IMPLEMENTED);
		return;
	}
	hello(e, c);
	if (e->state == ST_CLOSED)
		return;
	e->esmtp = 1;
	n = snprintf(buf, sizeof(buf),
	    "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n%s%s"
	    "250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
	    "250-LIMITS RCPTMAX=%u\r\n%s%s%s%s250 SMTPUTF8\r\n",
	    e->conf->hostname, (unsigned long long)smtp_in_size_max(e),
	    e->facts.starttls && !e->facts.tls ? "250-STARTTLS\r\n" : "",
	    smtp_auth_ehlo(e, auth, sizeof(auth)), e->conf->rcpts_max,
	    smtp_ext_ehlo(e, ext, sizeof(ext)),
	    smtp_burl_offered(e) ? "250-BURL imap\r\n" : "",
	    e->facts.etrn ? "250-ETRN\r\n" : "",
	    e->facts.xclient ? "250-XCLIENT NAME ADDR PORT PROTO HELO\r\n"
			       "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
			     : "");
	if (e->out == NULL && (e->out = malloc(3 * SMTP_REPLY_MAX)) == NULL) {
		out_of_memory(e);
		return;
	}
	memcpy(e->out + e->out_len, buf, (size_t)n);
	smtp_in_act(e,
	    &(struct smtp_action){
		.type = SMTP_ACT_REPLY, .data = e->out + e->out_len, .len = (size_t)n });
	e->out_len += (size_t)n;
}

static void
run_helo(struct smtp_in *e, const struct smtp_command *c, int more)
{
	if (e->facts.kind == LISTENER_LMTP) {
		smtp_in_error(e, SMTP_REPLY_NOT_IMPLEMENTED);
		return;
	}
	hello(e, c);
	if (e->state == ST_CLOSED)
		return;
	e->esmtp = 0;
	smtp_in_reply(e, SMTP_REPLY_EHLO_OK);
}

/* What a local program leaves out of an address. */
static void
qualify(const struct smtp_in *e, struct address *a)
{
	struct address root;

	if (e->facts.kind != LISTENER_LOCAL || a->local[0] == '\0' ||
	    a->domain[0] != '\0')
		return;
	if ((strcasecmp(a->local, "root") == 0 ||
		strcasecmp(a->local, "postmaster") == 0) &&
	    e->conf->root[0] != '\0' &&
	    address_parse(e->conf->root, strlen(e->conf->root), &root) == 0)
		*a = root;
	else if (strcasecmp(a->local, "postmaster") != 0)
		strlcpy(a->domain, e->conf->default_domain, sizeof(a->domain));
}

/* strdup()ed, or NULL. */
static char *
printed(const struct address *a)
{
	char buf[ADDRESS_MAX + 1];

	if (address_format(a, buf, sizeof(buf)) == -1)
		return NULL;
	return strdup(buf);
}

static void
run_mail(struct smtp_in *e, const struct smtp_command *c, int more)
{
	struct address a = c->path;
	enum smtp_reply r;

	if (need_auth(e)) {
		smtp_in_error(e, SMTP_REPLY_AUTH_REQUIRED);
		return;
	}
	if (c->size > smtp_in_size_max(e)) {
		smtp_in_refuse(e, SMTP_REPLY_MESSAGE_SIZE, "", "");
		return;
	}
	if ((r = smtp_ext_mail(e, c)) != SMTP_REPLY_NONE) {
		smtp_in_error(e, r);
		return;
	}
	qualify(e, &a);
	if ((e->sender = printed(&a)) == NULL) {
		smtp_in_error(e, SMTP_REPLY_BAD_SENDER);
		return;
	}
	if (c->envid[0] != '\0' && (e->envid = strdup(c->envid)) == NULL) {
		out_of_memory(e);
		return;
	}
	e->chunk_failed = 0;
	e->ret = c->ret;
	e->size_hint = c->size;
	e->body = c->body;
	e->smtputf8 = c->smtputf8;
	if (e->facts.check_sender && !e->authenticated && a.domain[0] != '\0' &&
	    a.domain[0] != '[') {
		e->wait = WAIT_SENDER;
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SENDER });
		return;
	}
	e->state = ST_MAIL;
	smtp_ext_sender_ok(e);
}

static void
run_rcpt(struct smtp_in *e, const struct smtp_command *c, int more)
{
	struct address a = c->path;

	if (!e->smtputf8 && !address_is_ascii(&a)) {
		e->refused_rcpt = 1;
		smtp_in_error(e, SMTP_REPLY_NEED_SMTPUTF8);
		return;
	}
	/* RFC 5321, 4.5.3.1.10: the client sends to the others in another transaction, so
	 * this is no error of its. */
	if (e->nrcpt >= e->conf->rcpts_max ||
	    e->rcpt_octets / RCPT_OCTETS_EACH >= e->conf->rcpts_max) {
		smtp_in_reply(e, SMTP_REPLY_TOO_MANY_RCPTS);
		return;
	}
	qualify(e, &a);
	smtp_in_rcpt_clear(&e->pending);
	if ((e->pending.address = printed(&a)) == NULL) {
		smtp_in_error(e, SMTP_REPLY_BAD_RCPT);
		return;
	}
	e->pending.notify = c->notify;
	e->pending.rrvs = c->rrvs;
	e->pending.rrvs_action = c->rrvs_action;
	if (c->orcpt[0] != '\0' && (e->pending.orcpt = strdup(c->orcpt)) == NULL) {
		out_of_memory(e);
		return;
	}
	e->wait = WAIT_RCPT;
	smtp_in_act(e,
	    &(struct smtp_action){ .type = SMTP_ACT_RCPT, .name = e->pending.address });
}

static void
run_data(struct smtp_in *e, const struct smtp_command *c, int more)
{
	if (e->body == BODY_BINARYMIME) {
		smtp_in_error(e, SMTP_REPLY_BINARY_BDAT);
		return;
	}
	e->wait = WAIT_OPEN;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_OPEN });
}

static void
run_burl(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_burl_start(e, c);
}

static void
run_bdat(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_bdat_start(e, c);
}

static void
run_rset(struct smtp_in *e, const struct smtp_command *c, int more)
{
	e->chunk_failed = 0;
	smtp_in_reset(e);
	if (e->state != ST_START)
		e->state = ST_HELLO;
	smtp_in_reply(e, SMTP_REPLY_OK);
}

static void
run_noop(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_reply(e, SMTP_REPLY_OK);
}

static void
run_vrfy(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_reply(e, SMTP_REPLY_VRFY);
}

static void
run_expn(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_error(e, SMTP_REPLY_NOT_IMPLEMENTED);
}

static void
run_help(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_reply(e, SMTP_REPLY_HELP);
}

static void
run_quit(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_end(e, SMTP_REPLY_BYE);
}

static void
run_starttls(struct smtp_in *e, const struct smtp_command *c, int more)
{
	if (e->facts.tls)
		smtp_in_error(e, SMTP_REPLY_TLS_ALREADY);
	else if (!e->facts.starttls)
		smtp_in_error(e, SMTP_REPLY_TLS_TEMP);
	else if (more)
		/* Somebody put commands into the plain text for us to take them as
		 * protected, or the client is broken: nothing good follows. */
		smtp_in_end(e, SMTP_REPLY_TLS_PIPELINED);
	else {
		smtp_in_reset(e);
		smtp_in_reply(e, SMTP_REPLY_TLS_GO);
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_STARTTLS });
		e->state = ST_TLS;
		e->wait = WAIT_TLS;
	}
}

static void
run_auth(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_auth_start(e, c);
}

static void
run_etrn(struct smtp_in *e, const struct smtp_command *c, int more)
{
	if (!e->facts.etrn) {
		smtp_in_error(e, SMTP_REPLY_NOT_IMPLEMENTED);
		return;
	}
	strlcpy(e->etrn, c->word, sizeof(e->etrn));
	e->wait = WAIT_ETRN;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_ETRN, .name = e->etrn });
}

static void
run_xclient(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_xclient(e, c);
}

static void
run_xforward(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_xforward(e, c);
}

static void
run_http(struct smtp_in *e, const struct smtp_command *c, int more)
{
	smtp_in_end(e, SMTP_REPLY_HTTP);
}

static const struct row {
	enum smtp_verb verb;
	unsigned int states;
	enum smtp_reply illegal;
	void (*run)(struct smtp_in *, const struct smtp_command *, int more);
} rows[] = {
	{ SMTP_EHLO, S_ANY, SMTP_REPLY_NONE, run_ehlo },
	{ SMTP_LHLO, S_ANY, SMTP_REPLY_NONE, run_ehlo },
	{ SMTP_HELO, S_ANY, SMTP_REPLY_NONE, run_helo },
	{ SMTP_MAIL, ST_BIT(ST_HELLO), SMTP_REPLY_NESTED_MAIL, run_mail },
	{ SMTP_RCPT, ST_BIT(ST_MAIL) | ST_BIT(ST_RCPT), SMTP_REPLY_MAIL_FIRST, run_rcpt },
	{ SMTP_DATA, ST_BIT(ST_RCPT), SMTP_REPLY_RCPT_FIRST, run_data },
	{ SMTP_BDAT, S_ANY, SMTP_REPLY_NONE, run_bdat },
	{ SMTP_BURL, S_ANY, SMTP_REPLY_NONE, run_burl },
	{ SMTP_RSET, S_ANY, SMTP_REPLY_NONE, run_rset },
	{ SMTP_NOOP, S_ANY, SMTP_REPLY_NONE, run_noop },
	{ SMTP_VRFY, S_ANY, SMTP_REPLY_NONE, run_vrfy },
	{ SMTP_EXPN, S_ANY, SMTP_REPLY_NONE, run_expn },
	{ SMTP_HELP, S_ANY, SMTP_REPLY_NONE, run_help },
	{ SMTP_QUIT, S_ANY, SMTP_REPLY_NONE, run_quit },
	{ SMTP_STARTTLS, S_ANY, SMTP_REPLY_NONE, run_starttls },
	{ SMTP_AUTH, ST_BIT(ST_HELLO), SMTP_REPLY_AUTH_IN_MAIL, run_auth },
	{ SMTP_ETRN, ST_BIT(ST_HELLO), SMTP_REPLY_AUTH_IN_MAIL, run_etrn },
	{ SMTP_XCLIENT, ST_BIT(ST_START) | ST_BIT(ST_HELLO), SMTP_REPLY_AUTH_IN_MAIL,
	    run_xclient },
	{ SMTP_XFORWARD, ST_BIT(ST_START) | ST_BIT(ST_HELLO), SMTP_REPLY_AUTH_IN_MAIL,
	    run_xforward },
	{ SMTP_HTTP, S_ANY, SMTP_REPLY_NONE, run_http },
};

static const struct row *
row_of(enum smtp_verb verb)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].verb == verb)
			return &rows[i];
	return NULL;
}

static enum smtp_reply
illegal(const struct smtp_in *e, const struct row *row)
{
	if (e->state == ST_START)
		return SMTP_REPLY_HELLO_FIRST;
	if (e->state == ST_CHUNKS)
		return SMTP_REPLY_IN_CHUNKS;
	/* RFC 2033, 4.2, wants 503. RFC 2920, 3.1: DATA that was pipelined behind
	 * recipients none of which was accepted. */
	if (row->verb == SMTP_DATA && e->state == ST_MAIL && e->refused_rcpt &&
	    e->facts.kind != LISTENER_LMTP)
		return SMTP_REPLY_NO_VALID_RCPT;
	if (row->verb == SMTP_DATA && e->state == ST_HELLO)
		return SMTP_REPLY_MAIL_FIRST;
	return row->illegal;
}

void
smtp_cmd_line(struct smtp_in *e, const char *line, size_t len, int more)
{
	struct smtp_command c;
	enum smtp_reply r;
	const struct row *row;

	r = smtp_parse(
	    line, len, e->facts.kind == LISTENER_LOCAL ? SMTP_PARSE_NO_DOMAIN : 0, &c);
	row = row_of(c.verb);
	if (row == NULL) {
		smtp_in_error(e, r);
		return;
	}
	/* Where a command may not come, that matters more than its syntax. */
	if (!(row->states & ST_BIT(e->state)))
		smtp_in_error(e, illegal(e, row));
	else if (r != SMTP_REPLY_NONE && c.verb == SMTP_BDAT)
		/* Content of unknown length follows, perhaps the words of a stranger. */
		smtp_in_end(e, r);
	else if (r != SMTP_REPLY_NONE)
		smtp_in_error(e, r);
	else {
		row->run(e, &c, more);
		if (c.verb == SMTP_NOOP || c.verb == SMTP_RSET || c.verb == SMTP_VRFY ||
		    c.verb == SMTP_HELP || c.verb == SMTP_EHLO || c.verb == SMTP_HELO ||
		    (c.verb == SMTP_BDAT && c.chunk == 0 && !c.last))
			smtp_in_idle(e);
	}
}
