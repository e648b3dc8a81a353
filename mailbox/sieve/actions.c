/* SPDX-License-Identifier: ISC */
/*
 * Actions are gathered in order and carried out after the run. Here is what goes
 * together (RFC 5228, 2.10; RFC 5429, 2.1.2): the same mailbox or address counts once,
 * and a message is rejected or delivered, not both.
 */
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/addresses.h"
#include "mailbox/sieve/run.h"

#define REDIRECTS_MAX 4
#define REJECT_TEXT_MAX 8192

struct sieve_action *
sieve_action_new(
    struct sieve_run *run, enum sieve_action_kind kind, const struct sieve_node *node)
{
	struct sieve_result *out = run->out;
	struct sieve_action *a;

	if (out->n >= SIEVE_ACTIONS_MAX) {
		(void)sieve_fail(run, "more than %d actions", SIEVE_ACTIONS_MAX);
		return NULL;
	}
	a = &out->v[out->n++];
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->keywords = "";
	a->line = node != NULL ? node->at.line : 0;
	return a;
}

const char *
sieve_keep_value(struct sieve_run *run, const struct sieve_value *v)
{
	const char *s = arena_copy(run->keep, v->s, v->len);

	if (s == NULL)
		(void)sieve_fail_memory(run);
	return s;
}

static bool
delivers(const struct sieve_action *a)
{
	return a->kind == SIEVE_KEEP || a->kind == SIEVE_FILEINTO ||
	       a->kind == SIEVE_REDIRECT;
}

static const char *
action_name(const struct sieve_action *a)
{
	static const char *const names[] = { "keep", "fileinto", "redirect", "reject",
		"vacation", "notify", "fcc" };

	return names[a->kind];
}

/* Rejection excludes delivery and other answers. */
static int
check_conflict(struct sieve_run *run, bool rejects)
{
	for (size_t i = 0; i < run->out->n; i++) {
		const struct sieve_action *a = &run->out->v[i];

		if (rejects ? delivers(a) || a->kind == SIEVE_REPLY
			    : a->kind == SIEVE_REJECT)
			return sieve_fail(run, "%s cannot go with the %s of line %u",
			    rejects ? "a rejection" : "this action", action_name(a),
			    a->line);
	}
	return 0;
}

static bool
is_inbox(const char *s)
{
	return strcasecmp(s, "INBOX") == 0;
}

static int
add_store(struct sieve_run *run, struct sieve_node *node, const char *mailbox)
{
	bool keep = mailbox == NULL;
	struct sieve_value use, header;
	struct sieve_action *a = NULL;

	if (keep)
		mailbox = "INBOX";
	if (check_conflict(run, false) == -1 ||
	    sieve_option_value(run, node, OPT_SPECIALUSE, &use) == -1 ||
	    sieve_header_now(run, &header) == -1)
		return -1;
	for (size_t i = 0; i < run->out->n && a == NULL; i++) {
		struct sieve_action *b = &run->out->v[i];

		if (b->kind != SIEVE_KEEP && b->kind != SIEVE_FILEINTO)
			continue;
		if (strcmp(b->mailbox, mailbox) == 0 ||
		    (is_inbox(b->mailbox) && is_inbox(mailbox)))
			a = b;
	}
	if (a == NULL &&
	    (a = sieve_action_new(run, keep ? SIEVE_KEEP : SIEVE_FILEINTO, node)) == NULL)
		return -1;
	a->mailbox = mailbox;
	a->create |= sieve_option(node, OPT_CREATE) != NULL;
	if (use.s != NULL && (a->special_use = sieve_keep_value(run, &use)) == NULL)
		return -1;
	a->header = header.s;
	a->header_len = header.len;
	if (sieve_action_flags(run, node, a) == -1)
		return -1;
	if (sieve_option(node, OPT_COPY) == NULL)
		run->out->cancelled = true;
	return 0;
}

static int
do_fileinto(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_value v;
	const char *mailbox;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1 ||
	    (mailbox = sieve_keep_value(run, &v)) == NULL)
		return -1;
	if (!utf8_valid(v.s, v.len) || strlen(mailbox) != v.len)
		return sieve_fail(run, "the name of the mailbox is not UTF-8");
	return add_store(run, node, mailbox);
}

static int
do_redirect(struct sieve_run *run, struct sieve_node *node)
{
	unsigned int max =
	    run->in->redirects_max != 0 ? run->in->redirects_max : REDIRECTS_MAX;
	const struct sieve_mailbox *box;
	struct sieve_value v, header;
	struct sieve_action *a;
	const char *why;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
		return -1;
	if ((box = sieve_mailbox_parse(run->scratch, v.s, v.len, &why)) == NULL)
		return sieve_fail(run, "redirect to \"%.*s\", which is no address: %s",
		    (int)(v.len > 64 ? 64 : v.len), v.s, why);
	if (check_conflict(run, false) == -1 || sieve_header_now(run, &header) == -1)
		return -1;
	if (sieve_option(node, OPT_COPY) == NULL)
		run->out->cancelled = true;
	for (size_t i = 0; i < run->out->n; i++) {
		const struct sieve_action *b = &run->out->v[i];

		if (b->kind == SIEVE_REDIRECT && strlen(b->address) == box->all.len &&
		    strncasecmp(b->address, box->all.s, box->all.len) == 0)
			return 0;
	}
	if (run->redirects++ >= max)
		return sieve_fail(run, "more than %u redirects", max);
	if ((a = sieve_action_new(run, SIEVE_REDIRECT, node)) == NULL ||
	    (a->address = sieve_keep_value(run, &box->all)) == NULL)
		return -1;
	a->header = header.s;
	a->header_len = header.len;
	return 0;
}

static int
do_reject(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_value v;
	struct sieve_action *a;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1 ||
	    check_conflict(run, true) == -1)
		return -1;
	for (size_t i = 0; i < run->out->n; i++)
		if (run->out->v[i].kind == SIEVE_REJECT)
			return sieve_fail(run, "the message is rejected twice");
	if (run->vacated)
		return sieve_fail(run, "a rejection conflicts with vacation");
	if (v.len > REJECT_TEXT_MAX)
		v.len = utf8_cut(v.s, v.len, REJECT_TEXT_MAX);
	if ((a = sieve_action_new(run, SIEVE_REJECT, node)) == NULL ||
	    (a->text = sieve_keep_value(run, &v)) == NULL)
		return -1;
	a->ereject = node->rule->op == OP_EREJECT;
	run->out->cancelled = true;
	return 0;
}

/* RFC 8580, 3: into a mailbox, with the flags of its own :flags. */
int
sieve_add_fcc(
    struct sieve_run *run, struct sieve_node *node, const char *message, size_t len)
{
	struct sieve_value mailbox, use;
	struct sieve_action *a;

	if (sieve_option_value(run, node, OPT_FCC, &mailbox) == -1 ||
	    sieve_option_value(run, node, OPT_SPECIALUSE, &use) == -1)
		return -1;
	if (mailbox.s == NULL)
		return 0;
	if ((a = sieve_action_new(run, SIEVE_FCC, node)) == NULL ||
	    (a->mailbox = sieve_keep_value(run, &mailbox)) == NULL)
		return -1;
	if (use.s != NULL && (a->special_use = sieve_keep_value(run, &use)) == NULL)
		return -1;
	a->create = sieve_option(node, OPT_CREATE) != NULL;
	a->message = message;
	a->message_len = len;
	/* The internal variable is of the message that came, not of the answer. */
	return sieve_option(node, OPT_FLAGS) != NULL ? sieve_action_flags(run, node, a)
						     : 0;
}

int
sieve_do_action(struct sieve_run *run, struct sieve_node *node)
{
	switch (node->rule->op) {
	case OP_KEEP:
		return add_store(run, node, NULL);
	case OP_FILEINTO:
		return do_fileinto(run, node);
	case OP_REDIRECT:
		return do_redirect(run, node);
	case OP_DISCARD:
		run->out->cancelled = true;
		return 0;
	case OP_REJECT:
	case OP_EREJECT:
		return do_reject(run, node);
	case OP_VACATION:
		if (check_conflict(run, false) == -1)
			return -1;
		return sieve_do_vacation(run, node);
	case OP_NOTIFY:
		return sieve_do_notify(run, node);
	default:
		return sieve_fail(run, "the command %s cannot be run", node->name);
	}
}

void
sieve_implicit_keep(struct sieve_run *run)
{
	struct sieve_value header;
	struct sieve_action *a;

	for (size_t i = 0; i < run->out->n; i++)
		if ((run->out->v[i].kind == SIEVE_KEEP ||
			run->out->v[i].kind == SIEVE_FILEINTO) &&
		    is_inbox(run->out->v[i].mailbox))
			return;
	if (sieve_header_now(run, &header) == -1)
		return;
	/* There is always room for it. */
	a = &run->out->v[run->out->n++];
	memset(a, 0, sizeof(*a));
	a->kind = SIEVE_KEEP;
	a->implicit = true;
	a->mailbox = "INBOX";
	a->keywords = "";
	a->header = header.s;
	a->header_len = header.len;
	(void)sieve_action_flags(run, NULL, a);
}
