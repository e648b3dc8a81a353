/* SPDX-License-Identifier: ISC */
/*
 * vacation: RFC 5230 and RFC 6131, with the manners of RFC 3834: no answer to lists,
 * programs and bounces, nor when the owner is not among the recipients. Whether this
 * sender had an answer lately is asked by who sends it, by the action's key.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/sieve/reply.h"

#define DAYS_DEFAULT 7
#define SECONDS_MAX (90u * 86400)
#define OWN_MAX 64

struct own {
	struct sieve_value v[OWN_MAX];
	size_t n;
	struct sieve_value addressed; /* the one that the header names */
};

static void
add_own(struct sieve_run *run, struct own *own, const char *s, size_t len)
{
	const struct sieve_mailbox *box;
	const char *why;

	if (own->n < OWN_MAX && (box = sieve_mailbox_parse(run->scratch, s, len, &why)))
		own->v[own->n++] = box->all;
}

static bool
same(const struct sieve_value *a, const struct sieve_value *b)
{
	return a->len == b->len && strncasecmp(a->s, b->s, a->len) == 0;
}

static bool
is_own(const struct own *own, const struct sieve_value *v)
{
	for (size_t i = 0; i < own->n; i++)
		if (same(&own->v[i], v))
			return true;
	return false;
}

/* Is a recipient in the header one of the owner's addresses? (RFC 5230, 4.5) */
static int
is_addressed(struct sieve_run *run, struct own *own)
{
	static const char *const names[] = { "to", "cc", "bcc", "resent-to", "resent-cc",
		"resent-bcc" };

	for (size_t i = 0; i < run->n_fields; i++) {
		const struct sieve_field *f = &run->fields[i];
		struct sieve_mailboxes list;
		struct sieve_value v;
		bool one = false;

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			one = one || (f->name_len > 0 &&
					 ascii_equal(f->name, f->name_len, names[k]));
		if (!one)
			continue;
		if (sieve_field_text(run, f, false, &v) == -1)
			return -1;
		if (sieve_mailboxes_parse(run->scratch, v.s, v.len, &list) == -1)
			return sieve_fail_memory(run);
		if (sieve_spend(run, 1 + list.n) == -1)
			return -1;
		for (size_t k = 0; k < list.n; k++)
			if (is_own(own, &list.v[k].all)) {
				own->addressed = list.v[k].all;
				return 1;
			}
	}
	return 0;
}

/* Local parts of programs (RFC 5230, 4.6). */
static bool
is_program(const struct sieve_value *local)
{
	static const char *const whole[] = { "mailer-daemon", "listserv", "majordomo",
		"noreply", "no-reply", "donotreply", "do-not-reply" };
	static const char *const ends[] = { "-request", "-owner", "-bounces", "-relay" };

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (ascii_equal(local->s, local->len, whole[i]))
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (local->len > n && ascii_equal(local->s + local->len - n, n, ends[i]))
			return true;
	}
	return local->len > 6 && ascii_equal(local->s, 6, "owner-");
}

/* The reason not to answer that the header gives, or NULL. */
static const char *
header_forbids(struct sieve_run *run)
{
	const struct sieve_field *f;
	struct sieve_value v;
	char word[32];

	for (size_t i = 0; i < run->n_fields; i++)
		if (run->fields[i].name_len > 5 &&
		    ascii_equal(run->fields[i].name, 5, "list-"))
			return "it came by a mailing list";
	if ((f = sieve_field_find(run, "auto-submitted")) != NULL &&
	    sieve_field_text(run, f, false, &v) == 0) {
		size_t n = 0;

		while (n < v.len && v.s[n] != ';' && v.s[n] != ' ' && v.s[n] != '\t' &&
		       v.s[n] != '(')
			n++;
		if (!ascii_equal(v.s, n, "no"))
			return "it was sent by a program";
	}
	if ((f = sieve_field_find(run, "precedence")) != NULL &&
	    sieve_field_text(run, f, false, &v) == 0 && v.len < sizeof(word))
		if (ascii_equal(v.s, v.len, "bulk") || ascii_equal(v.s, v.len, "junk") ||
		    ascii_equal(v.s, v.len, "list"))
			return "its precedence forbids it";
	if ((f = sieve_field_find(run, "x-auto-response-suppress")) != NULL &&
	    sieve_field_text(run, f, false, &v) == 0) {
		static const struct sieve_value oof = { "oof", 3 }, all = { "all", 3 };

		if (sieve_contains(COMPARATOR_CASEMAP, &v, &oof) ||
		    sieve_contains(COMPARATOR_CASEMAP, &v, &all))
			return "its sender asks for no answer";
	}
	return NULL;
}

/* 1: answer; 0: do not, with a note; -1. */
static int
wants_answer(struct sieve_run *run, struct sieve_node *node, struct own *own,
    const struct sieve_mailbox **sender)
{
	const struct sieve_input *in = run->in;
	const struct sieve_option *o = sieve_option(node, OPT_ADDRESSES);
	const char *why;
	int r;

	if (in->owner != NULL)
		add_own(run, own, in->owner, strlen(in->owner));
	if (in->envelope_to != NULL)
		add_own(run, own, in->envelope_to, strlen(in->envelope_to));
	for (size_t i = 0; in->aliases != NULL && in->aliases[i] != NULL; i++)
		add_own(run, own, in->aliases[i], strlen(in->aliases[i]));
	for (size_t i = 0; o != NULL && i < o->arg->n; i++) {
		struct sieve_value v;

		if (sieve_expand(run, &o->arg->v[i], &v) == -1)
			return -1;
		add_own(run, own, v.s, v.len);
	}
	if (in->envelope_from == NULL || in->envelope_from[0] == '\0') {
		sieve_note(run, "no vacation reply: the sender is <>");
		return 0;
	}
	*sender = sieve_mailbox_parse(
	    run->scratch, in->envelope_from, strlen(in->envelope_from), &why);
	if (*sender == NULL || is_program(&(*sender)->local)) {
		sieve_note(run, "no vacation reply: the sender is a program");
		return 0;
	}
	if (is_own(own, &(*sender)->all)) {
		sieve_note(run, "no vacation reply: the sender is the owner");
		return 0;
	}
	if ((why = header_forbids(run)) != NULL) {
		sieve_note(run, "no vacation reply: %s", why);
		return 0;
	}
	if ((r = is_addressed(run, own)) == 0)
		sieve_note(
		    run, "no vacation reply: the owner is not among the recipients");
	return r;
}

/* Of the sender, and of what makes this answer another than others. */
static int
make_key(struct sieve_run *run, struct sieve_node *node,
    const struct sieve_mailbox *sender, const struct sieve_value *reason, uint8_t key[32])
{
	static const enum sieve_option_id ids[] = { OPT_SUBJECT, OPT_FROM };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct sieve_value v;
	unsigned int len = 0;
	int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(ctx, "vacation", 9) == 1;

	for (size_t i = 0; ok && i < sender->all.len; i++) {
		char c = (char)ascii_lower((unsigned char)sender->all.s[i]);

		ok = EVP_DigestUpdate(ctx, &c, 1) == 1;
	}
	ok = ok && EVP_DigestUpdate(ctx, "", 1) == 1;
	if (ok && sieve_option(node, OPT_HANDLE) != NULL) {
		ok = sieve_option_value(run, node, OPT_HANDLE, &v) == 0 &&
		     EVP_DigestUpdate(ctx, v.s, v.len) == 1;
	} else if (ok) {
		char mime = sieve_option(node, OPT_MIME) != NULL ? 'm' : 't';

		ok = EVP_DigestUpdate(ctx, &mime, 1) == 1 &&
		     EVP_DigestUpdate(ctx, reason->s, reason->len) == 1;
		for (size_t i = 0; ok && i < 2; i++)
			ok = sieve_option_value(run, node, ids[i], &v) == 0 &&
			     EVP_DigestUpdate(ctx, "", 1) == 1 &&
			     (v.len == 0 || EVP_DigestUpdate(ctx, v.s, v.len) == 1);
	}
	ok = ok && EVP_DigestFinal_ex(ctx, key, &len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : sieve_fail(run, "no digest");
}

/* "Auto: " and the subject, unless the script says one (RFC 5230, 4.1). */
static int
subject(struct sieve_run *run, struct sieve_node *node, struct sieve_letter *l)
{
	const struct sieve_field *f = sieve_field_find(run, "subject");
	struct sieve_value v;
	char *text;

	if (sieve_option_value(run, node, OPT_SUBJECT, &v) == -1)
		return -1;
	if (v.s == NULL) {
		v = (struct sieve_value){ "", 0 };
		if (f != NULL && sieve_field_text(run, f, true, &v) == -1)
			return -1;
		if (v.len > 200)
			v.len = utf8_cut(v.s, v.len, 200);
		if ((text = arena_alloc(run->scratch, v.len + 16)) == NULL)
			return sieve_fail_memory(run);
		v.len = (size_t)snprintf(text, v.len + 16, "%s%.*s",
		    f != NULL ? "Auto: " : "Automated reply", (int)v.len, v.s);
		v.s = text;
	}
	sieve_letter_field(l, "Subject", v.s, v.len);
	return 0;
}

static void
references(struct sieve_run *run, struct sieve_letter *l)
{
	const struct sieve_field *id = sieve_field_find(run, "message-id"),
				 *refs = sieve_field_find(run, "references");
	struct sieve_value v, r = { "", 0 };
	char text[900];

	if (id == NULL || sieve_field_text(run, id, false, &v) == -1 || v.len == 0 ||
	    v.len > 400)
		return;
	sieve_letter_field(l, "In-Reply-To", v.s, v.len);
	if (refs != NULL && sieve_field_text(run, refs, false, &r) == -1)
		return;
	if (r.len + v.len + 2 > sizeof(text))
		r.len = 0;
	snprintf(text, sizeof(text), "%.*s%s%.*s", (int)r.len, r.s, r.len > 0 ? " " : "",
	    (int)v.len, v.s);
	sieve_letter_field(l, "References", text, strlen(text));
}

static int
write_reply(struct sieve_run *run, struct sieve_node *node,
    const struct sieve_mailbox *sender, const struct own *own,
    const struct sieve_value *reason, struct sieve_action *a)
{
	struct sieve_letter l;
	struct sieve_value from;

	sieve_letter_init(&l, run);
	if (sieve_option_value(run, node, OPT_FROM, &from) == -1)
		return -1;
	/* The answer comes from the address that was written to. */
	if (from.s == NULL || from.len == 0)
		from = own->addressed;
	sieve_letter_field(&l, "From", from.s, from.len);
	sieve_letter_field(&l, "To", sender->all.s, sender->all.len);
	if (subject(run, node, &l) == -1)
		return -1;
	references(run, &l);
	sieve_letter_basics(&l, "auto-replied (vacation)");
	sieve_letter_field(&l, "Precedence", "bulk", 4);
	if (sieve_option(node, OPT_MIME) != NULL)
		sieve_letter_raw(&l, reason->s, reason->len);
	else
		sieve_letter_text(&l, reason->s, reason->len);
	return sieve_letter_finish(&l, &a->message, &a->message_len);
}

int
sieve_do_vacation(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *period = sieve_option_of(node, GROUP_PERIOD);
	uint64_t seconds = (uint64_t)DAYS_DEFAULT * 86400;
	const struct sieve_mailbox *sender = NULL;
	struct own *own = arena_alloc(run->scratch, sizeof(*own));
	struct sieve_value reason;
	struct sieve_action *a;
	size_t at;
	int r;

	if (own == NULL)
		return sieve_fail_memory(run);
	own->addressed = (struct sieve_value){ NULL, 0 };
	/* Whether an answer is due or not (RFC 5230, 4.7). */
	if (run->vacated)
		return sieve_fail(run, "vacation is executed twice");
	for (size_t i = 0; i < run->out->n; i++)
		if (run->out->v[i].kind == SIEVE_REJECT)
			return sieve_fail(run, "vacation conflicts with a rejection");
	run->vacated = true;
	if ((r = wants_answer(run, node, own, &sender)) != 1)
		return r;
	if (sieve_expand(run, &node->positional[0]->v[0], &reason) == -1)
		return -1;
	if (period != NULL && period->rule->id == OPT_DAYS) {
		seconds = period->arg->number < 1 ? 1 : period->arg->number;
		seconds = seconds > 3650 ? SECONDS_MAX : seconds * 86400;
	} else if (period != NULL)
		seconds = period->arg->number;
	at = run->out->n;
	if ((a = sieve_action_new(run, SIEVE_REPLY, node)) == NULL)
		return -1;
	a->reverse_path = "";
	a->remember_s = seconds > SECONDS_MAX ? SECONDS_MAX : (uint32_t)seconds;
	if ((a->address = sieve_keep_value(run, &sender->all)) == NULL ||
	    make_key(run, node, sender, &reason, a->key) == -1 ||
	    write_reply(run, node, sender, own, &reason, a) == -1)
		return -1;
	/* The copy goes with the answer: it stands behind it. */
	return sieve_add_fcc(
	    run, node, run->out->v[at].message, run->out->v[at].message_len);
}
