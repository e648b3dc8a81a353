/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TEST_DIALOGUE_H
#define FIFE_TEST_DIALOGUE_H

/*
 * Drives an smtp_in engine with a script of octets, cut in pieces of a given size,
 * answers its questions like a host with alice@example.test, and keeps what came
 * out. Included by tests and fuzz targets.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "smtpd/smtp_in.h"

#ifndef DIALOGUE_OUT
#define DIALOGUE_OUT (2 * 1024 * 1024)
#endif

struct dialogue {
	struct smtp_in_conf conf;
	struct smtp_in *e;
	char *out;
	size_t out_len;
	char *content; /* of the last message */
	size_t content_len;
	unsigned int committed;
	unsigned int opened;
	unsigned int aborted;
	unsigned int tls;
	unsigned int asked_rcpt;
	size_t nrcpt; /* of the last committed message */
	char sender[ADDRESS_MAX + 1];
	char rcpt[ADDRESS_MAX + 1]; /* the first one */
	char asked[1024];           /* "RET ENVID NOTIFY:ORCPT ..." of the last */
	struct smtp_in_ext ext;     /* of the last committed message */
	int tls_optional;
	uint8_t rrvs; /* of the first one */
	int64_t since;
	int closed;
	int fail_open;
	int fail_content;
	int content_failed; /* of this transaction */
	const char *url;    /* what is left of a part that a URL led to */
	size_t url_len;
};

static void
dialogue_init(struct dialogue *d, enum listener_kind kind, int tls)
{
	struct smtp_in_facts facts = { .kind = kind, .tls = (uint8_t)tls, .starttls = 1 };

	memset(d, 0, sizeof(*d));
	strcpy(d->conf.hostname, "mx.example.test");
	strcpy(d->conf.default_domain, "example.test");
	strcpy(d->conf.root, "alice@example.test");
	d->conf.size_max = 100000;
	d->conf.rcpts_max = 1000;
	d->conf.errors_max = 20;
	d->conf.hops_max = 25;
	d->out = calloc(1, DIALOGUE_OUT);
	d->content = calloc(1, DIALOGUE_OUT);
	d->e = smtp_in_new(&d->conf, &facts);
	if (d->out == NULL || d->content == NULL || d->e == NULL)
		abort();
}

static void
dialogue_clear(struct dialogue *d)
{
	smtp_in_free(d->e);
	free(d->out);
	free(d->content);
}

static void
dialogue_put(char *buf, size_t *len, const char *data, size_t n)
{
	if (n > DIALOGUE_OUT - 1 - *len)
		abort();
	memcpy(buf + *len, data, n);
	*len += n;
	buf[*len] = '\0';
}

static enum rclass
dialogue_class(const char *address)
{
	if (strcmp(address, "alice@example.test") == 0 ||
	    strcasecmp(address, "postmaster") == 0 ||
	    strcmp(address, "\xc3\xbc@example.test") == 0)
		return RCLASS_LOCAL;
	if (strcmp(address, "full@example.test") == 0)
		return RCLASS_FULL;
	if (strcmp(address, "off@example.test") == 0)
		return RCLASS_DISABLED;
	if (strcmp(address, "temp@example.test") == 0)
		return RCLASS_TEMP;
	if (strncmp(address, "list", 4) == 0)
		return RCLASS_LOCAL;
	if (strstr(address, "@example.test") != NULL)
		return RCLASS_UNKNOWN;
	return RCLASS_REMOTE;
}

static void
dialogue_sasl(struct dialogue *d, const struct smtp_action *a)
{
	static const char good[] = "\0alice@example.test\0secret";
	int login = strcmp(a->name, "LOGIN") == 0;

	if (a->first == 1 && a->len == 0)
		smtp_in_sasl_answer(
		    d->e, SASL_CONTINUE, (const uint8_t *)"Username:", login ? 9 : 0, "");
	else if (login && a->len == 18 && memcmp(a->data, "alice@example.test", 18) == 0)
		smtp_in_sasl_answer(
		    d->e, SASL_CONTINUE, (const uint8_t *)"Password:", 9, "");
	else if (login && a->len == 6 && memcmp(a->data, "secret", 6) == 0)
		smtp_in_sasl_answer(d->e, SASL_OK, NULL, 0, "");
	else if (a->len == sizeof(good) - 1 && memcmp(a->data, good, a->len) == 0)
		smtp_in_sasl_answer(d->e, SASL_OK, NULL, 0, "");
	else
		smtp_in_sasl_answer(d->e, SASL_DENIED, NULL, 0, "");
}

static void
dialogue_commit(struct dialogue *d)
{
	if (smtp_in_content(d->e)->size != d->content_len && !d->fail_content)
		abort();
	d->committed++;
	d->nrcpt = smtp_in_nrcpt(d->e);
	d->ext = *smtp_in_ext(d->e);
	d->tls_optional = smtp_fields_tls_optional(&smtp_in_content(d->e)->fields);
	d->rrvs = smtp_in_rrvs(d->e, 0, &d->since);
	snprintf(d->sender, sizeof(d->sender), "%s", smtp_in_sender(d->e));
	snprintf(d->rcpt, sizeof(d->rcpt), "%s", smtp_in_rcpt(d->e, 0));
	snprintf(
	    d->asked, sizeof(d->asked), "%u %s", smtp_in_ret(d->e), smtp_in_envid(d->e));
	for (size_t i = 0; i < d->nrcpt && i < 4; i++) {
		size_t n = strlen(d->asked);

		snprintf(d->asked + n, sizeof(d->asked) - n, " %u:%s",
		    smtp_in_notify(d->e, i), smtp_in_orcpt(d->e, i));
	}
	smtp_in_commit_answer(d->e, 250, "2.0.0", "Ok: queued as Q1");
}

/* What a URL leads to, which is then given in the client's place. */
static void
dialogue_url(struct dialogue *d, const char *url)
{
	static const char text[] = "Subject: by url\r\n\r\n.dot\r\n";
	size_t len = sizeof(text) - 1;

	if (strstr(url, "none") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_UNKNOWN, 0, 0);
	else if (strstr(url, "foreign") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_UNKNOWN, 1, 0);
	else if (strstr(url, "denied") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_DENIED, 0, 0);
	else if (strstr(url, "temp") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_TEMP, 0, 0);
	else if (strstr(url, "large") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_OK, 0, UINT64_MAX);
	else if (strstr(url, "empty") != NULL)
		(void)smtp_in_url_answer(d->e, MSG_OK, 0, 0);
	else if (smtp_in_url_answer(d->e, MSG_OK, 0, len) == 0) {
		d->url = text;
		d->url_len = len;
	}
}

static void
dialogue_act_once(struct dialogue *d)
{
	struct smtp_action a;

	while (smtp_in_next(d->e, &a) == 1) {
		if (d->closed)
			abort();
		switch (a.type) {
		case SMTP_ACT_REPLY:
			dialogue_put(d->out, &d->out_len, a.data, a.len);
			break;
		case SMTP_ACT_STARTTLS:
			d->tls = 1;
			break;
		case SMTP_ACT_ETRN:
			snprintf(d->asked, sizeof(d->asked), "%s", a.name);
			smtp_in_etrn_answer(
			    d->e, strcmp(a.name, "busy.test") == 0 ? MSG_TEMP : MSG_OK);
			break;
		case SMTP_ACT_XCLIENT:
			snprintf(d->asked, sizeof(d->asked), "%x %s %s", a.xattr->seen,
			    a.xattr->name, a.xattr->helo);
			smtp_in_xclient_answer(d->e, 0, SMTP_REPLY_NONE);
			break;
		case SMTP_ACT_SENDER: {
			const char *sender = smtp_in_sender(d->e);

			smtp_in_sender_answer(
			    d->e, strstr(sender, "@null.") != NULL   ? SMTP_SENDER_NULL_MX
				  : strstr(sender, "@no.") != NULL   ? SMTP_SENDER_UNKNOWN
				  : strstr(sender, "@temp.") != NULL ? SMTP_SENDER_TEMP
								     : SMTP_SENDER_OK);
			break;
		}
		case SMTP_ACT_RCPT:
			d->asked_rcpt++;
			smtp_in_rcpt_answer(d->e, dialogue_class(a.name), "");
			break;
		case SMTP_ACT_SASL:
			dialogue_sasl(d, &a);
			break;
		case SMTP_ACT_OPEN:
			d->opened++;
			d->content_failed = 0;
			d->content_len = 0;
			d->content[0] = '\0';
			smtp_in_open_answer(d->e, d->fail_open ? MSG_TEMP : MSG_OK);
			break;
		case SMTP_ACT_CONTENT:
			d->content_failed |= d->fail_content;
			if (d->fail_content)
				smtp_in_content_failed(d->e, MSG_FULL);
			else
				dialogue_put(d->content, &d->content_len, a.data, a.len);
			break;
		case SMTP_ACT_COMMIT:
			/* As the transaction does, whatever the engine knew of it. */
			if (d->content_failed)
				smtp_in_commit_answer(d->e, 452, "4.3.1",
				    "Insufficient system storage, try again later");
			else
				dialogue_commit(d);
			break;
		case SMTP_ACT_URL:
			dialogue_url(d, a.name);
			break;
		case SMTP_ACT_ABORT:
			d->aborted++;
			break;
		case SMTP_ACT_REFUSED:
			if (a.name == NULL || a.text == NULL)
				abort();
			break;
		case SMTP_ACT_SASL_ABORT:
			break;
		case SMTP_ACT_CLOSE:
			d->closed = 1;
			break;
		}
	}
}

static void
dialogue_act(struct dialogue *d)
{
	dialogue_act_once(d);
	while (d->url_len > 0 && !d->closed && smtp_in_in_data(d->e)) {
		size_t used = smtp_in_input(d->e, d->url, d->url_len);

		dialogue_act_once(d);
		d->url += used;
		d->url_len -= used;
		if (used == 0)
			break;
	}
	d->url_len = 0;
}

/* Feeds in in pieces of piece octets (0: all at once) until the engine closes. */
static void
dialogue_feed(struct dialogue *d, const char *in, size_t len, size_t piece)
{
	size_t pos = 0, end;

	while (pos < len && !d->closed) {
		end = piece == 0 || piece > len - pos ? len : pos + piece;
		while (pos < end && !d->closed) {
			/* What was fed may vanish after the call: a copy finds borrowers.
			 */
			char *copy = malloc(end - pos);
			size_t used;

			if (copy == NULL)
				abort();
			memcpy(copy, in + pos, end - pos);
			used = smtp_in_input(d->e, copy, end - pos);
			dialogue_act(d);
			free(copy);
			if (used == 0)
				return; /* waits, for TLS */
			pos += used;
		}
	}
}

#endif
