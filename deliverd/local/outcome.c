/* SPDX-License-Identifier: ISC */
/* Results and their codes (RFC 3463); see outcome.h. */
#include "deliverd/local/outcome.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

void
outcome_set(
    struct outcome *o, enum job_status status, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	o->status = status;
	o->kept = 0;
	strlcpy(o->enhanced, enhanced, sizeof(o->enhanced));
	va_start(ap, fmt);
	vsnprintf(o->text, sizeof(o->text), fmt, ap);
	va_end(ap);
}

/* class "." subject "." detail */
static int
enhanced_valid(const char *s, char class)
{
	if (s[0] != class)
		return 0;
	s++;
	for (int i = 0; i < 2; i++) {
		size_t n = 0;

		if (*s++ != '.')
			return 0;
		for (; isdigit((unsigned char)s[n]); n++)
			;
		if (n == 0 || n > 3)
			return 0;
		s += n;
	}
	return *s == '\0';
}

void
outcome_from_mailbox(struct outcome *o, const struct msg_delivered *d)
{
	const char *code, *text;
	enum job_status status = JOB_DEFERRED;
	char class;

	switch (d->status) {
	case MSG_OK:
		status = JOB_DELIVERED;
		code = "2.0.0";
		text = d->again ? "delivered before" : "delivered";
		break;
	case MSG_FULL:
		/* Whether a full mailbox is worth waiting for is the mailbox's to say. */
		if (d->enhanced[0] == '5')
			status = JOB_FAILED;
		code = status == JOB_FAILED ? "5.2.2" : "4.2.2";
		text = "the mailbox is full";
		break;
	case MSG_UNKNOWN:
		status = JOB_FAILED;
		code = "5.1.1";
		text = "no such mailbox";
		break;
	case MSG_DENIED:
		status = JOB_FAILED;
		code = "5.2.1";
		text = "the mailbox does not accept messages";
		break;
	case MSG_PERM:
		status = JOB_FAILED;
		code = "5.3.0";
		text = "the mailbox refused the message";
		break;
	default:
		code = "4.3.0";
		text = "the mailbox cannot take the message now";
		break;
	}
	class = status == JOB_DELIVERED ? '2' : status == JOB_FAILED ? '5' : '4';
	outcome_set(o, status, enhanced_valid(d->enhanced, class) ? d->enhanced : code,
	    "%s", d->text[0] != '\0' ? d->text : text);
	o->kept = status == JOB_DELIVERED && d->kept;
}

void
outcome_from_program(struct outcome *o, const struct msg_exec_ran *r)
{
	enum job_status status = r->status == JOB_DELIVERED || r->status == JOB_FAILED
				     ? (enum job_status)r->status
				     : JOB_DEFERRED;
	char class = status == JOB_DELIVERED ? '2' : status == JOB_FAILED ? '5' : '4';
	const char *code = status == JOB_DELIVERED ? "2.0.0"
			   : status == JOB_FAILED  ? "5.3.0"
						   : "4.3.0";

	outcome_set(o, status, enhanced_valid(r->enhanced, class) ? r->enhanced : code,
	    "%s", r->text);
	o->kept = status == JOB_DELIVERED;
}

void
outcome_from_list(struct outcome *o, const struct msg_list_taken *t)
{
	enum job_status status = (enum job_status)t->status;
	char class = status == JOB_DELIVERED ? '2' : status == JOB_FAILED ? '5' : '4';
	const char *code = status == JOB_DELIVERED ? "2.0.0"
			   : status == JOB_FAILED  ? "5.7.1"
						   : "4.3.0";

	if (status != JOB_DELIVERED && status != JOB_FAILED)
		status = JOB_DEFERRED;
	outcome_set(o, status, enhanced_valid(t->enhanced, class) ? t->enhanced : code,
	    "%s",
	    t->text[0] != '\0'        ? t->text
	    : status == JOB_DELIVERED ? "taken by the list"
				      : "the list does not take the message");
}

void
outcome_delivered(struct outcome *o, const char *words, size_t mailboxes, size_t forwards)
{
	const char *es = mailboxes == 1 ? "" : "es", *more = forwards == 1 ? "" : "es";

	if (words[0] != '\0')
		outcome_set(o, JOB_DELIVERED, "2.0.0", "%s", words);
	else if (mailboxes == 0)
		outcome_set(o, JOB_DELIVERED, "2.0.0", "forwarded to %zu address%s",
		    forwards, more);
	else if (forwards > 0)
		outcome_set(o, JOB_DELIVERED, "2.0.0",
		    "delivered to %zu mailbox%s, forwarded to %zu address%s", mailboxes,
		    es, forwards, more);
	else if (mailboxes == 1)
		outcome_set(o, JOB_DELIVERED, "2.0.0", "delivered to the mailbox");
	else
		outcome_set(
		    o, JOB_DELIVERED, "2.0.0", "delivered to %zu mailboxes", mailboxes);
}

void
outcome_add_failed(
    struct outcome *o, const char *address, size_t n, const struct outcome *failed)
{
	size_t len = strlen(o->text);

	snprintf(o->text + len, sizeof(o->text) - len, "; not to %s%s: %s %s", address,
	    n > 1 ? " and others" : "", failed->enhanced, failed->text);
}

void
outcome_from_authd(struct outcome *o, enum answer_status status, const char *text)
{
	enum job_status js = JOB_FAILED;
	const char *code, *plain;

	switch (status) {
	case MSG_UNKNOWN:
		code = "5.1.1";
		plain = "no such user";
		break;
	case MSG_DENIED:
		code = "5.2.1";
		plain = "this mailbox is disabled";
		break;
	case MSG_PERM: /* aliases in a ring, or without end */
		code = "5.4.6";
		plain = "the address leads nowhere";
		break;
	default:
		js = JOB_DEFERRED;
		code = "4.3.0";
		plain = "the address cannot be looked up now";
		break;
	}
	outcome_set(o, js, code, "%s", text[0] != '\0' ? text : plain);
}
