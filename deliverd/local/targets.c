/* SPDX-License-Identifier: ISC */
/* Questions to authd about recipients; see targets.h. */
#include "deliverd/local/targets.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define RESOLVE_TIMEOUT_MS 30000

struct resolution {
	struct targets targets;
	size_t cap;
	int bad; /* a part could not be kept: the whole is tried again */
	uint64_t channel;
	uint64_t id;
	targets_cb cb;
	void *arg;
};

void
targets_clear(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].mailbox);
		free(t->v[i].rules);
		free(t->v[i].command);
	}
	free(t->v);
	memset(t, 0, sizeof(*t));
}

static int
add_target(struct resolution *r, const struct msg_target *m)
{
	struct target *t;

	if (r->targets.n == TARGETS_MAX || m->address[0] == '\0' ||
	    m->kind < TARGET_MAILBOX || m->kind > TARGET_LIST ||
	    (m->kind == TARGET_COMMAND && m->command[0] == '\0') ||
	    (m->kind != TARGET_FORWARD && m->mailbox[0] == '\0') ||
	    (m->kind == TARGET_LIST && m->rules[0] == '\0'))
		return -1;
	if (r->targets.n == r->cap) {
		size_t cap = r->cap == 0 ? 1 : r->cap * 2;

		if ((t = reallocarray(r->targets.v, cap, sizeof(*t))) == NULL)
			return -1;
		r->targets.v = t;
		r->cap = cap;
	}
	t = &r->targets.v[r->targets.n];
	memset(t, 0, sizeof(*t));
	t->kind = (enum target_kind)m->kind;
	strlcpy(t->address, m->address, sizeof(t->address));
	if (m->kind != TARGET_FORWARD && (t->mailbox = strdup(m->mailbox)) == NULL)
		return -1;
	if ((m->kind == TARGET_COMMAND && (t->command = strdup(m->command)) == NULL) ||
	    (m->rules[0] != '\0' && (t->rules = strdup(m->rules)) == NULL)) {
		free(t->mailbox);
		free(t->command);
		t->mailbox = t->command = NULL;
		return -1;
	}
	r->targets.n++;
	return 0;
}

int
targets_add_forward(struct targets *t, const char *address)
{
	struct target *v;

	if (t->n == TARGETS_MAX)
		return -1;
	if ((v = reallocarray(t->v, t->n + 1, sizeof(*v))) == NULL)
		return -1;
	t->v = v;
	v = &t->v[t->n++];
	memset(v, 0, sizeof(*v));
	v->kind = TARGET_FORWARD;
	strlcpy(v->address, address, sizeof(v->address));
	return 0;
}

static void
on_answer(struct msg *m, void *arg)
{
	struct resolution *r = arg;
	struct outcome o;

	if (m != NULL && m->type == MSG_AUTHD_LDELIVER_TARGET) {
		if (add_target(r, &m->p.target) == -1)
			r->bad = 1;
		return;
	}
	if (r->cb == NULL) {
		targets_clear(&r->targets);
		free(r);
		return;
	}
	if (m == NULL)
		outcome_set(&o, JOB_DEFERRED, "4.3.5",
		    "the directory of users does not answer now");
	else if (m->type != MSG_AUTHD_LDELIVER_RESOLVED)
		outcome_set(
		    &o, JOB_DEFERRED, "4.3.0", "the directory of users answered wrongly");
	else if (m->p.resolved.status != MSG_OK)
		outcome_from_authd(
		    &o, (enum answer_status)m->p.resolved.status, m->p.resolved.text);
	else if (r->bad || r->targets.n == 0 || m->p.resolved.count != r->targets.n)
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    "the targets of the address are not complete");
	else
		outcome_set(&o, JOB_DELIVERED, "2.1.5", "resolved");
	if (o.status != JOB_DELIVERED)
		targets_clear(&r->targets);
	r->cb(&r->targets, &o, r->arg);
	free(r);
}

struct resolution *
targets_resolve(struct channel *authd, const char *address, targets_cb cb, void *arg)
{
	struct resolution *r = calloc(1, sizeof(*r));
	struct msg_address a = { 0 };

	if (r == NULL)
		return NULL;
	r->cb = cb;
	r->arg = arg;
	r->channel = channel_serial(authd);
	strlcpy(a.address, address, sizeof(a.address));
	r->id = channel_ask(
	    authd, MSG_LDELIVER_AUTHD_RESOLVE, &a, -1, RESOLVE_TIMEOUT_MS, on_answer, r);
	if (r->id == 0) {
		free(r);
		return NULL;
	}
	return r;
}

void
targets_cancel(struct resolution *r)
{
	struct channel *ch;

	if (r == NULL)
		return;
	/* A channel that is dying still has its waiters: then on_answer() comes, with r
	 * alive and nobody behind it. */
	if ((ch = channel_find(r->channel)) == NULL) {
		r->cb = NULL;
		return;
	}
	channel_forget(ch, r->id);
	targets_clear(&r->targets);
	free(r);
}
