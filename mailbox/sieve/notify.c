/* SPDX-License-Identifier: ISC */
/* notify by mailto: RFC 5435 and RFC 5436. */
#include <stdio.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/mailto.h"
#include "mailbox/sieve/reply.h"

static void
recipients(
    struct sieve_letter *l, const char *name, const struct sieve_value *v, size_t n)
{
	char text[SIEVE_MAILTO_MAX * 340];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s",
		    i > 0 ? ", " : "", (int)v[i].len, v[i].s);
	if (n > 0)
		sieve_letter_field(l, name, text, len);
}

/* What a notice says when the script says nothing. */
static int
default_subject(struct sieve_run *run, struct sieve_value *out)
{
	const struct sieve_field *from = sieve_field_find(run, "from"),
				 *subject = sieve_field_find(run, "subject");
	struct sieve_value f = { "", 0 }, s = { "", 0 };
	char *text = arena_alloc(run->scratch, 512);

	if (text == NULL)
		return sieve_fail_memory(run);
	if (from != NULL && sieve_field_text(run, from, true, &f) == -1)
		return -1;
	if (subject != NULL && sieve_field_text(run, subject, true, &s) == -1)
		return -1;
	f.len = utf8_cut(f.s, f.len, f.len > 150 ? 150 : f.len);
	s.len = utf8_cut(s.s, s.len, s.len > 250 ? 250 : s.len);
	out->len = (size_t)snprintf(
	    text, 512, "Message from %.*s: %.*s", (int)f.len, f.s, (int)s.len, s.s);
	out->s = text;
	return 0;
}

/* RFC 5435, 3.4; without it a notice is normal. */
static void
priority(struct sieve_letter *l, char importance)
{
	const char *word = "normal", *number = "3 (Normal)";

	if (importance == '1') {
		word = "high";
		number = "1 (Highest)";
	} else if (importance == '3') {
		word = "low";
		number = "5 (Lowest)";
	}
	sieve_letter_field(l, "Importance", word, strlen(word));
	sieve_letter_field(l, "X-Priority", number, strlen(number));
}

static int
write_notice(struct sieve_run *run, struct sieve_node *node, const struct sieve_mailto *m,
    const char **message, size_t *len)
{
	struct sieve_value from, text, importance, subject;
	const char *owner =
	    run->in->owner != NULL ? run->in->owner : run->in->envelope_to;
	struct sieve_letter l;
	char mark[400];

	if (sieve_option_value(run, node, OPT_FROM, &from) == -1 ||
	    sieve_option_value(run, node, OPT_MESSAGE, &text) == -1 ||
	    sieve_option_value(run, node, OPT_IMPORTANCE, &importance) == -1)
		return -1;
	if (owner == NULL)
		owner = "";
	sieve_letter_init(&l, run);
	if (from.s == NULL || from.len == 0)
		from = (struct sieve_value){ owner, strlen(owner) };
	sieve_letter_field(&l, "From", from.s, from.len);
	recipients(&l, "To", m->to, m->n_to);
	recipients(&l, "Cc", m->cc, m->n_cc);
	/* RFC 5436, 2.7: the script's message first, then the URI. */
	subject = text.s != NULL && text.len > 0 ? text : m->subject;
	if (subject.s == NULL && default_subject(run, &subject) == -1)
		return -1;
	sieve_letter_field(&l, "Subject", subject.s,
	    utf8_cut(subject.s, subject.len, subject.len > 900 ? 900 : subject.len));
	for (size_t i = 0; i < m->n_fields; i++)
		sieve_letter_field(&l, m->name[i].s, m->value[i].s, m->value[i].len);
	snprintf(mark, sizeof(mark), "auto-notified; owner-email=\"%s\"", owner);
	sieve_letter_basics(&l, mark);
	priority(&l, importance.len == 1 ? importance.s[0] : '2');
	if (m->body.s != NULL)
		text = m->body;
	else if (text.s == NULL)
		text = subject;
	sieve_letter_text(&l, text.s, text.len);
	return sieve_letter_finish(&l, message, len);
}

static int
add_notices(struct sieve_run *run, struct sieve_node *node, const struct sieve_value *v,
    size_t n, const char *message, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		struct sieve_action *a;
		bool known = false;
		const char *address;

		if ((address = sieve_keep_value(run, &v[i])) == NULL)
			return -1;
		/* The same notice goes to an address once (RFC 5435, 3). */
		for (size_t k = 0; k < run->out->n; k++)
			known = known ||
				(run->out->v[k].kind == SIEVE_NOTIFY &&
				    strcasecmp(run->out->v[k].address, address) == 0 &&
				    run->out->v[k].line == node->at.line);
		if (known)
			continue;
		if ((a = sieve_action_new(run, SIEVE_NOTIFY, node)) == NULL)
			return -1;
		a->address = address;
		a->message = message;
		a->message_len = len;
		a->reverse_path = "";
	}
	return 0;
}

int
sieve_do_notify(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_field *f = sieve_field_find(run, "auto-submitted");
	struct sieve_value method, v;
	struct sieve_mailto m;
	const char *why, *message = NULL;
	size_t len = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &method) == -1)
		return -1;
	if (sieve_mailto_parse(run->scratch, method.s, method.len, &m, &why) == -1)
		return sieve_fail(run, "\"%.*s\" is no method to notify by: %s",
		    (int)(method.len > 64 ? 64 : method.len), method.s, why);
	if (m.n_to + m.n_cc + m.n_bcc == 0) {
		sieve_note(run, "no notice: it has no recipient");
		return 0;
	}
	/* Notices of notices would go round (RFC 5436, 2.7.1). */
	if (f != NULL && sieve_field_text(run, f, false, &v) == 0 &&
	    !(v.len >= 2 && ascii_equal(v.s, 2, "no") &&
		(v.len == 2 || v.s[2] == ';' || v.s[2] == ' '))) {
		sieve_note(run, "no notice: the message was sent by a program");
		return 0;
	}
	if (write_notice(run, node, &m, &message, &len) == -1 ||
	    add_notices(run, node, m.to, m.n_to, message, len) == -1 ||
	    add_notices(run, node, m.cc, m.n_cc, message, len) == -1 ||
	    add_notices(run, node, m.bcc, m.n_bcc, message, len) == -1)
		return -1;
	return sieve_add_fcc(run, node, message, len);
}
